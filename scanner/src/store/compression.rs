//! How a packed tag set lies on disk: its parts apart, each Huffman-coded for itself.
//!
//! ```text
//! value  = 0, the packed set as it is               -- where coding gains nothing
//!        | 1, tags (varint), base (zigzag varint), part{3 or 4}
//! part   = heads | lengths | times, where any tag gives one | rests, where any is not empty
//! ```
//! A head says how much a tag shares with the one before and whether it has a time of its own; see
//! [`crate::tag_set`]. The parts have little in common: lengths are a few small numbers, times are nearly
//! random, the rests are digits and letters.

use super::huffman;
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
        Some((&PARTS, parts)) => Ok(TagSet::from_bytes(&decompress_parts(parts)?)?),
        Some(_) => Err(Damage::UnknownMethod),
        None => Err(Damage::CutShort),
    }
}

fn compress_parts(tags: &TagSet) -> Option<Vec<u8>> {
    let (count, base, mut rest) = tags.parts();
    if count == 0 {
        return None;
    }
    let mut heads = Vec::with_capacity(count);
    let mut lengths = Vec::with_capacity(count);
    let mut times = Vec::new();
    let mut suffixes = Vec::with_capacity(rest.len() - 2 * count);
    for _ in 0..count {
        let (&[head, length], behind) = rest.split_first_chunk()?;
        heads.push(head);
        lengths.push(length);
        rest = behind;
        if has_time(head) {
            let (_, behind) = varint::read(rest)?;
            times.extend_from_slice(rest.get(..rest.len() - behind.len())?);
            rest = behind;
        }
        let (suffix, behind) = rest.split_at_checked(usize::from(length))?;
        suffixes.extend_from_slice(suffix);
        rest = behind;
    }
    let mut bytes = Vec::with_capacity(suffixes.len() / 2);
    bytes.push(PARTS);
    varint::write(&mut bytes, count as u64);
    varint::write_signed(&mut bytes, base);
    for part in [heads, lengths, times, suffixes] {
        if !part.is_empty() {
            huffman::compress(&part, &mut bytes);
        }
    }
    Some(bytes)
}

fn decompress_parts(bytes: &[u8]) -> Result<Vec<u8>, Damage> {
    let whole = bytes.len();
    let (count, rest) = varint::read(bytes).ok_or(Damage::CutShort)?;
    let (base, rest) = varint::read_signed(rest).ok_or(Damage::CutShort)?;
    let part = |rest| huffman::decompress(rest, whole).ok_or(Damage::CutShort);
    let (heads, rest) = part(rest)?;
    let (lengths, rest) = part(rest)?;
    if heads.len() as u64 != count || lengths.len() != heads.len() {
        return Err(Damage::Parts);
    }
    let (times, rest) = if heads.iter().any(|&head| has_time(head)) {
        part(rest)?
    } else {
        (Vec::new(), rest)
    };
    let (suffixes, rest) = if lengths.iter().any(|&length| length > 0) {
        part(rest)?
    } else {
        (Vec::new(), rest)
    };
    if !rest.is_empty() {
        return Err(Damage::Parts);
    }
    let mut packed =
        Vec::with_capacity(heads.len() + lengths.len() + times.len() + suffixes.len() + 16);
    varint::write(&mut packed, count);
    varint::write_signed(&mut packed, base);
    let (mut times, mut suffixes) = (times.as_slice(), suffixes.as_slice());
    for (&head, &length) in heads.iter().zip(&lengths) {
        packed.extend_from_slice(&[head, length]);
        if has_time(head) {
            let (_, behind) = varint::read(times).ok_or(Damage::Parts)?;
            let time = times.get(..times.len() - behind.len());
            packed.extend_from_slice(time.ok_or(Damage::Parts)?);
            times = behind;
        }
        let (suffix, behind) = suffixes
            .split_at_checked(usize::from(length))
            .ok_or(Damage::Parts)?;
        packed.extend_from_slice(suffix);
        suffixes = behind;
    }
    if !times.is_empty() || !suffixes.is_empty() {
        return Err(Damage::Parts);
    }
    Ok(packed)
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
