//! Looking after the file: figures, checking, compacting, forgetting what nobody asks for.

use std::sync::PoisonError;

use jiff::Timestamp;
use redb::{ReadableTable, ReadableTableMetadata};

use super::TagStore;
use super::batch::Batch;
use super::database::{Database, read_partial, read_tags};
use super::error::StoreError;
use super::record::read_record;
use super::tables::{
    MANIFESTS, PARTIALS, STATE, TAG_DIGESTS, TAG_PAGES, TAG_TAILS, TARGETS, TIMES,
};
use crate::target_key::TargetKey;

/// Files shorter than this are not worth compacting while they are in use.
const COMPACT_FROM: u64 = 16 << 20;
/// Files shorter than this are not worth shortening.
const TRIM_FROM: u64 = 4 << 20;
/// Shortening a longer file would hold up a shutdown for seconds.
const TRIM_UP_TO: u64 = 256 << 20;

/// What the store holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Size of the file in bytes; 0 in memory.
    pub file_bytes: u64,
    /// Bytes of the file that hold something; the rest is room for what comes.
    pub used_bytes: u64,
    /// Targets.
    pub targets: u64,
    /// Tags of all targets.
    pub tags: u64,
    /// Bytes that the tags take, compressed, without the file's own overhead.
    pub tag_bytes: u64,
    /// Listings that ended early and will be gone on with.
    pub partial_listings: u64,
    /// Digests of tags.
    pub tag_digests: u64,
    /// Manifests.
    pub manifests: u64,
    /// Entries of the program's own.
    pub state_entries: u64,
    /// Tag sets that are ready in memory.
    pub hot_sets: u64,
    /// Bytes of memory they take.
    pub hot_bytes: u64,
}

/// What a check of the store found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreCheck {
    /// Whether the file's own structure was in order. When not, it has been repaired.
    pub is_file_sound: bool,
    /// Targets whose data was read and found good.
    pub good_targets: u64,
    /// Targets whose data makes no sense, with what is wrong. They have been forgotten, so that their next
    /// scan begins anew.
    pub damaged: Vec<(TargetKey, String)>,
    /// Rows that belonged to no target or could not be read at all, and were removed.
    pub removed_rows: u64,
}

impl TagStore {
    /// What the store holds. Reads all records, and no tags.
    ///
    /// # Errors
    /// [`StoreError::Read`] when the disk fails.
    pub fn stats(&self) -> Result<StoreStats, StoreError> {
        let database = &self.inner.database;
        let mut stats = StoreStats::default();
        database.each_target(|_, record| {
            stats.tags += record.tag_count;
            std::ops::ControlFlow::Continue(())
        })?;
        (stats.hot_bytes, stats.hot_sets) = database.hot();
        if let Some(path) = self.path() {
            stats.file_bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        }
        database.read("the tables", |transaction| {
            stats.targets = transaction.open_table(TARGETS)?.len()?;
            stats.partial_listings = transaction.open_table(PARTIALS)?.len()?;
            stats.tag_digests = transaction.open_table(TAG_DIGESTS)?.len()?;
            stats.manifests = transaction.open_table(MANIFESTS)?.len()?;
            stats.state_entries = transaction.open_table(STATE)?.len()?;
            stats.tag_bytes = transaction.open_table(TAG_PAGES)?.stats()?.stored_bytes()
                + transaction.open_table(TAG_TAILS)?.stats()?.stored_bytes();
            for table in transaction.list_tables()? {
                let table = transaction.open_untyped_table(table)?.stats()?;
                stats.used_bytes +=
                    table.stored_bytes() + table.metadata_bytes() + table.fragmented_bytes();
            }
            Ok(Ok(()))
        })?;
        Ok(stats)
    }

