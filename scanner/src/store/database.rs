//! Reading the store's file, and committing to it.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use moka::sync::Cache;
use redb::{ReadTransaction, ReadableDatabase, ReadableTable};
use tagline_policy::{Digest, TagRef};

use super::StoreOptions;
use super::batch::Batch;
use super::compression;
use super::error::StoreError;
use super::opening::{self, Location};
use super::record::{
    PartialListing, StoredTags, TagDigest, TargetRecord, read_record, read_record_of,
};
use super::tables::{
    MANIFESTS, PAGE, STATE, TAG_DIGESTS, TARGETS, TIMES, TargetId, page_row, partial_pages,
    state_row, tag_digest_row, target_id,
};
use super::transaction::{HotChanges, Writing};
use super::view::{LatestView, View};
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
    pub(super) view: LatestView,
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
            view: LatestView::default(),
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

    /// Reads what is known about targets, in the view that all share until the next commit.
    fn look<T>(
        &self,
        what: &str,
        read: impl FnOnce(&View) -> Result<Result<T, String>, redb::Error>,
    ) -> Result<T, StoreError> {
        let file = self.file.read().unwrap_or_else(PoisonError::into_inner);
        let file = file.as_ref().ok_or(StoreError::Closed)?;
        let view = self
            .view
            .get(file)
            .map_err(|error| StoreError::read(what, error))?;
        read(&view)
            .map_err(|error| StoreError::read(what, error))?
            .map_err(|problem| StoreError::damaged(what, problem))
    }

    pub(super) fn tags(&self, key: &TargetKey) -> Result<Option<Arc<StoredTags>>, StoreError> {
        let id = target_id(key);
        self.look(key.as_str(), |view| {
            let record = match record_in(view, key, id)? {
                Ok(Some(record)) => record,
                Ok(None) => return Ok(Ok(None)),
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
            match read_tags(&view.tails, &view.pages, id)? {
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
        self.look(key.as_str(), |view| record_in(view, key, target_id(key)))
    }

    pub(super) fn each_target(
        &self,
        mut visit: impl FnMut(TargetKey, TargetRecord) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.read("the targets", |transaction| {
            let times = transaction.open_table(TIMES)?;
            for row in transaction.open_table(TARGETS)?.iter()? {
                let (id, row) = row?;
                let times = times.get(id.value())?.map(|row| row.value());
                match read_record(row.value(), times) {
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
        self.look(key.as_str(), |view| {
            let id = target_id(key);
            if view.partials.get(id)?.is_none() {
                return Ok(Ok(None));
            }
            let partial = read_partial(&view.partials, &view.pages, id)?;
            Ok(partial.map(Some))
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

    /// Writes all batches in one transaction; `record` also writes down which pages are free.
    ///
    /// redb refuses everything after the disk has failed once. The file is opened again then, and the
    /// batches are tried once more: a disk that was full may have room by now.
    pub(super) fn commit(&self, batches: &[Batch], record: bool) -> Result<(), StoreError> {
        match self.try_commit(batches, record) {
            Err(error) if must_reopen(&error) => {
                self.reopen()?;
                self.try_commit(batches, record).map_err(StoreError::write)
            }
            other => other.map_err(StoreError::write),
        }
    }

    fn try_commit(&self, batches: &[Batch], record: bool) -> Result<(), redb::Error> {
        let file = self.file.read().unwrap_or_else(PoisonError::into_inner);
        let database = file.as_ref().ok_or(redb::Error::DatabaseClosed)?;
        let transaction = opening::begin(database, record)?;
        let mut changes = HotChanges::new();
        {
            let mut writing = Writing::new(&transaction)?;
            for operation in batches.iter().flat_map(|batch| &batch.operations) {
                writing.apply(operation, &mut changes)?;
            }
        }
        transaction.commit()?;
        self.view.forget();
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
        self.view.forget();
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

fn record_in(
    view: &View,
    key: &TargetKey,
    id: TargetId,
) -> Result<Result<Option<TargetRecord>, String>, redb::Error> {
    let Some(row) = view.targets.get(id)? else {
        return Ok(Ok(None));
    };
    let times = view.times.get(id)?.map(|row| row.value());
    Ok(read_record_of(key, row.value(), times).map(Some))
}

/// Reads a target's partial listing from its pages.
pub(super) fn read_partial(
    partials: &impl ReadableTable<u128, &'static [u8]>,
    pages: &impl ReadableTable<[u8; 18], &'static [u8]>,
    id: TargetId,
) -> Result<Result<PartialListing, String>, redb::Error> {
    Ok(read_packed(partials, pages, id, partial_pages(id))?
        .and_then(|bytes| PartialListing::from_bytes(&bytes)))
}

/// Reads a target's set from its pages.
pub(super) fn read_tags(
    tails: &impl ReadableTable<u128, &'static [u8]>,
    pages: &impl ReadableTable<[u8; 18], &'static [u8]>,
    id: TargetId,
) -> Result<Result<TagSet, String>, redb::Error> {
    Ok(read_packed(tails, pages, id, id)?
        .and_then(|packed| compression::decompress(&packed).map_err(|damage| damage.to_string())))
}

/// Puts together again what was cut into pages.
fn read_packed(
    tails: &impl ReadableTable<u128, &'static [u8]>,
    pages: &impl ReadableTable<[u8; 18], &'static [u8]>,
    id: TargetId,
    pages_of: TargetId,
) -> Result<Result<Vec<u8>, String>, redb::Error> {
    let Some(row) = tails.get(id)? else {
        return Ok(Err("its tags are missing".to_owned()));
    };
    let Some((count, tail)) = varint::read(row.value()) else {
        return Ok(Err("its tags have no length".to_owned()));
    };
    let Ok(count) = u16::try_from(count) else {
        return Ok(Err("its tags have an impossible length".to_owned()));
    };
    let mut packed = Vec::with_capacity(usize::from(count) * PAGE + tail.len());
    for page in 0..count {
        match pages.get(page_row(pages_of, page))? {
            Some(row) => packed.extend_from_slice(row.value()),
            None => return Ok(Err(format!("page {page} of its tags is missing"))),
        }
    }
    packed.extend_from_slice(tail);
    Ok(Ok(packed))
}
