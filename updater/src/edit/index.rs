//! What can be remembered of a file: its markers, so that a later run opens only files that matter.

use super::{EditError, EditOptions, Setter};
use crate::{Choice, Choices, PolicyName};
use std::ops::Range;

/// One marker of a file, with the value it stands at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Marker {
    /// The policy and field named.
    pub setter: Setter,
    /// The value's line, from 1.
    pub line: usize,
    /// The value's column, from 1, in characters.
    pub column: usize,
    /// The value's bytes, quotes included.
    pub range: Range<usize>,
    /// The value, as a reader of the file sees it.
    pub value: String,
}

/// The markers of one file, good for as long as its bytes (its git blob) are the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MarkerIndex {
    /// Markers that stand at a value, in the file's order.
    pub markers: Vec<Marker>,
    /// The file has something to report on each run: a marker without a value, a broken document.
    pub has_problems: bool,
}

impl MarkerIndex {
    /// The policies named.
    pub fn policies(&self) -> impl Iterator<Item = &PolicyName> {
        self.markers.iter().map(|marker| &marker.setter.policy)
    }

    /// Whether [`edit`](super::edit) would change the file, as far as one can say without its bytes.
    ///
    /// Never `false` where it would.
    #[must_use]
    pub fn may_change(&self, choices: &Choices, options: &EditOptions) -> bool {
        self.markers.iter().any(|marker| {
            let Choice::Chosen(image) = choices.get(&marker.setter.policy) else {
                return false;
            };
            match marker.setter.value(image) {
                Some(wanted) => wanted != marker.value,
                None => options.blank_missing_digests && !marker.value.is_empty(),
            }
        })
    }
}

/// Lists a file's markers without changing anything.
///
/// # Errors
/// Those of [`edit`](super::edit) for a file that cannot be read.
pub fn scan_markers(
    path: &str,
    text: &[u8],
    options: &EditOptions,
) -> Result<MarkerIndex, EditError> {
    let Some((_, found)) = super::find(path, text, options)? else {
        return Ok(MarkerIndex::default());
    };
    Ok(MarkerIndex {
        has_problems: !found.skipped.is_empty(),
        markers: found
            .sites
            .into_iter()
            .map(|site| Marker {
                setter: site.setter,
                line: site.place.line,
                column: site.place.column,
                range: site.range,
                value: site.value,
            })
            .collect(),
    })
}
