//! The tables of the store's file, their keys, and how a tag set is laid into pages.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | name | format version, counters |
//! | `targets` | [`TargetId`] | the key in full, [`TargetRecord`](super::TargetRecord) as JSON, without its times |
//! | `times` | id | what of a record is another one after every scan, see [`TimesRow`] |
//! | `tag_pages` | id, page number | exactly one page of a packed tag set |
//! | `tag_tails` | id | how many pages come before, and the rest of the set |
//! | `partials` | id | as `tag_tails`, of a [`PartialListing`](super::PartialListing) |
//! | `tag_digests` | id, tag | [`TagDigest`](super::TagDigest) |
//! | `manifests` | digest | what the client keeps |
//! | `state` | namespace, 0, key | the program's |
//!
//! redb gives a value larger than a page a run of pages whose number is a power of two, which wastes a
//! quarter of the file on average. Cut to fit a page exactly, a set wastes almost nothing but in its tail.
//! Ids are hashes, so that tails fill their pages evenly in whatever order targets come.

use redb::TableDefinition;
use ring::digest::{SHA256, digest};
use tagline_policy::TagRef;

use crate::target_key::TargetKey;

/// The layout of the file. One that says another number is set aside.
pub(super) const FORMAT: u64 = 2;

pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
pub(super) const TARGETS: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("targets");
pub(super) const TIMES: TableDefinition<'_, u128, TimesRow> = TableDefinition::new("times");
pub(super) const TAG_PAGES: TableDefinition<'_, [u8; 18], &[u8]> =
    TableDefinition::new("tag_pages");
pub(super) const TAG_TAILS: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("tag_tails");
pub(super) const PARTIALS: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("partials");
pub(super) const TAG_DIGESTS: TableDefinition<'_, &[u8], &[u8]> =
    TableDefinition::new("tag_digests");
pub(super) const MANIFESTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("manifests");
pub(super) const STATE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("state");

/// When a target was scanned, is due, was asked for, and was last listed in whole, in microseconds since 1970; how many
/// scans failed in a row; and whether its record holds an error.
///
/// A scan that finds nothing new writes this and nothing else: so few bytes lie close together, and a commit of many
/// scans writes few pages.
pub(super) type TimesRow = (
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    u32,
    bool,
);

/// In `meta`: [`FORMAT`].
pub(super) const FORMAT_ROW: &str = "format";
/// In `meta`: how many tag sets were ever written; numbers them.
pub(super) const WRITTEN_ROW: &str = "written";

/// What of a value fits into a leaf of 4096 bytes beside its header, its length and its key.
pub(super) const PAGE: usize = 4096 - 4 - 4 - 18;

/// A target's number in the tables: a hash of its key.
pub(super) type TargetId = u128;

pub(super) fn target_id(key: &TargetKey) -> TargetId {
    let hash = digest(&SHA256, key.as_str().as_bytes());
    let mut id = [0; 16];
    for (to, from) in id.iter_mut().zip(hash.as_ref()) {
        *to = *from;
    }
    u128::from_be_bytes(id)
}

/// The number under which the pages of a target's partial listing are.
pub(super) const fn partial_pages(id: TargetId) -> TargetId {
    !id
}

pub(super) fn page_row(id: TargetId, page: u16) -> [u8; 18] {
    let mut row = [0; 18];
    row[..16].copy_from_slice(&id.to_be_bytes());
    row[16..].copy_from_slice(&page.to_be_bytes());
    row
}

pub(super) fn tag_digest_row(key: &TargetKey, tag: TagRef<'_>) -> Vec<u8> {
    let mut row = target_id(key).to_be_bytes().to_vec();
    row.extend_from_slice(tag.as_str().as_bytes());
    row
}

pub(super) fn state_row(namespace: &str, key: &str) -> Vec<u8> {
    let mut row = Vec::with_capacity(namespace.len() + 1 + key.len());
    row.extend_from_slice(namespace.as_bytes());
    row.push(0);
    row.extend_from_slice(key.as_bytes());
    row
}
