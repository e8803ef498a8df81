//! What one run did on one branch.

use crate::PolicyName;
use crate::diff;
use crate::edit::Change;
use crate::git::{ChangedFile, CommitId, SkippedMarker};

/// A choice that is not written because a person took it back.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Hold {
    /// The file.
    pub path: String,
    /// The policy.
    pub policy: PolicyName,
    /// The image that was taken back: `name:tag`, maybe with a digest.
    pub image: String,
    /// Our commit that a person took back, where it is known.
    pub commit: Option<CommitId>,
}

/// What became of the push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushState {
    /// This commit was pushed by this run.
    Pushed(CommitId),
    /// The push branch carries what is due already, at this commit; it was pushed by an earlier run.
    Standing(CommitId),
    /// There is nothing to change; the branch is at this commit, where it exists.
    UpToDate(Option<CommitId>),
    /// A dry run: there is something to change, nothing was written.
    DryRun,
}

/// What one run did on one branch.
#[derive(Debug, Clone)]
pub struct PushOutcome {
    /// The branch that changes go to.
    pub branch: String,
    /// The commit that was checked out.
    pub checkout: CommitId,
    /// What was checked out, short: a branch, a tag, or empty for a bare commit.
    pub checkout_name: String,
    /// What became of the push.
    pub state: PushState,
    /// The message of the last commit made.
    pub message: Option<String>,
    /// The commits made, oldest first: several when they are divided by policy.
    pub commits: Vec<CommitId>,
    /// The references pushed, full names.
    pub references: Vec<String>,
    /// The files that differ from what the changes start from; empty when up to date.
    pub files: Vec<ChangedFile>,
    /// Markers that were not followed.
    pub skipped: Vec<SkippedMarker>,
    /// Choices that a person took back.
    pub held: Vec<Hold>,
    /// How often it was tried.
    pub tries: u32,
}

impl PushOutcome {
    /// The commit that was pushed, if one was.
    #[must_use]
    pub const fn pushed(&self) -> Option<CommitId> {
        match self.state {
            PushState::Pushed(commit) => Some(commit),
            _ => None,
        }
    }

    /// Where the branch stands that needs nothing, if it exists.
    #[must_use]
    pub const fn is_up_to_date_at(&self) -> Option<CommitId> {
        match self.state {
            PushState::UpToDate(at) => at,
            _ => None,
        }
    }

    /// All changes, with the files they are in.
    pub fn changes(&self) -> impl Iterator<Item = (&str, &Change)> {
        self.files
            .iter()
            .flat_map(|file| file.changes.iter().map(|change| (&*file.path, change)))
    }

    /// The changes as a unified diff.
    #[must_use]
    pub fn patch(&self) -> String {
        self.files
            .iter()
            .map(|file| diff::unified(&file.path, &file.old, &file.new))
            .collect()
    }

    /// The revision as Flux writes it, `<name>@sha1:<hash>`, of the commit whose state was looked at: what was pushed
    /// to the checked-out branch, else what was checked out.
    #[must_use]
    pub fn source_revision(&self) -> String {
        let commit = match self.state {
            PushState::Pushed(commit) if self.branch == self.checkout_name => commit,
            _ => self.checkout,
        };
        format!("{}@sha1:{commit}", self.checkout_name)
    }
}
