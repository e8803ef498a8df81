//! Text into [`Node`]s: every document of a file, also those behind a broken one.

use super::node::{Entry, Node, NodeKind, Position, Scalar};
use granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError};
use std::collections::HashMap;
use std::rc::Rc;

/// Aliases may not blow a document up beyond this many nodes.
const MAX_EXPANDED_NODES: u64 = 1_000_000;

/// One YAML document.
#[derive(Debug)]
pub(crate) struct Document {
    /// Its value.
    pub(crate) root: Rc<Node>,
}

/// A place where a text is not YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntaxFault {
    /// Where.
    pub(crate) at: Position,
    /// What is wrong there.
    pub(crate) message: String,
}

/// Reads bytes that must be UTF-8.
pub(crate) fn parse_bytes(bytes: &[u8]) -> (Vec<Document>, Vec<SyntaxFault>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => parse(text),
        Err(error) => {
            let valid = &bytes[..error.valid_up_to()];
            let line_start = valid.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
            let at = Position {
                line: count(valid.split(|b| *b == b'\n').count()),
                column: count(
                    String::from_utf8_lossy(&valid[line_start..])
                        .chars()
                        .count()
                        + 1,
                ),
            };
            let message = "this is not UTF-8 text; save the file as UTF-8".to_owned();
            (Vec::new(), vec![SyntaxFault { at, message }])
        }
    }
}

/// Reads every document of a text. A broken document costs itself only; reading goes on at the next `---`.
pub(crate) fn parse(text: &str) -> (Vec<Document>, Vec<SyntaxFault>) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let options = granit_parser::options! { emit_comments: false };
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut documents = Vec::new();
    let mut faults = Vec::new();
    let mut builder = Builder::default();
    while let Some(next) = parser.next_event() {
        let step = next
            .map_err(SyntaxFault::from)
            .and_then(|(event, span)| builder.take(event, position(span.start)));
        match step {
            Ok(Some(root)) => documents.push(Document { root }),
            Ok(None) => {}
            Err(fault) => {
                faults.push(fault);
                builder = Builder::default();
                match parser.proceed_next_document() {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        faults.push(error.into());
                        break;
                    }
                }
            }
        }
    }
    (documents, faults)
}

/// Collections under construction, innermost last.
#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    root: Option<Rc<Node>>,
}

struct Open {
    at: Position,
    anchor: usize,
    content: Content,
}

enum Content {
    Sequence(Vec<Rc<Node>>),
    Mapping {
        entries: Vec<Entry>,
        lines: HashMap<String, u32>,
        merged: Vec<(Position, Rc<Node>)>,
        key: Option<(String, Position)>,
    },
}

impl Builder {
    fn take(&mut self, event: Event<'_>, at: Position) -> Result<Option<Rc<Node>>, SyntaxFault> {
        match event {
            Event::DocumentStart(..) => {
                *self = Self::default();
            }
            Event::DocumentEnd => return Ok(self.root.take()),
            Event::Scalar(text, style, anchor, tag) => {
                let string_tag = tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
                let plain = style == ScalarStyle::Plain && !string_tag;
                let text = if plain && text == "~" {
                    String::new()
                } else {
                    text.into_owned()
                };
                let kind = NodeKind::Scalar(Scalar { text, plain });
                self.finish(
                    anchor,
                    Node {
                        at,
                        expanded_size: 1,
                        kind,
                    },
                )?;
            }
            Event::SequenceStart(_, anchor, _) => self.open.push(Open {
                at,
                anchor,
                content: Content::Sequence(Vec::new()),
            }),
            Event::MappingStart(_, anchor, _) => self.open.push(Open {
                at,
                anchor,
                content: Content::Mapping {
                    entries: Vec::new(),
                    lines: HashMap::new(),
                    merged: Vec::new(),
                    key: None,
                },
            }),
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    let anchor = open.anchor;
                    let node = close(open)?;
                    self.finish(anchor, node)?;
                }
            }
            Event::Alias(id) => {
                let Some(node) = self.anchors.get(&id).cloned() else {
                    return Err(fault(at, "this alias stands inside the value it names"));
                };
                self.place(at, node)?;
            }
            _ => {}
        }
        Ok(None)
    }

    fn finish(&mut self, anchor: usize, node: Node) -> Result<(), SyntaxFault> {
        let at = node.at;
        let node = Rc::new(node);
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.place(at, node)
    }

    fn place(&mut self, at: Position, node: Rc<Node>) -> Result<(), SyntaxFault> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.content {
            Content::Sequence(items) => items.push(node),
            Content::Mapping {
                entries,
                lines,
                merged,
                key,
            } => match key.take() {
                None => {
                    let NodeKind::Scalar(scalar) = &node.kind else {
                        return Err(fault(
                            at,
                            "a key must be a plain word, not a list or a mapping",
                        ));
                    };
                    *key = Some((scalar.text.clone(), at));
                }
                Some((name, key_at)) if name == "<<" => merged.push((key_at, node)),
                Some((name, key_at)) => {
                    if let Some(line) = lines.insert(name.clone(), key_at.line) {
                        return Err(fault(
                            key_at,
                            format!(
                                "the key {name:?} is here twice (first on line {line}); keep one"
                            ),
                        ));
                    }
                    entries.push(Entry {
                        key: name,
                        key_at,
                        value: node,
                    });
                }
            },
        }
        Ok(())
    }
}

