//! What decides which files are looked at and what becomes of them.

use crate::edit::{self, EditOptions, FileEdit, Setter};
use crate::{Choices, PolicyName};
use std::collections::BTreeSet;

/// Decides which files are looked at and what becomes of them: markers, or Flux v1's annotations.
///
/// What it answers may depend on nothing but its arguments and its own settings: answers are kept.
pub trait Editor: Sync {
    /// Names this editor and its version. Answers kept under another name are not used.
    fn name(&self) -> String;

    /// Whether a file of this path is looked at by any run, whatever its options. `path` is relative to the
    /// repository's root.
    fn may_look_at(&self, path: &str) -> bool;

    /// Whether a file can hold anything to edit: a quick search, so that most files are never parsed.
    fn may_edit(&self, path: &str, text: &[u8]) -> bool;

    /// What becomes of one file. A file that cannot be edited is reported as skipped.
    fn edit(&self, path: &str, text: &[u8], choices: &Choices, options: &EditOptions) -> FileEdit;

    /// The policies that an edit of this file asks for.
    fn policies(&self, path: &str, text: &[u8], options: &EditOptions) -> Vec<PolicyName> {
        // With no policy known, every marker is reported as skipped.
        let named: BTreeSet<PolicyName> = self
            .edit(path, text, &Choices::new(), options)
            .skipped
            .iter()
            .filter_map(|skip| skip.setter.as_deref()?.parse::<Setter>().ok())
            .map(|setter| setter.policy)
            .collect();
        named.into_iter().collect()
    }
}

/// Follows `{"$imagepolicy": …}` markers.
#[derive(Debug, Clone, Copy, Default)]
pub struct MarkerEditor;

impl Editor for MarkerEditor {
    fn name(&self) -> String {
        format!("markers {}", env!("CARGO_PKG_VERSION"))
    }

    fn may_look_at(&self, path: &str) -> bool {
        edit::has_format(path)
    }

    fn may_edit(&self, path: &str, text: &[u8]) -> bool {
        edit::may_hold_markers(text) || edit::is_marker_map(path)
    }

    fn edit(&self, path: &str, text: &[u8], choices: &Choices, options: &EditOptions) -> FileEdit {
        edit::edit(path, text, choices, options).unwrap_or_else(|e| FileEdit {
            skipped: vec![e.to_skip()],
            ..FileEdit::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_of_a_file_are_known_without_any_choice() {
        let text = b"a: x:1 # {\"$imagepolicy\": \"ns:b\"}\nb: 2 # {\"$imagepolicy\": \"ns:a:tag\"}\nc: 3 # {\"$imagepolicy\": \"ns:a:tag\"}\n";
        assert_eq!(
            MarkerEditor.policies("x.yaml", text, &EditOptions::default()),
            [PolicyName::new("ns", "a"), PolicyName::new("ns", "b")]
        );
    }
}
