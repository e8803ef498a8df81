//! The demo's three images: the tags they have at first, and those that are pushed later.

use jiff::Timestamp;
use tagline_policy::{RepositoryName, Tag};

use super::registry::{DemoRegistry, Image};

const AT_FIRST: [(&str, &[&str]); 3] = [
    (
        "shop/storefront",
        &[
            "1.0.0",
            "1.0.1",
            "1.1.0",
            "1.2.0",
            "1.2.1-rc.1",
            "2.0.0-rc.1",
            "latest",
            "nightly",
        ],
    ),
    (
        "shop/worker",
        &[
            "main-3f1c0de-1760000000",
            "main-8ba1e22-1760086400",
            "main-04dd17c-1760172800",
            "feature-login-99aa001-1760200000",
            "latest",
        ],
    ),
    (
        "shop/billing",
        &[
            "build-7",
            "build-8",
            "build-9",
            "build-10",
            "build-11-debug",
            "latest",
        ],
    ),
];

/// Of each image one tag that its policy wants; the others are there to be passed over.
const LATER: [(&str, &[&str]); 3] = [
    ("shop/storefront", &["1.3.0", "2.0.0-rc.2"]),
    (
        "shop/worker",
        &[
            "main-c0ffee1-1760259200",
            "feature-login-77bb002-1760300000",
        ],
    ),
    ("shop/billing", &["build-12", "build-13-debug"]),
];

/// What the files are to name at first.
pub(super) const WANTED_FIRST: [&str; 3] = [":1.2.0", ":main-04dd17c-1760172800", " build-10 "];

/// What they are to name after the push.
pub(super) const WANTED_LATER: [&str; 3] = [":1.3.0", ":main-c0ffee1-1760259200", " build-12 "];

/// What was pushed: each repository with its tags.
pub(super) type Pushed = Vec<(&'static str, &'static [&'static str])>;

/// Pushes the tags that are there when the demo begins.
pub(super) fn push_first(registry: &DemoRegistry, now: Timestamp) -> anyhow::Result<Pushed> {
    push(registry, &AT_FIRST, now)
}

/// Pushes the new tags.
pub(super) fn push_later(registry: &DemoRegistry, now: Timestamp) -> anyhow::Result<Pushed> {
    push(registry, &LATER, now)
}

fn push(
    registry: &DemoRegistry,
    images: &[(&'static str, &'static [&'static str])],
    now: Timestamp,
) -> anyhow::Result<Pushed> {
    for (repository, tags) in images {
        let name = RepositoryName::new(repository)?;
        for tag in *tags {
            let image = Image {
                created: now,
                version: (*tag).to_owned(),
            };
            registry.push(&name, &Tag::new(tag)?, &image);
        }
    }
    Ok(images.to_vec())
}
