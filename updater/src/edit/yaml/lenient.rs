//! Text that Kubernetes, Helm and Flux read, and that YAML 1.2 forbids.
//!
//! Their parser, libyaml's descendant `go-yaml`, takes `"app:1.0"# comment`, quoted text that goes on at the
//! indentation of its key (what old CRD generators wrote), and `\'`. A strict parser refuses the whole file.
//! Here such a text is repaired for the parser alone: what is inserted are spaces between or inside tokens,
//! and every range found is led back to the text as it is.

use super::layout::{Layout, parser};
use granit_parser::{ErrorKind, ScanError};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

/// How many places are repaired before the file counts as unreadable: each costs a parser's run.
const MAX_REPAIRS: usize = 200;
/// How many bytes are parsed for all of them together.
const MAX_WORK: usize = 64 << 20;

/// A text that a strict parser reads.
#[derive(Debug)]
pub(super) struct Repaired {
    pub(super) text: String,
    /// Places in `text` with the number of spaces inserted there, ascending.
    inserted: Vec<(usize, usize)>,
}

/// Repairs a text that the parser refused; `None` when nothing helps.
pub(super) fn repair(text: &str) -> Option<Repaired> {
    let mut fixes = Fixes::default();
    let mut work = 0;
    for _ in 0..MAX_REPAIRS {
        let repaired = fixes.apply(text);
        work += repaired.text.len();
        let Some(error) = first_error(&repaired.text) else {
            return Some(repaired);
        };
        let at = repaired.original(error.marker().byte_offset()?);
        if work > MAX_WORK || !fixes.add(text, at, error.kind()) {
            return None;
        }
    }
    None
}

fn first_error(text: &str) -> Option<ScanError> {
    parser(text).find_map(Result::err)
}

impl Repaired {
    /// The place in the text as it is that a place in the repaired one stands for.
    fn original(&self, at: usize) -> usize {
        let mut spaces = 0;
        for &(start, length) in &self.inserted {
            if start + length > at {
                return at.min(start) - spaces;
            }
            spaces += length;
        }
        at - spaces
    }

    /// Leads what was found in the repaired text back to the text as it is.
    pub(super) fn translate(&self, layout: &mut Layout) {
        let newlines = memchr::memchr_iter(b'\n', self.text.as_bytes()).map(|at| at + 1);
        let lines: Vec<usize> = std::iter::once(0).chain(newlines).collect();
        let lead_back = |range: &mut Range<usize>, line: usize, column: &mut usize| {
            let line = lines.get(line - 1).copied().unwrap_or_default();
            let original = self.original(range.start)..self.original(range.end);
            let before = self.original(line);
            *column -= (range.start - line) - (original.start - before);
            *range = original;
        };
        for node in &mut layout.nodes {
            lead_back(&mut node.range, node.place.line, &mut node.place.column);
            node.translate_tag(|range| self.original(range.start)..self.original(range.end));
        }
        for comment in &mut layout.comments {
            let place = &mut comment.place;
            lead_back(&mut comment.range, place.line, &mut place.column);
        }
    }
}

/// What is to be done, by place in the text as it is.
#[derive(Debug, Default)]
struct Fixes {
    spaces: BTreeMap<usize, usize>,
    /// Backslashes that mean nothing.
    blanked: Vec<usize>,
    indented: bool,
}

impl Fixes {
    /// Adds what helps against an error; `false` when nothing new is known.
    fn add(&mut self, text: &str, at: usize, kind: &ErrorKind) -> bool {
        match kind {
            ErrorKind::CommentNotSeparated => {
                let line = &text[at..];
                let line = &line[..line.find('\n').unwrap_or(line.len())];
                line.find('#')
                    .is_some_and(|hash| self.spaces.insert(at + hash, 1).is_none())
            }
            ErrorKind::InvalidQuotedScalarIndent | ErrorKind::TabInIndentation => {
                !std::mem::replace(&mut self.indented, true) && self.indent_quoted(text)
            }
            ErrorKind::UnknownQuotedScalarEscape => {
                let Some(at) = useless_escape(text, at, &self.blanked) else {
                    return false;
                };
                self.blanked.push(at);
                true
            }
            _ => false,
        }
    }

