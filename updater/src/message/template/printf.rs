//! Go's `fmt.Sprintf`: the verbs that templates use.

use super::print::{self, Style};
use super::run::{Fault, Run};
use super::value::Value;
use std::fmt::Write;

#[derive(Debug, Clone, Copy, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the five flags of Go's fmt"
)]
struct Flags {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// Formats; what is wrong shows in the text, as in Go: `%!d(string=x)`, `%!s(MISSING)`, `%!(EXTRA int=1)`.
pub(super) fn sprintf(run: &mut Run, format: &str, values: &[Value]) -> Result<String, Fault> {
    let mut out = String::new();
    let mut chars = format.chars().peekable();
    let mut arguments = Arguments {
        values,
        next: 0,
        reordered: false,
    };
    while let Some(c) = chars.next() {
        run.spend(1)?;
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut flags = Flags::default();
        while let Some(c) = chars.peek() {
            match c {
                '-' => flags.minus = true,
                '+' => flags.plus = true,
                '#' => flags.sharp = true,
                ' ' => flags.space = true,
                '0' => flags.zero = true,
                _ => break,
            }
            chars.next();
        }
        arguments.reorder(&mut chars);
        flags.width = number(&mut chars, &mut arguments, &mut flags.minus);
        if chars.peek() == Some(&'.') {
            chars.next();
            flags.precision = Some(number(&mut chars, &mut arguments, &mut false).unwrap_or(0));
        }
        arguments.reorder(&mut chars);
        for size in [flags.width, flags.precision].into_iter().flatten() {
            run.spend_text(size)?;
        }
        let Some(verb) = chars.next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        if verb == '%' {
            out.push('%');
        } else if let Some(value) = arguments.next() {
            out.push_str(&one(run, flags, verb, value)?);
        } else {
            out.push_str("%!");
            out.push(verb);
            out.push_str("(MISSING)");
        }
        run.spend_text(out.len())?;
    }
    let extra = arguments.left();
    if !extra.is_empty() {
        let mut names = Vec::new();
        for value in extra {
            names.push(match value {
                Value::Nil => "<nil>".to_owned(),
                value => format!("{}={}", value.type_name(), print::plain(run, value)?),
            });
        }
        out.push_str("%!(EXTRA ");
        out.push_str(&names.join(", "));
        out.push(')');
    }
    run.spend_text(out.len())?;
    Ok(out)
}

/// The values still to be printed.
struct Arguments<'v> {
    values: &'v [Value],
    next: usize,
    reordered: bool,
}

impl<'v> Arguments<'v> {
    fn next(&mut self) -> Option<&'v Value> {
        let value = self.values.get(self.next);
        self.next += 1;
        value
    }

    /// `[n]`: the next value is the n-th.
    fn reorder(&mut self, chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
        if chars.peek() != Some(&'[') {
            return;
        }
        let digits: String = chars.clone().skip(1).take_while(|c| *c != ']').collect();
        if let Some(index) = digits.parse().ok().and_then(|n: usize| n.checked_sub(1)) {
            chars.nth(digits.len() + 1);
            self.next = index;
            self.reordered = true;
        }
    }

    fn left(&self) -> &'v [Value] {
        if self.reordered {
            return &[];
        }
        self.values.get(self.next..).unwrap_or_default()
    }
}

/// A width or precision: digits, or `*` for the next argument.
fn number(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    arguments: &mut Arguments<'_>,
    minus: &mut bool,
) -> Option<usize> {
    if chars.peek() == Some(&'*') {
        chars.next();
        let value = arguments.next()?.integer()?;
        *minus |= value < 0;
        return usize::try_from(value.unsigned_abs()).ok();
    }
    let mut number = None;
    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
        chars.next();
        let digit = digit as usize;
        number = Some(
            number
                .unwrap_or(0_usize)
                .saturating_mul(10)
                .saturating_add(digit),
        );
    }
    number
}