    /// Reads everything and removes what makes no sense. Blocks everybody else while the file's own
    /// structure is looked at.
    ///
    /// # Errors
    /// [`StoreError::Read`] and [`StoreError::Write`] when the disk fails.
    pub fn check(&self) -> Result<StoreCheck, StoreError> {
        let database = &self.inner.database;
        let mut check = StoreCheck {
            is_file_sound: database.with_file(|file| {
                file.check_integrity()
                    .map_err(|error| StoreError::read("the file", error))
            })?,
            ..StoreCheck::default()
        };
        database.cool();
        let mut removal = Batch::new();
        let found = database.read("everything", |transaction| {
            let mut found = Vec::new();
            let times = transaction.open_table(TIMES)?;
            let (tails, pages) = (
                transaction.open_table(TAG_TAILS)?,
                transaction.open_table(TAG_PAGES)?,
            );
            for row in transaction.open_table(TARGETS)?.iter()? {
                let (id, value) = row?;
                let id = id.value();
                let times = times.get(id)?.map(|row| row.value());
                match read_record(value.value(), times) {
                    Ok((key, record)) => {
                        let tags = if record.scanned_at.is_some() {
                            read_tags(&tails, &pages, id)?.map(|tags| tags.len() as u64)
                        } else {
                            Ok(0)
                        };
                        let problem = match tags {
                            Ok(count) if count == record.tag_count => None,
                            Ok(count) => Some(format!(
                                "it should have {} tags and has {count}",
                                record.tag_count
                            )),
                            Err(problem) => Some(problem),
                        };
                        found.push((id, Some((key, problem))));
                    }
                    Err(_) => found.push((id, None)),
                }
            }
            let is_known = |id: u128| found.binary_search_by_key(&id, |(id, _)| *id).is_ok();
            let mut strays = Vec::new();
            for row in tails.iter()? {
                strays.extend(Some(row?.0.value()).filter(|id| !is_known(*id)));
            }
            for row in times.iter()? {
                strays.extend(Some(row?.0.value()).filter(|id| !is_known(*id)));
            }
            strays.sort_unstable();
            strays.dedup();
            let mut partials = Vec::new();
            let (rows, pages) = (
                transaction.open_table(PARTIALS)?,
                transaction.open_table(TAG_PAGES)?,
            );
            for row in rows.iter()? {
                let id = row?.0.value();
                if !is_known(id) || read_partial(&rows, &pages, id)?.is_err() {
                    partials.push(id);
                }
            }
            Ok(Ok((found, strays, partials)))
        })?;
        let (found, strays, partials) = found;
        for (id, target) in found {
            match target {
                Some((_, None)) => check.good_targets += 1,
                Some((key, Some(problem))) => {
                    removal = removal.forget(&key);
                    check.damaged.push((key, problem));
                }
                None => {
                    removal = removal.forget_id(id);
                    check.removed_rows += 1;
                }
            }
        }
        for id in strays {
            removal = removal.forget_id(id);
            check.removed_rows += 1;
        }
        for id in partials {
            removal = removal.forget_partial(id);
            check.removed_rows += 1;
        }
        if !removal.is_empty() {
            self.write_blocking(removal)?;
        }
        Ok(check)
    }

    /// Gives room that is no longer needed back to the disk; returns how many bytes. Blocks everybody else
    /// meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Write`] when the disk fails.
    pub fn compact(&self) -> Result<u64, StoreError> {
        let size = || {
            self.path()
                .and_then(|path| std::fs::metadata(path).ok())
                .map_or(0, |metadata| metadata.len())
        };
        let before = size();
        self.inner
            .database
            .with_file(|file| file.compact().map_err(StoreError::write))?;
        Ok(before.saturating_sub(size()))
    }

    /// Gives room back to the disk where more than half of a file that is worth it holds nothing; returns how many
    /// bytes. Blocks everybody else meanwhile.
    ///
    /// # Errors
    /// As [`TagStore::stats`] and [`TagStore::compact`].
    pub fn compact_if_wasteful(&self) -> Result<u64, StoreError> {
        let stats = self.stats()?;
        if stats.file_bytes >= COMPACT_FROM && stats.used_bytes < stats.file_bytes / 2 {
            self.compact()
        } else {
            Ok(0)
        }
    }

    /// The targets that nobody has asked for since `before`; see [`Batch::asked`] and [`Batch::forget_unasked`].
    ///
    /// # Errors
    /// [`StoreError::Read`] when the disk fails.
    pub fn unasked(&self, before: Timestamp) -> Result<Vec<TargetKey>, StoreError> {
        let mut unasked = Vec::new();
        self.each_target(|key, record| {
            if record.is_unasked(before) {
                unasked.push(key);
            }
            std::ops::ControlFlow::Continue(())
        })?;
        Ok(unasked)
    }
}

impl Database {
    /// Shortens the file when it is closed. redb doubles a small file whenever it is full; what was never
    /// written takes no room on the disk, but looks as if it did, and does once the file is copied.
    pub(super) fn trim(&self) {
        let Some(metadata) = self.path().and_then(|path| std::fs::metadata(path).ok()) else {
            return;
        };
        let (length, on_disk) = (metadata.len(), allocated(&metadata));
        if !(TRIM_FROM..=TRIM_UP_TO).contains(&length) || on_disk > length / 5 * 4 {
            return;
        }
        if let Err(error) = self.with_file(|file| file.compact().map_err(StoreError::write)) {
            tracing::warn!(%error, "the store could not be shortened");
        }
    }

    /// Does what needs the file for itself alone.
    fn with_file<T>(
        &self,
        work: impl FnOnce(&mut redb::Database) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut file = self.file.write().unwrap_or_else(PoisonError::into_inner);
        self.view.forget();
        work(file.as_mut().ok_or(StoreError::Closed)?)
    }
}

/// Bytes that a file takes on the disk.
#[cfg(unix)]
fn allocated(metadata: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(metadata) * 512
}

/// Bytes that a file takes on the disk; here nothing better is known than its length.
#[cfg(not(unix))]
fn allocated(metadata: &std::fs::Metadata) -> u64 {
    metadata.len()
}
