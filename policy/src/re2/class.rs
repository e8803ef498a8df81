//! Character classes.
//!
//! Tags are ASCII, so a class need only know which ASCII characters it has: 128 bits. What a pattern
//! says about other characters is read, checked and, where case folding leads back to ASCII (`ſ` and
//! the Kelvin sign), counted.

use super::error::{Code, Re2Error};
use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, Hir, HirKind};

/// A set of ASCII characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct AsciiSet(u128);

const LOWER: u128 = AsciiSet::of_range(b'a', b'z');
const UPPER: u128 = AsciiSet::of_range(b'A', b'Z');

impl AsciiSet {
    const fn of_range(low: u8, high: u8) -> u128 {
        (u128::MAX >> (127 - high)) & (u128::MAX << low)
    }

    /// Everything but the line feed: `.` without the `s` flag.
    pub(super) const NOT_LINE_FEED: Self = Self(!(1 << b'\n'));
    pub(super) const ALL: Self = Self(u128::MAX);

    const fn ranges(ranges: &[(u8, u8)]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < ranges.len() {
            bits |= Self::of_range(ranges[at].0, ranges[at].1);
            at += 1;
        }
        Self(bits)
    }

    const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn negated(self) -> Self {
        Self(!self.0)
    }

    const fn negated_if(self, negate: bool) -> Self {
        if negate { self.negated() } else { self }
    }

    /// With the other case of each letter.
    const fn folded(self) -> Self {
        Self(self.0 | ((self.0 & LOWER) >> 32) | ((self.0 & UPPER) << 32))
    }

    /// The ASCII characters among those from `low` to `high`, with their other case if `fold`.
    pub(super) fn of(low: char, high: char, fold: bool) -> Self {
        let mut set = Self::default();
        if let Ok(low) = u8::try_from(low)
            && low < 128
        {
            set.0 = Self::of_range(low, u8::try_from(high).unwrap_or(127).min(127));
        }
        if fold {
            for (outside, inside) in [('\u{17f}', b's'), ('\u{212a}', b'k')] {
                if (low..=high).contains(&outside) {
                    set.0 |= 1 << inside;
                }
            }
            set = set.folded();
        }
        set
    }

    /// The pattern that matches one character of the set.
    pub(super) fn to_hir(self) -> Hir {
        if self.0.is_power_of_two() {
            let byte = u8::try_from(self.0.trailing_zeros()).unwrap_or_default();
            return Hir::literal([byte]);
        }
        let bytes = (0u8..128).filter(|b| self.0 >> b & 1 == 1);
        Hir::class(Class::Bytes(ClassBytes::new(
            bytes.map(|b| ClassBytesRange::new(b, b)),
        )))
    }
}

const DIGIT: AsciiSet = AsciiSet::ranges(&[(b'0', b'9')]);
const WORD: AsciiSet = AsciiSet::ranges(&[(b'0', b'9'), (b'A', b'Z'), (b'a', b'z'), (b'_', b'_')]);
/// Go's `\s` has no vertical tab, its `[:space:]` has.
const PERL_SPACE: AsciiSet = AsciiSet::ranges(&[(b'\t', b'\n'), (0x0c, b'\r'), (b' ', b' ')]);

/// `\d`, `\s`, `\w` and their negations, by the letter.
pub(super) fn perl(letter: u8) -> Option<AsciiSet> {
    let set = match letter.to_ascii_lowercase() {
        b'd' => DIGIT,
        b's' => PERL_SPACE,
        b'w' => WORD,
        _ => return None,
    };
    Some(set.negated_if(letter.is_ascii_uppercase()))
}

/// `[:alpha:]`, `[:^alpha:]` and their like.
fn posix(name: &str, fold: bool) -> Option<AsciiSet> {
    let name = name.strip_prefix("[:")?.strip_suffix(":]")?;
    let (name, negate) = name.strip_prefix('^').map_or((name, false), |n| (n, true));
    let ranges: &[(u8, u8)] = match name {
        "alnum" => &[(b'0', b'9'), (b'A', b'Z'), (b'a', b'z')],
        "alpha" => &[(b'A', b'Z'), (b'a', b'z')],
        "ascii" => &[(0, 127)],
        "blank" => &[(b'\t', b'\t'), (b' ', b' ')],
        "cntrl" => &[(0, 0x1f), (127, 127)],
        "digit" => &[(b'0', b'9')],
        "graph" => &[(b'!', b'~')],
        "lower" => &[(b'a', b'z')],
        "print" => &[(b' ', b'~')],
        "punct" => &[(b'!', b'/'), (b':', b'@'), (b'[', b'`'), (b'{', b'~')],
        "space" => &[(b'\t', b'\r'), (b' ', b' ')],
        "upper" => &[(b'A', b'Z')],
        "word" => &[(b'0', b'9'), (b'A', b'Z'), (b'a', b'z'), (b'_', b'_')],
        "xdigit" => &[(b'0', b'9'), (b'A', b'F'), (b'a', b'f')],
        _ => return None,
    };
    let set = AsciiSet::ranges(ranges);
    Some(if fold { set.folded() } else { set }.negated_if(negate))
}

/// The characters of a Unicode category or script.
fn unicode(name: &str, fold: bool) -> Option<AsciiSet> {
    // The name goes into a pattern, so nothing but a name may be in it.
    if name.is_empty()
        || !name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_- ".contains(&b))
    {
        return None;
    }
    let table = ["gc", "sc"].into_iter().find_map(|property| {
        regex_syntax::Parser::new()
            .parse(&format!(r"\p{{{property}={name}}}"))
            .ok()
    })?;
    let HirKind::Class(Class::Unicode(table)) = table.into_kind() else {
        return None;
    };
    let ranges = table.ranges().iter();
    Some(ranges.fold(AsciiSet::default(), |set, range| {
        set.union(AsciiSet::of(range.start(), range.end(), fold))
    }))
}