fn one(run: &mut Run, flags: Flags, verb: char, value: &Value) -> Result<String, Fault> {
    let text = match (verb, value) {
        ('T', value) => pad(value.type_name(), flags),
        ('v', Value::Int(_) | Value::Int64(_)) => integer(value, flags, 'd'),
        ('v', value) => {
            let style = match (flags.sharp, flags.plus) {
                (true, _) => Style::Source,
                (_, true) => Style::Fields,
                _ => Style::Plain,
            };
            pad(print::styled(run, value, style)?, flags)
        }
        ('t', Value::Bool(_)) | ('s' | 'q' | 'x' | 'X', Value::Text(_) | Value::Struct(_)) => {
            text(run, flags, verb, value)?
        }
        ('d' | 'b' | 'o' | 'O' | 'x' | 'X' | 'c' | 'q' | 'U', Value::Int(_) | Value::Int64(_)) => {
            integer(value, flags, verb)
        }
        ('e' | 'E' | 'f' | 'F' | 'g' | 'G', Value::Float(value)) => float(*value, flags, verb),
        ('x' | 'X' | 'b', Value::Float(value)) if value.is_finite() => {
            binary_float(*value, flags, verb)
        }
        (_, Value::List(list)) => {
            let mut items = Vec::new();
            for item in list.items.iter() {
                items.push(one(run, flags, verb, item)?);
            }
            run.spend_text(items.iter().map(|item| item.len() + 1).sum())?;
            format!("[{}]", items.join(" "))
        }
        (_, Value::Struct(record)) => {
            let mut fields = Vec::new();
            for (_, field) in &record.fields {
                fields.push(one(run, flags, verb, field)?);
            }
            format!("{{{}}}", fields.join(" "))
        }
        (_, Value::Map(_) | Value::Dict(_)) if verb == 's' => pad(print::plain(run, value)?, flags),
        (_, Value::Nil) => format!("%!{verb}(<nil>)"),
        (_, value) => format!(
            "%!{verb}({}={})",
            value.type_name(),
            print::plain(run, value)?
        ),
    };
    run.spend_text(text.len())?;
    Ok(text)
}

fn text(run: &mut Run, flags: Flags, verb: char, value: &Value) -> Result<String, Fault> {
    let mut text = print::plain(run, value)?;
    if let Some(precision) = flags.precision
        && let Some((end, _)) = text.char_indices().nth(precision)
    {
        text.truncate(end);
    }
    let text = match verb {
        'q' if flags.sharp && !text.contains(['`', '\n']) => format!("`{text}`"),
        'q' if flags.plus => print::quoted_ascii(&text),
        'q' => print::quoted(&text),
        'x' => hexadecimal(&text, flags),
        'X' => hexadecimal(&text, flags).to_uppercase(),
        _ => text,
    };
    Ok(pad(text, flags))
}

fn hexadecimal(text: &str, flags: Flags) -> String {
    let mut out = String::new();
    for (index, byte) in text.bytes().enumerate() {
        if index > 0 && flags.space {
            out.push(' ');
        }
        if flags.sharp && (index == 0 || flags.space) {
            out.push_str("0x");
        }
        let _ = write!(out, "{byte:02x}");
    }
    out
}

fn integer(value: &Value, flags: Flags, verb: char) -> String {
    let value = value.integer().unwrap_or_default();
    let magnitude = value.unsigned_abs();
    let digits = match verb {
        'b' => format!("{magnitude:b}"),
        'o' => format!("{magnitude:o}"),
        'O' => format!("0o{magnitude:o}"),
        'x' => format!("{magnitude:x}"),
        'X' => format!("{magnitude:X}"),
        // Of a negative number, its bits.
        'U' => return pad(format!("U+{value:04X}"), flags),
        'c' | 'q' => {
            let c = u32::try_from(value)
                .ok()
                .and_then(char::from_u32)
                .unwrap_or('\u{fffd}');
            let text = if verb == 'q' {
                let quoted = print::quoted(&c.to_string());
                let inside = quoted.trim_start_matches('"');
                let inside = inside.strip_suffix('"').unwrap_or(inside);
                match c {
                    '\'' => "'\\''".to_owned(),
                    '"' => "'\"'".to_owned(),
                    _ => format!("'{inside}'"),
                }
            } else {
                c.to_string()
            };
            return pad(text, flags);
        }
        _ => magnitude.to_string(),
    };
    let mut digits = match flags.precision {
        Some(precision) => format!("{digits:0>precision$}"),
        None => digits,
    };
    if flags.sharp {
        let prefix = match verb {
            'b' => "0b",
            'o' => "0",
            'x' => "0x",
            'X' => "0X",
            _ => "",
        };
        digits.insert_str(0, prefix);
    }
    let flags = Flags {
        zero: flags.zero && flags.precision.is_none(),
        ..flags
    };
    signed(value < 0, &digits, flags)
}

