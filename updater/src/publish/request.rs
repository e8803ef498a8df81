//! One run: what is checked out, what may change, who commits, where it goes.

use crate::edit::EditOptions;
use crate::git::{ChangedFile, GitError, GitReference, Identity, Signer, UpdatePath};
use crate::{Choices, PolicyName, SourceIgnore};
use std::collections::BTreeSet;

use super::Hold;

/// How often a push is tried when others are faster, unless asked otherwise.
const DEFAULT_TRIES: u32 = 20;

/// Where the changes go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PushTarget {
    /// The branch; the checked-out one when none is given.
    pub branch: Option<String>,
    /// A second reference to push the same commit to, `source:destination` (`git.push.refspec`).
    pub refspec: Option<String>,
    /// Push options, `key=value`, in this order. A remote that takes none gets none, as with Flux.
    pub options: Vec<String>,
}

/// How changes are divided into commits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum CommitGrouping {
    /// Everything that is due in one commit.
    #[default]
    Together,
    /// One commit for each policy whose image changed; policies that move together share one.
    PerPolicy,
}

/// Which reverts by a person are no longer respected.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum ReleaseHolds {
    /// All are respected.
    #[default]
    None,
    /// Those of these policies are released.
    Policies(BTreeSet<PolicyName>),
    /// All are released.
    All,
}

impl ReleaseHolds {
    /// Releases what the other one does as well.
    pub fn add(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::All, _) | (_, Self::None) => {}
            (Self::Policies(own), Self::Policies(more)) => own.extend(more.iter().cloned()),
            _ => self.clone_from(other),
        }
    }

    /// Whether nothing is released.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }

    pub(super) fn releases(&self, policy: &PolicyName) -> bool {
        match self {
            Self::None => false,
            Self::Policies(policies) => policies.contains(policy),
            Self::All => true,
        }
    }
}

/// What one run is asked to do.
#[derive(Debug, Clone)]
pub struct PublishRequest {
    /// What the changes start from.
    pub checkout: GitReference,
    /// Where they go.
    pub push: PushTarget,
    /// What may be changed.
    pub path: UpdatePath,
    /// What below it may not.
    pub ignore: SourceIgnore,
    /// How files are edited, and of which kinds. Maps are read from the repository.
    pub edit: EditOptions,
    /// Who wrote the commit. Commits of this author are taken for ours.
    pub author: Identity,
    /// Who made it; the author when none is given.
    pub committer: Option<Identity>,
    /// Signs it.
    pub signer: Option<Signer>,
    /// One commit or several.
    pub grouping: CommitGrouping,
    /// Reverts known from earlier runs; git's history is asked as well.
    pub holds: Vec<Hold>,
    /// Reverts that are not respected any more.
    pub release_holds: ReleaseHolds,
    /// Stop before the commit.
    pub dry_run: bool,
    /// The time the commit carries.
    pub now: jiff::Timestamp,
    /// How often a push is tried when others are faster.
    pub tries: u32,
}

impl PublishRequest {
    /// A run with defaults: everything in one commit, onto the branch that is checked out.
    #[must_use]
    pub fn new(checkout: GitReference, author: Identity, now: jiff::Timestamp) -> Self {
        Self {
            checkout,
            push: PushTarget::default(),
            path: UpdatePath::default(),
            ignore: SourceIgnore::none(),
            edit: EditOptions::default(),
            author,
            committer: None,
            signer: None,
            grouping: CommitGrouping::default(),
            holds: Vec::new(),
            release_holds: ReleaseHolds::default(),
            dry_run: false,
            now,
            tries: DEFAULT_TRIES,
        }
    }

    pub(super) fn committer(&self) -> &Identity {
        self.committer.as_ref().unwrap_or(&self.author)
    }

    /// The branch that changes go to: the push branch, or the one that is checked out.
    ///
    /// # Errors
    /// [`GitError::NoPushBranch`] where neither is known.
    pub fn push_branch(&self) -> Result<&str, GitError> {
        self.push
            .branch
            .as_deref()
            .filter(|branch| !branch.is_empty())
            .or_else(|| self.checkout.inferred_push_branch())
            .ok_or_else(|| GitError::NoPushBranch {
                reference: self.checkout.to_string(),
            })
    }

    /// Whether one fetch and one push can serve both.
    pub(super) fn shares_a_push_with(&self, other: &Self) -> bool {
        self.checkout == other.checkout
            && self.push.options == other.push.options
            && self.push.refspec == other.push.refspec
            && self.dry_run == other.dry_run
    }

    /// Whether one commit can carry the changes of both, as far as the commit itself goes.
    pub(super) fn commits_like(&self, other: &Self) -> bool {
        let same_signer = match (&self.signer, &other.signer) {
            (None, None) => true,
            (Some(one), Some(other)) => one.is_same(other),
            _ => false,
        };
        let together = CommitGrouping::Together;
        self.author == other.author
            && self.committer() == other.committer()
            && same_signer
            && self.grouping == together
            && other.grouping == together
    }
}

/// One automation's share of a run on a remote.
#[derive(Clone, Copy)]
pub struct Contribution<'a> {
    /// What it is asked to do. Its push branch is not looked at: `branches` says where changes go.
    pub request: &'a PublishRequest,
    /// The branches, and what goes to each.
    pub branches: &'a [BranchChoices],
    /// Describes its commits.
    pub message: &'a dyn MessageSource,
}

/// One branch to push to, and what goes there: `updates/{{ .Policy.Name }}` makes one of these per policy.
#[derive(Debug, Clone)]
pub struct BranchChoices {
    /// The branch.
    pub branch: String,
    /// The choices that are written there.
    pub choices: Choices,
}

/// The text of a commit.
pub trait MessageSource {
    /// The message for a commit that changes `files`.
    ///
    /// # Errors
    /// Whatever the template says; the run ends with [`GitError::Message`].
    fn message(&self, files: &[ChangedFile]) -> Result<String, BoxError>;

    /// What this source says of itself to those it may share a commit with; without it, it shares none.
    fn joining(&self) -> Option<Joining> {
        None
    }

    /// The message for one commit with the changes of all of `members`, which are of one style. `None`: they cannot
    /// say it together, because the text depends on the automation; each gets a commit of its own then.
    ///
    /// # Errors
    /// As [`Self::message`].
    fn together(
        &self,
        _members: &[Joining],
        _files: &[ChangedFile],
    ) -> Option<Result<String, BoxError>> {
        None
    }
}

/// Whatever a [`MessageSource`] says went wrong.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// One automation of those that may share a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joining {
    /// `namespace/name`.
    pub automation: String,
    /// What may be changed by it.
    pub path: UpdatePath,
    /// Everything that decides the text besides the automation and the changes: only equal styles are joined.
    pub style: String,
}

impl<F> MessageSource for F
where
    F: Fn(&[ChangedFile]) -> Result<String, BoxError>,
{
    fn message(&self, files: &[ChangedFile]) -> Result<String, BoxError> {
        self(files)
    }
}
