//! Tags to choose from: out of a file, or scanned now.

use crate::exit::BadInput;
use crate::manifest::{Place, Position, Problem};
use crate::output::Output;
use crate::service::candidate;
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::HashMap;
use std::io::Read as _;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use tagline_policy::{Candidate, ImageName, Tag, TagRef};
use tagline_scanner::UnpackedTags;

/// Lists longer than this are no tag lists.
const MAX_BYTES: u64 = 1 << 30;
/// More illegal lines than this are counted, not named.
const MAX_NAMED: usize = 10;
/// A mark that editors put in front of a text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Tags in the order they came.
#[derive(Debug, Clone)]
pub(crate) enum TagList {
    /// Lines of a file; the ranges are those that hold legal tags.
    Lines {
        /// The whole file.
        text: String,
        /// Where the tags are.
        ranges: Vec<Range<usize>>,
    },
    /// Out of JSON, with the times that it has.
    Listed(Vec<ListedTag>),
    /// A scanned list, with the times tags were first seen.
    Scanned {
        /// The tags.
        tags: UnpackedTags,
        /// When images were made, as far as that matters.
        created: HashMap<Tag, Timestamp>,
    },
}

/// A tag of a JSON list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedTag {
    tag: Tag,
    first_seen: Option<Timestamp>,
    created: Option<Timestamp>,
}

impl TagList {
    /// The tags as a policy takes them.
    pub(crate) fn candidates(&self) -> Vec<Candidate<'_>> {
        match self {
            Self::Lines { text, ranges } => ranges
                .iter()
                .filter_map(|range| TagRef::new(text.get(range.clone())?).ok())
                .map(Candidate::new)
                .collect(),
            Self::Listed(tags) => tags
                .iter()
                .map(|listed| Candidate {
                    tag: listed.tag.as_ref(),
                    first_seen: listed.first_seen,
                    created: listed.created,
                })
                .collect(),
            Self::Scanned { tags, created } => tags
                .iter()
                .map(|(tag, first_seen)| candidate(tag, first_seen, created))
                .collect(),
        }
    }
}

/// Reads a list of tags from a file, or from standard input for `-`: one tag per line, or JSON.
///
/// Of lines, blank ones and comments (`#`) are ignored, and of a whole reference (`ghcr.io/org/app:1.0`) the tag is
/// taken. JSON is a list of tags, or an object with such a list under `tags`, as registries, `skopeo list-tags` and
/// `tagline tags -o json` give it; a tag may be an object with `name`, `created` and `firstSeen`. What is no legal
/// tag is told and left out.
pub(crate) fn read_tag_list(file: &str, output: &Output) -> anyhow::Result<TagList> {
    let mut bytes = Vec::new();
    let read = if file == "-" {
        std::io::stdin()
            .lock()
            .take(MAX_BYTES + 1)
            .read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
    };
    let name = if file == "-" { "<stdin>" } else { file };
    read.map_err(|error| {
        BadInput::error(format!("{name}: the list of tags cannot be read: {error}"))
    })?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(BadInput::error(format!(
            "{name}: longer than 1 GiB; this is no list of tags"
        )));
    }
    let text = decoded(bytes);
    let begins = text.trim_start_matches([BYTE_ORDER_MARK, ' ', '\t', '\r', '\n']);
    let (list, illegal) = if begins.starts_with(['[', '{']) {
        parse_json(begins).map_err(|error| {
            let line = text[..text.len() - begins.len()].matches('\n').count() + error.line();
            BadInput::error(format!(
                "{name}:{line}:{}: this is JSON, but no list of tags: {}\n  help: write [\"1.0\", \"1.1\"] or {{\"tags\": [\"1.0\", \"1.1\"]}}, or one tag per line",
                error.column(),
                message_of(&error),
            ))
        })?
    } else {
        parse_lines(text)
    };
    tell_illegal(name, &illegal, output);
    Ok(list)
}

/// Text of the encodings that shells write: UTF-8, or UTF-16 with its mark.
fn decoded(bytes: Vec<u8>) -> String {
    let units = |read: fn([u8; 2]) -> u16| -> Vec<u16> {
        bytes
            .chunks_exact(2)
            .filter_map(|pair| Some(read(pair.try_into().ok()?)))
            .collect()
    };
    match bytes.as_slice() {
        [0xff, 0xfe, ..] => String::from_utf16_lossy(&units(u16::from_le_bytes)),
        [0xfe, 0xff, ..] => String::from_utf16_lossy(&units(u16::from_be_bytes)),
        _ => String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
    }
}

/// An entry that is no tag, and where it is: its line, or its number in a JSON list.
type Illegal = (u32, String);

fn tell_illegal(name: &str, illegal: &[Illegal], output: &Output) {
    let path: Arc<Path> = Path::new(name).into();
    for (line, message) in illegal.iter().take(MAX_NAMED) {
        let at = Position {
            line: *line,
            column: 1,
        };
        output.problem(&Problem::warning(
            Place::new(Arc::clone(&path), at),
            format!("{message}; left out"),
        ));
    }
    if illegal.len() > MAX_NAMED {
        let more = illegal.len() - MAX_NAMED;
        output.warning(&format!(
            "{name}: {more} more entries are no legal tags; left out"
        ));
    }
}

