//! Whole numbers in as few bytes as they need (LEB128), for what the store keeps.

/// Appends `value`.
pub(crate) fn write(to: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            to.push(low);
            return;
        }
        to.push(low | 0x80);
    }
}

/// Appends `value` in zigzag form, so that small negative numbers are short too.
pub(crate) fn write_signed(to: &mut Vec<u8>, value: i64) {
    write(to, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

/// Reads a number from the front; gives it and what follows.
pub(crate) fn read(from: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (index, &byte) in from.iter().enumerate().take(10) {
        let bits = u64::from(byte & 0x7f);
        if index == 9 && bits > 1 {
            return None;
        }
        value |= bits << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, from.get(index + 1..)?));
        }
    }
    None
}

/// Reads what [`write_signed`] wrote.
pub(crate) fn read_signed(from: &[u8]) -> Option<(i64, &[u8])> {
    let (value, rest) = read(from)?;
    let value = (value >> 1).cast_signed() ^ -((value & 1).cast_signed());
    Some((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn reads_back_what_it_writes(value: u64, signed: i64) {
            let mut bytes = Vec::new();
            write(&mut bytes, value);
            write_signed(&mut bytes, signed);
            let (read_value, rest) = read(&bytes).unwrap();
            let (read_value_signed, rest) = read_signed(rest).unwrap();
            prop_assert_eq!((read_value, read_value_signed, rest.len()), (value, signed, 0));
        }

        #[test]
        fn survives_any_bytes(bytes: Vec<u8>) {
            let _ = read(&bytes);
            let _ = read_signed(&bytes);
        }
    }
}
