//! What the store keeps about one target, and the bytes it is kept as.
//!
//! Records are JSON: small beside the tags, and a field can be added without a new format. What changes with every
//! scan is apart from it, see [`TimesRow`].

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tagline_policy::{Digest, Tag};

use super::compression;
use super::tables::TimesRow;
use crate::tag_set::TagSet;
use crate::target_key::TargetKey;
use crate::varint;

/// The last complete listing of a target.
#[derive(Debug, Clone)]
pub struct StoredTags {
    /// The tags, before any exclusion.
    pub tags: Arc<TagSet>,
    /// When the listing was completed, or last found unchanged.
    pub scanned_at: Timestamp,
}

/// What is known about a target besides its tags.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TargetRecord {
    /// When the last complete listing was taken, or found unchanged; `None` before the first.
    #[serde(skip)]
    pub scanned_at: Option<Timestamp>,
    /// How many tags that listing had.
    #[serde(rename = "tags", skip_serializing_if = "is_zero")]
    pub tag_count: u64,
    /// The number of the tag set that belongs to this record.
    #[serde(rename = "set", skip_serializing_if = "is_zero")]
    pub(super) set_number: u64,
    /// When the next scan is due, and how many failed in a row.
    #[serde(skip)]
    pub due: Due,
    /// Why the last scan failed; `None` when it did not.
    #[serde(rename = "error", skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
    /// When somebody last asked for this target: what nobody asks for is forgotten.
    #[serde(skip)]
    pub asked_at: Option<Timestamp>,
    /// What the client learned about the registry.
    #[serde(rename = "registry", skip_serializing_if = "RegistryMemory::is_empty")]
    pub memory: RegistryMemory,
}

/// The part of a record that belongs to the schedule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Due {
    /// When the next scan is due; `None` when it was never scheduled.
    pub next: Option<Timestamp>,
    /// Scans that failed in a row.
    pub failures: u32,
}

/// Why a scan failed. Holds no secret: the client's errors do not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// When.
    pub at: Timestamp,
    /// A machine word, `ScanError::reason`.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

/// In which order a registry lists tags, as far as was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListingOrder {
    /// Ascending by bytes, as the OCI distribution specification says.
    Lexical,
    /// Any other order.
    Other,
}

/// What the client learned about a registry while it listed a target. The store only keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RegistryMemory {
    /// The first page's `ETag`, to ask conditionally; only where every page had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The other pages, to ask them conditionally as well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub later_pages: Vec<LaterPage>,
    /// How many pages the last whole list had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages: Option<u32>,
    /// The largest page size the registry takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_size: Option<u32>,
    /// The order it lists in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<ListingOrder>,
    /// Whether it takes `last=`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub honours_last: Option<bool>,
    /// When all pages were last asked for, rather than only those after the greatest known tag.
    #[serde(skip)]
    pub full_listing_at: Option<Timestamp>,
    /// Whether only newer tags were asked for since.
    #[serde(skip_serializing_if = "is_false")]
    pub newer_only: bool,
}

/// A page after the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaterPage {
    /// Where it is: path and query on the same registry.
    pub cursor: String,
    /// Its `ETag`.
    pub etag: String,
    /// The last tag of the page before.
    pub after: Tag,
}

/// Pages of a listing that ended early, and where it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartialListing {
    /// The tags of the pages so far; their times say when their page was read.
    pub tags: Arc<TagSet>,
    /// Where the next page is: path and query on the same registry.
    pub cursor: String,
    /// How many pages were read.
    pub pages: u32,
    /// When the first page was read.
    pub started_at: Timestamp,
}

/// The digest a tag pointed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagDigest {
    /// The manifest's digest.
    pub digest: Digest,
    /// When the registry said so.
    pub checked_at: Timestamp,
}

impl TargetRecord {
    /// Whether nobody has asked for the target since then. One that was only ever scanned by hand counts from its
    /// scan.
    pub(super) fn is_unasked(&self, before: Timestamp) -> bool {
        is_unasked(self.times(), before)
    }
}

