//! `.env`: `TAG=1.0 # {"$imagepolicy": "ns:app:tag"}`.

use super::{Syntax, is_word, quoted_at_end};
use std::ops::Range;

pub(super) const SYNTAX: Syntax = Syntax {
    comments: &["#"],
    value,
    behind: true,
};

/// What stands behind the first `=`.
fn value(code: &str) -> Option<Range<usize>> {
    let code = code.trim_end();
    let start = code.find('=')? + 1;
    match quoted_at_end(code) {
        Some(range) => (range.start == start).then_some(range),
        None => is_word(&code[start..]).then_some(start..code.len()),
    }
}
