//! Marked values in YAML: found, written, and checked.
//!
//! Comments are bound to values as kyaml binds them for Flux (`flux-v2-automation` 3.1 and 3.2), on the
//! events and byte ranges of the parser, so that a file is never re-emitted.

mod attach;
mod faithful;
mod implicit;
mod layout;
mod lenient;
mod scalar;

pub(super) use faithful::differs;
pub(super) use scalar::{ScalarSite, patches};

use super::outcome::{EditError, Skip};
use super::{Found, Notation, Site};

/// Finds the marked values and the markers that cannot be followed.
pub(super) fn find(path: &str, text: &str) -> Result<Found, EditError> {
    let layout = layout::read(text).map_err(|broken| EditError::Unparsable {
        path: path.to_owned(),
        line: broken.place.line,
        column: broken.place.column,
        document: broken.document,
        message: broken.message,
    })?;
    Ok(attach::bind(text, &layout))
}

/// A marker that could not be bound to a value.
fn left_alone(
    place: super::outcome::Place,
    setter: Option<&super::Setter>,
    reason: super::SkipReason,
    detail: impl Into<String>,
) -> Skip {
    Skip {
        line: place.line,
        column: place.column,
        reason,
        setter: setter.map(ToString::to_string),
        detail: detail.into(),
    }
}

/// A marked scalar as a site of its file.
fn site(layout: &layout::Layout, node: &layout::Node, setter: super::Setter) -> Option<Site> {
    let layout::Content::Scalar(scalar) = &node.content else {
        return None;
    };
    Some(Site {
        setter,
        place: node.place,
        range: node.range.clone(),
        value: scalar.value.trim_end_matches('\n').to_owned(),
        object: layout.object_of(node),
        notation: Notation::Yaml(ScalarSite::new(scalar)),
    })
}
