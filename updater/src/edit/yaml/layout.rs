//! A YAML file as nodes and comments with their byte ranges, in the file's order.

use super::lenient;
use crate::edit::outcome::{ObjectIdentifier, Place};
use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle, options};
use std::ops::Range;

/// Everything an edit needs to know of a file.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) nodes: Vec<Node>,
    pub(super) comments: Vec<Comment>,
    objects: Vec<Object>,
}

/// A node's place in its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Root,
    Key,
    Value,
    Element,
}

/// A scalar as the parser read it.
#[derive(Debug, Clone)]
pub(super) struct Scalar {
    pub(super) value: String,
    pub(super) style: ScalarStyle,
    /// How many scalars come before it in the file.
    pub(super) ordinal: usize,
    /// The bytes of an explicit tag, and whether it makes the value something else than a string.
    pub(super) tag: Option<(Range<usize>, TagKind)>,
}

/// What an explicit tag means for the text of a scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TagKind {
    /// `!!str` or `!`: whatever stands there is a string.
    String,
    /// `!!int`, `!!float`, `!!bool`, `!!null`.
    OtherCore,
    /// Somebody's own.
    Custom,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    Scalar(Scalar),
    Alias,
    Mapping,
    Sequence,
}

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) content: Content,
    pub(super) role: Role,
    /// Inside a flow collection.
    pub(super) in_flow: bool,
    /// A scalar's text with its quotes; the text of a block scalar after its header; the start of others.
    pub(super) range: Range<usize>,
    pub(super) place: Place,
    object: Option<usize>,
}