impl RegistryMemory {
    /// Whether the other says the same but for when the whole list was read.
    pub(crate) fn differs_only_in_time(&self, other: &Self) -> bool {
        let Self {
            etag,
            later_pages,
            pages,
            page_size,
            order,
            honours_last,
            full_listing_at: _,
            newer_only,
        } = other;
        (&self.etag, &self.later_pages) == (etag, later_pages)
            && (self.pages, self.page_size) == (*pages, *page_size)
            && (self.order, self.honours_last) == (*order, *honours_last)
            && self.newer_only == *newer_only
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// A row of the table of targets: the key, then the record.
pub(super) fn write_record(
    key: &TargetKey,
    record: &TargetRecord,
) -> Result<Vec<u8>, serde_json::Error> {
    let mut value = Vec::with_capacity(256);
    varint::write(&mut value, key.as_str().len() as u64);
    value.extend_from_slice(key.as_str().as_bytes());
    serde_json::to_writer(&mut value, record)?;
    Ok(value)
}

/// Reads a row of the table of targets and its times.
pub(super) fn read_record(
    value: &[u8],
    times: Option<TimesRow>,
) -> Result<(TargetKey, TargetRecord), String> {
    let (key, record) = split_record(value)?;
    let key = std::str::from_utf8(key).map_err(|error| error.to_string())?;
    let key = TargetKey::parse(key).map_err(|error| error.to_string())?;
    Ok((key, read_fields(record, times)?))
}

/// As [`read_record`], for those who know the key.
pub(super) fn read_record_of(
    key: &TargetKey,
    value: &[u8],
    times: Option<TimesRow>,
) -> Result<TargetRecord, String> {
    match split_record(value)? {
        (stored, record) if stored == key.as_str().as_bytes() => read_fields(record, times),
        _ => Err("it is another target's".to_owned()),
    }
}

fn split_record(value: &[u8]) -> Result<(&[u8], &[u8]), String> {
    let (length, rest) = varint::read(value).ok_or("it has no key")?;
    let length = usize::try_from(length).map_err(|error| error.to_string())?;
    let split = rest.split_at_checked(length);
    split.ok_or_else(|| "its key is cut short".to_owned())
}

fn read_fields(record: &[u8], times: Option<TimesRow>) -> Result<TargetRecord, String> {
    let mut record: TargetRecord =
        serde_json::from_slice(record).map_err(|error| error.to_string())?;
    if let Some((scanned, due, asked, listed, failures, _)) = times {
        let time = |micros: Option<i64>| Timestamp::from_microsecond(micros?).ok();
        record.scanned_at = time(scanned);
        record.due = Due {
            next: time(due),
            failures,
        };
        record.asked_at = time(asked);
        record.memory.full_listing_at = time(listed);
    }
    Ok(record)
}

impl TargetRecord {
    /// The part that is a row of its own.
    pub(super) fn times(&self) -> TimesRow {
        (
            self.scanned_at.map(Timestamp::as_microsecond),
            self.due.next.map(Timestamp::as_microsecond),
            self.asked_at.map(Timestamp::as_microsecond),
            self.memory.full_listing_at.map(Timestamp::as_microsecond),
            self.due.failures,
            self.last_error.is_some(),
        )
    }
}

/// See [`TargetRecord::is_unasked`].
pub(super) fn is_unasked((scanned, _, asked, ..): TimesRow, before: Timestamp) -> bool {
    let asked = asked.max(scanned);
    asked.is_none_or(|asked| asked < before.as_microsecond())
}

impl PartialListing {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        varint::write(&mut bytes, self.cursor.len() as u64);
        bytes.extend_from_slice(self.cursor.as_bytes());
        varint::write(&mut bytes, u64::from(self.pages));
        varint::write_signed(&mut bytes, self.started_at.as_second());
        bytes.extend_from_slice(&compression::compress(&self.tags));
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let (length, rest) = varint::read(bytes).ok_or("it has no cursor")?;
        let length = usize::try_from(length).map_err(|error| error.to_string())?;
        let (cursor, rest) = rest
            .split_at_checked(length)
            .ok_or("its cursor is cut short")?;
        let (pages, rest) = varint::read(rest).ok_or("it has no page count")?;
        let (started_at, rest) = varint::read_signed(rest).ok_or("it has no time")?;
        let tags = compression::decompress(rest).map_err(|error| error.to_string())?;
        Ok(Self {
            tags: Arc::new(tags),
            cursor: String::from_utf8(cursor.to_vec()).map_err(|error| error.to_string())?,
            pages: u32::try_from(pages).map_err(|error| error.to_string())?,
            started_at: Timestamp::from_second(started_at).map_err(|error| error.to_string())?,
        })
    }
}

impl TagDigest {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        varint::write_signed(&mut bytes, self.checked_at.as_second());
        bytes.extend_from_slice(self.digest.as_str().as_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let (checked_at, rest) = varint::read_signed(bytes).ok_or("it has no time")?;
        let text = std::str::from_utf8(rest).map_err(|error| error.to_string())?;
        Ok(Self {
            digest: Digest::new(text).map_err(|error| error.to_string())?,
            checked_at: Timestamp::from_second(checked_at).map_err(|error| error.to_string())?,
        })
    }
}
