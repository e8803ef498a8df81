//! YAML as a tree that knows where each value stands. Only what is needed to find images: strings,
//! mappings and sequences; anchors, aliases and merge keys are followed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use granit_parser::{Event, Parser, ScalarStyle, options};

/// A value and its place.
#[derive(Debug)]
pub(super) struct Node<'a> {
    /// From 1.
    pub(super) line: usize,
    /// From 1, in characters.
    pub(super) column: usize,
    pub(super) value: Value<'a>,
}

#[derive(Debug)]
pub(super) enum Value<'a> {
    /// A scalar; `is_string` tells `"1"` from `1`.
    Scalar {
        text: Cow<'a, str>,
        is_string: bool,
    },
    Sequence(Vec<Rc<Node<'a>>>),
    Mapping(Vec<(Rc<Node<'a>>, Rc<Node<'a>>)>),
}

/// Where the text stops being YAML.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) message: String,
}

/// All documents up to the end, or to the place where the text is no YAML any more.
pub(super) fn documents(text: &str) -> (Vec<Rc<Node<'_>>>, Option<Broken>) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let options = options! { emit_comments: false };
    let mut documents = Vec::new();
    let mut builder = Builder::default();
    for next in Parser::new_from_str_with_options(text, options) {
        match next {
            Ok((Event::DocumentStart(..), _)) => builder = Builder::default(),
            Ok((event, span)) => {
                let place = (span.start.line(), span.start.col() + 1);
                if let Some(document) = builder.take(event, place) {
                    documents.push(document);
                }
            }
            Err(error) => {
                let broken = Broken {
                    line: error.marker().line(),
                    column: error.marker().col() + 1,
                    message: error.info(),
                };
                return (documents, Some(broken));
            }
        }
    }
    (documents, None)
}

#[derive(Default)]
struct Builder<'a> {
    open: Vec<Open<'a>>,
    anchors: HashMap<usize, Rc<Node<'a>>>,
}

struct Open<'a> {
    anchor: usize,
    place: (usize, usize),
    children: Vec<Rc<Node<'a>>>,
    is_mapping: bool,
}

impl<'a> Builder<'a> {
    /// Takes an event; gives the document's root when it is complete.
    fn take(&mut self, event: Event<'a>, place: (usize, usize)) -> Option<Rc<Node<'a>>> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_string = match tag {
                    Some(tag) => tag.core_suffix().is_none_or(|suffix| suffix == "str"),
                    None => style != ScalarStyle::Plain || !is_other_than_string(&text),
                };
                self.add(anchor, place, Value::Scalar { text, is_string })
            }
            Event::SequenceStart(_, anchor, _) => self.open(anchor, place, false),
            Event::MappingStart(_, anchor, _) => self.open(anchor, place, true),
            Event::SequenceEnd | Event::MappingEnd => {
                let open = self.open.pop()?;
                let value = if open.is_mapping {
                    let mut pairs = Vec::with_capacity(open.children.len() / 2);
                    let mut children = open.children.into_iter();
                    while let (Some(key), Some(value)) = (children.next(), children.next()) {
                        pairs.push((key, value));
                    }
                    Value::Mapping(pairs)
                } else {
                    Value::Sequence(open.children)
                };
                self.add(open.anchor, open.place, value)
            }
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned().unwrap_or_else(|| {
                    // An alias to the collection it stands in: nothing that could be an image.
                    Rc::new(Node {
                        line: place.0,
                        column: place.1,
                        value: Value::Sequence(Vec::new()),
                    })
                });
                self.attach(node)
            }
            _ => None,
        }
    }

    fn open(
        &mut self,
        anchor: usize,
        place: (usize, usize),
        is_mapping: bool,
    ) -> Option<Rc<Node<'a>>> {
        self.open.push(Open {
            anchor,
            place,
            children: Vec::new(),
            is_mapping,
        });
        None
    }

    fn add(
        &mut self,
        anchor: usize,
        place: (usize, usize),
        value: Value<'a>,
    ) -> Option<Rc<Node<'a>>> {
        let node = Rc::new(Node {
            line: place.0,
            column: place.1,
            value,
        });
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.attach(node)
    }

    fn attach(&mut self, node: Rc<Node<'a>>) -> Option<Rc<Node<'a>>> {
        match self.open.last_mut() {
            Some(parent) => {
                parent.children.push(node);
                None
            }
            None => Some(node),
        }
    }
}

