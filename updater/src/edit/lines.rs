//! Line by line: files that no YAML parser reads. One module per syntax says what a value is there.
//!
//! A marker is a comment of its own, behind the value or on the line above it. What stands on a line
//! is found by the syntax's own rule; where the rule finds no value, the marker is reported.

mod dockerfile;
mod dotenv;
mod hcl;
mod template;

use super::marker::{self, Comment};
use super::outcome::{ObjectIdentifier, Place, Skip, SkipReason};
use super::{Format, Found, Notation, Setter, Site};
use std::ops::Range;

/// How a syntax writes comments and values.
struct Syntax {
    /// What begins a comment that can hold a marker.
    comments: &'static [&'static str],
    /// The value on a line: its bytes, quotes included.
    value: fn(&str) -> Option<Range<usize>>,
    /// Whether a marker may stand behind the value, on its line.
    behind: bool,
}

fn syntax(format: Format) -> Syntax {
    match format {
        Format::Hcl => hcl::SYNTAX,
        Format::Dockerfile => dockerfile::SYNTAX,
        Format::Dotenv => dotenv::SYNTAX,
        Format::Yaml | Format::Json | Format::Template => template::SYNTAX,
    }
}

/// Finds the marked values of a file.
pub(super) fn find(format: Format, text: &str) -> Found {
    let syntax = syntax(format);
    let mut found = Found::default();
    // A marker on a line of its own, until its value comes.
    let mut above: Option<(Setter, Place)> = None;
    let mut start = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let written = line.trim_end_matches(['\n', '\r']);
        let place = |at: usize| Place {
            line: index + 1,
            column: written[..at].chars().count() + 1,
        };
        let comment = comment(&syntax, written);
        let code = &written[..comment.as_ref().map_or(written.len(), |comment| comment.0)];
        let own_line = code.trim().is_empty();
        if let Some((at, comment)) = comment {
            match comment {
                Comment::Marker(setter) if own_line => {
                    if let Some((setter, place)) = above.replace((setter, place(at))) {
                        found.skipped.push(nothing_there(&setter, place));
                    }
                }
                Comment::Marker(setter) if syntax.behind => {
                    match site(&syntax, code, start, index, setter.clone()) {
                        Some(site) => found.sites.push(site),
                        None => found.skipped.push(no_value(code, &setter, place(at))),
                    }
                }
                Comment::Marker(setter) => {
                    found.skipped.push(nothing_there(&setter, place(at)));
                }
                Comment::Malformed(why) => found.skipped.push(Skip {
                    line: index + 1,
                    column: place(at).column,
                    reason: SkipReason::MalformedMarker,
                    setter: None,
                    detail: why,
                }),
                Comment::Prose => {}
            }
        }
        if !own_line && let Some((setter, place)) = above.take() {
            match site(&syntax, code, start, index, setter.clone()) {
                Some(site) => found.sites.push(site),
                None => found.skipped.push(no_value(code, &setter, place)),
            }
        }
        start += line.len();
    }
    if let Some((setter, place)) = above {
        found.skipped.push(nothing_there(&setter, place));
    }
    found.sites.sort_by_key(|site| site.range.start);
    found.sites.dedup_by_key(|site| site.range.start);
    found
}

/// The marker comment of a line: where it begins, and what it is.
fn comment(syntax: &Syntax, line: &str) -> Option<(usize, Comment)> {
    let token = line.find("$imagepolicy")?;
    let (at, opener) = syntax
        .comments
        .iter()
        .filter_map(|opener| Some((line[..token].rfind(opener)?, opener)))
        .max_by_key(|(at, _)| *at)?;
    let inside = line[at + opener.len()..].trim();
    let inside = ["*/", "*/}}", "*/ -}}"]
        .iter()
        .find_map(|closer| inside.strip_suffix(closer))
        .unwrap_or(inside);
    Some((at, marker::read(inside)))
}

fn site(syntax: &Syntax, code: &str, start: usize, index: usize, setter: Setter) -> Option<Site> {
    let range = (syntax.value)(code)?;
    let written = &code[range.clone()];
    let (value, notation) = match written.chars().next() {
        Some(quote @ ('"' | '\'')) => (written.trim_matches(quote), Notation::Quoted(quote)),
        _ => (written, Notation::Bare),
    };
    Some(Site {
        setter,
        place: Place {
            line: index + 1,
            column: code[..range.start].chars().count() + 1,
        },
        value: value.to_owned(),
        range: start + range.start..start + range.end,
        object: ObjectIdentifier::default(),
        notation,
    })
}

fn nothing_there(setter: &Setter, place: Place) -> Skip {
    Skip {
        line: place.line,
        column: place.column,
        reason: SkipReason::NoValue,
        setter: Some(setter.to_string()),
        detail: "no value behind or below the marker".to_owned(),
    }
}

fn no_value(code: &str, setter: &Setter, place: Place) -> Skip {
    if code.contains("{{") || code.contains("${") {
        return Skip {
            reason: SkipReason::TemplatedValue,
            detail: "the value is filled in by a template".to_owned(),
            ..nothing_there(setter, place)
        };
    }
    nothing_there(setter, place)
}

/// A text in quotes that ends where `code` ends; no quote and no escape inside.
fn quoted_at_end(code: &str) -> Option<Range<usize>> {
    let end = code.trim_end().len();
    let quote = code[..end]
        .chars()
        .next_back()
        .filter(|c| matches!(c, '"' | '\''))?;
    let start = code[..end - 1].rfind(quote)?;
    (!code[start..end].contains('\\')).then_some(start..end)
}

/// Whether a text is one bare word of an image reference or tag.
fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-/:@+[]".contains(&b))
}
