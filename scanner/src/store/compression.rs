//! How a packed tag set lies on disk: its parts apart, each Huffman-coded for itself.
//!
//! ```text
//! value  = 0, the packed set as it is               -- where coding gains nothing
//!        | 1, tags (varint), base (zigzag varint), part{3 or 4}
//! part   = heads | lengths | times, where any tag gives one | rests, where any is not empty
//! ```
//! A head says how much a tag shares with the one before and whether it has a time of its own; see
//! [`crate::tag_set`]. The parts have little in common: lengths are a few small numbers, times are nearly
//! random, the rests are digits and letters. No part is ever in memory by itself: the packed set is walked through once
//! to count, and once for each part; reading goes along all parts at once.

use super::huffman::{Counts, Decoder, Encoder};
use crate::tag_set::{InvalidTagSet, TagSet};
use crate::varint;

/// As it is.
const PLAIN: u8 = 0;
/// In parts.
const PARTS: u8 = 1;

/// Why stored bytes are not a tag set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Damage {
    #[error("it is coded in a way this version does not know")]
    UnknownMethod,
    #[error("it is cut short")]
    CutShort,
    #[error("its parts do not fit together")]
    Parts,
    #[error(transparent)]
    Set(#[from] InvalidTagSet),
}

/// A tag set as it is stored.
pub(super) fn compress(tags: &TagSet) -> Vec<u8> {
    let (_, _, entries) = tags.parts();
    if let Some(parts) = compress_parts(tags)
        && parts.len() <= entries.len()
    {
        return parts;
    }
    let mut plain = vec![PLAIN];
    plain.extend_from_slice(&tags.to_bytes());
    plain
}

/// Reads what [`compress`] wrote.
pub(super) fn decompress(bytes: &[u8]) -> Result<TagSet, Damage> {
    match bytes.split_first() {
        Some((&PLAIN, packed)) => Ok(TagSet::from_bytes(packed)?),
        Some((&PARTS, parts)) => decompress_parts(parts),
        Some(_) => Err(Damage::UnknownMethod),
        None => Err(Damage::CutShort),
    }
}

/// One tag of a packed set, in its parts.
struct Entry<'e> {
    head: u8,
    length: u8,
    time: &'e [u8],
    rest: &'e [u8],
}

fn compress_parts(tags: &TagSet) -> Option<Vec<u8>> {
    let (count, base, entries) = tags.parts();
    if count == 0 {
        return None;
    }
    let mut counts = [const { Counts::new() }; 4];
    walk(entries, |entry| {
        let [heads, lengths, times, rests] = &mut counts;
        heads.add(entry.head);
        lengths.add(entry.length);
        entry.time.iter().for_each(|&byte| times.add(byte));
        entry.rest.iter().for_each(|&byte| rests.add(byte));
    })?;
    let mut bytes = Vec::with_capacity(entries.len() / 2);
    bytes.push(PARTS);
    varint::write(&mut bytes, count as u64);
    varint::write_signed(&mut bytes, base);
    let [heads, lengths, times, rests] = &counts;
    compress_part(entries, heads, &mut bytes, |entry, encoder| {
        encoder.push(entry.head);
    })?;
    compress_part(entries, lengths, &mut bytes, |entry, encoder| {
        encoder.push(entry.length);
    })?;
    compress_part(entries, times, &mut bytes, |entry, encoder| {
        entry.time.iter().for_each(|&byte| encoder.push(byte));
    })?;
    compress_part(entries, rests, &mut bytes, |entry, encoder| {
        entry.rest.iter().for_each(|&byte| encoder.push(byte));
    })?;
    Some(bytes)
}

fn compress_part(
    entries: &[u8],
    counts: &Counts,
    to: &mut Vec<u8>,
    push: impl Fn(&Entry<'_>, &mut Encoder<'_>),
) -> Option<()> {
    if counts.is_empty() {
        return Some(());
    }
    let mut encoder = Encoder::new(counts, to);
    walk(entries, |entry| push(entry, &mut encoder))?;
    encoder.finish();
    Some(())
}

