//! Canonical Huffman coding of short byte strings, one table per string.
//!
//! Tags are mostly hexadecimal digits and numbers: what front coding leaves has no repetitions for a
//! dictionary to find, but a handful of symbols that need four bits rather than eight.
//!
//! ```text
//! string = symbols in the string (varint), symbols in the table (1 byte, less one), table, bits
//! table  = (symbol, length of its code)*, symbols ascending; one symbol alone has no code and no bits
//! bits   = the codes, most significant bit first, filled up with zeros
//! ```

use crate::varint;

/// The longest code. A table of this many bits decodes one symbol per look-up.
const MAX_BITS: u8 = 12;

/// A string of one symbol takes no bits: so many of it are believed beside so many bytes of everything.
const MAX_RUN_PER_BYTE: u64 = 64;

/// Appends `symbols`, which must not be empty, in coded form.
pub(super) fn compress(symbols: &[u8], to: &mut Vec<u8>) {
    let mut counts = [0_u32; 256];
    for &symbol in symbols {
        counts[usize::from(symbol)] += 1;
    }
    let lengths = code_lengths(&counts);
    varint::write(to, symbols.len() as u64);
    let used = counts.iter().filter(|&&count| count > 0).count();
    to.push(u8::try_from(used.saturating_sub(1)).unwrap_or(u8::MAX));
    for (symbol, length) in (0_u8..=255).zip(&lengths) {
        if counts[usize::from(symbol)] > 0 {
            to.extend_from_slice(&[symbol, *length]);
        }
    }
    if used < 2 {
        return;
    }
    let codes = codes(&lengths);
    let mut bits = 0_u64;
    let mut filled = 0_u32;
    for &symbol in symbols {
        let length = u32::from(lengths[usize::from(symbol)]);
        bits = bits << length | u64::from(codes[usize::from(symbol)]);
        filled += length;
        if filled >= 32 {
            filled -= 32;
            to.extend_from_slice(&low_half(bits >> filled).to_be_bytes());
        }
    }
    let rest = low_half(bits << (32 - filled)).to_be_bytes();
    to.extend_from_slice(rest.get(..filled.div_ceil(8) as usize).unwrap_or_default());
}

/// Reads one coded string from the front; gives it and what follows. `whole` is the length of everything
/// that is being read, by which a string's own length is judged.
pub(super) fn decompress(from: &[u8], whole: usize) -> Option<(Vec<u8>, &[u8])> {
    let (count, rest) = varint::read(from)?;
    let (&used, mut rest) = rest.split_first()?;
    let mut lengths = [0_u8; 256];
    let mut last = None;
    let mut symbol = 0;
    for _ in 0..=used {
        let (&[next, length], behind) = rest.split_first_chunk()?;
        if last.is_some_and(|last| next <= last) || length > MAX_BITS {
            return None;
        }
        lengths[usize::from(next)] = length;
        (symbol, last, rest) = (next, Some(next), behind);
    }
    if used == 0 {
        let believed = MAX_RUN_PER_BYTE.saturating_mul(whole as u64);
        let count = usize::try_from(count).ok().filter(|_| count <= believed)?;
        return Some((vec![symbol; count], rest));
    }
    if count > (rest.len() as u64).saturating_mul(8) {
        return None;
    }
    let table = decoding_table(&lengths)?;
    let mut symbols = Vec::with_capacity(usize::try_from(count).ok()?);
    let mut bits = 0_u64;
    let mut filled = 0_u32;
    let mut taken = 0;
    for _ in 0..count {
        while filled < u32::from(MAX_BITS) {
            // Past the end come zeros; whether they were used is looked at afterwards.
            let byte = rest.get(taken).copied().unwrap_or_default();
            taken += 1;
            bits = bits << 8 | u64::from(byte);
            filled += 8;
        }
        let at = (bits >> (filled - u32::from(MAX_BITS))) & ((1 << MAX_BITS) - 1);
        let (symbol, length) = *table.get(usize::try_from(at).ok()?)?;
        if length == 0 {
            return None;
        }
        symbols.push(symbol);
        filled -= u32::from(length);
    }
    let unused = filled / 8;
    let used = taken.checked_sub(unused as usize)?;
    Some((symbols, rest.get(used..)?))
}