fn float(value: f64, flags: Flags, verb: char) -> String {
    let magnitude = value.abs();
    if !value.is_finite() {
        return pad(
            print::float(value),
            Flags {
                zero: false,
                ..flags
            },
        );
    }
    let precision = flags.precision.unwrap_or(6);
    let digits = match verb {
        'f' | 'F' => format!("{magnitude:.precision$}"),
        'e' | 'E' => exponent_form(magnitude, precision),
        _ => match flags.precision {
            None => print::float(magnitude),
            Some(precision) => general_form(magnitude, precision.max(1)),
        },
    };
    let digits = if verb.is_uppercase() {
        digits.to_uppercase()
    } else {
        digits
    };
    signed(value.is_sign_negative(), &digits, flags)
}

/// `%x` (0x1.8p+01) and `%b` (6755399441055744p-52).
fn binary_float(value: f64, flags: Flags, verb: char) -> String {
    const FRACTION: u32 = 52;
    let bits = value.abs().to_bits();
    let (raw, fraction) = (bits >> FRACTION, bits & ((1 << FRACTION) - 1));
    let exponent = i32::try_from(raw.max(1)).unwrap_or(0) - 1023;
    let mut mantissa = fraction | u64::from(raw > 0) << FRACTION;
    if verb == 'b' {
        let digits = format!("{mantissa}p{:+}", exponent - 52);
        return signed(value.is_sign_negative(), &digits, flags);
    }
    let mut exponent = if mantissa == 0 { 0 } else { exponent };
    // Subnormal numbers begin with a 1 as well.
    while mantissa != 0 && mantissa >> FRACTION == 0 {
        mantissa <<= 1;
        exponent -= 1;
    }
    let mut places = 13;
    if let Some(precision) = flags.precision.filter(|precision| *precision < places) {
        let dropped = 4 * (places - precision);
        let (rest, half) = (mantissa & ((1 << dropped) - 1), 1 << (dropped - 1));
        mantissa >>= dropped;
        mantissa += u64::from(rest > half || rest == half && mantissa & 1 == 1);
        places = precision;
        if mantissa >> (4 * places + 1) != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let one = mantissa >> (4 * places);
    let mut behind = format!("{mantissa:x}");
    behind = format!("{behind:0>width$}", width = places + 1).split_off(1);
    match flags.precision {
        Some(precision) => behind = format!("{behind:0<precision$}"),
        None => behind.truncate(behind.trim_end_matches('0').len()),
    }
    let point = if behind.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    let digits = format!("0x{one}{point}{behind}p{sign}{:02}", exponent.abs());
    let digits = if verb == 'X' {
        digits.to_uppercase()
    } else {
        digits
    };
    signed(value.is_sign_negative(), &digits, flags)
}

fn exponent_form(magnitude: f64, precision: usize) -> String {
    let text = format!("{magnitude:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent = exponent.parse().unwrap_or(0);
    format!("{digits}e{}", print::signed_exponent(exponent))
}

/// `%g` with a precision: that many significant digits, trailing zeros dropped.
fn general_form(magnitude: f64, precision: usize) -> String {
    let text = exponent_form(magnitude, precision - 1);
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let significant = i32::try_from(precision).unwrap_or(i32::MAX);
    let drop_zeros = |digits: &str| {
        if digits.contains('.') {
            digits
                .trim_end_matches('0')
                .trim_end_matches('.')
                .to_owned()
        } else {
            digits.to_owned()
        }
    };
    if exponent < -4 || exponent >= significant {
        return format!(
            "{}e{}",
            drop_zeros(digits),
            print::signed_exponent(exponent)
        );
    }
    let decimals = usize::try_from(significant - 1 - exponent).unwrap_or(0);
    drop_zeros(&format!("{magnitude:.decimals$}"))
}

/// Puts a sign before digits, and zeros between the two where asked for.
fn signed(negative: bool, digits: &str, flags: Flags) -> String {
    let sign = match (negative, flags.plus, flags.space) {
        (true, _, _) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    };
    match flags.width {
        Some(width) if flags.zero && !flags.minus => {
            let width = width.saturating_sub(sign.len());
            format!("{sign}{digits:0>width$}")
        }
        _ => pad(
            format!("{sign}{digits}"),
            Flags {
                zero: false,
                ..flags
            },
        ),
    }
}

fn pad(text: String, flags: Flags) -> String {
    match flags.width {
        Some(width) if flags.minus => format!("{text:<width$}"),
        Some(width) if flags.zero => format!("{text:0>width$}"),
        Some(width) => format!("{text:>width$}"),
        None => text,
    }
}
