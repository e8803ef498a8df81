//! Pull requests on six forges, each played by a fake that is held to its vendor's description.

mod app;
mod fake;
mod life;
mod limits;
mod people;
mod rules;
mod stop_anywhere;

use tagline_updater::forge::{ImageChange, KnownBranch, PullRequestOptions, Request, Wanted};

pub(crate) const AUTOMATION: &str = "flux-system/apps";

/// The commit of the n-th push.
pub(crate) fn commit(n: u32) -> String {
    format!("{n:x}").repeat(40).chars().take(40).collect()
}

pub(crate) fn change(policy: &str, new: &str) -> ImageChange {
    ImageChange {
        file: format!("apps/{policy}.yaml"),
        line: Some(7),
        policy: format!("flux-system/{policy}"),
        image: format!("ghcr.io/acme/{policy}"),
        old: "1.0.0".to_owned(),
        new: new.to_owned(),
        chosen: new.to_owned(),
        old_source: None,
        new_source: None,
    }
}

pub(crate) fn wanted(branch: &str, at: &str, changes: Vec<ImageChange>) -> Wanted {
    Wanted {
        branch: branch.to_owned(),
        commit: Some(at.to_owned()),
        title: None,
        introduction: None,
        changes,
    }
}

pub(crate) fn request(wanted: Vec<Wanted>) -> Request {
    Request {
        wanted,
        complete: true,
        ..Request::new(AUTOMATION, "main")
    }
}

pub(crate) fn known(name: &str, commit: &str) -> KnownBranch {
    KnownBranch {
        name: name.to_owned(),
        commit: commit.to_owned(),
        only_ours: true,
    }
}

/// All that can be set.
pub(crate) fn everything() -> PullRequestOptions {
    PullRequestOptions {
        labels: vec!["images".to_owned(), "tagline".to_owned()],
        reviewers: vec!["alice".to_owned()],
        assignees: vec!["bob".to_owned()],
        auto_merge: Some(tagline_updater::forge::MergeMethod::Squash),
        ..PullRequestOptions::default()
    }
}
