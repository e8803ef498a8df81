//! Reading the store's file, and committing to it.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use moka::sync::Cache;
use redb::{ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable};
use tagline_policy::{Digest, TagRef};

use super::StoreOptions;
use super::batch::Batch;
use super::compression;
use super::error::StoreError;
use super::opening::{self, Location};
use super::record::{PartialListing, StoredTags, TagDigest, TargetRecord, read_record};
use super::tables::{
    MANIFESTS, PAGE, PARTIALS, STATE, TAG_DIGESTS, TAG_PAGES, TAG_TAILS, TARGETS, TargetId,
    page_row, state_row, tag_digest_row, target_id,
};
use super::transaction::{HotChanges, Writing};
use crate::tag_set::TagSet;
use crate::target_key::TargetKey;
use crate::varint;

/// The file, and the tag sets that are kept ready.
pub(super) struct Database {
    location: Location,
    /// Written to only to compact, check or reopen the file; `None` when that failed.
    pub(super) file: RwLock<Option<redb::Database>>,
    /// Tag sets by target, each with the number it was written under, so that one that was read before a
    /// commit is not taken for the one after.
    hot: Cache<TargetId, (u64, Arc<TagSet>)>,
}

impl Database {
    pub(super) fn open(location: Location, options: &StoreOptions) -> Result<Self, StoreError> {
        let hot = Cache::builder()
            .max_capacity(options.hot_bytes)
            .weigher(|_, (_, tags): &(u64, Arc<TagSet>)| {
                u32::try_from(tags.memory() + 64).unwrap_or(u32::MAX)
            })
            .build();
        Ok(Self {
            file: RwLock::new(Some(location.open()?)),
            location,
            hot,
        })
    }

    /// The file; `None` in memory.
    pub(super) fn path(&self) -> Option<&Path> {
        if let Location::File { path, .. } = &self.location {
            Some(path)
        } else {
            None
        }
    }

    /// Bytes and number of the tag sets that are kept ready, about.
    pub(super) fn hot(&self) -> (u64, u64) {
        (self.hot.weighted_size(), self.hot.entry_count())
    }

    /// Forgets the sets that are kept ready.
    pub(super) fn cool(&self) {
        self.hot.invalidate_all();
    }

    pub(super) fn read<T>(
        &self,
        what: &str,
        read: impl FnOnce(&ReadTransaction) -> Result<Result<T, String>, redb::Error>,
    ) -> Result<T, StoreError> {
        let file = self.file.read().unwrap_or_else(PoisonError::into_inner);
        let transaction = file
            .as_ref()
            .ok_or(StoreError::Closed)?
            .begin_read()
            .map_err(|error| StoreError::read(what, error))?;
        read(&transaction)
            .map_err(|error| StoreError::read(what, error))?
            .map_err(|problem| StoreError::damaged(what, problem))
    }

    pub(super) fn tags(&self, key: &TargetKey) -> Result<Option<Arc<StoredTags>>, StoreError> {
        let id = target_id(key);
        self.read(key.as_str(), |transaction| {
            let targets = transaction.open_table(TARGETS)?;
            let Some(row) = targets.get(id)? else {
                return Ok(Ok(None));
            };
            let record = match read_record(row.value()) {
                Ok((_, record)) => record,
                Err(problem) => return Ok(Err(problem)),
            };
            let Some(scanned_at) = record.scanned_at else {
                return Ok(Ok(None));
            };
            let stored = |tags| Ok(Ok(Some(Arc::new(StoredTags { tags, scanned_at }))));
            if let Some((number, tags)) = self.hot.get(&id)
                && number == record.set_number
            {
                return stored(tags);
            }
            match read_tags(transaction, id)? {
                Ok(tags) => {
                    let tags = Arc::new(tags);
                    self.hot.insert(id, (record.set_number, Arc::clone(&tags)));
                    stored(tags)
                }
                Err(problem) => Ok(Err(problem)),
            }
        })
    }

    pub(super) fn record(&self, key: &TargetKey) -> Result<Option<TargetRecord>, StoreError> {
        self.read(key.as_str(), |transaction| {
            let targets = transaction.open_table(TARGETS)?;
            let row = targets.get(target_id(key))?;
            Ok(row
                .map(|row| read_record(row.value()).map(|(_, record)| record))
                .transpose())
        })
    }

    pub(super) fn each_target(
        &self,
        mut visit: impl FnMut(TargetKey, TargetRecord) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.read("the targets", |transaction| {
            for row in transaction.open_table(TARGETS)?.iter()? {
                match read_record(row?.1.value()) {
                    Ok((key, record)) => {
                        if visit(key, record).is_break() {
                            break;
                        }
                    }
                    Err(problem) => {
                        tracing::warn!(%problem, "a target's record in the store is damaged");
                    }
                }
            }
            Ok(Ok(()))
        })
    }

    pub(super) fn partial(&self, key: &TargetKey) -> Result<Option<PartialListing>, StoreError> {
        self.read(key.as_str(), |transaction| {
            let row = transaction.open_table(PARTIALS)?.get(target_id(key))?;
            Ok(row
                .map(|row| PartialListing::from_bytes(row.value()))
                .transpose())
        })
    }

