//! YAML that a template engine completes (Helm): `image: app:1.0 # {"$imagepolicy": "ns:app"}`.
//!
//! The marker may also stand in a template comment, `{{/* … */}}`, which the engine leaves out.

use super::{Syntax, is_word, quoted_at_end};
use std::ops::Range;

pub(super) const SYNTAX: Syntax = Syntax {
    comments: &["#", "{{/*", "{{- /*"],
    value,
    behind: true,
};

/// What stands behind `key: `, `- ` or `- key: `: a quoted text or one word, never a template's action.
fn value(code: &str) -> Option<Range<usize>> {
    let code = code.trim_end();
    if code.contains("{{") {
        return None;
    }
    let start = match code.find(": ") {
        Some(colon) => colon + 2,
        None => code.find("- ")? + 2,
    };
    let start = code.len() - code[start..].trim_start().len();
    match quoted_at_end(code) {
        Some(range) => (range.start == start).then_some(range),
        None => is_word(&code[start..]).then_some(start..code.len()),
    }
}
