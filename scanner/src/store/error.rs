//! What can go wrong with the store.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// A failure of the store. Cheap to clone: one failed commit is told to everybody who took part.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The directory cannot be made or read.
    #[error("cannot use {} as storage path", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
    /// Another process has the file open.
    #[error(
        "the store {} is in use by another process; give this one another --storage-path, or stop the other", path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be opened, for a reason that setting it aside would not cure.
    #[error("cannot open the store {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Arc<redb::Error>,
    },
    /// Reading failed.
    #[error("cannot read {what} from the store")]
    Read {
        /// What was to be read.
        what: String,
        /// Why.
        source: Arc<redb::Error>,
    },
    /// Stored bytes make no sense.
    #[error("what the store holds for {what} is damaged: {problem}")]
    Damaged {
        /// What was to be read.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Writing failed; nothing of the batch was stored.
    #[error("cannot write to the store")]
    Write {
        /// Why.
        source: Arc<redb::Error>,
    },
    /// The store is shut.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// A machine word for metrics and conditions.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Directory { .. } | Self::Open { .. } => "StoreUnavailable",
            Self::InUse { .. } => "StoreInUse",
            Self::Read { .. } => "StoreReadFailed",
            Self::Damaged { .. } => "StoreDamaged",
            Self::Write { .. } => "StoreWriteFailed",
            Self::Closed => "StoreClosed",
        }
    }

    /// Whether trying again later may help.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Read { .. } | Self::Write { .. })
    }

    pub(super) fn read(what: impl Into<String>, source: impl Into<redb::Error>) -> Self {
        Self::Read {
            what: what.into(),
            source: Arc::new(source.into()),
        }
    }

    pub(super) fn write(source: impl Into<redb::Error>) -> Self {
        Self::Write {
            source: Arc::new(source.into()),
        }
    }

    pub(super) fn damaged(what: impl Into<String>, problem: String) -> Self {
        Self::Damaged {
            what: what.into(),
            problem,
        }
    }
}
