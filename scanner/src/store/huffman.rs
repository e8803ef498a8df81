//! Canonical Huffman coding of short byte strings, one table per string.
//!
//! Tags are mostly hexadecimal digits and numbers: what front coding leaves has no repetitions for a
//! dictionary to find, but a handful of symbols that need four bits rather than eight.
//!
//! ```text
//! string = symbols in the string (varint), bytes of bits (varint), symbols in the table (1 byte, less one), table, bits
//! table  = (symbol, length of its code)*, symbols ascending; one symbol alone has no code and no bits
//! bits   = the codes, most significant bit first, filled up with zeros
//! ```
//! Neither side holds a whole string in memory: an [`Encoder`] is told the [`Counts`] first and then each symbol again,
//! a [`Decoder`] gives one symbol after the other.

use crate::varint;

/// The longest code. A table of as many bits decodes one symbol per look-up.
const MAX_BITS: u8 = 12;

/// A string of one symbol takes no bits: so many of it are believed beside so many bytes of everything.
const MAX_RUN_PER_BYTE: u64 = 64;

/// How often each symbol occurs in a string.
#[derive(Debug, Clone)]
pub(super) struct Counts {
    of: [u32; 256],
    all: u64,
}

/// Appends a string of which the counts are known, symbol by symbol.
#[derive(Debug)]
pub(super) struct Encoder<'t> {
    to: &'t mut Vec<u8>,
    codes: [(u16, u8); 256],
    bits: u64,
    filled: u32,
}

/// Gives a string's symbols one after the other.
#[derive(Debug)]
pub(super) struct Decoder<'f> {
    /// Symbols not given yet.
    left: u64,
    symbols: Symbols<'f>,
}

#[derive(Debug)]
enum Symbols<'f> {
    One(u8),
    Coded {
        /// What every so many bits begin with.
        table: Vec<(u8, u8)>,
        width: u8,
        rest: &'f [u8],
        bits: u64,
        filled: u32,
        /// Bits past the end that were read as zeros.
        past: u32,
    },
}

impl Counts {
    pub(super) const fn new() -> Self {
        Self {
            of: [0; 256],
            all: 0,
        }
    }

    pub(super) const fn add(&mut self, symbol: u8) {
        self.of[symbol as usize] += 1;
        self.all += 1;
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.all == 0
    }

    fn used(&self) -> impl Iterator<Item = u8> {
        (0_u8..=255)
            .zip(&self.of)
            .filter(|(_, count)| **count > 0)
            .map(|(symbol, _)| symbol)
    }
}

impl<'t> Encoder<'t> {
    /// Begins a string, which must not be empty.
    pub(super) fn new(counts: &Counts, to: &'t mut Vec<u8>) -> Self {
        let lengths = code_lengths(counts);
        let used: Vec<u8> = counts.used().collect();
        let bits: u64 = if used.len() < 2 {
            0
        } else {
            used.iter()
                .map(|&symbol| {
                    u64::from(counts.of[usize::from(symbol)])
                        * u64::from(lengths[usize::from(symbol)])
                })
                .sum()
        };
        varint::write(to, counts.all);
        varint::write(to, bits.div_ceil(8));
        to.push(u8::try_from(used.len().saturating_sub(1)).unwrap_or(u8::MAX));
        for &symbol in &used {
            to.extend_from_slice(&[symbol, lengths[usize::from(symbol)]]);
        }
        Self {
            codes: if used.len() < 2 {
                [(0, 0); 256]
            } else {
                codes(&lengths, used)
            },
            to,
            bits: 0,
            filled: 0,
        }
    }

    /// The next symbol.
    pub(super) fn push(&mut self, symbol: u8) {
        let (code, length) = self.codes[usize::from(symbol)];
        self.bits = self.bits << length | u64::from(code);
        self.filled += u32::from(length);
        if self.filled >= 32 {
            self.filled -= 32;
            let word = low_half(self.bits >> self.filled).to_be_bytes();
            self.to.extend_from_slice(&word);
        }
    }

    /// The string has ended.
    pub(super) fn finish(self) {
        let rest = low_half(self.bits << (32 - self.filled)).to_be_bytes();
        let bytes = self.filled.div_ceil(8) as usize;
        self.to
            .extend_from_slice(rest.get(..bytes).unwrap_or_default());
    }
}

