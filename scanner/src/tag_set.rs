//! A repository's tags, each with the time it was first seen, packed small.
//!
//! Tags lie in Flux's order, descending by bytes, and are front-coded: each says how many bytes it shares
//! with the one before and gives only the rest. Every 16th tag stands in whole and is indexed, so a look-up
//! is a binary search and a short walk. Times are whole seconds; a tag gives its own only where it differs
//! from its neighbour's, because most tags share the first scan's.

use std::cmp::Ordering;
use std::fmt;

use jiff::Timestamp;
use tagline_policy::{Tag, TagRef};

use crate::revision::Revision;

mod builder;
mod packed;

pub use builder::{Merged, TagSetBuilder};
pub use packed::InvalidTagSet;

use packed::{Entry, Reader};

/// How many tags stand between two that are indexed and written in whole.
const BLOCK: usize = 16;

/// Tags with their first-seen times, in descending byte order, without duplicates.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TagSet {
    /// The front-coded entries; see [`packed`].
    entries: Box<[u8]>,
    /// Where each block begins in `entries`.
    blocks: Box<[u32]>,
    len: usize,
    /// Seconds since 1970 from which the entries' times count.
    base: i64,
}

impl TagSet {
    /// A set of the given tags, all first seen at `first_seen`.
    pub fn from_tags<'a>(
        tags: impl IntoIterator<Item = TagRef<'a>>,
        first_seen: Timestamp,
    ) -> Self {
        let mut builder = TagSetBuilder::default();
        for tag in tags {
            builder.push(tag);
        }
        builder.finish(first_seen)
    }

    /// How many tags there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of memory the set takes, for caches that are bounded by weight.
    #[must_use]
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.entries.len() + self.blocks.len() * size_of::<u32>()
    }

    /// Walks over the tags in descending order without allocating; see [`TagCursor::next`].
    #[must_use]
    pub fn cursor(&self) -> TagCursor<'_> {
        TagCursor {
            reader: Reader::new(&self.entries, self.base),
        }
    }

    /// Lays all tags out side by side, for callers that need an ordinary iterator.
    #[must_use]
    pub fn unpack(&self) -> UnpackedTags {
        let mut unpacked = UnpackedTags {
            text: String::new(),
            tags: Vec::with_capacity(self.len),
        };
        let mut cursor = self.cursor();
        while let Some((tag, first_seen)) = cursor.next() {
            unpacked.text.push_str(tag.as_str());
            unpacked.tags.push((unpacked.text.len(), first_seen));
        }
        unpacked
    }

    /// When this tag was first seen; `None` when the set does not hold it.
    #[must_use]
    pub fn first_seen(&self, tag: TagRef<'_>) -> Option<Timestamp> {
        let wanted = tag.as_str().as_bytes();
        // Blocks begin with a whole tag, in descending order: the one wanted is in the last block that
        // begins at or above it.
        let after = self.blocks.partition_point(|&start| {
            let mut reader = Reader::new(self.entries_from(start), self.base);
            reader
                .next()
                .is_some_and(|entry| entry.tag.cmp(wanted) != Ordering::Less)
        });
        let start = *self.blocks.get(after.checked_sub(1)?)?;
        let mut reader = Reader::new(self.entries_from(start), self.base);
        for _ in 0..BLOCK {
            let Entry { tag, first_seen } = reader.next()?;
            match tag.cmp(wanted) {
                Ordering::Greater => {}
                Ordering::Equal => return Some(seconds(first_seen)),
                Ordering::Less => return None,
            }
        }
        None
    }

    /// Whether the set holds this tag.
    #[must_use]
    pub fn contains(&self, tag: TagRef<'_>) -> bool {
        self.first_seen(tag).is_some()
    }

    /// The greatest tag by bytes: where a lexical listing goes on from.
    #[must_use]
    pub fn greatest(&self) -> Option<Tag> {
        self.cursor().next().map(|(tag, _)| tag.to_owned())
    }

    /// The greatest tag before this one, by bytes.
    #[must_use]
    pub fn before(&self, tag: TagRef<'_>) -> Option<Tag> {
        let mut cursor = self.cursor();
        while let Some((other, _)) = cursor.next() {
            if other < tag {
                return Some(other.to_owned());
            }
        }
        None
    }

    /// The tags up to this one, by bytes, with their times.
    #[must_use]
    pub fn up_to(&self, greatest: TagRef<'_>) -> Self {
        let greatest = greatest.as_str().as_bytes();
        let mut reader = Reader::new(&self.entries, self.base);
        let mut kept = packed::Writer::new(self.base);
        while let Some(entry) = reader.next() {
            if entry.tag <= greatest {
                kept.push(entry.tag, entry.first_seen);
            }
        }
        kept.finish()
    }

    /// The first `count` tags in descending order: Flux's `lastScanResult.latestTags` takes ten.
    #[must_use]
    pub fn latest(&self, count: usize) -> Vec<Tag> {
        let mut latest = Vec::with_capacity(count.min(self.len));
        let mut cursor = self.cursor();
        while latest.len() < count
            && let Some((tag, _)) = cursor.next()
        {
            latest.push(tag.to_owned());
        }
        latest
    }

    /// Flux's `lastScanResult.revision` of these tags.
    #[must_use]
    pub fn revision(&self) -> Revision {
        let mut revision = Revision::new();
        let mut cursor = self.cursor();
        while let Some((tag, _)) = cursor.next() {
            revision.push(tag);
        }
        revision
    }

    /// The same tags, moved in time: those seen at second 0 are seen at `second`.
    fn seen_at(mut self, second: i64) -> Self {
        self.base = second;
        self
    }

    fn entries_from(&self, start: u32) -> &[u8] {
        self.entries.get(start as usize..).unwrap_or_default()
    }
}

impl fmt::Debug for TagSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        let mut cursor = self.cursor();
        while let Some((tag, first_seen)) = cursor.next() {
            map.entry(&format_args!("{tag}"), &format_args!("{first_seen}"));
        }
        map.finish()
    }
}

fn seconds(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A walk over a [`TagSet`].
#[derive(Debug)]
pub struct TagCursor<'a> {
    reader: Reader<'a>,
}

impl TagCursor<'_> {
    /// The next tag and when it was first seen. The tag lives in the cursor until the next call, which is
    /// why this is not an [`Iterator`]; [`TagSet::unpack`] gives one.
    #[expect(
        clippy::should_implement_trait,
        reason = "it lends from the cursor's own buffer"
    )]
    pub fn next(&mut self) -> Option<(TagRef<'_>, Timestamp)> {
        let entry = self.reader.next()?;
        let text = std::str::from_utf8(entry.tag).ok()?;
        Some((TagRef::new(text).ok()?, seconds(entry.first_seen)))
    }
}

/// All tags of a [`TagSet`] side by side in memory.
#[derive(Debug, Clone, Default)]
pub struct UnpackedTags {
    text: String,
    /// Where each tag ends in `text`, and when it was first seen.
    tags: Vec<(usize, Timestamp)>,
}

impl UnpackedTags {
    /// The tags in descending order, with the times they were first seen.
    pub fn iter(&self) -> impl Iterator<Item = (TagRef<'_>, Timestamp)> + Clone {
        let mut start = 0;
        self.tags.iter().filter_map(move |&(end, first_seen)| {
            let text = self.text.get(start..end)?;
            start = end;
            Some((TagRef::new(text).ok()?, first_seen))
        })
    }

    /// How many tags there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.tags.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }
}

#[cfg(test)]
mod tests;
