//! Upper and lower case.

use super::super::function::{Function, Kind, fixed};
use super::text_of;

const ONE: &[Kind] = &[Kind::Text];

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "upper" => fixed(ONE, |run, values| {
            run.text(text_of(&values[0]).to_uppercase())
        }),
        "lower" => fixed(ONE, |run, values| {
            run.text(text_of(&values[0]).to_lowercase())
        }),
        "title" => fixed(ONE, |run, values| run.text(title(text_of(&values[0])))),
        "untitle" => fixed(ONE, |run, values| run.text(untitle(text_of(&values[0])))),
        "swapcase" => fixed(ONE, |run, values| run.text(swap(text_of(&values[0])))),
        "initials" => fixed(ONE, |run, values| run.text(initials(text_of(&values[0])))),
        _ => return None,
    })
}

/// Go's `strings.Title`: the first letter of each word in upper case.
fn title(text: &str) -> String {
    let mut previous = ' ';
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let inside_word = previous.is_alphanumeric() || matches!(previous, '_' | '\'');
        if inside_word {
            out.push(c);
        } else {
            out.extend(c.to_uppercase());
        }
        previous = c;
    }
    out
}

/// The first letter of each word in lower case; words are divided by white space.
fn untitle(text: &str) -> String {
    let mut first = true;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if first && !c.is_whitespace() {
            out.extend(c.to_lowercase());
        } else {
            out.push(c);
        }
        first = c.is_whitespace();
    }
    out
}

fn swap(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_uppercase() {
            out.extend(c.to_lowercase());
        } else if c.is_lowercase() {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
    }
    out
}

fn initials(text: &str) -> String {
    text.split_whitespace()
        .filter_map(|word| word.chars().next())
        .collect()
}