impl<'f> Decoder<'f> {
    /// Begins to read a string at the front; gives what follows as well. `whole` is the length of everything that is
    /// being read, by which a string's own length is judged.
    pub(super) fn new(from: &'f [u8], whole: usize) -> Option<(Self, &'f [u8])> {
        let (count, rest) = varint::read(from)?;
        let (bytes, rest) = varint::read(rest)?;
        let (&used, mut rest) = rest.split_first()?;
        let mut lengths = [0_u8; 256];
        let mut symbols = Vec::with_capacity(usize::from(used) + 1);
        for _ in 0..=used {
            let (&[next, length], behind) = rest.split_first_chunk()?;
            if symbols.last().is_some_and(|last| next <= *last) || length > MAX_BITS {
                return None;
            }
            lengths[usize::from(next)] = length;
            symbols.push(next);
            rest = behind;
        }
        let (bits, behind) = rest.split_at_checked(usize::try_from(bytes).ok()?)?;
        let symbols = if let &[symbol] = symbols.as_slice() {
            if count > MAX_RUN_PER_BYTE.saturating_mul(whole as u64) || !bits.is_empty() {
                return None;
            }
            Symbols::One(symbol)
        } else {
            if count > bytes.saturating_mul(8) {
                return None;
            }
            let (table, width) = decoding_table(&lengths, symbols)?;
            Symbols::Coded {
                table,
                width,
                rest: bits,
                bits: 0,
                filled: 0,
                past: 0,
            }
        };
        let decoder = Self {
            left: count,
            symbols,
        };
        Some((decoder, behind))
    }

    /// How many symbols were not given yet.
    pub(super) const fn left(&self) -> u64 {
        self.left
    }

    /// The next symbol; `None` at the end, and where the bits make no sense.
    pub(super) fn next(&mut self) -> Option<u8> {
        self.left = self.left.checked_sub(1)?;
        match &mut self.symbols {
            Symbols::One(symbol) => Some(*symbol),
            Symbols::Coded {
                table,
                width,
                rest,
                bits,
                filled,
                past,
            } => {
                if *filled < u32::from(*width) {
                    let word = if let Some((&word, behind)) = rest.split_first_chunk() {
                        *rest = behind;
                        word
                    } else {
                        // Past the end come zeros; whether they were used is looked at below.
                        let mut last = [0; 4];
                        *past += 32;
                        for (to, from) in last.iter_mut().zip(*rest) {
                            *to = *from;
                            *past -= 8;
                        }
                        *rest = &[];
                        last
                    };
                    *bits = *bits << 32 | u64::from(u32::from_be_bytes(word));
                    *filled += 32;
                }
                let at = (*bits >> (*filled - u32::from(*width))) & ((1 << *width) - 1);
                let (symbol, length) = *table.get(usize::try_from(at).ok()?)?;
                *filled -= u32::from(length);
                (length > 0 && *filled >= *past).then_some(symbol)
            }
        }
    }

    /// Whether all was given and nothing is left over.
    pub(super) fn is_at_end(&self) -> bool {
        self.left == 0
            && match &self.symbols {
                Symbols::One(_) => true,
                Symbols::Coded {
                    rest, filled, past, ..
                } => rest.is_empty() && filled.saturating_sub(*past) < 8,
            }
    }
}

/// Code lengths of a Huffman code for these counts; 0 for symbols that do not occur.
fn code_lengths(counts: &Counts) -> [u8; 256] {
    let mut counts = counts.of;
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

/// The canonical codes of these lengths, with them: shorter before longer, then by symbol.
fn codes(lengths: &[u8; 256], mut used: Vec<u8>) -> [(u16, u8); 256] {
    used.sort_by_key(|&symbol| lengths[usize::from(symbol)]);
    let mut codes = [(0, 0); 256];
    let (mut code, mut before) = (0_u16, 0_u8);
    for symbol in used {
        let length = lengths[usize::from(symbol)];
        code <<= length - before;
        before = length;
        codes[usize::from(symbol)] = (code, length);
        code = code.wrapping_add(1);
    }
    codes
}

/// What as many bits as the longest code has begin with, a symbol and its code's length, and that number. `None` when
/// the lengths are those of no code.
fn decoding_table(lengths: &[u8; 256], mut used: Vec<u8>) -> Option<(Vec<(u8, u8)>, u8)> {
    used.sort_by_key(|&symbol| lengths[usize::from(symbol)]);
    let (first, last) = (*used.first()?, *used.last()?);
    let (shortest, width) = (lengths[usize::from(first)], lengths[usize::from(last)]);
    if shortest == 0 {
        return None;
    }
    let mut table = Vec::with_capacity(1 << width);
    for symbol in used {
        let length = lengths[usize::from(symbol)];
        let end = table.len() + (1 << (width - length));
        if end > 1 << width {
            return None;
        }
        table.resize(end, (symbol, length));
    }
    table.resize(1 << width, (0, 0));
    Some((table, width))
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

    fn decompress(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
        let (mut decoder, rest) = Decoder::new(bytes, bytes.len())?;
        let mut symbols = Vec::new();
        while decoder.left() > 0 {
            symbols.push(decoder.next()?);
        }
        decoder.is_at_end().then_some((symbols, rest))
    }

    fn round_trip(symbols: &[u8]) -> Vec<u8> {
        let mut counts = Counts::new();
        for &symbol in symbols {
            counts.add(symbol);
        }
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&counts, &mut bytes);
        for &symbol in symbols {
            encoder.push(symbol);
        }
        encoder.finish();
        bytes.extend_from_slice(b"after");
        let (read, rest) = decompress(&bytes).unwrap();
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
            if let Some((symbols, _)) = decompress(&bytes) {
                prop_assert!(symbols.len() <= 64 * bytes.len());
            }
        }
    }
}