impl Node<'_> {
    /// The value of a key; the last one where it is given twice, as Flux v1's parser has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.get_within(key, 8)
    }

    fn get_within(&self, key: &str, depth: u8) -> Option<&Self> {
        let Value::Mapping(pairs) = &self.value else {
            return None;
        };
        let named = |wanted: &str| {
            pairs
                .iter()
                .rev()
                .find(|(name, _)| name.text() == Some(wanted))
                .map(|(_, value)| &**value)
        };
        if let Some(value) = named(key) {
            return Some(value);
        }
        let merged = named("<<").filter(|_| depth > 0)?;
        match &merged.value {
            Value::Sequence(sources) => sources
                .iter()
                .find_map(|source| source.get_within(key, depth - 1)),
            _ => merged.get_within(key, depth - 1),
        }
    }

    /// The value at the end of a path of keys.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// A scalar's text, whatever its type.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// A scalar's text, if it is a string.
    pub(super) fn string(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar {
                text,
                is_string: true,
            } => Some(text),
            _ => None,
        }
    }

    pub(super) fn items(&self) -> &[Rc<Self>] {
        match &self.value {
            Value::Sequence(items) => items,
            _ => &[],
        }
    }

    pub(super) fn pairs(&self) -> &[(Rc<Self>, Rc<Self>)] {
        match &self.value {
            Value::Mapping(pairs) => pairs,
            _ => &[],
        }
    }
}

/// Whether a plain scalar is null, a boolean or a number in YAML 1.1 or 1.2, as Flux's and Kubernetes'
/// parsers read it.
fn is_other_than_string(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    if matches!(
        lower.as_str(),
        "" | "~"
            | "null"
            | "true"
            | "false"
            | "yes"
            | "no"
            | "on"
            | "off"
            | "y"
            | "n"
            | ".nan"
            | ".inf"
            | "+.inf"
            | "-.inf"
    ) {
        return true;
    }
    let number = lower.replace('_', "");
    let unsigned = number.trim_start_matches(['+', '-']);
    let digits_of = |prefix: &str, radix: u32| {
        unsigned
            .strip_prefix(prefix)
            .is_some_and(|digits| !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix)))
    };
    if digits_of("0x", 16) || digits_of("0o", 8) || digits_of("0b", 2) {
        return true;
    }
    unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'+' | b'-'))
        && unsigned.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn knows_where_values_stand() {
        let text = "a: 1\n---\nb:\n  - c: \"x\"\n";
        let (documents, broken) = documents(text);
        assert!(broken.is_none());
        assert_eq!(documents.len(), 2);
        let c = documents[1].get("b").unwrap().items()[0].get("c").unwrap();
        assert_eq!((c.line, c.column, c.string()), (4, 8, Some("x")));
        assert_eq!(documents[0].get("a").unwrap().string(), None);
        assert_eq!(documents[0].get("a").unwrap().text(), Some("1"));
    }

    #[test]
    fn follows_aliases_and_merges() {
        let text =
            "base: &base {image: a, tag: b}\nx:\n  <<: *base\n  tag: c\ny: *base\nz: &z [*z]\n";
        let (documents, broken) = documents(text);
        assert!(broken.is_none(), "{broken:?}");
        let root = &documents[0];
        assert_eq!(root.at(&["x", "image"]).unwrap().string(), Some("a"));
        assert_eq!(root.at(&["x", "tag"]).unwrap().string(), Some("c"));
        assert_eq!(root.at(&["y", "tag"]).unwrap().string(), Some("b"));
    }

    #[test]
    fn tells_strings_from_numbers() {
        for (text, is_string) in [
            ("1.21.5-r0", true),
            ("v1", true),
            ("1.0", false),
            ("20240101", false),
            ("1e3", false),
            ("0x1f", false),
            ("1.2.3", true),
            ("true", false),
            ("latest", true),
            ("1_000", false),
        ] {
            assert_eq!(!is_other_than_string(text), is_string, "{text}");
        }
    }

    #[test]
    fn keeps_what_stands_before_an_error() {
        let (documents, broken) = documents("a: b\n---\nc: [\n---\n");
        assert_eq!(documents.len(), 1);
        assert!(broken.unwrap().line >= 3);
    }

    proptest! {
        #[test]
        fn survives_any_text(text in "[a-c:\\- \\n&*\\[\\]{},<|>\"'#!%]{0,200}") {
            let _ = documents(&text);
        }
    }
}
