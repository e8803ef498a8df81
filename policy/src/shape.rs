//! The shape of a tag: how many numbers its version has, and which variant of the image it names.
//!
//! Renovate and Dependabot keep a dependency to its shape: `1.25-alpine` may become `1.26-alpine`, not
//! `1.26`, `1.26.1-alpine` or `1.26-alpine3.20`. What counts upwards is left open wherever it stands:
//! `17.0.1_12-jre` may become `17.0.2_8-jre`, `main-2a3560e-1694132169` another commit and time.

/// The shape of one tag, to hold others against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    tag: String,
}

impl Shape {
    pub(crate) fn of(tag: &str) -> Self {
        Self {
            tag: tag.to_owned(),
        }
    }

    /// Whether another tag has this shape.
    pub(crate) fn fits(&self, tag: &str) -> bool {
        let (mut left, mut right) = (Segments(&self.tag), Segments(tag));
        loop {
            match (left.next(), right.next()) {
                (None, None) => return true,
                (Some(a), Some(b)) if a.agrees_with(b) => {}
                _ => return false,
            }
        }
    }
}

/// What stands between two `-` or `_`, and which of them stands behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment<'t> {
    content: Content<'t>,
    separator: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content<'t> {
    /// `v1.25`, `1.25rc1`: the letters in front, and how many numbers. A mark of a pre-release behind
    /// the numbers (`b1`, `RC2`) does not count.
    Numbers { prefix: &'t str, parts: usize },
    /// 7 to 40 hexadecimal digits; `or_number` when they could as well be a number.
    Commit { or_number: bool },
    /// Anything else, to the letter.
    Text(&'t str),
}

impl Segment<'_> {
    fn agrees_with(self, other: Segment<'_>) -> bool {
        let number = |content: Content<'_>| {
            content
                == Content::Numbers {
                    prefix: "",
                    parts: 1,
                }
        };
        let contents = match (self.content, other.content) {
            (Content::Commit { .. }, Content::Commit { .. }) => true,
            (Content::Commit { or_number: true }, content)
            | (content, Content::Commit { or_number: true }) => number(content),
            (a, b) => a == b,
        };
        contents && self.separator == other.separator
    }
}

/// The segments of a text that is left.
struct Segments<'t>(&'t str);

impl<'t> Iterator for Segments<'t> {
    type Item = Segment<'t>;

    fn next(&mut self) -> Option<Segment<'t>> {
        if self.0.is_empty() {
            return None;
        }
        let end = self.0.find(['-', '_']).unwrap_or(self.0.len());
        let content = Content::of(&self.0[..end]);
        let separator = self.0.as_bytes().get(end).copied();
        self.0 = self.0.get(end + 1..).unwrap_or_default();
        Some(Segment { content, separator })
    }
}

impl<'t> Content<'t> {
    fn of(text: &'t str) -> Self {
        let hex = text.strip_prefix('g').unwrap_or(text);
        if (7..=40).contains(&hex.len())
            && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        {
            return Self::Commit {
                or_number: text.bytes().all(|b| b.is_ascii_digit()),
            };
        }
        Self::numbers(text).unwrap_or(Self::Text(text))
    }

    fn numbers(text: &'t str) -> Option<Self> {
        let start = text.find(|c: char| c.is_ascii_digit())?;
        let (prefix, mut rest) = text.split_at(start);
        // `alpine3.20` and `ltsc2022` name a variant, `v3` and `KB4487017` count.
        if !(prefix.is_empty() || prefix == "v" || prefix == "KB") {
            return None;
        }
        let mut parts = 0;
        loop {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            parts += 1;
            rest = &rest[digits..];
            match rest.strip_prefix('.') {
                Some(behind) if behind.starts_with(|c: char| c.is_ascii_digit()) => rest = behind,
                _ => break,
            }
        }
        is_prerelease_mark(rest).then_some(Self::Numbers { prefix, parts })
    }
}

/// Nothing, or letters and a number: `b1`, `rc2`, `RC`.
fn is_prerelease_mark(text: &str) -> bool {
    let word = text.trim_end_matches(|c: char| c.is_ascii_digit());
    let marks = ["a", "b", "rc", "alpha", "beta", "m", "pre", "dev"];
    (text.is_empty() || !word.is_empty())
        && (word.is_empty() || marks.iter().any(|mark| word.eq_ignore_ascii_case(mark)))
}
