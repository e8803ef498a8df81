//! Replaces byte ranges of a text and copies everything between them.

use std::ops::Range;

/// One replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Patch {
    pub(super) range: Range<usize>,
    pub(super) replacement: String,
}

/// Applies patches whose ranges ascend and do not overlap.
pub(super) fn apply(text: &str, patches: &[Patch]) -> String {
    let grown: usize = patches.iter().map(|patch| patch.replacement.len()).sum();
    let mut new = String::with_capacity(text.len() + grown);
    let mut copied = 0;
    for patch in patches {
        new.push_str(&text[copied..patch.range.start]);
        new.push_str(&patch.replacement);
        copied = patch.range.end;
    }
    new.push_str(&text[copied..]);
    new
}
