//! The bytes a [`TagSet`] is made of, in memory and on disk.
//!
//! ```text
//! set    = count (varint), base (zigzag varint, seconds since 1970), entry*
//! entry  = shared (7 bits) and "a time follows" (top bit), length of the rest (1 byte),
//!          [seconds after base (zigzag varint)], the rest
//! ```
//! Every [`BLOCK`]th entry shares nothing and carries a time, so that reading can begin there.

use tagline_policy::{MAX_TAG_LENGTH, TagRef};

use super::{BLOCK, TagSet};
use crate::varint;

/// In an entry's first byte: the entry gives its own time.
const OWN_TIME: u8 = 0x80;

/// Stored bytes that are not a tag set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored tag set is damaged: {0}")]
pub struct InvalidTagSet(&'static str);

/// One tag while it is read; borrows the reader's buffer.
pub(super) struct Entry<'a> {
    pub(super) tag: &'a [u8],
    /// Seconds since 1970.
    pub(super) first_seen: i64,
}

/// Reads entries one after the other, rebuilding each tag in a buffer of its own.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    base: i64,
    tag: [u8; MAX_TAG_LENGTH],
    len: usize,
    first_seen: i64,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(entries: &'a [u8], base: i64) -> Self {
        Self {
            rest: entries,
            base,
            tag: [0; MAX_TAG_LENGTH],
            len: 0,
            first_seen: base,
        }
    }

    /// The next entry; `None` at the end, and where the bytes make no sense.
    pub(super) fn next(&mut self) -> Option<Entry<'_>> {
        self.advance()?;
        self.entry()
    }

    /// The entry read last.
    pub(super) fn entry(&self) -> Option<Entry<'_>> {
        Some(Entry {
            tag: self.tag.get(..self.len)?,
            first_seen: self.first_seen,
        })
    }

    /// Reads an entry; `None` as [`Reader::next`].
    pub(super) fn advance(&mut self) -> Option<()> {
        let (&[head, suffix_len], mut rest) = self.rest.split_first_chunk()?;
        let shared = usize::from(head & !OWN_TIME);
        if head & OWN_TIME != 0 {
            let (after_base, behind) = varint::read_signed(rest)?;
            self.first_seen = self.base.checked_add(after_base)?;
            rest = behind;
        }
        let (suffix, rest) = rest.split_at_checked(usize::from(suffix_len))?;
        if shared > self.len {
            return None;
        }
        let len = shared + suffix.len();
        self.tag.get_mut(shared..len)?.copy_from_slice(suffix);
        self.len = len;
        self.rest = rest;
        Some(())
    }
}

/// Writes entries in descending order.
#[derive(Debug)]
pub(super) struct Writer {
    entries: Vec<u8>,
    blocks: Vec<u32>,
    len: usize,
    base: i64,
    previous: [u8; MAX_TAG_LENGTH],
    previous_len: usize,
    first_seen: i64,
}

impl Writer {
    /// `base`: seconds since 1970, best the time most tags were first seen at.
    pub(super) const fn new(base: i64) -> Self {
        Self::into(Vec::new(), base)
    }

    /// Writes so many bytes without making room in between.
    pub(super) fn with_capacity(bytes: usize, base: i64) -> Self {
        Self::into(Vec::with_capacity(bytes), base)
    }

    const fn into(entries: Vec<u8>, base: i64) -> Self {
        Self {
            entries,
            blocks: Vec::new(),
            len: 0,
            base,
            previous: [0; MAX_TAG_LENGTH],
            previous_len: 0,
            first_seen: base,
        }
    }

