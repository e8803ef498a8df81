//! Byte-exact edits: what a careful person does who changes just the tag.
//!
//! [`edit`] takes one file's bytes and gives back new bytes in which only the marked values differ.
//! Everything else, indentation, comments, quotes, line ends, is copied. The new text is parsed again
//! and compared with the old before it is handed out.

mod format;
mod index;
mod json;
mod lines;
mod map;
mod marker;
mod outcome;
mod splice;
mod yaml;

pub use format::{Format, Formats, UnknownFormat};
pub use index::{Marker, MarkerIndex, scan_markers};
pub use map::{InvalidMarkerMap, MARKER_MAP_NAME, MarkerMap};
pub use marker::{Field, InvalidSetter, Setter, may_hold_markers};
pub use outcome::{Change, EditError, FileEdit, ObjectIdentifier, Skip, SkipReason};

use crate::{Choice, Choices};
use outcome::Place;
use splice::Patch;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
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
    /// The kinds of files that are looked at; YAML only, as in Flux, unless others are asked for.
    pub formats: Formats,
    /// The `.tagline.yaml` files of the directory or tree.
    pub maps: Vec<MarkerMap>,
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
    notation: Notation,
}

/// How a value is written, and so how a new one has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Notation {
    Yaml(yaml::ScalarSite),
    /// Between two of these quotes.
    Quoted(char),
    /// A word without quotes.
    Bare,
}

/// What a search of one file found.
#[derive(Debug, Default)]
struct Found {
    /// In the file's order.
    sites: Vec<Site>,
    skipped: Vec<Skip>,
}

/// Whether a file of this path is looked at: `.yaml`, `.yml`, and `Kustomization`, as in Flux, and what
/// [`EditOptions::formats`] adds.
///
/// `path` is relative, with `/` between its parts.
#[must_use]
pub fn is_candidate(path: &str, options: &EditOptions) -> bool {
    Format::of(path).is_some_and(|format| options.formats.contains(format))
}

/// Whether a file of this path may be looked at under any options.
pub(crate) fn has_format(path: &str) -> bool {
    Format::of(path).is_some()
}

/// Whether a file is a `.tagline.yaml`.
pub(crate) fn is_marker_map(path: &str) -> bool {
    path.rsplit('/').next() == Some(MARKER_MAP_NAME)
}

impl EditOptions {
    /// Whether a file of this path is looked at: by its name, or because a map names it.
    pub(crate) fn look_at(&self, path: &str) -> bool {
        is_candidate(path, self) || self.maps.iter().any(|map| map.names(path))
    }

    /// What of these options decides what is found in a file of this path, as a word to keep findings under.
    pub(crate) fn reading(&self, path: &str) -> String {
        let mut hasher = DefaultHasher::new();
        for entry in self.maps.iter().flat_map(|map| map.entries(path)) {
            entry.hash(&mut hasher);
        }
        let lines = self.formats.contains(Format::Template);
        let blank = self.blank_missing_digests;
        format!("{lines} {blank} {:x}", hasher.finish())
    }
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
    let Some((text, found)) = find(path, text, options)? else {
        return Ok(FileEdit::default());
    };
    let mut outcome = FileEdit {
        skipped: found.skipped,
        ..FileEdit::default()
    };
    let mut patches: Vec<Patch> = Vec::new();
    let mut written = Vec::new();
    for site in &found.sites {
        let planned = wanted(site, choices, options).and_then(|new| match new {
            Some(new) => match rewrite(text, site, &new) {
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
        if let Some(line) = differs(path, text, &new, &wanted, options) {
            return Err(EditError::Unfaithful {
                path: path.to_owned(),
                line,
            });
        }
        outcome.text = Some(new.into_bytes());
    }
    Ok(outcome)
}

/// Searches a file for marked values; `None` when it cannot have any.
fn find<'t>(
    path: &str,
    text: &'t [u8],
    options: &EditOptions,
) -> Result<Option<(&'t str, Found)>, EditError> {
    let mapped = options.maps.iter().any(|map| map.names(path));
    if !mapped && !may_hold_markers(text) {
        return Ok(None);
    }
    let text = utf8(path, text)?;
    let mut found = match Format::of(path).unwrap_or(Format::Yaml) {
        Format::Yaml => match yaml::find(path, text) {
            Err(EditError::Unparsable { .. })
                if options.formats.contains(Format::Template) && text.contains("{{") =>
            {
                lines::find(Format::Template, text)
            }
            found => found?,
        },
        Format::Json => json::find(path, text, &options.maps)?,
        format => lines::find(format, text),
    };
    if mapped && Format::of(path) != Some(Format::Json) {
        found.skipped.push(Skip {
            line: 1,
            column: 1,
            reason: SkipReason::MalformedMarker,
            setter: None,
            detail: format!(
                "{MARKER_MAP_NAME} names this file, but a path can be set in JSON files only"
            ),
        });
    }
    Ok(Some((text, found)))
}

/// The replacements that make a site hold `new`; `None` where there is no place to write it.
fn rewrite(text: &str, site: &Site, new: &str) -> Option<Vec<Patch>> {
    let replacement = match &site.notation {
        Notation::Yaml(scalar) => return yaml::patches(text, site, scalar, new),
        Notation::Quoted(quote) => format!("{quote}{new}{quote}"),
        Notation::Bare if new.is_empty() => return None,
        Notation::Bare => new.to_owned(),
    };
    Some(vec![Patch {
        range: site.range.clone(),
        replacement,
    }])
}

/// Reads the edited text anew, and gives the line of the first difference that was not meant.
fn differs(
    path: &str,
    old: &str,
    new: &str,
    wanted: &[(&Site, &str)],
    options: &EditOptions,
) -> Option<usize> {
    let scalars: Option<Vec<_>> = wanted
        .iter()
        .map(|(site, value)| match &site.notation {
            Notation::Yaml(scalar) => Some((scalar, site.place.line, *value)),
            _ => None,
        })
        .collect();
    if let Some(scalars) = scalars {
        return yaml::differs(old, new, &scalars);
    }
    // Outside YAML a value stays on its line: the same sites must be found, with the values meant.
    let again = find(path, new.as_bytes(), options).ok().flatten();
    let sites = again.map(|(_, found)| found.sites).unwrap_or_default();
    let lost = wanted.iter().find(|(site, value)| {
        !sites.iter().any(|now| {
            now.place.line == site.place.line && now.setter == site.setter && now.value == *value
        })
    });
    match lost {
        Some((site, _)) => Some(site.place.line),
        None if old.lines().count() != new.lines().count() => Some(1),
        None => None,
    }
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
