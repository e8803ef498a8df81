//! Numbers as Go's `strconv.ParseFloat(text, 64)` reads them: what Flux's numerical policy accepts.

/// Reads a number, or `None` for what Go calls a syntax or a range error.
///
/// Decimals with sign, point and exponent; hexadecimals with a `p` exponent; `_` between digits;
/// `inf`, `infinity` and `nan` in any case (`nan` without sign). Too large a number is an error, too
/// small a one is zero.
#[must_use]
pub fn parse_number(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    // By far the most frequent tags: plain digits that a float holds exactly.
    if (1..=15).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_digit) {
        let value = bytes
            .iter()
            .fold(0u64, |value, b| value * 10 + u64::from(b - b'0'));
        #[expect(
            clippy::cast_precision_loss,
            reason = "15 digits are below 2^53, so the float is exact"
        )]
        return Some(value as f64);
    }
    special(bytes).or_else(|| {
        let form = Form::read(bytes)?;
        if form.hexadecimal {
            hexadecimal(bytes, form.negative)
        } else if form.underscores {
            decimal(&text.replace('_', ""))
        } else {
            decimal(text)
        }
    })
}

/// Infinity and not-a-number.
fn special(bytes: &[u8]) -> Option<f64> {
    let (negative, word) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, bytes),
    };
    if word.eq_ignore_ascii_case(b"inf") || word.eq_ignore_ascii_case(b"infinity") {
        Some(if negative {
            f64::NEG_INFINITY
        } else {
            f64::INFINITY
        })
    } else {
        // Go knows no signed NaN.
        bytes.eq_ignore_ascii_case(b"nan").then_some(f64::NAN)
    }
}

/// What a look at the text alone tells.
struct Form {
    negative: bool,
    hexadecimal: bool,
    underscores: bool,
}

impl Form {
    /// `None` when the text does not follow Go's grammar.
    fn read(bytes: &[u8]) -> Option<Self> {
        let negative = bytes.first() == Some(&b'-');
        let start = usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
        let hexadecimal = bytes.len() > start + 2
            && bytes[start] == b'0'
            && bytes[start + 1].eq_ignore_ascii_case(&b'x');
        let mut at = start + if hexadecimal { 2 } else { 0 };
        let (mut point, mut digits, mut underscores) = (false, false, false);
        while let Some(&b) = bytes.get(at) {
            match b {
                b'_' => underscores = true,
                b'.' if !point => point = true,
                b'0'..=b'9' => digits = true,
                b'a'..=b'f' | b'A'..=b'F' if hexadecimal => digits = true,
                _ => break,
            }
            at += 1;
        }
        if !digits {
            return None;
        }
        let sign = if hexadecimal { b'p' } else { b'e' };
        if bytes.get(at).is_some_and(|b| b.eq_ignore_ascii_case(&sign)) {
            at += 1;
            at += usize::from(matches!(bytes.get(at), Some(b'-' | b'+')));
            if !bytes.get(at).is_some_and(u8::is_ascii_digit) {
                return None;
            }
            while let Some(b'0'..=b'9' | b'_') = bytes.get(at) {
                underscores |= bytes[at] == b'_';
                at += 1;
            }
        } else if hexadecimal {
            // The exponent of a hexadecimal number is not optional.
            return None;
        }
        let legal = at == bytes.len() && (!underscores || underscores_are_legal(&bytes[start..]));
        legal.then_some(Self {
            negative,
            hexadecimal,
            underscores,
        })
    }
}

/// Go's `underscoreOK`: an underscore stands between two digits, or between the `0x` and a digit.
fn underscores_are_legal(unsigned: &[u8]) -> bool {
    let prefixed = unsigned.len() >= 2
        && unsigned[0] == b'0'
        && matches!(unsigned[1].to_ascii_lowercase(), b'x' | b'o' | b'b');
    let hexadecimal = prefixed && unsigned[1].eq_ignore_ascii_case(&b'x');
    let (mut after_digit, mut after_underscore) = (prefixed, false);
    for b in &unsigned[if prefixed { 2 } else { 0 }..] {
        let digit = b.is_ascii_digit() || (hexadecimal && b.is_ascii_hexdigit());
        if *b == b'_' {
            if !after_digit {
                return false;
            }
        } else if after_underscore && !digit {
            return false;
        }
        after_underscore = *b == b'_';
        after_digit = digit;
    }
    !after_underscore
}

/// Go and Rust agree on decimals once the form is known; only a finite result is one for Go.
fn decimal(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}

/// A hexadecimal number of legal form, rounded to the nearest float, ties to even.
fn hexadecimal(bytes: &[u8], negative: bool) -> Option<f64> {
    let mut mantissa: u64 = 0;
    let mut exponent: i64 = 0;
    let mut sticky = false;
    let mut point = false;
    let start = 2 + usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
    let mut at = start;
    while let Some(&b) = bytes.get(at) {
        at += 1;
        let digit = match b {
            b'.' => {
                point = true;
                continue;
            }
            b'_' => continue,
            b'p' | b'P' => break,
            _ => u64::from(char::from(b).to_digit(16)?),
        };
        // 60 bits are more than a float holds; of the rest only "was there anything" matters.
        if mantissa >> 60 == 0 {
            mantissa = mantissa << 4 | digit;
            exponent -= if point { 4 } else { 0 };
        } else {
            sticky |= digit != 0;
            exponent += if point { 0 } else { 4 };
        }
    }
    let sign = bytes.get(at).copied();
    let mut power: i64 = 0;
    for b in &bytes[at..] {
        if b.is_ascii_digit() && power < 10_000 {
            power = power * 10 + i64::from(b - b'0');
        }
    }
    exponent += if sign == Some(b'-') { -power } else { power };
    let value = round(mantissa, sticky, exponent)?;
    Some(if negative { -value } else { value })
}

/// `mantissa * 2^exponent` as the nearest float; `None` beyond the largest.
fn round(mantissa: u64, sticky: bool, exponent: i64) -> Option<f64> {
    if mantissa == 0 {
        return Some(0.0);
    }
    // Normalise to 64 bits, then cut to 53, or to fewer where the result is subnormal.
    let shift = mantissa.leading_zeros();
    let mantissa = mantissa << shift;
    let exponent = exponent - i64::from(shift);
    // The value is 1.xxx * 2^top.
    let top = exponent + 63;
    if top > 1023 {
        return None;
    }
    let kept = if top >= -1022 { 53 } else { 53 - (-1022 - top) };
    if kept < 0 {
        return Some(0.0);
    }
    let dropped = u32::try_from(64 - kept).ok()?;
    let (mut integer, rest, half) = if dropped == 64 {
        (0, mantissa, 1u64 << 63)
    } else {
        (
            mantissa >> dropped,
            mantissa & ((1 << dropped) - 1),
            1 << (dropped - 1),
        )
    };
    if rest > half || (rest == half && (sticky || integer & 1 == 1)) {
        integer += 1;
    }
    // A carry out of the fraction moves into the exponent by itself.
    let biased = if top >= -1022 {
        u64::try_from(top + 1022).ok()?
    } else {
        0
    };
    let value = f64::from_bits((biased << 52) + integer);
    value.is_finite().then_some(value)
}
