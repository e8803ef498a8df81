//! The durable memory of the scanner: tags, first-seen times, what was learned about each registry.
//!
//! One [redb](https://docs.rs/redb) file, written by one thread that commits what many callers hand it in
//! one transaction. It is a cache: a file that cannot be used is set aside with a warning and a new one
//! begun. It holds no secret.

use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use tagline_policy::{Digest, TagRef};

use crate::target_key::TargetKey;

mod batch;
mod compression;
mod database;
mod error;
#[cfg(test)]
mod failing_disk;
mod huffman;
mod opening;
mod record;
mod state;
mod tables;
mod transaction;
mod upkeep;
mod view;
mod writer;

pub use batch::Batch;
pub use error::StoreError;
pub use record::{
    Due, LastError, LaterPage, ListingOrder, PartialListing, RegistryMemory, StoredTags, TagDigest,
    TargetRecord,
};
pub use state::StateTable;
pub use upkeep::{StoreCheck, StoreStats};

use database::Database;
use opening::Location;
use writer::Writer;

/// The store's file inside its directory.
pub(crate) const FILE_NAME: &str = "tagline.redb";

/// What of the store may be chosen.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Bytes of tag sets kept ready in memory.
    pub hot_bytes: u64,
    /// Bytes of file pages kept in memory.
    pub page_cache_bytes: usize,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            hot_bytes: 16 << 20,
            page_cache_bytes: 8 << 20,
        }
    }
}

/// The store. Cheap to clone; the last clone to go closes the file.
#[derive(Clone)]
pub struct TagStore {
    inner: Arc<Inner>,
}

struct Inner {
    // Before the database: its thread is joined first.
    writer: Writer,
    database: Arc<Database>,
}

impl TagStore {
    /// Opens or creates the store in `directory`. Blocks on the disk.
    ///
    /// A file that is damaged, or of a format this version does not read, is renamed to
    /// `tagline.redb.broken-<time>` and a new one begun.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process has it open; [`StoreError::Open`] and
    /// [`StoreError::Directory`] when the disk does not let us.
    pub fn open(directory: &Path, options: &StoreOptions) -> Result<Self, StoreError> {
        let path = directory.join(FILE_NAME);
        let location = Location::File {
            path,
            cache: options.page_cache_bytes,
        };
        Self::start(Database::open(location, options)?)
    }

    /// A store that lives in memory and ends with the process: for one scan by hand.
    ///
    /// # Errors
    /// [`StoreError::Open`] when memory runs out.
    pub fn in_memory(options: &StoreOptions) -> Result<Self, StoreError> {
        Self::start(Database::open(Location::Memory, options)?)
    }

    fn start(database: Database) -> Result<Self, StoreError> {
        let database = Arc::new(database);
        Ok(Self {
            inner: Arc::new(Inner {
                writer: Writer::start(Arc::clone(&database))?,
                database,
            }),
        })
    }

    /// The store's file; `None` in memory.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.inner.database.path()
    }

    /// The last complete listing of a target.
    ///
    /// # Errors
    /// [`StoreError::Read`] when the disk fails, [`StoreError::Damaged`] when what is stored makes no sense.
    pub fn tags(&self, key: &TargetKey) -> Result<Option<Arc<StoredTags>>, StoreError> {
        self.inner.database.tags(key)
    }

    /// What is known about a target besides its tags.
    ///
    /// # Errors
    /// As [`TagStore::tags`].
    pub fn record(&self, key: &TargetKey) -> Result<Option<TargetRecord>, StoreError> {
        self.inner.database.record(key)
    }

    /// A listing that ended early, to be gone on with.
    ///
    /// # Errors
    /// As [`TagStore::tags`].
    pub fn partial(&self, key: &TargetKey) -> Result<Option<PartialListing>, StoreError> {
        self.inner.database.partial(key)
    }

    /// Calls `visit` for every target, in no particular order, until it breaks off. A damaged record is
    /// logged and passed over.
    ///
    /// # Errors
    /// [`StoreError::Read`] when the disk fails.
    pub fn each_target(
        &self,
        visit: impl FnMut(TargetKey, TargetRecord) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.inner.database.each_target(visit)
    }

    /// The digest a tag had when it was last looked up.
    ///
    /// # Errors
    /// As [`TagStore::tags`].
    pub fn tag_digest(
        &self,
        key: &TargetKey,
        tag: TagRef<'_>,
    ) -> Result<Option<TagDigest>, StoreError> {
        self.inner.database.tag_digest(key, tag)
    }

    /// What was kept about a manifest; its digest says that it never changes.
    ///
    /// # Errors
    /// As [`TagStore::tags`].
    pub fn manifest(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.database.manifest(digest)
    }

    /// A table of the program's own, apart from all others.
    #[must_use]
    pub fn state(&self, namespace: &'static str) -> StateTable {
        StateTable::new(self.clone(), namespace)
    }

    /// Writes everything in `batch` or nothing of it. When this returns, it is on disk.
    ///
    /// # Errors
    /// [`StoreError::Write`] when the disk fails; nothing of the batch is stored then.
    pub async fn write(&self, batch: Batch) -> Result<(), StoreError> {
        self.inner.writer.write(batch).await
    }

    /// As [`TagStore::write`], for callers outside of async code.
    ///
    /// # Errors
    /// As [`TagStore::write`].
    pub fn write_blocking(&self, batch: Batch) -> Result<(), StoreError> {
        self.inner.writer.write_blocking(batch)
    }
}

impl fmt::Debug for TagStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TagStore")
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}

/// Gives bytes to every reader of stored bytes. None of them may panic, hang or take much more memory than
/// its input: for the fuzz targets.
pub fn read_any_bytes(bytes: &[u8]) {
    let _ = compression::decompress(bytes);
    let _ = record::read_record(bytes, None);
    let _ = PartialListing::from_bytes(bytes);
    let _ = TagDigest::from_bytes(bytes);
    let _ = crate::TagSet::from_bytes(bytes);
}

#[cfg(test)]
mod tests;
