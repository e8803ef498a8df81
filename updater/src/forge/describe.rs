//! Title and text of a pull request: what changes, from what to what, where it comes from.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::escape::{code, link, one_line};
use super::links::{compare_page, registry_page, source_page};

/// The longest title every forge takes (GitHub and Bitbucket 255, Azure DevOps 400).
const TITLE_LIMIT: usize = 250;

/// Where an image was built from: its annotations `org.opencontainers.image.source` and `.revision`, as they were
/// read; anything may stand in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRevision {
    /// `org.opencontainers.image.source`.
    pub url: String,
    /// `org.opencontainers.image.revision`.
    pub revision: Option<String>,
}

/// One changed place in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageChange {
    /// The path from the root of the repository.
    pub file: String,
    /// The line, counted from 1.
    pub line: Option<usize>,
    /// `namespace/name` of the policy.
    pub policy: String,
    /// The image's name, as the manifest or the policy writes it.
    pub image: String,
    /// What stood there: a tag, `tag@digest`, a whole reference.
    pub old: String,
    /// What stands there now.
    pub new: String,
    /// What the policy chose: a tag, maybe with a digest. Together with policy and image it is "this version".
    pub chosen: String,
    /// Where the old image came from, if known.
    pub old_source: Option<SourceRevision>,
    /// Where the new image comes from, if known.
    pub new_source: Option<SourceRevision>,
}

/// The title where the user gave none: `Update web to 1.2.4`, `Update web, db`, `Update 12 images`.
///
/// Digests are left out: a title becomes a commit message, where forges read `@sha256` as a mention.
#[must_use]
pub fn title_for(changes: &[ImageChange]) -> String {
    let images: BTreeSet<&str> = changes
        .iter()
        .map(|change| short_name(&change.image))
        .collect();
    let versions: BTreeSet<&str> = changes
        .iter()
        .map(|change| tag_of(&change.chosen))
        .collect();
    let names: Vec<&str> = images.into_iter().collect();
    let title = match names.as_slice() {
        [] => "Update images".to_owned(),
        [name] => match versions.into_iter().collect::<Vec<_>>().as_slice() {
            [version] if !version.is_empty() => format!("Update {name} to {version}"),
            _ => format!("Update {name}"),
        },
        [_, _] | [_, _, _] => format!("Update {}", names.join(", ")),
        _ => format!("Update {} images", names.len()),
    };
    title_line(&title)
}

/// A title as it is sent: one line, not too long.
pub(super) fn title_line(title: &str) -> String {
    one_line(title, TITLE_LIMIT)
}

fn short_name(image: &str) -> &str {
    image.rsplit('/').next().unwrap_or(image)
}

/// The tag in `tag`, `tag@digest`, `name:tag`, `name:tag@digest`.
fn tag_of(reference: &str) -> &str {
    let reference = reference.split('@').next().unwrap_or_default();
    short_name(reference).rsplit(':').next().unwrap_or_default()
}

/// The text between our markers: `introduction` (the user's own, rendered; Markdown is taken as it is) and the
/// table of changes, at most `limit` characters in all. Rows that do not fit are counted instead.
#[must_use]
pub fn describe_changes(
    introduction: Option<&str>,
    changes: &[ImageChange],
    limit: usize,
) -> String {
    let mut text = String::new();
    if let Some(introduction) = introduction
        .map(str::trim)
        .filter(|introduction| !introduction.is_empty())
    {
        let kept: String = introduction.chars().take(limit / 2).collect();
        // Our own markers must be found where we put them, not in a user's text.
        text.push_str(
            &kept
                .replace("tagline:begin", "tagline: begin")
                .replace("tagline:end", "tagline: end"),
        );
        text.push_str("\n\n");
    }
    text.push_str("| File | Policy | Change |\n| --- | --- | --- |\n");
    // Room for the closing line that counts the rest.
    let mut room = limit.saturating_sub(text.chars().count() + 80);
    let mut shown = 0;
    for change in changes {
        let row = row(change);
        let length = row.chars().count();
        if length > room {
            break;
        }
        room -= length;
        text.push_str(&row);
        shown += 1;
    }
    match changes.len() - shown {
        0 => {}
        1 => text.push_str("\nOne more change is not shown.\n"),
        hidden => {
            let _ = write!(
                text,
                "
{hidden} more changes are not shown.
"
            );
        }
    }
    text.truncate(text.trim_end().len());
    text
}

