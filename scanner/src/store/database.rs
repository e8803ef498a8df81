//! Reading and writing the store's file.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use moka::sync::Cache;
use redb::{ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, Table, TableError};
use tagline_policy::{Digest, TagRef};

use super::StoreOptions;
use super::batch::{Batch, NewTags, Operation};
use super::compression;
use super::error::StoreError;
use super::record::{PartialListing, StoredTags, TagDigest, TargetRecord};
use super::tables::{
    FORMAT, FORMAT_ROW, MANIFESTS, META, PAGE, PARTIALS, STATE, TAG_DIGESTS, TAG_PAGES, TAG_TAILS,
    TARGETS, TargetId, WRITTEN_ROW, page_row, state_row, tag_digest_row, target_id,
};
use crate::tag_set::TagSet;
use crate::target_key::TargetKey;
use crate::varint;

/// The file, and the tag sets that are kept ready.
pub(super) struct Database {
    file: redb::Database,
    /// Tag sets by target, each with the number it was written under, so that one that was read before a
    /// commit is not taken for the one after.
    hot: Cache<TargetId, (u64, Arc<TagSet>)>,
}

/// Targets whose sets become hot when a transaction is committed, with the sets' numbers.
type NewlyHot = Vec<(TargetId, Option<(u64, Arc<TagSet>)>)>;

