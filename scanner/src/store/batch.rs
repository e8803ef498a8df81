//! What is written together: everything in a [`Batch`] becomes durable at once, or nothing of it.

use std::sync::Arc;

use jiff::Timestamp;
use tagline_policy::{Digest, TagRef};

use super::record::{Due, LastError, PartialListing, RegistryMemory, TagDigest};
use super::tables::TargetId;
use super::{compression, tables};
use crate::tag_set::TagSet;
use crate::target_key::TargetKey;

/// Changes to the store. Encoding is done while the batch is made, in the caller's thread; the writer
/// only copies bytes.
#[derive(Debug, Default)]
pub struct Batch {
    pub(super) operations: Vec<Operation>,
    bytes: usize,
}

#[derive(Debug)]
pub(super) enum Operation {
    Complete {
        key: TargetKey,
        scanned_at: Timestamp,
        memory: RegistryMemory,
        /// `None`: the tags are the same as before.
        tags: Option<NewTags>,
    },
    Confirmed {
        key: TargetKey,
        scanned_at: Timestamp,
        listed_at: Option<Timestamp>,
    },
    Failed {
        key: TargetKey,
        error: LastError,
        memory: RegistryMemory,
    },
    Learned {
        key: TargetKey,
        memory: RegistryMemory,
    },
    Partial {
        key: TargetKey,
        value: Vec<u8>,
    },
    Due {
        key: TargetKey,
        due: Due,
    },
    Asked {
        key: TargetKey,
        at: Timestamp,
    },
    Forget {
        id: TargetId,
    },
    ForgetUnasked {
        id: TargetId,
        before: Timestamp,
    },
    ForgetPartial {
        id: TargetId,
    },
    TagDigest {
        row: Vec<u8>,
        value: Vec<u8>,
    },
    Manifest {
        digest: String,
        value: Vec<u8>,
    },
    State {
        row: Vec<u8>,
        value: Option<Vec<u8>>,
    },
}

#[derive(Debug)]
pub(super) struct NewTags {
    pub(super) tags: Arc<TagSet>,
    pub(super) packed: Vec<u8>,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// How many changes it holds.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.operations.len()
    }

    /// Roughly how many bytes it holds.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// A complete listing: replaces the target's tags, ends its partial listing and its last error.
    #[must_use]
    pub fn complete(
        self,
        key: &TargetKey,
        scanned_at: Timestamp,
        tags: &Arc<TagSet>,
        memory: RegistryMemory,
    ) -> Self {
        let packed = compression::compress(tags);
        self.push(Operation::Complete {
            key: key.clone(),
            scanned_at,
            memory,
            tags: Some(NewTags {
                tags: Arc::clone(tags),
                packed,
            }),
        })
    }

    /// A complete listing that found the tags as they were (or a 304).
    #[must_use]
    pub fn unchanged(self, key: &TargetKey, scanned_at: Timestamp, memory: RegistryMemory) -> Self {
        self.push(Operation::Complete {
            key: key.clone(),
            scanned_at,
            memory,
            tags: None,
        })
    }

    /// As [`Batch::unchanged`], where nothing else was learned either but that all pages were asked for at
    /// `listed_at`, and no partial listing is there to be ended. Does nothing to a target that is not known.
    #[must_use]
    pub fn confirmed(
        self,
        key: &TargetKey,
        scanned_at: Timestamp,
        listed_at: Option<Timestamp>,
    ) -> Self {
        self.push(Operation::Confirmed {
            key: key.clone(),
            scanned_at,
            listed_at,
        })
    }

    /// A scan that failed. The last complete listing stays.
    #[must_use]
    pub fn failed(self, key: &TargetKey, error: LastError, memory: RegistryMemory) -> Self {
        self.push(Operation::Failed {
            key: key.clone(),
            error,
            memory,
        })
    }

    /// What was learned about the registry, without anything else.
    #[must_use]
    pub fn learned(self, key: &TargetKey, memory: RegistryMemory) -> Self {
        self.push(Operation::Learned {
            key: key.clone(),
            memory,
        })
    }

    /// Pages of a listing that ended early. The last complete listing stays.
    #[must_use]
    pub fn partial(self, key: &TargetKey, listing: &PartialListing) -> Self {
        self.push(Operation::Partial {
            key: key.clone(),
            value: listing.to_bytes(),
        })
    }

    /// When a target is due next.
    #[must_use]
    pub fn due(self, key: &TargetKey, due: Due) -> Self {
        self.push(Operation::Due {
            key: key.clone(),
            due,
        })
    }

    /// Somebody wants this target: what nobody asks for is forgotten in the end.
    #[must_use]
    pub fn asked(self, key: &TargetKey, at: Timestamp) -> Self {
        self.push(Operation::Asked {
            key: key.clone(),
            at,
        })
    }

    /// Removes everything about a target.
    #[must_use]
    pub fn forget(self, key: &TargetKey) -> Self {
        self.forget_id(tables::target_id(key))
    }

    /// As [`Batch::forget`], unless somebody has asked for the target since `before`, or does before this is written.
    #[must_use]
    pub fn forget_unasked(self, key: &TargetKey, before: Timestamp) -> Self {
        self.push(Operation::ForgetUnasked {
            id: tables::target_id(key),
            before,
        })
    }

    /// As [`Batch::forget`], for rows whose key cannot be read any more.
    pub(super) fn forget_id(self, id: TargetId) -> Self {
        self.push(Operation::Forget { id })
    }

    /// Removes the pages of a listing that is not gone on with.
    #[must_use]
    pub fn without_partial(self, key: &TargetKey) -> Self {
        self.forget_partial(tables::target_id(key))
    }

    pub(super) fn forget_partial(self, id: TargetId) -> Self {
        self.push(Operation::ForgetPartial { id })
    }

    /// The digest a tag points to.
    #[must_use]
    pub fn tag_digest(self, key: &TargetKey, tag: TagRef<'_>, digest: &TagDigest) -> Self {
        self.push(Operation::TagDigest {
            row: tables::tag_digest_row(key, tag),
            value: digest.to_bytes(),
        })
    }

    /// What is to be kept for ever about the manifest with this digest.
    #[must_use]
    pub fn manifest(self, digest: &Digest, value: Vec<u8>) -> Self {
        self.push(Operation::Manifest {
            digest: digest.as_str().to_owned(),
            value,
        })
    }

    /// Sets (or with `None` removes) a value in a table of the program's own, together with the rest.
    #[must_use]
    pub fn state(self, namespace: &str, key: &str, value: Option<Vec<u8>>) -> Self {
        self.push(Operation::State {
            row: tables::state_row(namespace, key),
            value,
        })
    }

    /// Puts another batch's changes behind this one's.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.bytes += other.bytes;
        self.operations.extend(other.operations);
        self
    }

    fn push(mut self, operation: Operation) -> Self {
        self.bytes += operation.bytes();
        self.operations.push(operation);
        self
    }
}

impl Operation {
    fn bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Complete { tags, .. } => tags.as_ref().map_or(0, |new| new.packed.len()),
                Self::Failed { error, .. } => error.message.len(),
                Self::Partial { value, .. } | Self::Manifest { value, .. } => value.len(),
                Self::TagDigest { row, value } => row.len() + value.len(),
                Self::State { row, value } => row.len() + value.as_ref().map_or(0, Vec::len),
                Self::Confirmed { .. }
                | Self::Learned { .. }
                | Self::Due { .. }
                | Self::Asked { .. }
                | Self::Forget { .. }
                | Self::ForgetUnasked { .. }
                | Self::ForgetPartial { .. } => 0,
            }
    }
}
