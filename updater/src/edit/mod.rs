//! Byte-exact edits: what a careful person does who changes just the tag.
//!
//! [`edit`] takes one file's bytes and gives back new bytes in which only the marked values differ.
//! Everything else, indentation, comments, quotes, line ends, is copied. The new text is parsed again
//! and compared with the old before it is handed out.

mod index;
mod marker;
mod outcome;
mod splice;
mod yaml;

pub use index::{Marker, MarkerIndex, scan_markers};
pub use marker::{Field, InvalidSetter, Setter, may_hold_markers};
pub use outcome::{Change, EditError, FileEdit, ObjectIdentifier, Skip, SkipReason};

use crate::{Choice, Choices};
use outcome::Place;
use splice::Patch;
use std::ops::Range;
use tagline_policy::{ImageName, ImageReference};

/// What may be edited, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EditOptions {
    /// Write an empty text where a marker asks for a digest and the policy has none, as Flux does.
    ///
    /// Otherwise the value is left alone and reported as [`SkipReason::NoDigest`]: a digest that a
    /// person pinned is not lost because a policy does not reflect digests.
    pub blank_missing_digests: bool,
}

/// A marked value, wherever the file's format keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Site {
    setter: Setter,
    place: Place,
    /// The bytes that hold the value, quotes included.
    range: Range<usize>,
    /// The value as a reader of the file sees it.
    value: String,
    object: ObjectIdentifier,
    scalar: yaml::ScalarSite,
}

/// What a search of one file found.
#[derive(Debug, Default)]
struct Found {
    /// In the file's order.
    sites: Vec<Site>,
    skipped: Vec<Skip>,
}

/// Whether a file of this path is looked at: `.yaml`, `.yml`, and `Kustomization`, as in Flux.
///
/// `path` is relative, with `/` between its parts.
#[must_use]
pub fn is_candidate(path: &str, _options: &EditOptions) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name == "Kustomization" || matches!(name.rsplit_once('.'), Some((_, "yaml" | "yml")))
}

/// Sets every marked value of one file to what its policy chose.
///
/// `path` decides the format and names the file in errors.
///
/// # Errors
/// [`EditError`] when the file cannot be read as what its name says, or when the edited text would
/// not differ from the old in just the marked values. The file is then to be left alone.
pub fn edit(
    path: &str,
    text: &[u8],
    choices: &Choices,
    options: &EditOptions,
) -> Result<FileEdit, EditError> {
    if !may_hold_markers(text) {
        return Ok(FileEdit::default());
    }
    let text = utf8(path, text)?;
    let found = yaml::find(path, text)?;
    let mut outcome = FileEdit {
        skipped: found.skipped,
        ..FileEdit::default()
    };
    let mut patches: Vec<Patch> = Vec::new();
    let mut written = Vec::new();
    for site in &found.sites {
        let planned = wanted(site, choices, options).and_then(|new| match new {
            Some(new) => match yaml::patches(text, site, &new) {
                Some(patches) => Ok(Some((new, patches))),
                None => Err((
                    SkipReason::NoValue,
                    "there is no value to replace".to_owned(),
                )),
            },
            None => Ok(None),
        });
        match planned {
            Ok(Some((new, replacements))) => {
                patches.extend(replacements);
                outcome.changes.push(change(site, &new));
                written.push((site, new));
            }
            Ok(None) => {}
            Err((reason, detail)) => outcome.skipped.push(Skip {
                line: site.place.line,
                column: site.place.column,
                reason,
                setter: Some(site.setter.to_string()),
                detail,
            }),
        }
    }
    outcome.skipped.sort_by_key(|skip| (skip.line, skip.column));
    if !patches.is_empty() {
        let new = splice::apply(text, &patches);
        let wanted: Vec<_> = written
            .iter()
            .map(|(site, new)| (*site, new.as_str()))
            .collect();
        if let Some(line) = yaml::differs(text, &new, &wanted) {
            return Err(EditError::Unfaithful {
                path: path.to_owned(),
                line,
            });
        }
        outcome.text = Some(new.into_bytes());
    }
    Ok(outcome)
}

fn utf8<'t>(path: &str, text: &'t [u8]) -> Result<&'t str, EditError> {
    std::str::from_utf8(text).map_err(|source| EditError::NotUtf8 {
        path: path.to_owned(),
        line: 1 + memchr::memchr_iter(b'\n', &text[..source.valid_up_to()]).count(),
        source,
    })
}

fn change(site: &Site, new: &str) -> Change {
    Change {
        line: site.place.line,
        column: site.place.column,
        setter: site.setter.to_string(),
        policy: site.setter.policy.clone(),
        old: site.value.clone(),
        new: new.to_owned(),
        object: site.object.clone(),
    }
}

/// The value a site should hold; `None` when it holds it already.
fn wanted(
    site: &Site,
    choices: &Choices,
    options: &EditOptions,
) -> Result<Option<String>, (SkipReason, String)> {
    let policy = &site.setter.policy;
    let image = match choices.get(policy) {
        Choice::Chosen(image) => image,
        Choice::Undecided => {
            return Err((
                SkipReason::NoChoice,
                format!("image policy {policy} has not chosen an image"),
            ));
        }
        Choice::Unknown => {
            return Err((
                SkipReason::UnknownPolicy,
                format!("no image policy {policy} among those of this update"),
            ));
        }
    };
    check(image)?;
    let new = match site.setter.value(image) {
        Some(new) => new,
        None if options.blank_missing_digests || site.value.is_empty() => String::new(),
        None => {
            return Err((
                SkipReason::NoDigest,
                format!("image policy {policy} has no digest; set its digestReflectionPolicy"),
            ));
        }
    };
    if new == site.value {
        return Ok(None);
    }
    if site.value.contains("{{") {
        return Err((
            SkipReason::TemplatedValue,
            "the value is filled in by a template".to_owned(),
        ));
    }
    if site.value.contains('\n') {
        return Err((
            SkipReason::MultiLineValue,
            "the value has several lines, which no image has".to_owned(),
        ));
    }
    Ok(Some(new))
}

fn check(image: &ImageReference) -> Result<(), (SkipReason, String)> {
    match ImageName::parse(&image.name) {
        Ok(_) => Ok(()),
        Err(error) => Err((
            SkipReason::InvalidReference,
            format!(
                "encountered invalid image ref {:?}: {error}",
                image.to_string()
            ),
        )),
    }
}
