//! Names put into other styles, as the Go package `xstrings` does: `snakecase`, `kebabcase`, `camelcase`.

use super::super::function::{Function, Kind, fixed};
use super::text_of;

const ONE: &[Kind] = &[Kind::Text];

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "snakecase" => fixed(ONE, |run, values| {
            run.text(delimited(text_of(&values[0]), '_'))
        }),
        "kebabcase" => fixed(ONE, |run, values| {
            run.text(delimited(text_of(&values[0]), '-'))
        }),
        "camelcase" => fixed(ONE, |run, values| run.text(camel(text_of(&values[0])))),
        _ => return None,
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Connector,
    Punctuation,
    /// A word that begins in upper case.
    Capital,
    Lower,
    Number,
    Other,
}

fn class(c: char) -> Class {
    if is_connector(c) {
        Class::Connector
    } else if c.is_ascii_punctuation() && !"$+<=>^`|~".contains(c) {
        Class::Punctuation
    } else if c.is_uppercase() {
        Class::Capital
    } else if c.is_lowercase() {
        Class::Lower
    } else if c.is_numeric() {
        Class::Number
    } else {
        Class::Other
    }
}

fn is_connector(c: char) -> bool {
    matches!(c, '-' | '_') || c.is_whitespace()
}

/// Cuts a text into runs of one class. `HTTPServer` is `HTTP` and `Server`, `FirstName` is `First` and `Name`.
fn words(text: &str) -> Vec<(Class, &str)> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let kind = class(first);
        let run = |kind: Class| rest.find(|c| class(c) != kind).unwrap_or(rest.len());
        let mut end = run(kind);
        if kind == Class::Capital {
            let lower = rest[end..].starts_with(|c| class(c) == Class::Lower);
            let last = rest[..end]
                .char_indices()
                .next_back()
                .map_or(0, |(at, _)| at);
            if lower && last > 0 {
                end = last;
            } else if lower {
                let tail = &rest[end..];
                end += tail
                    .find(|c| class(c) != Class::Lower)
                    .unwrap_or(tail.len());
            }
        }
        words.push((kind, &rest[..end]));
        rest = &rest[end..];
    }
    words
}

/// `FirstName` to `first_name`, `http2xx` to `http_2xx`, `Bld4Floor` to `bld4_floor`.
fn delimited(text: &str, delimiter: char) -> String {
    let words = words(text);
    let mut out = String::with_capacity(text.len() + 8);
    let mut at = 0;
    while let Some(&(kind, word)) = words.get(at) {
        at += 1;
        lower_into(&mut out, kind, word, delimiter);
        let next = |at: usize| words.get(at).map(|(kind, _)| *kind);
        match kind {
            Class::Connector | Class::Punctuation => continue,
            Class::Number => absorb(&mut out, &words, &mut at, delimiter),
            // A number belongs to the word before it, unless small letters follow it.
            _ if next(at) == Some(Class::Number) => {
                if next(at + 1) == Some(Class::Lower) {
                    out.push(delimiter);
                    absorb(&mut out, &words, &mut at, delimiter);
                } else {
                    out.push_str(words[at].1);
                    at += 1;
                }
            }
            _ => {}
        }
        if !matches!(next(at), None | Some(Class::Connector | Class::Punctuation)) {
            out.push(delimiter);
        }
    }
    out
}

/// Takes the numbers and small letters that follow.
fn absorb(out: &mut String, words: &[(Class, &str)], at: &mut usize, delimiter: char) {
    while let Some(&(kind @ (Class::Number | Class::Lower), word)) = words.get(*at) {
        lower_into(out, kind, word, delimiter);
        *at += 1;
    }
}

fn lower_into(out: &mut String, kind: Class, word: &str, delimiter: char) {
    match kind {
        Class::Connector => out.extend(word.chars().map(|_| delimiter)),
        Class::Capital => out.push_str(&word.to_lowercase()),
        _ => out.push_str(word),
    }
}

/// `some_words` to `SomeWords`; connectors at the ends and doubled ones stay.
fn camel(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.trim_start_matches(is_connector);
    out.push_str(&text[..text.len() - rest.len()]);
    while !rest.is_empty() {
        let end = rest.find(is_connector).unwrap_or(rest.len());
        camel_word(&mut out, &rest[..end]);
        let tail = rest[end..].trim_start_matches(is_connector);
        let between = &rest[end..rest.len() - tail.len()];
        match between.chars().next_back() {
            Some(last) if !tail.is_empty() => {
                out.push_str(&between[..between.len() - last.len_utf8()]);
            }
            _ => out.push_str(between),
        }
        rest = tail;
    }
    out
}

/// A capital first; a word that is all capitals up to some place becomes small up to there.
fn camel_word(out: &mut String, word: &str) {
    let mut chars = word.chars();
    let Some(first) = chars.next() else {
        return;
    };
    let mut lowering = first.is_uppercase();
    out.extend(first.to_uppercase());
    for c in chars {
        lowering &= c.is_uppercase();
        if lowering {
            out.extend(c.to_lowercase());
        } else {
            out.push(c);
        }
    }
}