fn parse_lines(text: String) -> (TagList, Vec<Illegal>) {
    let mut ranges = Vec::new();
    let mut illegal = Vec::new();
    let mut start = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let content = line.trim_start_matches(BYTE_ORDER_MARK).trim_start();
        let from = start + line.len() - content.len();
        let content = content.trim_end();
        start += line.len();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        match TagRef::new(content) {
            Ok(_) => ranges.push(from..from + content.len()),
            Err(error) => match tag_of_reference(content) {
                Some(tag) => ranges.push(from + content.len() - tag.len()..from + content.len()),
                None => illegal.push((place(index), error.to_string())),
            },
        }
    }
    (TagList::Lines { text, ranges }, illegal)
}

fn place(index: usize) -> u32 {
    u32::try_from(index + 1).unwrap_or(u32::MAX)
}

/// The tag of `registry/repository:tag`.
fn tag_of_reference(text: &str) -> Option<&str> {
    let (name, tag) = text.rsplit_once(':')?;
    let is_image = name.contains('/') && ImageName::parse(name).is_ok();
    (is_image && TagRef::new(tag).is_ok()).then_some(tag)
}

/// A list as JSON has it.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a list of tags, or an object with such a list under \"tags\""
)]
enum JsonList {
    Bare(Vec<JsonTag>),
    Named {
        #[serde(alias = "Tags")]
        tags: Option<Vec<JsonTag>>,
    },
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a tag, or an object with \"name\" and maybe \"created\" and \"firstSeen\""
)]
enum JsonTag {
    Text(String),
    Object {
        #[serde(alias = "tag")]
        name: String,
        #[serde(default)]
        created: Option<Timestamp>,
        #[serde(default, rename = "firstSeen")]
        first_seen: Option<Timestamp>,
    },
}

fn parse_json(text: &str) -> Result<(TagList, Vec<Illegal>), serde_json::Error> {
    let tags = match serde_json::from_str(text)? {
        JsonList::Bare(tags) => tags,
        JsonList::Named { tags } => tags.unwrap_or_default(),
    };
    let mut list = Vec::with_capacity(tags.len());
    let mut illegal = Vec::new();
    for (index, tag) in tags.into_iter().enumerate() {
        let (name, created, first_seen) = match tag {
            JsonTag::Text(name) => (name, None, None),
            JsonTag::Object {
                name,
                created,
                first_seen,
            } => (name, created, first_seen),
        };
        match Tag::new(&name) {
            Ok(tag) => list.push(ListedTag {
                tag,
                first_seen,
                created,
            }),
            Err(error) => illegal.push((place(index), error.to_string())),
        }
    }
    Ok((TagList::Listed(list), illegal))
}

/// The sentence of an error, without the place that is told before it.
fn message_of(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let sentence = text.rsplit_once(" at line ").map(|(sentence, _)| sentence);
    sentence.unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(list: &TagList) -> Vec<&str> {
        let candidates = list.candidates();
        candidates.iter().map(|c| c.tag.as_str()).collect()
    }

    #[test]
    fn lines_keep_their_order_and_illegal_ones_are_named() {
        let (list, illegal) = parse_lines("1.0\r\n\n  \n2.0\n1.0+b\n1.0".to_owned());
        assert_eq!(tags(&list), ["1.0", "2.0", "1.0"]);
        assert_eq!(illegal.len(), 1);
        assert_eq!(illegal[0].0, 5);
    }

    #[test]
    fn what_people_and_programs_write_around_tags_is_understood() {
        let (list, illegal) = parse_lines(
            "\u{feff}1.0\n# a comment\n\t2.0 \nghcr.io/org/app:3.0\nlocalhost:5000/app:4.0\na:5.0\n"
                .to_owned(),
        );
        assert_eq!(tags(&list), ["1.0", "2.0", "3.0", "4.0"]);
        assert_eq!(illegal.len(), 1, "{illegal:?}");
        let utf16: Vec<u8> = "\u{feff}1.0\r\n2.0\r\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let (list, illegal) = parse_lines(decoded(utf16));
        assert_eq!((tags(&list), illegal.len()), (vec!["1.0", "2.0"], 0));
    }

    #[test]
    fn json_lists_of_registries_and_tools() {
        for text in [
            r#"["1.0", "2.0"]"#,
            r#"{"name": "org/app", "tags": ["1.0", "2.0"]}"#,
            r#"{"Repository": "ghcr.io/org/app", "Tags": ["1.0", "2.0"]}"#,
            r#"[{"name": "1.0", "created": "2024-01-02T03:04:05Z"}, {"tag": "2.0", "firstSeen": "2024-01-02T03:04:05Z"}]"#,
        ] {
            let (list, illegal) = parse_json(text).unwrap();
            assert_eq!(
                (tags(&list), illegal.len()),
                (vec!["1.0", "2.0"], 0),
                "{text}"
            );
        }
        let (list, _) = parse_json(r#"{"name": "empty", "tags": null}"#).unwrap();
        assert!(tags(&list).is_empty());
        let (_, illegal) = parse_json(r#"["1.0", "a b"]"#).unwrap();
        assert_eq!(illegal[0].0, 2);
        for text in ["[1.0]", r#"{"tags": "1.0"}"#, "[", r#"["1.0"] x"#] {
            assert!(parse_json(text).is_err(), "{text}");
        }
    }
}
