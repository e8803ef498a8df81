//! `.tagline.yaml`: markers for files that have no place for one.
//!
//! ```yaml
//! markers:
//!   - file: values.json          # relative to this file
//!     path: /image/tag           # a JSON pointer (RFC 6901)
//!     policy: "apps:web:tag"     # what a marker would say
//! ```

use super::{Setter, Skip, SkipReason};
use granit_parser::{Event, Parser};
use std::collections::BTreeMap;

/// The file's name.
pub const MARKER_MAP_NAME: &str = ".tagline.yaml";

/// The markers of one such file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MarkerMap {
    /// By path: pointers and what is set there.
    markers: BTreeMap<String, Vec<(String, Setter)>>,
}

/// What is wrong with such a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}:{line}: {message}")]
pub struct InvalidMarkerMap {
    /// The file.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl InvalidMarkerMap {
    /// The same as an entry of the list of skipped things.
    #[must_use]
    pub fn to_skip(&self) -> Skip {
        Skip {
            line: self.line,
            column: 1,
            reason: SkipReason::Unparsable,
            setter: None,
            detail: self.to_string(),
        }
    }
}

impl MarkerMap {
    /// Reads a map. `path` is its place, relative to where all paths are; its files are below that.
    ///
    /// # Errors
    /// [`InvalidMarkerMap`] for anything but the form above, and for files outside its directory.
    pub fn parse(path: &str, text: &str) -> Result<Self, InvalidMarkerMap> {
        let directory = path.rfind('/').map_or("", |slash| &path[..=slash]);
        let invalid = |line: usize, message: &str| InvalidMarkerMap {
            path: path.to_owned(),
            line,
            message: message.to_owned(),
        };
        let mut map = Self::default();
        let (mut depth, mut key, mut line_of_entry) = (0, None, 0);
        let mut entry: BTreeMap<String, String> = BTreeMap::new();
        for event in Parser::new_from_str(text) {
            let (event, span) =
                event.map_err(|error| invalid(error.marker().line(), &error.info()))?;
            let line = span.start.line();
            match event {
                Event::MappingStart(..) | Event::SequenceStart(..) => {
                    depth += 1;
                    key = None;
                    line_of_entry = line;
                    if depth > 3 {
                        return Err(invalid(line, "nested deeper than a list of markers"));
                    }
                }
                Event::Scalar(value, ..) => match (depth, key.take()) {
                    (1, None) if value == "markers" => {}
                    (3, None) if matches!(&*value, "file" | "path" | "policy") => {
                        key = Some(value.into_owned());
                    }
                    (3, Some(key)) => {
                        entry.insert(key, value.into_owned());
                    }
                    _ => return Err(invalid(line, &format!("unexpected {value:?}"))),
                },
                Event::MappingEnd if depth == 3 => {
                    let mut field = |name: &str| {
                        let missing =
                            || invalid(line_of_entry, &format!("a marker without {name:?}"));
                        entry.remove(name).ok_or_else(missing)
                    };
                    let (file, pointer, policy) =
                        (field("file")?, field("path")?, field("policy")?);
                    if file.starts_with('/') || file.split('/').any(|part| part == "..") {
                        return Err(invalid(line_of_entry, "a file outside this directory"));
                    }
                    let setter = policy.parse().map_err(|error: super::InvalidSetter| {
                        invalid(line_of_entry, &error.to_string())
                    })?;
                    let file = format!("{directory}{}", file.trim_start_matches("./"));
                    map.markers.entry(file).or_default().push((pointer, setter));
                    depth -= 1;
                }
                Event::MappingEnd | Event::SequenceEnd => depth -= 1,
                Event::Alias(_) => return Err(invalid(line, "an alias")),
                _ => {}
            }
        }
        Ok(map)
    }

    /// The files it has markers for.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.markers.keys().map(String::as_str)
    }

    /// Whether it has markers for a file.
    #[must_use]
    pub fn names(&self, path: &str) -> bool {
        self.markers.contains_key(path)
    }

    /// The pointers of a file and what is set there.
    pub(super) fn entries(&self, path: &str) -> impl Iterator<Item = (&str, &Setter)> {
        self.markers
            .get(path)
            .into_iter()
            .flatten()
            .map(|(pointer, setter)| (pointer.as_str(), setter))
    }
}
