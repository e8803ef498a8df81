//! Tag lists as registries have them, made up from numbers so that every run has the same.

use clap::ValueEnum;

/// What a repository's tags look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shape {
    /// `1.4.17`, every tenth with a release candidate before it.
    Semver,
    /// `main-3f9c2ab-1700003571`: branch, commit, time.
    Commit,
    /// `20240131.2-3f9c2ab`: day, build of the day, commit.
    Build,
    /// One repository of each after the other.
    Mixed,
}

/// The first `count` tags of repository number `repository`.
pub(crate) fn tags(shape: Shape, repository: u32, count: u32) -> Vec<String> {
    let shape = match shape {
        Shape::Mixed => match repository % 3 {
            0 => Shape::Semver,
            1 => Shape::Commit,
            _ => Shape::Build,
        },
        other => other,
    };
    (0..count)
        .map(|number| tag(shape, repository, number))
        .collect()
}

fn tag(shape: Shape, repository: u32, number: u32) -> String {
    let commit = scatter(repository, number) >> 4;
    match shape {
        Shape::Semver | Shape::Mixed => {
            let patches = 5 + repository % 20;
            let (release, candidate) = (number / 11 * 10 + number % 11, number % 11 == 10);
            let version = format!(
                "{}.{}.{}",
                release / patches / 12,
                release / patches % 12,
                release % patches
            );
            if candidate {
                format!("{version}-rc.1")
            } else {
                version
            }
        }
        Shape::Commit => format!(
            "main-{commit:07x}-{}",
            1_650_000_000 + repository * 977 + number * 7_919 + commit % 3_600
        ),
        Shape::Build => format!(
            "2024{:02}{:02}.{}-{commit:07x}",
            number / 84 % 12 + 1,
            number / 3 % 28 + 1,
            number % 3 + 1
        ),
    }
}

/// A number that looks random and depends on both.
fn scatter(repository: u32, number: u32) -> u32 {
    let mixed =
        (u64::from(repository) << 32 | u64::from(number)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    u32::try_from((mixed ^ (mixed >> 31)) & 0xffff_ffff).unwrap_or_default()
}
