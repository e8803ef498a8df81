//! Reads a range: hyphen ranges are rewritten, then groups, comparators, versions with wildcards.

use super::comparator::{Comparator, Operator, Precision};
use super::{Group, MAX_RANGE_GROUPS, MAX_RANGE_LENGTH, Range};
use crate::invalid_policy::{Field, InvalidPolicy};
use crate::version::Version;
use std::fmt::Write as _;
use std::ops;

const ALLOWED: &str = "comparators such as >=1.2.3, ~1.2, ^1, 1.x or *, all of which must hold when divided by a space or a comma, any of which when divided by ||; 1.0 - 2.0 means >=1.0 <=2.0; operators = != > < >= <= ~ ^";

/// A rewritten text, and for each byte of it the place in the user's text it stems from.
pub(super) struct Rewritten {
    pub(super) text: String,
    origin: Vec<usize>,
}

pub(super) fn parse(text: &str) -> Result<Range, InvalidPolicy> {
    let whole = |problem: String, allowed: &str| {
        InvalidPolicy::new(Field::SemverRange, text, 0..text.len(), problem, allowed)
    };
    if text.len() > MAX_RANGE_LENGTH {
        return Err(whole(
            format!("constraint string is too long (max {MAX_RANGE_LENGTH} bytes)"),
            "a range of at most 512 bytes",
        ));
    }
    let rewritten = rewrite_hyphens(text);
    let mut groups = Vec::new();
    let pieces = split_groups(&rewritten.text);
    if pieces.len() > MAX_RANGE_GROUPS {
        return Err(whole(
            format!("too many constraint groups (max {MAX_RANGE_GROUPS})"),
            "at most 32 alternatives divided by ||",
        ));
    }
    for piece in pieces {
        let words = &rewritten.text[piece.clone()];
        let mistake = |at: usize, problem: String| {
            let start = rewritten.place(piece.start + at, text);
            let end = rewritten.text[piece.start + at..]
                .find([' ', ',', '|'])
                .map_or(text.len(), |n| rewritten.place(piece.start + at + n, text));
            InvalidPolicy::new(
                Field::SemverRange,
                text,
                start..end.max(start),
                problem,
                ALLOWED,
            )
        };
        let found = split_comparators(words)
            .map_err(|at| mistake(at, format!("improper constraint: {}", go_quote(words))))?;
        let comparators = found
            .into_iter()
            .map(|f| {
                compile(words, &f)
                    .ok_or_else(|| mistake(f.version.start, "constraint parser error".into()))
            })
            .collect::<Result<Vec<_>, _>>()?;
        groups.push(Group {
            prereleases: comparators.iter().any(|c| !c.pre.is_empty()),
            comparators,
        });
    }
    Ok(Range {
        text: text.to_owned(),
        groups,
    })
}

impl Rewritten {
    fn place(&self, at: usize, original: &str) -> usize {
        self.origin.get(at).copied().unwrap_or(original.len())
    }

    /// Go's `strings.Replace(text, old, new, 1)`.
    fn replace_first(&mut self, old: &str, new: &str) {
        if let Some(at) = self.text.find(old) {
            let origin = self.origin[at];
            self.text.replace_range(at..at + old.len(), new);
            self.origin
                .splice(at..at + old.len(), std::iter::repeat_n(origin, new.len()));
        }
    }
}

/// `1.0 - 2.0` becomes `>= 1.0, <= 2.0 `, before the text is split at `||`, as in Masterminds.
pub(super) fn rewrite_hyphens(text: &str) -> Rewritten {
    let mut rewritten = Rewritten {
        text: text.to_owned(),
        origin: (0..text.len()).collect(),
    };
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let Some((first, second, end)) = hyphen_range(bytes, at) else {
            at += 1;
            continue;
        };
        let new = format!(">= {}, <= {} ", &text[first], &text[second]);
        rewritten.replace_first(&text[at..end], &new);
        at = end;
    }
    rewritten
}

/// Two versions with ` - ` between them that begin at `at` (after white space), and where they end
/// (after white space).
fn hyphen_range(bytes: &[u8], at: usize) -> Option<(ops::Range<usize>, ops::Range<usize>, usize)> {
    let first = skip_space(bytes, at);
    let first = first..wildcard_version(bytes, first)?.end;
    let hyphen = skip_space(bytes, first.end);
    if hyphen == first.end || bytes.get(hyphen) != Some(&b'-') {
        return None;
    }
    let second = skip_space(bytes, hyphen + 1);
    if second == hyphen + 1 {
        return None;
    }
    let second = second..wildcard_version(bytes, second)?.end;
    let end = skip_space(bytes, second.end);
    Some((first, second, end))
}

/// Go's `\s`, which knows no vertical tab.
const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\x0c' | b'\r')
}

fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).copied().is_some_and(is_space) {
        at += 1;
    }
    at
}

/// The parts of a version that may have wildcards in its numbers, as byte ranges.
struct WildcardVersion {
    numbers: [Option<ops::Range<usize>>; 3],
    /// With its `-`.
    pre: ops::Range<usize>,
    end: usize,
}

