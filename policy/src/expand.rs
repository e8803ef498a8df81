//! Go's `Regexp.Expand` templates, as `filterTags.extract` uses them.
//!
//! `$name` takes the longest run of letters, digits and `_`; `${name}` says where the name ends; `$$`
//! is a dollar; a group that does not exist or did not match is empty; a `$` that begins none of
//! these stays as it is. `$1x` is the group *named* `1x`, and `$01` is a name, not a number.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};
use std::sync::LazyLock;

/// A compiled template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// A group, or the groups of one name, of which the first that matched counts.
    Groups(Vec<usize>),
}

/// A `$` and what follows it.
enum Reference<'t> {
    Name(&'t str),
    Dollar,
}

impl Template {
    /// Compiles a template for a regular expression whose groups have these names, the whole match
    /// first. Every text is a template; references to groups that do not exist expand to nothing.
    pub(crate) fn new(template: &str, names: &[Option<&str>]) -> Self {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = template;
        while let Some(at) = rest.find('$') {
            text.push_str(&rest[..at]);
            rest = &rest[at..];
            let Some((reference, length)) = reference(rest) else {
                text.push('$');
                rest = &rest[1..];
                continue;
            };
            rest = &rest[length..];
            match reference {
                Reference::Dollar => text.push('$'),
                Reference::Name(name) => {
                    let groups: Vec<usize> = match group_number(name) {
                        Some(number) => (number < names.len())
                            .then_some(number)
                            .into_iter()
                            .collect(),
                        None => (0..names.len())
                            .filter(|group| names[*group] == Some(name))
                            .collect(),
                    };
                    if !groups.is_empty() {
                        if !text.is_empty() {
                            parts.push(Part::Text(std::mem::take(&mut text)));
                        }
                        parts.push(Part::Groups(groups));
                    }
                }
            }
        }
        text.push_str(rest);
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Self { parts }
    }

    /// Appends the expansion; `group` gives the text that a group matched.
    pub(crate) fn expand<'h>(&self, out: &mut String, group: impl Fn(usize) -> Option<&'h str>) {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Groups(groups) => {
                    out.push_str(groups.iter().find_map(|n| group(*n)).unwrap_or_default());
                }
            }
        }
    }

    /// The only group of a template that is nothing but a reference: then nothing need be copied.
    pub(crate) fn as_group(&self) -> Option<usize> {
        match &self.parts[..] {
            [Part::Groups(groups)] if groups.len() == 1 => groups.first().copied(),
            _ => None,
        }
    }

    /// The greatest group that it refers to; 0 is the whole match.
    pub(crate) fn last_group(&self) -> usize {
        let groups = self.parts.iter().map(|part| match part {
            Part::Text(_) => 0,
            Part::Groups(groups) => groups.iter().copied().max().unwrap_or(0),
        });
        groups.max().unwrap_or(0)
    }
}

/// Reads what follows a `$` (which is the first character of `text`), and how long it is.
fn reference(text: &str) -> Option<(Reference<'_>, usize)> {
    let rest = &text[1..];
    if rest.starts_with('$') {
        return Some((Reference::Dollar, 2));
    }
    let (rest, brace) = rest.strip_prefix('{').map_or((rest, false), |r| (r, true));
    let length = rest
        .find(|c: char| !(c == '_' || is_go_letter_or_digit(c)))
        .unwrap_or(rest.len());
    if length == 0 || (brace && !rest[length..].starts_with('}')) {
        return None;
    }
    let consumed = 1 + length + if brace { 2 } else { 0 };
    Some((Reference::Name(&rest[..length]), consumed))
}

/// Go's `unicode.IsLetter` or `unicode.IsDigit`: the categories L and Nd.
fn is_go_letter_or_digit(c: char) -> bool {
    static LETTERS_AND_DIGITS: LazyLock<Option<ClassUnicode>> = LazyLock::new(|| {
        let class = regex_syntax::parse(r"[\p{L}\p{Nd}]").ok()?;
        match class.into_kind() {
            HirKind::Class(Class::Unicode(class)) => Some(class),
            _ => None,
        }
    });
    if c.is_ascii() {
        return c.is_ascii_alphanumeric();
    }
    LETTERS_AND_DIGITS.as_ref().is_some_and(|class| {
        let in_range = |range: &ClassUnicodeRange| range.start() <= c && c <= range.end();
        class.ranges().iter().any(in_range)
    })
}

/// The number a name stands for: digits without a leading zero. Go stops counting at 10^8 and takes
/// what is longer for a name.
fn group_number(name: &str) -> Option<usize> {
    let mut number = 0usize;
    for b in name.bytes() {
        if !b.is_ascii_digit() || number >= 100_000_000 {
            return None;
        }
        number = number * 10 + usize::from(b - b'0');
    }
    (name.len() == 1 || !name.starts_with('0')).then_some(number)
}