    /// Indents the further lines of every quoted text that begins behind `key:` or `-`.
    ///
    /// Where that is inside a block scalar, the block's text gets spaces: nothing else moves.
    fn indent_quoted(&mut self, text: &str) -> bool {
        let mut start = 0;
        let before = self.spaces.len();
        while start < text.len() {
            let end = line_end(text, start);
            let line = &text[start..end];
            let Some(quote) = opening_quote(line).map(|at| start + at) else {
                start = end;
                continue;
            };
            let Some(close) = closing_quote(text, quote) else {
                start = end;
                continue;
            };
            let indent = line.len() - line.trim_start().len() + 2;
            let mut next = end;
            while next <= close {
                let end = line_end(text, next);
                if !text[next..end].trim().is_empty() {
                    self.spaces.insert(next, indent);
                }
                next = end;
            }
            start = next.max(end);
        }
        self.spaces.len() > before
    }

    fn apply(&self, text: &str) -> Repaired {
        let mut repaired = String::with_capacity(text.len() + self.spaces.len() * 8);
        let mut inserted = Vec::with_capacity(self.spaces.len());
        let mut copied = 0;
        for (&at, &length) in &self.spaces {
            repaired.push_str(&text[copied..at]);
            inserted.push((repaired.len(), length));
            repaired.extend(std::iter::repeat_n(' ', length));
            copied = at;
        }
        repaired.push_str(&text[copied..]);
        if !self.blanked.is_empty() {
            let mut bytes = repaired.into_bytes();
            for &at in &self.blanked {
                let spaces: usize = self.spaces.range(..=at).map(|(_, length)| length).sum();
                bytes[at + spaces] = b' ';
            }
            // A backslash is one byte, and so is a space.
            repaired = String::from_utf8(bytes).unwrap_or_default();
        }
        Repaired {
            text: repaired,
            inserted,
        }
    }
}

/// Where the next line begins.
fn line_end(text: &str, start: usize) -> usize {
    memchr::memchr(b'\n', &text.as_bytes()[start..]).map_or(text.len(), |at| start + at + 1)
}

/// The quote that begins a value on this line and is not closed on it.
fn opening_quote(line: &str) -> Option<usize> {
    let value = match line.find(": ") {
        Some(colon) => colon + 2,
        None => line.find("- ")? + 2,
    };
    let at = line.len() - line[value..].trim_start().len();
    let unclosed = line[at..].starts_with(['"', '\'']) && closing_quote(line, at).is_none();
    unclosed.then_some(at)
}

/// The quote that ends the text whose quote stands at `open`.
fn closing_quote(text: &str, open: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let quote = bytes[open];
    let mut at = open + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' if quote == b'"' => at += 1,
            _ if byte == quote && quote == b'\'' && bytes.get(at + 1) == Some(&quote) => at += 1,
            _ if byte == quote => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

/// The next `\'` of the double-quoted text that begins at `open`.
fn useless_escape(text: &str, open: usize, but: &[usize]) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = open + 1;
    while let Some(&byte) = bytes.get(at).filter(|byte| **byte != b'"') {
        if byte == b'\\' && bytes.get(at + 1) == Some(&b'\'') && !but.contains(&at) {
            return Some(at);
        }
        at += 1 + usize::from(byte == b'\\');
    }
    None
}

/// The text itself where it is read as it is, else the repaired one.
pub(super) fn readable(text: &str) -> Cow<'_, str> {
    if first_error(text).is_none() {
        return Cow::Borrowed(text);
    }
    repair(text).map_or(Cow::Borrowed(text), |repaired| Cow::Owned(repaired.text))
}
