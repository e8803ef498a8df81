//! What a batch does to the tables, inside one transaction.

use std::io;
use std::sync::Arc;

use jiff::Timestamp;
use redb::{ReadableTable, Table, WriteTransaction};

use super::batch::{NewTags, Operation};
use super::record::{TargetRecord, is_unasked, read_record_of, write_record};
use super::tables::{
    MANIFESTS, META, PAGE, PARTIALS, STATE, TAG_DIGESTS, TAG_PAGES, TAG_TAILS, TARGETS, TIMES,
    TargetId, TimesRow, WRITTEN_ROW, page_row, partial_pages, target_id,
};
use crate::tag_set::TagSet;
use crate::target_key::TargetKey;
use crate::varint;

/// What a transaction does to the sets that are kept ready: one with its number, or none any more.
pub(super) type HotChanges = Vec<(TargetId, Option<(u64, Arc<TagSet>)>)>;

/// The tables while a transaction writes to them.
pub(super) struct Writing<'t> {
    meta: Table<'t, &'static str, u64>,
    targets: Table<'t, u128, &'static [u8]>,
    times: Table<'t, u128, TimesRow>,
    pages: Table<'t, [u8; 18], &'static [u8]>,
    tails: Table<'t, u128, &'static [u8]>,
    partials: Table<'t, u128, &'static [u8]>,
    tag_digests: Table<'t, &'static [u8], &'static [u8]>,
    manifests: Table<'t, &'static str, &'static [u8]>,
    state: Table<'t, &'static [u8], &'static [u8]>,
}