    /// Adds a tag below all that were added before.
    pub(super) fn push(&mut self, tag: &[u8], first_seen: i64) {
        let starts_block = self.len.is_multiple_of(BLOCK);
        let previous = self.previous.get(..self.previous_len).unwrap_or_default();
        let shared = if starts_block {
            // More than 4 GiB of tags cannot be indexed; the caps on a listing are far below.
            self.blocks
                .push(u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
            0
        } else {
            let most = previous.len().min(MAX_TAG_LENGTH - 1);
            previous[..most]
                .iter()
                .zip(tag)
                .take_while(|(a, b)| a == b)
                .count()
        };
        let suffix = tag.get(shared..).unwrap_or_default();
        let own_time = starts_block || first_seen != self.first_seen;
        let head = u8::try_from(shared).unwrap_or_default();
        self.entries
            .push(if own_time { head | OWN_TIME } else { head });
        self.entries
            .push(u8::try_from(suffix.len()).unwrap_or_default());
        if own_time {
            varint::write_signed(&mut self.entries, first_seen.wrapping_sub(self.base));
        }
        self.entries.extend_from_slice(suffix);
        if let Some(to) = self.previous.get_mut(shared..tag.len()) {
            to.copy_from_slice(suffix);
        }
        self.previous_len = tag.len();
        self.first_seen = first_seen;
        self.len += 1;
    }

    pub(super) fn finish(self) -> TagSet {
        TagSet {
            entries: self.entries.into_boxed_slice(),
            blocks: self.blocks.into_boxed_slice(),
            len: self.len,
            base: self.base,
        }
    }
}

impl TagSet {
    /// How many tags, the time from which times count, and the entries: what [`TagSet::to_bytes`] writes.
    pub(crate) const fn parts(&self) -> (usize, i64, &[u8]) {
        (self.len, self.base, &self.entries)
    }

    /// The set as bytes, for the store.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.entries.len() + 16);
        varint::write(&mut bytes, self.len as u64);
        varint::write_signed(&mut bytes, self.base);
        bytes.extend_from_slice(&self.entries);
        bytes
    }

    /// Reads what [`TagSet::to_bytes`] wrote, and checks every tag and the order.
    ///
    /// # Errors
    /// [`InvalidTagSet`] when the bytes are not exactly one tag set.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidTagSet> {
        let (len, rest) = varint::read(bytes).ok_or(InvalidTagSet("it has no count"))?;
        let (base, entries) = varint::read_signed(rest).ok_or(InvalidTagSet("it has no time"))?;
        let len = usize::try_from(len).map_err(|_| InvalidTagSet("its count is too large"))?;
        Self::from_entries(len, base, entries.to_vec())
    }

    /// A set of `len` entries that came from anywhere; checks every tag and the order.
    pub(crate) fn from_entries(
        len: usize,
        base: i64,
        entries: Vec<u8>,
    ) -> Result<Self, InvalidTagSet> {
        if len > entries.len() / 2 {
            return Err(InvalidTagSet("it is shorter than its count says"));
        }
        let mut blocks = Vec::with_capacity(len.div_ceil(BLOCK));
        let mut reader = Reader::new(&entries, base);
        let mut previous = [0; MAX_TAG_LENGTH];
        let mut previous_len = None;
        for index in 0..len {
            let starts_block = index % BLOCK == 0;
            if starts_block {
                if !matches!(reader.rest.first(), Some(&OWN_TIME)) {
                    return Err(InvalidTagSet("a block does not begin with a whole tag"));
                }
                let start = entries.len() - reader.rest.len();
                blocks.push(u32::try_from(start).map_err(|_| InvalidTagSet("it is too large"))?);
            }
            let Entry { tag, first_seen } =
                reader.next().ok_or(InvalidTagSet("it ends within a tag"))?;
            if jiff::Timestamp::from_second(first_seen).is_err() {
                return Err(InvalidTagSet("a time is out of range"));
            }
            let legal = std::str::from_utf8(tag).is_ok_and(|text| TagRef::new(text).is_ok());
            if !legal {
                return Err(InvalidTagSet("a tag is not legal"));
            }
            if previous_len.is_some_and(|len| tag >= previous.get(..len).unwrap_or_default()) {
                return Err(InvalidTagSet("its tags are not in descending order"));
            }
            previous[..tag.len()].copy_from_slice(tag);
            previous_len = Some(tag.len());
        }
        if !reader.rest.is_empty() {
            return Err(InvalidTagSet("it goes on after its last tag"));
        }
        Ok(Self {
            entries: entries.into_boxed_slice(),
            blocks: blocks.into_boxed_slice(),
            len,
            base,
        })
    }
}
