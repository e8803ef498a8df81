//! The git engine: bare mirrors of remotes, tree edits without a work tree, commits that arrive.
//!
//! [`crate::publish()`] is the way in: it fetches, edits, commits and pushes, and does so again when somebody
//! else was faster. All calls block: run them where that is allowed (`spawn_blocking`).

mod commit;
mod error;
mod fetch;
mod file_index;
mod history;
mod listing;
mod mirror;
mod mirrors;
mod push;
mod push_local;
mod reference;
mod remote;
mod signing;
mod transport;
mod tree;
mod update_path;
mod url;

pub use commit::Identity;
pub use error::GitError;
pub use mirror::Mirror;
pub use mirrors::Mirrors;
pub use reference::{CommitId, DEFAULT_BRANCH, GitReference, ReferenceFields};
pub use remote::{
    ClientCertificate, GitAuth, InvalidRemote, Limits, Proxy, Remote, RemoteOptions, Timeouts,
};
pub use signing::{Signer, SigningError};
pub use tokio_util::sync::CancellationToken;
pub use transport::{Failure, FailureKind};
pub use tree::{ChangedFile, SkippedMarker};
pub use update_path::{InvalidUpdatePath, UpdatePath};
pub use url::{GitUrl, InvalidGitUrl, SshAddress};

pub(crate) use commit::{CommitSpec, write_commit};
pub(crate) use fetch::Fetched;
pub(crate) use history::Relation;
pub(crate) use mirror::LockedMirror;
pub(crate) use push::{PushFailure, RefUpdate};
pub(crate) use reference::{check_branch, check_reference};
pub(crate) use tree::{Edits, Trees};