/// Reads `\pL`, `\p{Greek}`, `\P{^Lu}` at the start of `text`: the set and its length.
pub(super) fn unicode_class(
    text: &str,
    at: usize,
    fold: bool,
) -> Result<Option<(AsciiSet, usize)>, Re2Error> {
    let mut negate = match text.as_bytes() {
        [b'\\', b'p', ..] => false,
        [b'\\', b'P', ..] => true,
        _ => return Ok(None),
    };
    let Some(first) = text[2..].chars().next() else {
        // Go looks for a name in nothing and finds nothing.
        return Err(Code::InvalidCharRange.about(text, at..at + text.len()));
    };
    let (length, name) = if first == '{' {
        let Some(end) = text.find('}') else {
            return Err(Code::InvalidCharRange.about(text, at..at + text.len()));
        };
        (end + 1, &text[3..end])
    } else {
        let length = 2 + first.len_utf8();
        (length, &text[2..length])
    };
    let name = name.strip_prefix('^').map_or(name, |name| {
        negate = !negate;
        name
    });
    match unicode(name, fold) {
        Some(set) => Ok(Some((set.negated_if(negate), length))),
        None => Err(Code::InvalidCharRange.about(&text[..length], at..at + length)),
    }
}

/// Reads `[…]` at `at`: the set, and where the class ends.
pub(super) fn bracket_class(
    pattern: &str,
    at: usize,
    fold: bool,
) -> Result<(AsciiSet, usize), Re2Error> {
    let bytes = pattern.as_bytes();
    let negate = bytes.get(at + 1) == Some(&b'^');
    let mut next = at + 1 + usize::from(negate);
    let mut set = AsciiSet::default();
    let mut first = true;
    // A `]` in first place is a character.
    while bytes.get(next) != Some(&b']') || first {
        first = false;
        let rest = &pattern[next..];
        if rest.len() > 2
            && rest.starts_with("[:")
            && let Some(end) = rest[2..].find(":]")
        {
            let name = &rest[..end + 4];
            let class = posix(name, fold)
                .ok_or_else(|| Code::InvalidCharRange.about(name, next..next + name.len()))?;
            set = set.union(class);
            next += name.len();
            continue;
        }
        if let Some((class, length)) = unicode_class(rest, next, fold)? {
            set = set.union(class);
            next += length;
            continue;
        }
        if let [b'\\', letter, ..] = rest.as_bytes()
            && let Some(class) = perl(*letter)
        {
            set = set.union(class);
            next += 2;
            continue;
        }
        let start = next;
        let (low, after) = class_character(pattern, next, at)?;
        let mut high = low;
        next = after;
        // In `[a-]` the hyphen is a character.
        if bytes.get(next) == Some(&b'-') && bytes.get(next + 1).is_some_and(|b| *b != b']') {
            (high, next) = class_character(pattern, next + 1, at)?;
            if high < low {
                return Err(Code::InvalidCharRange.about(&pattern[start..next], start..next));
            }
        }
        set = set.union(AsciiSet::of(low, high, fold));
    }
    Ok((set.negated_if(negate), next + 1))
}

fn class_character(pattern: &str, at: usize, class: usize) -> Result<(char, usize), Re2Error> {
    match pattern[at..].chars().next() {
        None => Err(Code::MissingBracket.about(&pattern[class..], class..class + 1)),
        Some('\\') => escape(pattern, at),
        Some(c) => Ok((c, at + c.len_utf8())),
    }
}

/// Reads an escaped character at `at`: the character, and where it ends.
pub(super) fn escape(pattern: &str, at: usize) -> Result<(char, usize), Re2Error> {
    let mut rest = pattern[at + 1..].chars();
    let Some(first) = rest.next() else {
        return Err(Code::TrailingBackslash.about("", at..at + 1));
    };
    let end = |rest: &std::str::Chars<'_>| pattern.len() - rest.as_str().len();
    let character = match first {
        'a' => Some('\x07'),
        'f' => Some('\x0c'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'v' => Some('\x0b'),
        'x' => hexadecimal(&mut rest),
        // A single digit other than 0 would be a back-reference.
        '1'..='7' if !rest.as_str().starts_with(|c: char| c.is_digit(8)) => None,
        '0'..='7' => {
            let mut value = first.to_digit(8).unwrap_or_default();
            for _ in 0..2 {
                let Some(digit) = rest.as_str().chars().next().and_then(|c| c.to_digit(8)) else {
                    break;
                };
                value = value * 8 + digit;
                rest.next();
            }
            char::from_u32(value)
        }
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(c),
        _ => None,
    };
    let end = end(&rest);
    character
        .map(|c| (c, end))
        .ok_or_else(|| Code::InvalidEscape.about(&pattern[at..end], at..end))
}

/// What follows `\x`: two digits, or any number of them in braces.
fn hexadecimal(rest: &mut std::str::Chars<'_>) -> Option<char> {
    let first = rest.next()?;
    let mut value = 0;
    if first != '{' {
        let second = rest.next()?;
        return char::from_u32(first.to_digit(16)? * 16 + second.to_digit(16)?);
    }
    let mut digits = 0;
    loop {
        match rest.next()? {
            '}' if digits > 0 => break,
            c => value = value * 16 + c.to_digit(16)?,
        }
        if value > u32::from(char::MAX) {
            return None;
        }
        digits += 1;
    }
    // Go takes a surrogate for a character that nothing matches.
    Some(char::from_u32(value).unwrap_or(char::MAX))
}
