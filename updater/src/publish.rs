//! Fetch, edit, commit, push; and again when somebody else was faster.
//!
//! Every run derives what is to do from the remote's own state, so it can be killed at any point and run again:
//! what has arrived is not made a second time, what has not is.

use crate::edit::{self, EditOptions, FileEdit};
use crate::git::{
    CancellationToken, CommitId, GitError, GitReference, Identity, Mirror, PushFailure, RefUpdate,
    Signer, UpdatePath, check_branch, edit_tree, write_commit,
};
use crate::{Choices, PolicyName};
use std::collections::BTreeSet;
use std::time::Duration;

pub use crate::git::{ChangedFile, SkippedMarker};

/// How often a push is tried when others are faster, unless asked otherwise.
const DEFAULT_TRIES: u32 = 20;

/// Decides which files are looked at and what becomes of them: markers, or Flux v1's annotations.
pub trait Editor: Sync {
    /// Whether a file of this path is looked at. `path` is relative to the repository's root.
    fn is_candidate(&self, path: &str) -> bool;

    /// What becomes of one file. A file that cannot be edited is reported as skipped.
    fn edit(&self, path: &str, text: &[u8], choices: &Choices) -> FileEdit;
}

/// Follows `{"$imagepolicy": …}` markers.
#[derive(Debug, Clone, Default)]
pub struct MarkerEditor {
    /// What may be edited, and how.
    pub options: EditOptions,
}

impl Editor for MarkerEditor {
    fn is_candidate(&self, path: &str) -> bool {
        edit::is_candidate(path, &self.options)
    }

    fn edit(&self, path: &str, text: &[u8], choices: &Choices) -> FileEdit {
        edit::edit(path, text, choices, &self.options).unwrap_or_else(|e| FileEdit {
            skipped: vec![e.to_skip()],
            ..FileEdit::default()
        })
    }
}

/// The text of a commit.
pub trait MessageSource {
    /// The message for a commit that changes `files`.
    ///
    /// # Errors
    /// Whatever the template says; the run ends with [`GitError::Message`].
    fn message(
        &self,
        files: &[ChangedFile],
    ) -> Result<String, Box<dyn std::error::Error + Send + Sync>>;
}

impl<F> MessageSource for F
where
    F: Fn(&[ChangedFile]) -> Result<String, Box<dyn std::error::Error + Send + Sync>>,
{
    fn message(
        &self,
        files: &[ChangedFile],
    ) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
        self(files)
    }
}

/// Where the changes go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PushTarget {
    /// The branch; the checked-out one when none is given.
    pub branch: Option<String>,
    /// A second reference to push the same commit to, `source:destination` (`git.push.refspec`).
    pub refspec: Option<String>,
    /// Push options, `key=value`, in this order.
    pub options: Vec<String>,
}

/// How changes are divided into commits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum CommitGrouping {
    /// Everything that is due in one commit.
    #[default]
    Together,
    /// One commit for each policy whose image changed.
    PerPolicy,
}

/// Which reverts by a person are no longer respected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ReleaseHolds {
    /// All are respected.
    #[default]
    None,
    /// Those of these policies are released.
    Policies(BTreeSet<PolicyName>),
    /// All are released.
    All,
}

/// One run: what is checked out, what may change, who commits, where it goes.
#[derive(Debug, Clone)]
pub struct PublishRequest {
    /// What the changes start from.
    pub checkout: GitReference,
    /// Where they go.
    pub push: PushTarget,
    /// What may be changed.
    pub path: UpdatePath,
    /// Who wrote the commit.
    pub author: Identity,
    /// Who made it; the author when none is given.
    pub committer: Option<Identity>,
    /// Signs it.
    pub signer: Option<Signer>,
    /// One commit or several.
    pub grouping: CommitGrouping,
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
            author,
            committer: None,
            signer: None,
            grouping: CommitGrouping::default(),
            release_holds: ReleaseHolds::default(),
            dry_run: false,
            now,
            tries: DEFAULT_TRIES,
        }
    }
}