fn close(open: Open) -> Result<Node, SyntaxFault> {
    let kind = match open.content {
        Content::Sequence(items) => NodeKind::Sequence(items),
        Content::Mapping {
            mut entries,
            mut lines,
            merged,
            ..
        } => {
            for (at, source) in merged {
                merge(&mut entries, &mut lines, at, &source)?;
            }
            NodeKind::Mapping(entries)
        }
    };
    let children: u64 = match &kind {
        NodeKind::Sequence(items) => items
            .iter()
            .fold(0, |sum, n| sum.saturating_add(n.expanded_size)),
        NodeKind::Mapping(entries) => entries
            .iter()
            .fold(0, |sum, e| sum.saturating_add(e.value.expanded_size)),
        NodeKind::Scalar(_) => 0,
    };
    let expanded_size = children.saturating_add(1);
    if expanded_size > MAX_EXPANDED_NODES {
        return Err(fault(
            open.at,
            format!("aliases make this value larger than {MAX_EXPANDED_NODES} nodes"),
        ));
    }
    Ok(Node {
        at: open.at,
        expanded_size,
        kind,
    })
}

/// YAML 1.1's merge key: entries that the mapping has itself win, then the first source that has one.
fn merge(
    entries: &mut Vec<Entry>,
    lines: &mut HashMap<String, u32>,
    at: Position,
    source: &Node,
) -> Result<(), SyntaxFault> {
    match &source.kind {
        NodeKind::Mapping(others) => {
            for other in others {
                if !lines.contains_key(&other.key) {
                    lines.insert(other.key.clone(), other.key_at.line);
                    entries.push(Entry {
                        key: other.key.clone(),
                        key_at: other.key_at,
                        value: Rc::clone(&other.value),
                    });
                }
            }
            Ok(())
        }
        NodeKind::Sequence(sources) => sources
            .iter()
            .try_for_each(|s| merge(entries, lines, at, s)),
        NodeKind::Scalar(_) => Err(fault(at, "'<<' needs an alias to a mapping")),
    }
}

fn fault(at: Position, message: impl Into<String>) -> SyntaxFault {
    SyntaxFault {
        at,
        message: message.into(),
    }
}

fn position(mark: Marker) -> Position {
    Position {
        line: count(mark.line()),
        column: count(mark.col() + 1),
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

impl From<ScanError> for SyntaxFault {
    fn from(error: ScanError) -> Self {
        Self {
            at: position(*error.marker()),
            message: error.info(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Rc<Node> {
        let (mut documents, faults) = parse(text);
        assert_eq!(faults, []);
        documents.remove(0).root
    }

    #[test]
    fn places_are_counted_from_one_in_characters() {
        let root = one("a: 1\nb:\n  ä: { c: x }\n");
        let c = root.at_path("b.ä.c").unwrap();
        assert_eq!(
            c.at,
            Position {
                line: 3,
                column: 11
            }
        );
        assert_eq!(root.at, Position::START);
        assert_eq!(
            root.nearest_position("b.ä.missing"),
            Position { line: 3, column: 3 }
        );
    }

    #[test]
    fn a_broken_document_costs_itself_only() {
        let (documents, faults) = parse("a: 1\n---\nb: [1,\nc: }\n---\nd: 4\n");
        assert_eq!(documents.len(), 2);
        assert_eq!(documents[1].root.get("d").unwrap().as_str(), Some("4"));
        assert_eq!(faults.len(), 1);
        assert!(faults[0].at.line >= 3, "{faults:?}");
    }

    #[test]
    fn a_key_given_twice_is_named_with_both_lines() {
        let (_, faults) = parse("a: 1\nb: 2\na: 3\n");
        assert_eq!(faults[0].at, Position { line: 3, column: 1 });
        assert!(faults[0].message.contains("first on line 1"));
    }

    #[test]
    fn aliases_and_merge_keys_work_and_cannot_explode() {
        let root = one("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\n");
        assert_eq!(root.at_path("use.x").unwrap().as_str(), Some("1"));
        assert_eq!(root.at_path("use.y").unwrap().as_str(), Some("3"));
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for level in 1..12 {
            let before = format!("*a{}", level - 1);
            bomb = format!(
                "{bomb}a{level}: &a{level} [{}]\n",
                vec![before; 10].join(",")
            );
        }
        let (documents, faults) = parse(&bomb);
        assert!(documents.is_empty());
        assert!(faults[0].message.contains("larger than"), "{faults:?}");
    }

    #[test]
    fn bytes_that_are_no_text_are_placed() {
        let (_, faults) = parse_bytes(b"a: 1\nb: \xff\n");
        assert_eq!(faults[0].at, Position { line: 2, column: 4 });
    }
}