fn walk(mut entries: &[u8], mut visit: impl FnMut(&Entry<'_>)) -> Option<()> {
    while let Some((&[head, length], mut rest)) = entries.split_first_chunk() {
        let mut time = &[][..];
        if has_time(head) {
            let (_, behind) = varint::read(rest)?;
            (time, rest) = rest.split_at_checked(rest.len() - behind.len())?;
        }
        let (own, behind) = rest.split_at_checked(usize::from(length))?;
        visit(&Entry {
            head,
            length,
            time,
            rest: own,
        });
        entries = behind;
    }
    Some(())
}

fn decompress_parts(bytes: &[u8]) -> Result<TagSet, Damage> {
    let whole = bytes.len();
    let (count, rest) = varint::read(bytes).ok_or(Damage::CutShort)?;
    let (base, rest) = varint::read_signed(rest).ok_or(Damage::CutShort)?;
    let part = |rest| Decoder::new(rest, whole).ok_or(Damage::CutShort);
    let (mut heads, rest) = part(rest)?;
    let (mut lengths, mut rest) = part(rest)?;
    if heads.left() != count || lengths.left() != count {
        return Err(Damage::Parts);
    }
    // The first entry always has a time.
    let (mut times, behind) = part(rest)?;
    rest = behind;
    let mut own = None;
    if !rest.is_empty() {
        let (decoder, behind) = part(rest)?;
        (own, rest) = (Some(decoder), behind);
    }
    if !rest.is_empty() {
        return Err(Damage::Parts);
    }
    let size = 2 * count + times.left() + own.as_ref().map_or(0, Decoder::left);
    let mut entries = Vec::with_capacity(usize::try_from(size).map_err(|_| Damage::Parts)?);
    for _ in 0..count {
        let (Some(head), Some(length)) = (heads.next(), lengths.next()) else {
            return Err(Damage::CutShort);
        };
        entries.extend_from_slice(&[head, length]);
        if has_time(head) {
            loop {
                let byte = times.next().ok_or(Damage::Parts)?;
                entries.push(byte);
                if byte & 0x80 == 0 {
                    break;
                }
            }
        }
        if length > 0 {
            let own = own.as_mut().ok_or(Damage::Parts)?;
            for _ in 0..length {
                entries.push(own.next().ok_or(Damage::Parts)?);
            }
        }
    }
    let is_at_end = heads.is_at_end()
        && lengths.is_at_end()
        && times.is_at_end()
        && own.is_none_or(|own| own.is_at_end());
    if !is_at_end {
        return Err(Damage::Parts);
    }
    let count = usize::try_from(count).map_err(|_| Damage::Parts)?;
    Ok(TagSet::from_entries(count, base, entries)?)
}

const fn has_time(head: u8) -> bool {
    head & 0x80 != 0
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::tag_set::TagSetBuilder;
    use jiff::Timestamp;
    use proptest::prelude::*;
    use tagline_policy::TagRef;

    fn set(tags: &[String], second: i64, previous: &Arc<TagSet>) -> Arc<TagSet> {
        let mut builder = TagSetBuilder::default();
        for tag in tags {
            builder.push(TagRef::new(tag).unwrap());
        }
        builder.push_all(previous);
        builder
            .replace(previous, Timestamp::from_second(second).unwrap())
            .tags
    }

    #[test]
    fn typical_lists_take_few_bytes() {
        let semver: Vec<String> = (0..500)
            .map(|i| format!("v1.{}.{}", i / 20, i % 20))
            .collect();
        let mixed = |i: u32| i.wrapping_mul(2_654_435_761);
        let commits: Vec<String> = (0..500)
            .map(|i| format!("main-{:07x}-{}", mixed(i) >> 4, 1_700_000_000 + i * 3_571))
            .collect();
        for (tags, most) in [(semver, 650), (commits, 4_900)] {
            let stored = compress(&set(&tags, 1_700_000_000, &Arc::default()));
            assert!(stored.len() < most, "{} {}", tags[0], stored.len());
        }
    }

    proptest! {
        #[test]
        fn reads_back_what_it_writes(
            first in prop::collection::vec("[a-c0-9_][a-c0-9._-]{0,10}", 0..100),
            second in prop::collection::vec("[a-c0-9_][a-c0-9._-]{0,10}", 0..20),
        ) {
            let tags = set(&second, 1_700_003_600, &set(&first, 1_700_000_000, &Arc::default()));
            prop_assert_eq!(decompress(&compress(&tags)).unwrap(), (*tags).clone());
        }

        #[test]
        fn survives_any_bytes(method in 0..3_u8, mut bytes: Vec<u8>) {
            let _ = decompress(&bytes);
            bytes.insert(0, method);
            let _ = decompress(&bytes);
        }

        #[test]
        fn survives_damage(
            tags in prop::collection::vec("[a-c0-9_][a-c0-9._-]{0,10}", 1..100),
            place: prop::sample::Index,
            value: u8,
        ) {
            let mut bytes = compress(&set(&tags, 1_700_000_000, &Arc::default()));
            let place = place.index(bytes.len());
            bytes[place] = value;
            if let Ok(set) = decompress(&bytes) {
                prop_assert_eq!(set.unpack().iter().count(), set.len());
            }
        }
    }
}