impl<'t> Writing<'t> {
    pub(super) fn new(transaction: &'t WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            meta: transaction.open_table(META)?,
            targets: transaction.open_table(TARGETS)?,
            times: transaction.open_table(TIMES)?,
            pages: transaction.open_table(TAG_PAGES)?,
            tails: transaction.open_table(TAG_TAILS)?,
            partials: transaction.open_table(PARTIALS)?,
            tag_digests: transaction.open_table(TAG_DIGESTS)?,
            manifests: transaction.open_table(MANIFESTS)?,
            state: transaction.open_table(STATE)?,
        })
    }

    pub(super) fn apply(
        &mut self,
        operation: &Operation,
        hot: &mut HotChanges,
    ) -> Result<(), redb::Error> {
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
                self.remove_partial(id)?;
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
            Operation::Confirmed {
                key,
                scanned_at,
                listed_at,
            } => self.confirm(key, *scanned_at, *listed_at)?,
            Operation::Failed { key, error, memory } => self.update(key, |record| {
                record.last_error = Some(error.clone());
                record.memory = memory.clone();
            })?,
            Operation::Learned { key, memory } => {
                self.update(key, |record| record.memory = memory.clone())?;
            }
            Operation::Partial { key, value } => {
                let id = target_id(key);
                let before = page_count(&self.partials, id)?;
                let tail = self.write_paged(partial_pages(id), before, value)?;
                self.partials.insert(id, tail.as_slice())?;
                // Whatever has rows has a record too: that is what looking after the store goes by.
                self.update(key, |_| ())?;
            }
            Operation::Due { key, due } => self.update_times(
                key,
                |(_, next, _, _, failures, _)| {
                    *next = due.next.map(Timestamp::as_microsecond);
                    *failures = due.failures;
                },
                |record| record.due = *due,
            )?,
            Operation::Asked { key, at } => self.update_times(
                key,
                |(_, _, asked, ..)| *asked = Some(at.as_microsecond()),
                |record| record.asked_at = Some(*at),
            )?,
            &Operation::Forget { id } => self.forget(id, hot)?,
            &Operation::ForgetUnasked { id, before } => {
                let is_unasked = self
                    .times
                    .get(id)?
                    .is_some_and(|row| is_unasked(row.value(), before));
                if is_unasked {
                    self.forget(id, hot)?;
                }
            }
            &Operation::ForgetPartial { id } => self.remove_partial(id)?,
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

    fn forget(&mut self, id: TargetId, hot: &mut HotChanges) -> Result<(), redb::Error> {
        self.remove_tags(id)?;
        self.targets.remove(id)?;
        self.times.remove(id)?;
        self.remove_partial(id)?;
        self.remove_tag_digests(id)?;
        hot.push((id, None));
        Ok(())
    }

    /// The tags are as they were, and so is everything else.
    fn confirm(
        &mut self,
        key: &TargetKey,
        scanned_at: Timestamp,
        listed_at: Option<Timestamp>,
    ) -> Result<(), redb::Error> {
        let id = target_id(key);
        let row = self.times.get(id)?.map(|row| row.value());
        match row {
            Some((Some(_), due, asked, _, failures, false)) => {
                let (scanned, listed) = (
                    scanned_at.as_microsecond(),
                    listed_at.map(Timestamp::as_microsecond),
                );
                let row = (Some(scanned), due, asked, listed, failures, false);
                self.times.insert(id, row)?;
                Ok(())
            }
            // It was forgotten meanwhile, tags and all.
            Some((None, ..)) | None => Ok(()),
            Some(_) => self.update(key, |record| {
                record.scanned_at = Some(scanned_at);
                record.memory.full_listing_at = listed_at;
                record.last_error = None;
            }),
        }
    }

    /// Changes only times, where there is a record that they belong to.
    fn update_times(
        &mut self,
        key: &TargetKey,
        change: impl FnOnce(&mut TimesRow),
        change_record: impl FnOnce(&mut TargetRecord),
    ) -> Result<(), redb::Error> {
        let id = target_id(key);
        let row = self.times.get(id)?.map(|row| row.value());
        let Some(mut row) = row else {
            return self.update(key, change_record);
        };
        change(&mut row);
        self.times.insert(id, row)?;
        Ok(())
    }

    fn update(
        &mut self,
        key: &TargetKey,
        change: impl FnOnce(&mut TargetRecord),
    ) -> Result<(), redb::Error> {
        let id = target_id(key);
        let times = self.times.get(id)?.map(|row| row.value());
        let mut record = match self.targets.get(id)? {
            // A damaged record is begun anew: all it holds can be learned again.
            Some(row) => read_record_of(key, row.value(), times).unwrap_or_default(),
            None => TargetRecord::default(),
        };
        change(&mut record);
        let value =
            write_record(key, &record).map_err(|error| redb::Error::Io(io::Error::other(error)))?;
        self.targets.insert(id, value.as_slice())?;
        self.times.insert(id, record.times())?;
        Ok(())
    }

    fn write_tags(&mut self, id: TargetId, new: &NewTags) -> Result<u64, redb::Error> {
        let before = page_count(&self.tails, id)?;
        let tail = self.write_paged(id, before, &new.packed)?;
        self.tails.insert(id, tail.as_slice())?;
        let number = self.meta.get(WRITTEN_ROW)?.map_or(0, |row| row.value()) + 1;
        self.meta.insert(WRITTEN_ROW, number)?;
        Ok(number)
    }

    /// Cuts bytes into pages, in place of those before, and gives the row that says how many there are, with what is
    /// left of the bytes.
    fn write_paged(
        &mut self,
        id: TargetId,
        before: u16,
        bytes: &[u8],
    ) -> Result<Vec<u8>, redb::Error> {
        let mut chunks = bytes.chunks_exact(PAGE);
        let mut pages = 0;
        for chunk in &mut chunks {
            self.pages.insert(page_row(id, pages), chunk)?;
            pages = pages.checked_add(1).ok_or_else(|| {
                redb::Error::Io(io::Error::other("a tag set of more than 256 MiB"))
            })?;
        }
        for page in pages..before {
            self.pages.remove(page_row(id, page))?;
        }
        let mut tail = Vec::with_capacity(chunks.remainder().len() + 3);
        varint::write(&mut tail, u64::from(pages));
        tail.extend_from_slice(chunks.remainder());
        Ok(tail)
    }

    fn remove_tags(&mut self, id: TargetId) -> Result<(), redb::Error> {
        for page in 0..page_count(&self.tails, id)? {
            self.pages.remove(page_row(id, page))?;
        }
        self.tails.remove(id)?;
        Ok(())
    }

    fn remove_partial(&mut self, id: TargetId) -> Result<(), redb::Error> {
        for page in 0..page_count(&self.partials, id)? {
            self.pages.remove(page_row(partial_pages(id), page))?;
        }
        self.partials.remove(id)?;
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
}

/// How many pages a row says there are.
fn page_count(tails: &Table<'_, u128, &'static [u8]>, id: TargetId) -> Result<u16, redb::Error> {
    Ok(tails
        .get(id)?
        .and_then(|row| varint::read(row.value()).map(|(pages, _)| pages))
        .and_then(|pages| u16::try_from(pages).ok())
        .unwrap_or_default())
}