/// A version in the widest form: each number a run of digits, `x`, `X`, `*` (and, by a slip in the
/// library's pattern that has consequences beside `||`, of `|`).
fn wildcard_version(bytes: &[u8], start: usize) -> Option<WildcardVersion> {
    let number = |from: usize| {
        let mut at = from;
        while bytes
            .get(at)
            .is_some_and(|b| b.is_ascii_digit() || matches!(b, b'x' | b'X' | b'*' | b'|'))
        {
            at += 1;
        }
        (at > from).then_some(from..at)
    };
    let from = start + usize::from(bytes.get(start) == Some(&b'v'));
    let major = number(from)?;
    let mut end = major.end;
    let mut numbers = [Some(major), None, None];
    for slot in &mut numbers[1..] {
        if bytes.get(end) != Some(&b'.') {
            break;
        }
        let Some(found) = number(end + 1) else { break };
        end = found.end;
        *slot = Some(found);
    }
    let pre = end..identifiers(bytes, end, b'-');
    let end = identifiers(bytes, pre.end, b'+');
    Some(WildcardVersion { numbers, pre, end })
}

/// The end of `-a.b` or `+a.b` at `start`, or `start` when there is none.
fn identifiers(bytes: &[u8], start: usize, sign: u8) -> usize {
    if bytes.get(start) != Some(&sign) {
        return start;
    }
    let mut end = start;
    let mut at = start + 1;
    loop {
        let from = at;
        while bytes
            .get(at)
            .is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'-')
        {
            at += 1;
        }
        if at == from {
            return end;
        }
        end = at;
        if bytes.get(at) != Some(&b'.') {
            return end;
        }
        at += 1;
    }
}

fn split_groups(text: &str) -> Vec<ops::Range<usize>> {
    let mut pieces = Vec::new();
    let mut start = 0;
    while let Some(at) = text[start..].find("||") {
        pieces.push(start..start + at);
        start += at + 2;
    }
    pieces.push(start..text.len());
    pieces
}

struct Found {
    operator: Operator,
    version: WildcardVersionAt,
}

struct WildcardVersionAt {
    start: usize,
    parts: WildcardVersion,
}

/// The comparators of one group, or the place where there should be one.
fn split_comparators(words: &str) -> Result<Vec<Found>, usize> {
    let bytes = words.as_bytes();
    let mut found = Vec::new();
    let mut at = skip_space(bytes, 0);
    loop {
        let (operator, after) = operator(bytes, at);
        let start = skip_space(bytes, after);
        let parts = wildcard_version(bytes, start).ok_or(start)?;
        let end = parts.end;
        found.push(Found {
            operator,
            version: WildcardVersionAt { start, parts },
        });
        at = skip_space(bytes, end);
        if at == bytes.len() {
            return Ok(found);
        }
        if bytes[at] == b',' {
            at = skip_space(bytes, at + 1);
        } else if at == end {
            // Neither space nor comma: something hangs on to the version.
            return Err(end);
        }
    }
}

fn operator(bytes: &[u8], at: usize) -> (Operator, usize) {
    let (operator, length) = match (bytes.get(at), bytes.get(at + 1)) {
        (Some(b'!'), Some(b'=')) => (Operator::NotEqual, 2),
        (Some(b'>'), Some(b'=')) | (Some(b'='), Some(b'>')) => (Operator::GreaterOrEqual, 2),
        (Some(b'<'), Some(b'=')) | (Some(b'='), Some(b'<')) => (Operator::LessOrEqual, 2),
        (Some(b'~'), Some(b'>')) => (Operator::Tilde, 2),
        (Some(b'='), _) => (Operator::Equal, 1),
        (Some(b'>'), _) => (Operator::Greater, 1),
        (Some(b'<'), _) => (Operator::Less, 1),
        (Some(b'~'), _) => (Operator::Tilde, 1),
        (Some(b'^'), _) => (Operator::Caret, 1),
        _ => (Operator::Equal, 0),
    };
    (operator, at + length)
}

/// `None` when a number is no number (`1x`), does not fit, or the pre-release is not legal.
fn compile(words: &str, found: &Found) -> Option<Comparator> {
    let parts = &found.version.parts;
    let [major, minor, patch] = parts.numbers.each_ref().map(|n| {
        n.as_ref()
            .map(|r| &words[r.clone()])
            .filter(|t| !is_wildcard(t))
    });
    let pre = &words[parts.pre.clone()];
    let (precision, text) = match (major, minor, patch) {
        (None, ..) => (Precision::Any, format!("0.0.0{pre}")),
        (Some(major), None, _) => (Precision::Major, format!("{major}.0.0{pre}")),
        (Some(major), Some(minor), None) => (Precision::Minor, format!("{major}.{minor}.0{pre}")),
        _ => (
            Precision::Full,
            words[found.version.start..parts.end].to_owned(),
        ),
    };
    let version = Version::parse(&text).ok()?;
    Some(Comparator {
        operator: found.operator,
        precision,
        major: version.major,
        minor: version.minor,
        patch: version.patch,
        pre: version.pre.into(),
    })
}

fn is_wildcard(text: &str) -> bool {
    matches!(text, "x" | "X" | "*")
}

/// Go's `%q`.
fn go_quote(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\x07' => quoted.push_str("\\a"),
            '\x08' => quoted.push_str("\\b"),
            '\x0c' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\x0b' => quoted.push_str("\\v"),
            c if c.is_ascii_control() => {
                let _ = write!(quoted, "\\x{:02x}", u32::from(c));
            }
            '\'' => quoted.push(c),
            // What Rust shows as it is, Go prints, too.
            c => quoted.extend(c.escape_debug()),
        }
    }
    quoted.push('"');
    quoted
}
