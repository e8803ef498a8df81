//! Tags to choose from: out of a file, or scanned now.

use crate::exit::BadInput;
use crate::manifest::{Place, Position, Problem};
use crate::output::Output;
use crate::service::candidate;
use jiff::Timestamp;
use std::collections::HashMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use tagline_policy::{Candidate, Tag, TagRef};
use tagline_scanner::UnpackedTags;

/// Lists longer than this are no tag lists.
const MAX_BYTES: u64 = 1 << 30;
/// More illegal lines than this are counted, not named.
const MAX_NAMED: usize = 10;

/// Tags in the order they came.
#[derive(Debug, Clone)]
pub(crate) enum TagList {
    /// Lines of a file; the ranges are those that hold legal tags.
    Lines {
        /// The whole file.
        text: String,
        /// Where the tags are.
        ranges: Vec<std::ops::Range<usize>>,
    },
    /// A scanned list, with the times tags were first seen.
    Scanned {
        /// The tags.
        tags: UnpackedTags,
        /// When images were made, as far as that matters.
        created: HashMap<Tag, Timestamp>,
    },
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
            Self::Scanned { tags, created } => tags
                .iter()
                .map(|(tag, first_seen)| candidate(tag, first_seen, created))
                .collect(),
        }
    }
}

/// Reads a file with one tag per line, or standard input for `-`. Blank lines are ignored; what is no
/// legal tag is told and left out.
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
    let (list, illegal) = parse_lines(String::from_utf8_lossy(&bytes).into_owned());
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
            "{name}: {more} more lines are no legal tags; left out"
        ));
    }
    Ok(list)
}

fn parse_lines(text: String) -> (TagList, Vec<(u32, String)>) {
    let mut ranges = Vec::new();
    let mut illegal = Vec::new();
    let mut start = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let content = line.strip_suffix('\n').unwrap_or(line);
        let content = content.strip_suffix('\r').unwrap_or(content);
        if !content.trim().is_empty() {
            match TagRef::new(content) {
                Ok(_) => ranges.push(start..start + content.len()),
                Err(error) => illegal.push((
                    u32::try_from(index + 1).unwrap_or(u32::MAX),
                    error.to_string(),
                )),
            }
        }
        start += line.len();
    }
    (TagList::Lines { text, ranges }, illegal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_order_and_illegal_ones_are_named() {
        let (list, illegal) = parse_lines("1.0\r\n\n  \n2.0\n1.0+b\n1.0".to_owned());
        let tags: Vec<&str> = list.candidates().iter().map(|c| c.tag.as_str()).collect();
        assert_eq!(tags, ["1.0", "2.0", "1.0"]);
        assert_eq!(illegal.len(), 1);
        assert_eq!(illegal[0].0, 5);
    }
}
