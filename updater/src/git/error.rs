//! What can go wrong between a remote, its mirror and a push, with what a caller decides by.

use super::transport::{Failure, FailureKind};
use std::path::PathBuf;
use std::sync::Arc;

/// A git operation that did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    /// The remote could not be talked to, or did not want to.
    #[error("{doing} {remote}: {failure}")]
    Transport {
        /// Address of the remote.
        remote: String,
        /// What was being done: `fetching from`, `pushing to`.
        doing: &'static str,
        /// What happened.
        #[source]
        failure: Failure,
    },
    /// The repository holds no commit.
    #[error("{remote} is empty: it has no branch to start from; push a first commit to it")]
    EmptyRepository {
        /// Address of the remote.
        remote: String,
    },
    /// A branch, tag, name or commit that the remote does not have.
    #[error("{remote} has no {wanted}{}", also_has(.existing))]
    ReferenceNotFound {
        /// Address of the remote.
        remote: String,
        /// What was asked for: `branch "x"`, `tag "v1"`.
        wanted: String,
        /// Names of that sort that do exist, at most 20.
        existing: Vec<String>,
    },
    /// A reference, branch name, refspec or path that cannot be used as given.
    #[error("{what} {given:?} cannot be used: {reason}")]
    InvalidArgument {
        /// `push branch`, `refspec`, `semver range`, `update path`.
        what: &'static str,
        /// The text given.
        given: String,
        /// Why not.
        reason: String,
    },
    /// `update.path` names nothing in the checked-out commit.
    #[error("update path {path:?} does not exist in {reference} of {remote}")]
    PathNotFound {
        /// The path.
        path: String,
        /// What was checked out.
        reference: String,
        /// Address of the remote.
        remote: String,
    },
    /// No branch to push to can be derived.
    #[error(
        "push branch not given, and it cannot be inferred from {reference}: set git.push.branch"
    )]
    NoPushBranch {
        /// What was checked out.
        reference: String,
    },
    /// The remote took the connection but refused the change: a hook, a protected branch, a quota.
    #[error("{remote} refused the push to {reference}: {status}{}", remote_says(.said))]
    Refused {
        /// Address of the remote.
        remote: String,
        /// Full name of the reference.
        reference: String,
        /// The status the remote gave for it.
        status: String,
        /// What hooks and the remote printed, cleaned of control characters.
        said: String,
        /// Whether the text is known to mean a protected branch.
        protected: bool,
    },
    /// Others were faster every time.
    #[error(
        "{remote}: somebody else pushed to {branch} before us {tries} times in a row; trying again later"
    )]
    Outrun {
        /// Address of the remote.
        remote: String,
        /// The branch.
        branch: String,
        /// How often it was tried.
        tries: u32,
    },
    /// A file could not be edited, and the whole run with it.
    #[error("editing {path}: {reason}")]
    Edit {
        /// The file.
        path: String,
        /// What the editor says.
        reason: String,
    },
    /// The commit message could not be made.
    #[error("commit message: {0}")]
    Message(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// The commit could not be signed.
    #[error("signing the commit: {0}")]
    Sign(#[from] super::signing::SigningError),
    /// The mirror's files.
    #[error("{doing} {}: {source}", path.display())]
    Storage {
        /// What was being done.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: Arc<std::io::Error>,
    },
    /// The mirror could not be used, and making it anew did not help.
    #[error("mirror of {remote} at {}: {doing}: {message}", path.display())]
    Mirror {
        /// Address of the remote.
        remote: String,
        /// The mirror.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What libgit2 says.
        message: String,
        /// Whether the message means that files of the mirror are damaged.
        corrupt: bool,
    },
    /// Another branch of the same run met an error that ended the run.
    #[error("the run ended before this branch was done; see the error of the others")]
    Unfinished,
    /// The mirror is in use by somebody else and did not get free in time.
    #[error("mirror of {remote} at {} is in use", path.display())]
    Busy {
        /// Address of the remote.
        remote: String,
        /// The mirror.
        path: PathBuf,
    },
}

fn also_has(names: &[String]) -> String {
    if names.is_empty() {
        String::new()
    } else {
        format!("; it has: {}", names.join(", "))
    }
}

fn remote_says(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!("; the remote says: {text}")
    }
}

impl GitError {
    /// Whether trying again later, with nothing changed on our side, can help.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Transport { failure, .. } => failure.kind.is_retryable(),
            // A full disk gets room again, a damaged mirror is made anew.
            Self::Outrun { .. }
            | Self::Busy { .. }
            | Self::Mirror { .. }
            | Self::Storage { .. }
            | Self::Unfinished => true,
            // What was refused may be allowed one day, but nothing says so: it waits for the next regular run.
            _ => false,
        }
    }

    /// A machine word for conditions, metrics and JSON.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Transport { failure, .. } => failure.kind.reason(),
            Self::EmptyRepository { .. } => "EmptyRepository",
            Self::ReferenceNotFound { .. } => "ReferenceNotFound",
            Self::InvalidArgument { .. } => "InvalidArgument",
            Self::PathNotFound { .. } => "PathNotFound",
            Self::NoPushBranch { .. } => "NoPushBranch",
            Self::Refused {
                protected: true, ..
            } => "ProtectedBranch",
            Self::Refused { .. } => "PushRefused",
            Self::Outrun { .. } => "PushOutrun",
            Self::Edit { .. } => "EditFailed",
            Self::Message(_) => "CommitMessageFailed",
            Self::Sign(_) => "SigningFailed",
            Self::Storage { source, .. } if is_full(source) => "StorageFull",
            Self::Storage { .. } => "StorageFailed",
            Self::Mirror { .. } => "MirrorFailed",
            Self::Busy { .. } => "MirrorBusy",
            Self::Unfinished => "Unfinished",
        }
    }

    /// Whether the caller asked for the end of the operation.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Transport { failure, .. } if failure.kind == FailureKind::Cancelled)
    }
}

fn is_full(e: &std::io::Error) -> bool {
    matches!(
        e.kind(),
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
    )
}
