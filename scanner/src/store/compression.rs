//! How a packed tag set lies on disk: one byte for the method, the length, the compressed bytes.

use crate::varint;

/// Stored as it is: too small to gain anything.
const PLAIN: u8 = 0;
/// LZ4 block format.
const LZ4: u8 = 1;

/// The largest value that is taken for real when it is read: 10,000,000 of the longest tags.
const MAX_LENGTH: u64 = 1_300_000_000;
/// LZ4 cannot make more than this of a byte.
const MAX_RATIO: u64 = 255;

pub(super) fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut compressed = vec![LZ4];
    varint::write(&mut compressed, bytes.len() as u64);
    compressed.extend_from_slice(&lz4_flex::block::compress(bytes));
    if compressed.len() <= bytes.len() {
        return compressed;
    }
    let mut plain = Vec::with_capacity(bytes.len() + 1);
    plain.push(PLAIN);
    plain.extend_from_slice(bytes);
    plain
}

pub(super) fn decompress(bytes: &[u8]) -> Result<Vec<u8>, String> {
    match bytes.split_first() {
        Some((&PLAIN, rest)) => Ok(rest.to_vec()),
        Some((&LZ4, rest)) => {
            let (length, rest) = varint::read(rest).ok_or("it has no length")?;
            if length > MAX_LENGTH || length > (rest.len() as u64).saturating_mul(MAX_RATIO) {
                return Err("its length cannot be true".to_owned());
            }
            let length = usize::try_from(length).map_err(|error| error.to_string())?;
            lz4_flex::block::decompress(rest, length).map_err(|error| error.to_string())
        }
        Some((method, _)) => Err(format!("unknown compression method {method}")),
        None => Err("it is empty".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn reads_back_what_it_writes(bytes: Vec<u8>, repeats in 1..20_usize) {
            let bytes = bytes.repeat(repeats);
            prop_assert_eq!(decompress(&compress(&bytes)).unwrap(), bytes);
        }

        #[test]
        fn survives_any_bytes(method in 0..3_u8, mut bytes: Vec<u8>) {
            let _ = decompress(&bytes);
            bytes.insert(0, method);
            let _ = decompress(&bytes);
        }
    }
}