/// Code lengths of a Huffman code for these counts; 0 for symbols that do not occur.
fn code_lengths(counts: &[u32; 256]) -> [u8; 256] {
    let mut counts = *counts;
    loop {
        let lengths = unbounded_lengths(&counts);
        if lengths.iter().all(|&length| length <= MAX_BITS) {
            return lengths;
        }
        // Flattening the counts shortens the longest codes, at little cost.
        for count in counts.iter_mut().filter(|count| **count > 0) {
            *count = *count / 4 + 1;
        }
    }
}

fn unbounded_lengths(counts: &[u32; 256]) -> [u8; 256] {
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    let mut lengths = [0; 256];
    let mut parents = [0_u16; 512];
    let mut heap: BinaryHeap<Reverse<(u32, u16)>> = (0_u16..256)
        .zip(counts)
        .filter(|(_, count)| **count > 0)
        .map(|(symbol, &count)| Reverse((count, symbol)))
        .collect();
    let mut next = 256_u16;
    while heap.len() > 1 {
        let (Some(Reverse(a)), Some(Reverse(b))) = (heap.pop(), heap.pop()) else {
            break;
        };
        parents[usize::from(a.1)] = next;
        parents[usize::from(b.1)] = next;
        heap.push(Reverse((a.0.saturating_add(b.0), next)));
        next += 1;
    }
    let root = next - 1;
    if next > 256 {
        for (symbol, length) in (0_u16..256).zip(&mut lengths) {
            if counts[usize::from(symbol)] == 0 {
                continue;
            }
            let mut node = symbol;
            while node != root {
                node = parents[usize::from(node)];
                *length += 1;
            }
        }
    }
    lengths
}

/// The canonical codes of these lengths: shorter before longer, then by symbol.
fn codes(lengths: &[u8; 256]) -> [u16; 256] {
    let mut codes = [0; 256];
    let mut code = 0_u16;
    for length in 1..=MAX_BITS {
        code <<= 1;
        for (symbol, _) in lengths.iter().enumerate().filter(|(_, l)| **l == length) {
            codes[symbol] = code;
            code = code.wrapping_add(1);
        }
    }
    codes
}

/// What every [`MAX_BITS`] bits begin with: a symbol and its code's length. `None` when the lengths are
/// those of no code.
fn decoding_table(lengths: &[u8; 256]) -> Option<Vec<(u8, u8)>> {
    let mut table = Vec::with_capacity(1 << MAX_BITS);
    for length in 1..=MAX_BITS {
        for (symbol, _) in (0_u8..=255).zip(lengths).filter(|(_, l)| **l == length) {
            let end = table.len() + (1 << (MAX_BITS - length));
            if end > 1 << MAX_BITS {
                return None;
            }
            table.resize(end, (symbol, length));
        }
    }
    table.resize(1 << MAX_BITS, (0, 0));
    Some(table)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the lower half is what is wanted"
)]
const fn low_half(bits: u64) -> u32 {
    bits as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(symbols: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        compress(symbols, &mut bytes);
        bytes.extend_from_slice(b"after");
        let (read, rest) = decompress(&bytes, bytes.len()).unwrap();
        assert_eq!(read, symbols);
        assert_eq!(rest, b"after");
        bytes
    }

    #[test]
    fn hexadecimal_takes_four_bits() {
        let digits: Vec<u8> = (0..10_000_u32)
            .map(|i| b"0123456789abcdef"[(i.wrapping_mul(2_654_435_761) >> 28) as usize])
            .collect();
        assert!(round_trip(&digits).len() < 5_100);
    }

    #[test]
    fn one_symbol_takes_nothing() {
        assert!(round_trip(&[7; 100]).len() < 12);
        round_trip(&[7]);
    }

    #[test]
    fn codes_stay_short() {
        // Fibonacci counts make the longest codes there can be.
        let mut symbols = Vec::new();
        let (mut a, mut b) = (1_usize, 1_usize);
        for symbol in 0..22 {
            symbols.extend(std::iter::repeat_n(symbol, a));
            (a, b) = (b, a + b);
        }
        round_trip(&symbols);
    }

    proptest! {
        #[test]
        fn reads_back_what_it_writes(symbols in prop::collection::vec(any::<u8>(), 1..2_000)) {
            round_trip(&symbols);
        }

        #[test]
        fn reads_back_few_symbols(symbols in prop::collection::vec(0..4_u8, 1..2_000)) {
            round_trip(&symbols);
        }

        #[test]
        fn survives_any_bytes(bytes: Vec<u8>) {
            if let Some((symbols, _)) = decompress(&bytes, bytes.len()) {
                prop_assert!(symbols.len() <= 64 * bytes.len());
            }
        }
    }
}