impl Node {
    /// Moves the bytes of an explicit tag.
    pub(super) fn translate_tag(&mut self, to: impl Fn(&Range<usize>) -> Range<usize>) {
        if let Content::Scalar(Scalar {
            tag: Some((range, _)),
            ..
        }) = &mut self.content
        {
            *range = to(range);
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Comment {
    /// From `#` to the end of the line, the line break excluded.
    pub(super) range: Range<usize>,
    pub(super) place: Place,
}

/// Why a file cannot be read.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) place: Place,
    pub(super) document: usize,
    pub(super) message: String,
}

#[derive(Debug, Default)]
struct Object {
    identifier: ObjectIdentifier,
    /// The list that holds it.
    list: Option<usize>,
}

/// What the entries of an open collection say about an object.
#[derive(Debug, Clone, Copy)]
enum Meaning {
    /// The object's own fields.
    Object(usize),
    /// The fields of its `metadata`.
    Metadata(usize),
    /// The objects of a list; `None` for a sequence at the top of a document.
    Items(Option<usize>),
    Nothing,
}

#[derive(Debug)]
struct Open {
    is_mapping: bool,
    expects_key: bool,
    key: String,
    in_flow: bool,
    meaning: Meaning,
    object: Option<usize>,
}

impl Layout {
    /// The object a node belongs to: the item of a `List`, else the document's own.
    pub(super) fn object_of(&self, node: &Node) -> ObjectIdentifier {
        let mut chosen = None;
        let mut next = node.object;
        while let Some(object) = next.and_then(|index| self.objects.get(index)) {
            let listed = object.list.and_then(|list| self.objects.get(list));
            let stands_alone = listed.is_none_or(|list| {
                list.identifier.kind.ends_with("List") && !object.identifier.kind.is_empty()
            });
            if !stands_alone {
                chosen = None;
            } else if chosen.is_none() {
                chosen = Some(&object.identifier);
            }
            next = object.list;
        }
        chosen.cloned().unwrap_or_default()
    }
}

impl Layout {
    /// Moves values that are not there to where they would be written: behind their `:` or `-`.
    ///
    /// The parser puts them before the `:`, and behind the comment that follows a `-`.
    fn place_empty_values(&mut self, text: &str) {
        for node in &mut self.nodes {
            let at = node.range.start;
            if !node.range.is_empty() || !matches!(node.content, Content::Scalar(_)) {
                continue;
            }
            let comments = &self.comments;
            let before = match comments.partition_point(|comment| comment.range.end <= at) {
                0 => at,
                next => {
                    let comment = &comments[next - 1].range;
                    if comment.end == at { comment.start } else { at }
                }
            };
            let place = match node.role {
                Role::Value if text[at..].starts_with(':') => at + 1,
                Role::Element => text[..before].trim_end_matches([' ', '\t']).len(),
                _ => continue,
            };
            // Both are on one line.
            if place > at {
                node.place.column += place - at;
            } else {
                node.place.column -= text[place..at].chars().count();
            }
            node.range = place..place;
        }
    }
}

/// The parser with everything on that an edit needs, and no small limit on comments.
pub(super) fn parser(text: &str) -> Parser<'_, granit_parser::StrInput<'_>> {
    Parser::new_from_str_with_options(text, options! { max_buffered_comment_events: text.len() })
}

/// Reads a file; where the parser is stricter than those of Kubernetes and Flux, as they read it.
pub(super) fn read(text: &str) -> Result<Layout, Broken> {
    read_strictly(text).or_else(|broken| {
        let repaired = lenient::repair(text).ok_or(broken)?;
        let mut layout = read_strictly(&repaired.text)?;
        repaired.translate(&mut layout);
        Ok(layout)
    })
}

fn read_strictly(text: &str) -> Result<Layout, Broken> {
    let mut reader = Reader::default();
    let mut documents = 0;
    let mut in_document = false;
    for event in parser(text) {
        match event {
            Ok((Event::DocumentStart(..), _)) => {
                documents += 1;
                in_document = true;
            }
            Ok((Event::DocumentEnd, _)) => in_document = false,
            Ok((event, span)) => reader.take(event, &span),
            Err(error) => {
                return Err(Broken {
                    place: place_of(error.marker()),
                    document: documents + usize::from(!in_document),
                    message: error.info(),
                });
            }
        }
    }
    let mut layout = reader.layout;
    layout.comments.sort_by_key(|comment| comment.range.start);
    layout.place_empty_values(text);
    Ok(layout)
}

fn place_of(mark: &granit_parser::Marker) -> Place {
    Place {
        line: mark.line(),
        column: mark.col() + 1,
    }
}

#[derive(Debug, Default)]
struct Reader {
    layout: Layout,
    open: Vec<Open>,
    scalars: usize,
}

impl Reader {
    fn take(&mut self, event: Event<'_>, span: &Span) {
        let Some(range) = span.byte_range() else {
            return;
        };
        let place = place_of(&span.start);
        match event {
            Event::Comment(..) => self.layout.comments.push(Comment { range, place }),
            Event::Scalar(value, style, _, tag) => {
                let tag = span
                    .tag_span()
                    .and_then(|tag| tag.byte_range())
                    .zip(tag.as_deref().map(kind_of));
                let scalar = Scalar {
                    // The parser writes `~` for a value that is not there.
                    value: if range.is_empty() {
                        String::new()
                    } else {
                        value.into_owned()
                    },
                    style,
                    ordinal: self.scalars,
                    tag,
                };
                self.scalars += 1;
                self.node(Content::Scalar(scalar), range, place);
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.node(Content::Alias, range, place);
            }
            Event::MappingStart(style, ..) => {
                let meaning = self.node(Content::Mapping, range, place);
                self.enter(true, style, meaning);
            }
            Event::SequenceStart(style, ..) => {
                let meaning = self.node(Content::Sequence, range, place);
                self.enter(false, style, meaning);
            }
            Event::MappingEnd | Event::SequenceEnd => {
                self.open.pop();
            }
            _ => {}
        }
    }

    /// Records a node and says what its entries, if it is a collection, will mean.
    fn node(&mut self, content: Content, range: Range<usize>, place: Place) -> Meaning {
        let (role, in_flow) = match self.open.last() {
            None => (Role::Root, false),
            Some(open) if !open.is_mapping => (Role::Element, open.in_flow),
            Some(open) if open.expects_key => (Role::Key, open.in_flow),
            Some(open) => (Role::Value, open.in_flow),
        };
        let meaning = self.meaning(role, &content);
        if let Some(open) = self.open.last_mut()
            && open.is_mapping
        {
            open.expects_key = !open.expects_key;
            if role == Role::Key {
                open.key = match &content {
                    Content::Scalar(scalar) => scalar.value.clone(),
                    _ => String::new(),
                };
            }
        }
        let object = match meaning {
            Meaning::Object(object) => Some(object),
            _ => self.open.last().and_then(|open| open.object),
        };
        self.layout.nodes.push(Node {
            content,
            role,
            in_flow,
            range,
            place,
            object,
        });
        meaning
    }

    fn meaning(&mut self, role: Role, content: &Content) -> Meaning {
        let parent = self
            .open
            .last()
            .map(|open| (open.meaning, open.key.as_str()));
        match (role, parent, content) {
            (Role::Root, _, Content::Mapping) => self.object(None),
            (Role::Root, _, Content::Sequence) => Meaning::Items(None),
            (Role::Element, Some((Meaning::Items(list), _)), Content::Mapping) => self.object(list),
            (Role::Value, Some((Meaning::Object(object), "metadata")), Content::Mapping) => {
                Meaning::Metadata(object)
            }
            (Role::Value, Some((Meaning::Object(object), "items")), Content::Sequence) => {
                Meaning::Items(Some(object))
            }
            (Role::Value, Some((meaning, key)), Content::Scalar(scalar)) => {
                let (Meaning::Object(object) | Meaning::Metadata(object)) = meaning else {
                    return Meaning::Nothing;
                };
                let Some(object) = self.layout.objects.get_mut(object) else {
                    return Meaning::Nothing;
                };
                let identifier = &mut object.identifier;
                let field = match (meaning, key) {
                    (Meaning::Object(_), "apiVersion") => &mut identifier.api_version,
                    (Meaning::Object(_), "kind") => &mut identifier.kind,
                    (Meaning::Metadata(_), "name") => &mut identifier.name,
                    (Meaning::Metadata(_), "namespace") => &mut identifier.namespace,
                    _ => return Meaning::Nothing,
                };
                field.clone_from(&scalar.value);
                Meaning::Nothing
            }
            _ => Meaning::Nothing,
        }
    }

    fn object(&mut self, list: Option<usize>) -> Meaning {
        self.layout.objects.push(Object {
            list,
            ..Object::default()
        });
        Meaning::Object(self.layout.objects.len() - 1)
    }

    fn enter(&mut self, is_mapping: bool, style: StructureStyle, meaning: Meaning) {
        let outer = self.open.last();
        let in_flow = style == StructureStyle::Flow || outer.is_some_and(|open| open.in_flow);
        let object = match meaning {
            Meaning::Object(object) => Some(object),
            _ => outer.and_then(|open| open.object),
        };
        self.open.push(Open {
            is_mapping,
            expects_key: is_mapping,
            key: String::new(),
            in_flow,
            meaning,
            object,
        });
    }
}

fn kind_of(tag: &granit_parser::Tag) -> TagKind {
    match tag.core_suffix() {
        Some("str") => TagKind::String,
        Some("int" | "float" | "bool" | "null") => TagKind::OtherCore,
        _ if tag.handle().is_empty() && tag.suffix() == "!" => TagKind::String,
        _ => TagKind::Custom,
    }
}