fn row(change: &ImageChange) -> String {
    let place = match change.line {
        Some(line) => format!("{}:{line}", change.file),
        None => change.file.clone(),
    };
    let image = link(&code(&change.image), registry_page(&change.image).as_ref());
    let mut links = Vec::new();
    if let Some(source) = change.new_source.as_ref().and_then(source_page) {
        links.push(link("source", Some(&source)));
    }
    if let (Some(old), Some(new)) = (&change.old_source, &change.new_source)
        && let Some(compare) = compare_page(old, new)
    {
        links.push(link("changes", Some(&compare)));
    }
    let links = if links.is_empty() {
        String::new()
    } else {
        format!(" ({})", links.join(", "))
    };
    format!(
        "| {} | {} | {image}: {} → {}{links} |\n",
        code(&place),
        code(&change.policy),
        code(&change.old),
        code(&change.new),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn change(image: &str, old: &str, new: &str) -> ImageChange {
        ImageChange {
            file: "apps/web.yaml".to_owned(),
            line: Some(12),
            policy: "flux-system/web".to_owned(),
            image: image.to_owned(),
            old: old.to_owned(),
            new: new.to_owned(),
            chosen: new.to_owned(),
            old_source: None,
            new_source: None,
        }
    }

    #[test]
    fn titles() {
        let title = |list: &[(&str, &str)]| {
            title_for(
                &list
                    .iter()
                    .map(|(image, new)| change(image, "1", new))
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(
            title(&[("ghcr.io/acme/web", "1.2.4")]),
            "Update web to 1.2.4"
        );
        assert_eq!(
            title(&[("ghcr.io/acme/web", "1.2.4@sha256:abcd")]),
            "Update web to 1.2.4"
        );
        assert_eq!(
            title(&[("web", "localhost:5000/web:2@sha256:abcd"), ("web", "2")]),
            "Update web to 2"
        );
        assert_eq!(title(&[("web", "1"), ("web", "2")]), "Update web");
        assert_eq!(title(&[("web", "1"), ("db", "2")]), "Update db, web");
        assert_eq!(
            title(&[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]),
            "Update 4 images"
        );
        assert_eq!(title(&[]), "Update images");
    }

    #[test]
    fn the_table_links_to_registry_source_and_comparison() {
        let mut web = change("ghcr.io/acme/web", "1.2.3", "1.2.4");
        let source = |revision: &str| {
            Some(SourceRevision {
                url: "https://github.com/acme/web".to_owned(),
                revision: Some(revision.to_owned()),
            })
        };
        (web.old_source, web.new_source) = (source("aaaa111"), source("bbbb222"));
        let mut evil = change("registry.example.com/x", "1 | 2", "`@everyone` <img src=x>");
        evil.file = "a\n<!-- tagline:end -->.yaml".to_owned();
        evil.new_source = Some(SourceRevision {
            url: "javascript:alert(1)".to_owned(),
            revision: None,
        });
        insta::assert_snapshot!(describe_changes(
            Some("Mind the runbook."),
            &[web, evil],
            10_000
        ));
    }

    #[test]
    fn a_long_table_is_cut_at_a_row() {
        let changes = vec![change("web", "1", "2"); 100];
        let text = describe_changes(None, &changes, 1_000);
        assert!(text.chars().count() <= 1_000);
        assert!(text.ends_with("more changes are not shown."), "{text}");
        assert_eq!(
            describe_changes(None, &changes, 100_000).lines().count(),
            102
        );
    }

    proptest! {
        #[test]
        fn foreign_text_adds_no_line_and_no_cell(file in ".{0,40}", policy in ".{0,40}", old in ".{0,40}", new in ".{0,40}") {
            let change = ImageChange { file, policy, ..change("web", &old, &new) };
            let text = describe_changes(None, &[change], 10_000);
            prop_assert_eq!(text.lines().count(), 3);
            prop_assert_eq!(text.lines().last().unwrap().matches('|').count(), 4);
        }

        #[test]
        fn never_longer_than_the_limit(count in 0_usize..60, limit in 200_usize..3_000, intro in ".{0,3000}") {
            let changes = vec![change("web", "1", "2"); count];
            prop_assert!(describe_changes(Some(&intro), &changes, limit).chars().count() <= limit);
        }
    }
}
