//! Writes a new value into the place of an old scalar, in the old one's style.

use super::implicit;
use super::layout::{Scalar, TagKind};
use crate::edit::Site;
use crate::edit::splice::Patch;
use granit_parser::ScalarStyle;
use std::ops::Range;

/// What is needed to write a scalar anew and to find it again afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::edit) struct ScalarSite {
    style: ScalarStyle,
    pub(super) ordinal: usize,
    /// The line breaks that end a block scalar's value.
    pub(super) ending: String,
    tag: Option<(Range<usize>, TagKind)>,
}

impl ScalarSite {
    pub(super) fn new(scalar: &Scalar) -> Self {
        let is_block = matches!(scalar.style, ScalarStyle::Literal | ScalarStyle::Folded);
        let content = if is_block {
            scalar.value.trim_end_matches('\n').len()
        } else {
            scalar.value.len()
        };
        Self {
            style: scalar.style,
            ordinal: scalar.ordinal,
            ending: scalar.value[content..].to_owned(),
            tag: scalar.tag.clone(),
        }
    }
}

/// The replacements that make a site hold `new`; `None` where there is no place to write it.
pub(in crate::edit) fn patches(
    text: &str,
    site: &Site,
    scalar: &ScalarSite,
    new: &str,
) -> Option<Vec<Patch>> {
    let mut patches = Vec::new();
    let mut untyped = true;
    match &scalar.tag {
        // `!!float 1.0.1` is what Flux makes of a number: the tag was never meant.
        Some((range, TagKind::OtherCore)) => {
            let end = range.end + text[range.end..].len()
                - text[range.end..].trim_start_matches([' ', '\t']).len();
            patches.push(Patch {
                range: range.start..end.min(site.range.start.max(range.end)),
                replacement: String::new(),
            });
        }
        Some((_, TagKind::String)) => untyped = false,
        Some((_, TagKind::Custom)) | None => {}
    }
    let mut range = site.range.clone();
    let replacement = match scalar.style {
        ScalarStyle::SingleQuoted => format!("'{}'", new.replace('\'', "''")),
        ScalarStyle::DoubleQuoted => double_quoted(new),
        ScalarStyle::Literal | ScalarStyle::Folded => {
            range.end = range.start + content_length(&text[range.clone()])?;
            new.to_owned()
        }
        ScalarStyle::Plain => {
            let written = if !implicit::is_plain(new) || untyped && !implicit::is_string(new) {
                double_quoted(new)
            } else {
                new.to_owned()
            };
            if range.is_empty() {
                empty_place(text, &range, scalar)?;
                format!(" {written}")
            } else {
                written
            }
        }
    };
    patches.push(Patch { range, replacement });
    Some(patches)
}

/// The length of a block scalar's text up to the end of its last line.
///
/// The parser's range goes on over blank lines, and into the indentation of what follows.
fn content_length(text: &str) -> Option<usize> {
    let last = text.trim_end().len();
    let line_end = text[last..].find(['\r', '\n']).unwrap_or(text.len() - last);
    (last > 0).then_some(last + line_end)
}

/// A value can be put where none is only behind `:`, `-`, an anchor or a tag.
fn empty_place(text: &str, range: &Range<usize>, scalar: &ScalarSite) -> Option<()> {
    let before = &text[..range.start];
    let word = before.rsplit([' ', '\t', '\n', '{', '[', ',']).next()?;
    (before.ends_with([':', '-']) || word.starts_with('&') || scalar.tag.is_some()).then_some(())
}

fn double_quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}
