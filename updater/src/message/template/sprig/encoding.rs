//! Base 64, base 32 and checksums.

use super::super::function::{Function, Kind, fixed};
use super::text_of;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256, Sha512};
use std::fmt::Write;

const ONE: &[Kind] = &[Kind::Text];

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "b64enc" => fixed(ONE, |run, values| {
            run.text(STANDARD.encode(text_of(&values[0])))
        }),
        "b64dec" => fixed(ONE, |run, values| {
            run.text(match STANDARD.decode(text_of(&values[0])) {
                Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                Err(error) => format!("illegal base64 data at input byte {}", place(&error)),
            })
        }),
        "b32enc" => fixed(ONE, |run, values| {
            run.text(base32(text_of(&values[0]).as_bytes()))
        }),
        "b32dec" => fixed(ONE, |run, values| {
            run.text(match from_base32(text_of(&values[0])) {
                Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                None => "illegal base32 data".to_owned(),
            })
        }),
        "sha1sum" => fixed(ONE, |run, values| {
            let algorithm = &ring::digest::SHA1_FOR_LEGACY_USE_ONLY;
            let sum = ring::digest::digest(algorithm, text_of(&values[0]).as_bytes());
            run.text(hexadecimal(sum.as_ref()))
        }),
        "sha256sum" => fixed(ONE, |run, values| {
            run.text(hexadecimal(&Sha256::digest(text_of(&values[0]))))
        }),
        "sha512sum" => fixed(ONE, |run, values| {
            run.text(hexadecimal(&Sha512::digest(text_of(&values[0]))))
        }),
        "adler32sum" => fixed(ONE, |run, values| {
            run.text(adler32(text_of(&values[0]).as_bytes()).to_string())
        }),
        _ => return None,
    })
}

/// The place Go names for what is wrong.
const fn place(error: &base64::DecodeError) -> usize {
    match error {
        base64::DecodeError::InvalidByte(at, _)
        | base64::DecodeError::InvalidLastSymbol { offset: at, .. } => *at,
        base64::DecodeError::InvalidLength(length) => *length,
        base64::DecodeError::InvalidPadding => 0,
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn adler32(bytes: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    let (a, b) = bytes.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % MODULUS;
        (a, (b + a) % MODULUS)
    });
    b << 16 | a
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn base32(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(5) {
        let mut group = [0_u8; 8];
        group[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(group);
        let used = (chunk.len() * 8).div_ceil(5);
        for place in 0..8 {
            let index = usize::try_from(bits >> (35 - 5 * place) & 31).unwrap_or(0);
            text.push(if place < used {
                char::from(BASE32[index])
            } else {
                '='
            });
        }
    }
    text
}

fn from_base32(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(8) {
        return None;
    }
    let digits = text.trim_end_matches('=');
    let (mut bits, mut count) = (0_u32, 0);
    let mut bytes = Vec::new();
    for digit in digits.bytes() {
        let value = BASE32.iter().position(|known| *known == digit)?;
        bits = bits << 5 | u32::try_from(value).ok()?;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
        bits &= (1 << count) - 1;
    }
    Some(bytes)
}