/// A choice that is not written because a person took it back.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Hold {
    /// The file.
    pub path: String,
    /// The policy.
    pub policy: PolicyName,
    /// The image that was taken back, as it was written.
    pub image: String,
    /// The commit that took it back, where it is known.
    pub commit: Option<CommitId>,
    /// Who did it, where it is known.
    pub by: Option<String>,
}

/// What became of the push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushState {
    /// This commit was pushed by this run.
    Pushed(CommitId),
    /// There was nothing to change; the branch is at this commit, where it exists.
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
    /// What became of the push.
    pub state: PushState,
    /// The commit message, where a commit was made.
    pub message: Option<String>,
    /// All files changed, with their changes; empty when up to date.
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
}

/// Does one run on one branch. Blocks.
///
/// # Errors
/// [`GitError`]; nothing was pushed then, unless the error says that the answer was lost.
pub fn publish(
    mirror: &Mirror,
    request: &PublishRequest,
    editor: &dyn Editor,
    choices: &Choices,
    message: &dyn MessageSource,
    cancel: &CancellationToken,
) -> Result<PushOutcome, GitError> {
    let branch = push_branch(request)?;
    let mirror = mirror.lock(cancel)?;
    let mut tries = 0;
    loop {
        tries += 1;
        let fetched = mirror.fetch(&request.checkout, &[&branch], cancel)?;
        let tip = fetched.branches.get(&branch).copied();
        let base = tip.unwrap_or(fetched.checkout);
        let failed = |e: git2::Error| mirror.mirror.mirror_error("reading the commit", &e);
        let parent = mirror.repository.find_commit(base).map_err(failed)?;
        let (tree, edits) = edit_tree(
            &mirror,
            parent.tree_id(),
            &request.path,
            &|path| editor.is_candidate(path),
            &|path, text| editor.edit(path, text, choices),
        )?;
        let mut outcome = PushOutcome {
            branch: branch.clone(),
            checkout: fetched.checkout.into(),
            state: PushState::UpToDate(tip.map(CommitId::from)),
            message: None,
            files: edits.files,
            skipped: edits.skipped,
            held: Vec::new(),
            tries,
        };
        if tree == parent.tree_id() {
            return Ok(outcome);
        }
        if request.dry_run {
            outcome.state = PushState::DryRun;
            return Ok(outcome);
        }
        let text = message.message(&outcome.files).map_err(GitError::Message)?;
        let commit = write_commit(
            &mirror.repository,
            tree,
            &parent,
            &crate::git::CommitSpec {
                author: &request.author,
                committer: request.committer.as_ref().unwrap_or(&request.author),
                at: request.now,
                message: &text,
                signer: request.signer.as_ref(),
            },
        )
        .map_err(|e| mirror.mirror.mirror_error("writing the commit", &e))??;
        outcome.message = Some(text);
        let update = RefUpdate {
            name: format!("refs/heads/{branch}"),
            expected: tip,
            new: commit,
            force: false,
        };
        match mirror.push(&update, &request.push.options, cancel) {
            Ok(()) => {
                mirror.record_branch(&branch, commit.into());
                outcome.state = PushState::Pushed(commit.into());
                return Ok(outcome);
            }
            Err(PushFailure::Outrun) if tries < request.tries => {
                std::thread::sleep(Duration::from_millis(u64::from(tries) * 10));
            }
            Err(PushFailure::Outrun) => {
                return Err(GitError::Outrun {
                    remote: mirror.mirror.remote().url().to_string(),
                    branch,
                    tries,
                });
            }
            Err(PushFailure::Unknown(e) | PushFailure::Failed(e)) => return Err(e),
        }
    }
}

fn push_branch(request: &PublishRequest) -> Result<String, GitError> {
    let branch = request
        .push
        .branch
        .as_deref()
        .filter(|b| !b.is_empty())
        .or_else(|| request.checkout.inferred_push_branch())
        .ok_or_else(|| GitError::NoPushBranch {
            reference: request.checkout.to_string(),
        })?;
    check_branch("push branch", branch)?;
    Ok(branch.to_owned())
}