    pub(super) fn tag_digest(
        &self,
        key: &TargetKey,
        tag: TagRef<'_>,
    ) -> Result<Option<TagDigest>, StoreError> {
        self.read(key.as_str(), |transaction| {
            let row = transaction
                .open_table(TAG_DIGESTS)?
                .get(tag_digest_row(key, tag).as_slice())?;
            Ok(row
                .map(|row| TagDigest::from_bytes(row.value()))
                .transpose())
        })
    }

    pub(super) fn manifest(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(digest.as_str(), |transaction| {
            let row = transaction.open_table(MANIFESTS)?.get(digest.as_str())?;
            Ok(Ok(row.map(|row| row.value().to_vec())))
        })
    }

    pub(super) fn state(&self, namespace: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(namespace, |transaction| {
            let row = transaction
                .open_table(STATE)?
                .get(state_row(namespace, key).as_slice())?;
            Ok(Ok(row.map(|row| row.value().to_vec())))
        })
    }

    pub(super) fn state_entries(
        &self,
        namespace: &str,
    ) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let first = state_row(namespace, "");
        self.read(namespace, |transaction| {
            let mut entries = Vec::new();
            for row in transaction.open_table(STATE)?.range(first.as_slice()..)? {
                let (row, value) = row?;
                let Some(key) = row.value().strip_prefix(first.as_slice()) else {
                    break;
                };
                match std::str::from_utf8(key) {
                    Ok(key) => entries.push((key.to_owned(), value.value().to_vec())),
                    Err(error) => return Ok(Err(error.to_string())),
                }
            }
            Ok(Ok(entries))
        })
    }

    /// Writes all batches in one transaction.
    ///
    /// redb refuses everything after the disk has failed once. The file is opened again then, and the
    /// batches are tried once more: a disk that was full may have room by now.
    pub(super) fn commit(&self, batches: &[Batch]) -> Result<(), StoreError> {
        match self.try_commit(batches) {
            Err(error) if must_reopen(&error) => {
                self.reopen()?;
                self.try_commit(batches).map_err(StoreError::write)
            }
            other => other.map_err(StoreError::write),
        }
    }

    fn try_commit(&self, batches: &[Batch]) -> Result<(), redb::Error> {
        let file = self.file.read().unwrap_or_else(PoisonError::into_inner);
        let database = file.as_ref().ok_or(redb::Error::DatabaseClosed)?;
        let transaction = opening::begin(database)?;
        let mut changes = HotChanges::new();
        {
            let mut writing = Writing::new(&transaction)?;
            for operation in batches.iter().flat_map(|batch| &batch.operations) {
                writing.apply(operation, &mut changes)?;
            }
        }
        transaction.commit()?;
        for (id, set) in changes {
            match set {
                Some(set) => self.hot.insert(id, set),
                None => self.hot.invalidate(&id),
            }
        }
        Ok(())
    }

    fn reopen(&self) -> Result<(), StoreError> {
        let mut file = self.file.write().unwrap_or_else(PoisonError::into_inner);
        // Closed first: the file is locked while it is open.
        *file = None;
        *file = Some(self.location.reopen()?);
        Ok(())
    }
}

fn must_reopen(error: &redb::Error) -> bool {
    matches!(
        error,
        redb::Error::Io(_) | redb::Error::PreviousIo | redb::Error::DatabaseClosed
    )
}

/// Reads a target's set from its pages.
pub(super) fn read_tags(
    transaction: &ReadTransaction,
    id: TargetId,
) -> Result<Result<TagSet, String>, redb::Error> {
    Ok(read_packed(transaction, id)?
        .and_then(|packed| compression::decompress(&packed).map_err(|damage| damage.to_string())))
}

/// Puts a packed tag set together again.
fn read_packed(
    transaction: &ReadTransaction,
    id: TargetId,
) -> Result<Result<Vec<u8>, String>, redb::Error> {
    let tails = transaction.open_table(TAG_TAILS)?;
    let Some(row) = tails.get(id)? else {
        return Ok(Err("its tags are missing".to_owned()));
    };
    let Some((pages, tail)) = varint::read(row.value()) else {
        return Ok(Err("its tags have no length".to_owned()));
    };
    let Ok(pages) = u16::try_from(pages) else {
        return Ok(Err("its tags have an impossible length".to_owned()));
    };
    let mut packed = Vec::with_capacity(usize::from(pages) * PAGE + tail.len());
    if pages > 0 {
        let table: ReadOnlyTable<[u8; 18], &[u8]> = transaction.open_table(TAG_PAGES)?;
        for page in 0..pages {
            match table.get(page_row(id, page))? {
                Some(row) => packed.extend_from_slice(row.value()),
                None => return Ok(Err(format!("page {page} of its tags is missing"))),
            }
        }
    }
    packed.extend_from_slice(tail);
    Ok(Ok(packed))
}
