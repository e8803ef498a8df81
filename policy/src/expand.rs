//! Go's `Regexp.Expand` templates, as `filterTags.extract` uses them.
//!
//! `$name` takes the longest run of letters, digits and `_`; `${name}` says where the name ends; `$$`
//! is a dollar; a group that does not exist or did not match is empty; a `$` that begins none of
//! these stays as it is. `$1x` is the group *named* `1x`, and `$01` is a name, not a number.

use std::sync::LazyLock;

/// A compiled template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Group(usize),
}

/// A `$` and what follows it.
enum Reference<'t> {
    Name(&'t str),
    Dollar,
}

impl Template {
    /// Compiles a template for a regular expression whose groups have these names, the whole match
    /// first. Every text is a template; references to groups that do not exist expand to nothing.
    pub(crate) fn new<'n>(template: &str, groups: impl Iterator<Item = Option<&'n str>>) -> Self {
        let names: Vec<Option<&str>> = groups.collect();
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
                    let group = match group_number(name) {
                        Some(number) => (number < names.len()).then_some(number),
                        None => names.iter().position(|n| *n == Some(name)),
                    };
                    if let Some(group) = group {
                        if !text.is_empty() {
                            parts.push(Part::Text(std::mem::take(&mut text)));
                        }
                        parts.push(Part::Group(group));
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
                Part::Group(number) => out.push_str(group(*number).unwrap_or_default()),
            }
        }
    }

    /// The only group of a template that is nothing but a reference: then nothing need be copied.
    pub(crate) fn as_group(&self) -> Option<usize> {
        match self.parts[..] {
            [Part::Group(number)] => Some(number),
            _ => None,
        }
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
    static LETTER_OR_DIGIT: LazyLock<Option<regex::Regex>> =
        LazyLock::new(|| regex::Regex::new(r"^[\p{L}\p{Nd}]$").ok());
    c.is_ascii_alphanumeric()
        || (!c.is_ascii()
            && LETTER_OR_DIGIT
                .as_ref()
                .is_some_and(|re| re.is_match(c.encode_utf8(&mut [0; 4]))))
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