impl Database {
    pub(super) fn open(path: &Path, options: &StoreOptions) -> Result<Self, StoreError> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(|error| StoreError::Directory {
                path: directory.to_owned(),
                source: Arc::new(error),
            })?;
        }
        match Self::open_file(path, options) {
            Err(Problem::Broken(why)) => {
                let aside = set_aside(path)?;
                tracing::warn!(
                    store = %path.display(),
                    aside = %aside.display(),
                    why = %why,
                    "the store cannot be used; it is set aside and a new one begun",
                );
                Self::open_file(path, options)
            }
            other => other,
        }
        .map_err(|problem| match problem {
            Problem::InUse => StoreError::InUse {
                path: path.to_owned(),
            },
            Problem::Broken(why) | Problem::Other(why) => StoreError::Open {
                path: path.to_owned(),
                source: Arc::new(why),
            },
        })
    }

    pub(super) fn in_memory(options: &StoreOptions) -> Result<Self, StoreError> {
        let file = redb::Builder::new()
            .create_with_backend(redb::backends::InMemoryBackend::new())
            .map_err(StoreError::write)?;
        let database = Self::new(file, options);
        database.initialise().map_err(|problem| match problem {
            Problem::Broken(why) | Problem::Other(why) => StoreError::write(why),
            Problem::InUse => StoreError::Closed,
        })?;
        Ok(database)
    }

    fn open_file(path: &Path, options: &StoreOptions) -> Result<Self, Problem> {
        let file = redb::Builder::new()
            .set_cache_size(options.page_cache_bytes)
            .create(path)?;
        let database = Self::new(file, options);
        database.initialise()?;
        Ok(database)
    }

    fn new(file: redb::Database, options: &StoreOptions) -> Self {
        let hot = Cache::builder()
            .max_capacity(options.hot_bytes)
            .weigher(|_, (_, tags): &(u64, Arc<TagSet>)| {
                u32::try_from(tags.memory() + 64).unwrap_or(u32::MAX)
            })
            .build();
        Self { file, hot }
    }

    /// Checks the format, or writes it into a new file together with the empty tables.
    fn initialise(&self) -> Result<(), Problem> {
        let transaction = self.begin().map_err(Problem::Other)?;
        {
            let mut meta = transaction.open_table(META)?;
            let format = meta.get(FORMAT_ROW)?.map(|row| row.value());
            match format {
                Some(FORMAT) => {}
                Some(other) => {
                    return Err(Problem::Broken(redb::Error::Corrupted(format!(
                        "it has format {other}; this version reads format {FORMAT}"
                    ))));
                }
                None => {
                    meta.insert(FORMAT_ROW, FORMAT)?;
                }
            }
            transaction.open_table(TARGETS)?;
            transaction.open_table(TAG_PAGES)?;
            transaction.open_table(TAG_TAILS)?;
            transaction.open_table(PARTIALS)?;
            transaction.open_table(TAG_DIGESTS)?;
            transaction.open_table(MANIFESTS)?;
            transaction.open_table(STATE)?;
        }
        transaction
            .commit()
            .map_err(|error| Problem::Other(error.into()))
    }

    fn begin(&self) -> Result<redb::WriteTransaction, redb::Error> {
        let mut transaction = self.file.begin_write()?;
        // Recording the allocator's state with each commit makes a start after `kill -9` as fast as any.
        transaction.set_quick_repair(true);
        Ok(transaction)
    }

    fn read<T>(
        &self,
        what: &str,
        read: impl FnOnce(&ReadTransaction) -> Result<Result<T, String>, redb::Error>,
    ) -> Result<T, StoreError> {
        let transaction = self
            .file
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
            let packed = match read_packed(transaction, id)? {
                Ok(packed) => packed,
                Err(problem) => return Ok(Err(problem)),
            };
            match unpack(&packed) {
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
    pub(super) fn commit(&self, batches: &[Batch]) -> Result<(), StoreError> {
        let mut newly_hot = NewlyHot::new();
        self.try_commit(batches, &mut newly_hot)
            .map_err(StoreError::write)?;
        for (id, set) in newly_hot {
            match set {
                Some(set) => self.hot.insert(id, set),
                None => self.hot.invalidate(&id),
            }
        }
        Ok(())
    }

    fn try_commit(&self, batches: &[Batch], newly_hot: &mut NewlyHot) -> Result<(), redb::Error> {
        let transaction = self.begin()?;
        {
            let mut writing = Writing {
                meta: transaction.open_table(META)?,
                targets: transaction.open_table(TARGETS)?,
                pages: transaction.open_table(TAG_PAGES)?,
                tails: transaction.open_table(TAG_TAILS)?,
                partials: transaction.open_table(PARTIALS)?,
                tag_digests: transaction.open_table(TAG_DIGESTS)?,
                manifests: transaction.open_table(MANIFESTS)?,
                state: transaction.open_table(STATE)?,
            };
            for operation in batches.iter().flat_map(|batch| &batch.operations) {
                writing.apply(operation, newly_hot)?;
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

/// The tables while a transaction writes to them.
struct Writing<'t> {
    meta: Table<'t, &'static str, u64>,
    targets: Table<'t, u128, &'static [u8]>,
    pages: Table<'t, [u8; 18], &'static [u8]>,
    tails: Table<'t, u128, &'static [u8]>,
    partials: Table<'t, u128, &'static [u8]>,
    tag_digests: Table<'t, &'static [u8], &'static [u8]>,
    manifests: Table<'t, &'static str, &'static [u8]>,
    state: Table<'t, &'static [u8], &'static [u8]>,
}

impl Writing<'_> {
    fn apply(&mut self, operation: &Operation, hot: &mut NewlyHot) -> Result<(), redb::Error> {
        match operation {
            Operation::Complete {
                key,
                scanned_at,
                memory,
                tags,
            } => {
                let id = target_id(key);
                let mut number = None;
                if let Some(new) = tags {
                    number = Some(self.write_tags(id, new)?);
                    hot.push((id, number.map(|number| (number, Arc::clone(&new.tags)))));
                }
                self.partials.remove(id)?;
                self.update(key, |record| {
                    record.scanned_at = Some(*scanned_at);
                    record.last_error = None;
                    record.memory = memory.clone();
                    if let (Some(new), Some(number)) = (tags, number) {
                        record.tag_count = new.tags.len() as u64;
                        record.set_number = number;
                    }
                })?;
            }
            Operation::Failed { key, error, memory } => self.update(key, |record| {
                record.last_error = Some(error.clone());
                record.memory = memory.clone();
            })?,
            Operation::Partial { key, value } => {
                self.partials.insert(target_id(key), value.as_slice())?;
            }
            Operation::Due { key, due } => self.update(key, |record| record.due = *due)?,
            Operation::Asked { key, at } => {
                self.update(key, |record| record.asked_at = Some(*at))?;
            }
            Operation::Forget { key } => {
                let id = target_id(key);
                self.remove_tags(id)?;
                self.targets.remove(id)?;
                self.partials.remove(id)?;
                self.remove_tag_digests(id)?;
                hot.push((id, None));
            }
            Operation::TagDigest { row, value } => {
                self.tag_digests.insert(row.as_slice(), value.as_slice())?;
            }
            Operation::Manifest { digest, value } => {
                self.manifests.insert(digest.as_str(), value.as_slice())?;
            }
            Operation::State { row, value } => {
                match value {
                    Some(value) => self.state.insert(row.as_slice(), value.as_slice())?,
                    None => self.state.remove(row.as_slice())?,
                };
            }
        }
        Ok(())
    }

    fn update(
        &mut self,
        key: &TargetKey,
        change: impl FnOnce(&mut TargetRecord),
    ) -> Result<(), redb::Error> {
        let id = target_id(key);
        let mut record = match self.targets.get(id)? {
            // A damaged record is begun anew: all it holds can be learned again.
            Some(row) => read_record(row.value())
                .map_or_else(|_| TargetRecord::default(), |(_, record)| record),
            None => TargetRecord::default(),
        };
        change(&mut record);
        let value =
            write_record(key, &record).map_err(|error| redb::Error::Io(io::Error::other(error)))?;
        self.targets.insert(id, value.as_slice())?;
        Ok(())
    }

    fn write_tags(&mut self, id: TargetId, new: &NewTags) -> Result<u64, redb::Error> {
        let pages_before = self.page_count(id)?;
        let mut chunks = new.packed.chunks_exact(PAGE);
        let mut pages = 0;
        for chunk in &mut chunks {
            self.pages.insert(page_row(id, pages), chunk)?;
            pages = pages.checked_add(1).ok_or_else(|| {
                redb::Error::Io(io::Error::other("a tag set of more than 256 MiB"))
            })?;
        }
        for page in pages..pages_before {
            self.pages.remove(page_row(id, page))?;
        }
        let mut tail = Vec::with_capacity(chunks.remainder().len() + 3);
        varint::write(&mut tail, u64::from(pages));
        tail.extend_from_slice(chunks.remainder());
        self.tails.insert(id, tail.as_slice())?;
        let number = self.meta.get(WRITTEN_ROW)?.map_or(0, |row| row.value()) + 1;
        self.meta.insert(WRITTEN_ROW, number)?;
        Ok(number)
    }

    fn remove_tags(&mut self, id: TargetId) -> Result<(), redb::Error> {
        for page in 0..self.page_count(id)? {
            self.pages.remove(page_row(id, page))?;
        }
        self.tails.remove(id)?;
        Ok(())
    }

    fn remove_tag_digests(&mut self, id: TargetId) -> Result<(), redb::Error> {
        let first = id.to_be_bytes();
        let mut rows = Vec::new();
        for row in self.tag_digests.range(first.as_slice()..)? {
            let row = row?.0.value().to_vec();
            if !row.starts_with(&first) {
                break;
            }
            rows.push(row);
        }
        for row in rows {
            self.tag_digests.remove(row.as_slice())?;
        }
        Ok(())
    }

    fn page_count(&self, id: TargetId) -> Result<u16, redb::Error> {
        Ok(self
            .tails
            .get(id)?
            .and_then(|row| varint::read(row.value()).map(|(pages, _)| pages))
            .and_then(|pages| u16::try_from(pages).ok())
            .unwrap_or_default())
    }
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

fn unpack(packed: &[u8]) -> Result<TagSet, String> {
    let bytes = compression::decompress(packed)?;
    TagSet::from_bytes(&bytes).map_err(|error| error.to_string())
}

fn write_record(key: &TargetKey, record: &TargetRecord) -> Result<Vec<u8>, serde_json::Error> {
    let mut value = Vec::with_capacity(256);
    varint::write(&mut value, key.as_str().len() as u64);
    value.extend_from_slice(key.as_str().as_bytes());
    serde_json::to_writer(&mut value, record)?;
    Ok(value)
}

fn read_record(value: &[u8]) -> Result<(TargetKey, TargetRecord), String> {
    let (length, rest) = varint::read(value).ok_or("it has no key")?;
    let length = usize::try_from(length).map_err(|error| error.to_string())?;
    let (key, record) = rest
        .split_at_checked(length)
        .ok_or("its key is cut short")?;
    let key = std::str::from_utf8(key).map_err(|error| error.to_string())?;
    let key = TargetKey::parse(key).map_err(|error| error.to_string())?;
    let record = serde_json::from_slice(record).map_err(|error| error.to_string())?;
    Ok((key, record))
}

/// Why a file did not open.
enum Problem {
    InUse,
    /// Setting the file aside and beginning a new one helps.
    Broken(redb::Error),
    Other(redb::Error),
}

impl From<redb::DatabaseError> for Problem {
    fn from(error: redb::DatabaseError) -> Self {
        match error {
            redb::DatabaseError::DatabaseAlreadyOpen => Self::InUse,
            other => redb::Error::from(other).into(),
        }
    }
}

impl From<TableError> for Problem {
    fn from(error: TableError) -> Self {
        // A table of another type is another program's, or a later version's.
        Self::Broken(error.into())
    }
}

impl From<redb::StorageError> for Problem {
    fn from(error: redb::StorageError) -> Self {
        redb::Error::from(error).into()
    }
}

impl From<redb::Error> for Problem {
    fn from(error: redb::Error) -> Self {
        match &error {
            redb::Error::Io(io) if io.kind() != io::ErrorKind::InvalidData => Self::Other(error),
            redb::Error::Io(_)
            | redb::Error::Corrupted(_)
            | redb::Error::UpgradeRequired(_)
            | redb::Error::RepairAborted => Self::Broken(error),
            _ => Self::Other(error),
        }
    }
}

fn set_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let mut aside = path.to_owned().into_os_string();
    aside.push(format!(".broken-{now}"));
    let aside = PathBuf::from(aside);
    fs::rename(path, &aside).map_err(|error| StoreError::Directory {
        path: path.to_owned(),
        source: Arc::new(error),
    })?;
    Ok(aside)
}
