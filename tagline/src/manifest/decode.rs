//! Nodes into typed values with serde, every fault placed.
//!
//! The value types are ordinary serde types, the same ones that objects of a cluster are read into.
//! What differs is how faults are found: unknown fields are collected on the way (with the nearest
//! known name), and a value that does not fit is set aside and decoding goes on without it, so that one
//! run names all faults of an object.

use super::node::{Node, NodeKind, Position, Scalar};
use super::resemblance::nearest;
use serde::de::{self, DeserializeSeed, Deserializer, Expected, Unexpected, Visitor};
use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

/// More faults than this in one object are not worth reading.
const MAX_FAULTS: usize = 20;

/// One thing wrong with a manifest's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Where.
    pub(crate) at: Position,
    /// The field as a dotted path, for example `spec.interval`.
    pub(crate) field: String,
    /// What is wrong, and what is expected there.
    pub(crate) message: String,
    /// What to do, where more can be said.
    pub(crate) help: Option<String>,
}

/// Whether faults may quote the values they are about. Secrets may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quoting {
    /// Values may be shown.
    Show,
    /// Values are secret.
    Hide,
}

/// Decodes a node.
///
/// # Errors
/// Every fault found, in the order of the file.
pub(crate) fn decode<T: de::DeserializeOwned>(
    node: &Node,
    quoting: Quoting,
) -> Result<T, Vec<Fault>> {
    let state = State {
        quoting,
        faults: RefCell::default(),
        set_aside: RefCell::default(),
    };
    let root = Path {
        parent: None,
        segment: Segment::Root,
    };
    loop {
        let decoder = Decoder {
            node,
            path: &root,
            state: &state,
        };
        match T::deserialize(decoder) {
            Ok(value) => {
                let mut faults = state.faults.into_inner();
                if faults.is_empty() {
                    return Ok(value);
                }
                faults.sort_by_key(|fault| fault.at);
                return Err(faults);
            }
            Err(error) => {
                let key = error.field.clone();
                let missing_after_removal =
                    error.missing.is_some() && state.set_aside.borrow().contains(&key);
                if !missing_after_removal {
                    state.push(error.into_fault());
                }
                let first_time = state.set_aside.borrow_mut().insert(key);
                if !first_time || state.faults.borrow().len() >= MAX_FAULTS {
                    let mut faults = state.faults.into_inner();
                    faults.sort_by_key(|fault| fault.at);
                    return Err(faults);
                }
            }
        }
    }
}

struct State {
    quoting: Quoting,
    faults: RefCell<Vec<Fault>>,
    /// Paths whose values are left out because they do not fit.
    set_aside: RefCell<HashSet<String>>,
}

impl State {
    fn push(&self, fault: Fault) {
        let mut faults = self.faults.borrow_mut();
        if faults.len() < MAX_FAULTS && !faults.contains(&fault) {
            faults.push(fault);
        }
    }
}

#[derive(Clone, Copy)]
struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    segment: Segment<'p>,
}

#[derive(Clone, Copy)]
enum Segment<'p> {
    Root,
    Key(&'p str),
    Index(usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
            if parent.parent.is_some() {
                f.write_str(".")?;
            }
        }
        match self.segment {
            Segment::Root => Ok(()),
            Segment::Key(key) => f.write_str(key),
            Segment::Index(index) => write!(f, "{index}"),
        }
    }
}

/// A serde error that learns its place on the way out.
#[derive(Debug)]
struct DecodeError {
    at: Option<Position>,
    /// The path whose value did not fit, or of the field that is missing.
    field: String,
    missing: Option<&'static str>,
    message: String,
    help: Option<String>,
}

impl DecodeError {
    fn into_fault(self) -> Fault {
        Fault {
            at: self.at.unwrap_or(Position::START),
            field: self.field,
            message: self.message,
            help: self.help,
        }
    }

    fn placed(mut self, node: &Node, path: &Path<'_>, quoting: Quoting) -> Self {
        if self.at.is_some() {
            return self;
        }
        self.at = Some(node.at);
        self.field = path.to_string();
        if let Some(name) = self.missing {
            let inner = Path {
                parent: Some(path),
                segment: Segment::Key(name),
            };
            self.field = inner.to_string();
        } else if quoting == Quoting::Hide {
            "the value does not fit here".clone_into(&mut self.message);
            self.help = None;
        }
        self
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            at: None,
            field: String::new(),
            missing: None,
            message: message.to_string(),
            help: None,
        }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let wanted = match expected.to_string().as_str() {
            "a sequence" => "a list".to_owned(),
            "a map" => "a mapping".to_owned(),
            other => other.to_owned(),
        };
        let mut error = Self::custom(format!("expected {wanted}, found {}", describe(found)));
        if wanted == "a boolean" {
            error.help = Some("write true or false".to_owned());
        }
        let wants_string = expected.to_string().contains("string");
        let quotable = match found {
            Unexpected::Bool(value) => Some(value.to_string()),
            Unexpected::Signed(value) => Some(value.to_string()),
            Unexpected::Unsigned(value) => Some(value.to_string()),
            Unexpected::Float(value) => Some(value.to_string()),
            Unexpected::Other(number) => number.strip_prefix("the number ").map(str::to_owned),
            _ => None,
        };
        if let (true, Some(value)) = (wants_string, quotable) {
            error.help = Some(format!("put it in quotes: \"{value}\""));
        }
        error
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format!("expected {expected}, found {}", describe(found)))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let mut error = Self::custom(format!(
            "{variant:?} is not allowed here; it must be one of: {}",
            expected.join(", ")
        ));
        error.help =
            nearest(variant, expected.iter().copied()).map(|n| format!("did you mean {n:?}?"));
        error
    }

    fn missing_field(field: &'static str) -> Self {
        let mut error = Self::custom("this field is required");
        error.missing = Some(field);
        error.help = Some(format!("add {field:?}"));
        error
    }
}

fn describe(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Map => "a mapping".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
        Unexpected::Str(text) => format!("the text {:?}", shortened(text)),
        Unexpected::Bool(value) => format!("the boolean {value}"),
        Unexpected::Signed(value) => format!("the number {value}"),
        Unexpected::Unsigned(value) => format!("the number {value}"),
        Unexpected::Float(value) => format!("the number {value}"),
        Unexpected::Other(text) => text.to_owned(),
        other => other.to_string(),
    }
}

fn shortened(text: &str) -> String {
    if text.chars().count() > 60 {
        format!("{}…", text.chars().take(60).collect::<String>())
    } else {
        text.to_owned()
    }
}

#[derive(Clone, Copy)]
struct Decoder<'a> {
    node: &'a Node,
    path: &'a Path<'a>,
    state: &'a State,
}

impl<'a> Decoder<'a> {
    fn placed<T>(self, result: Result<T, DecodeError>) -> Result<T, DecodeError> {
        result.map_err(|error| error.placed(self.node, self.path, self.state.quoting))
    }

    fn scalar(self) -> Option<&'a Scalar> {
        match &self.node.kind {
            NodeKind::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    fn wrong_type<T>(self, expected: &dyn Expected) -> Result<T, DecodeError> {
        let number;
        let found = match &self.node.kind {
            NodeKind::Sequence(_) => Unexpected::Seq,
            NodeKind::Mapping(_) => Unexpected::Map,
            NodeKind::Scalar(scalar) if scalar.is_null() => Unexpected::Unit,
            NodeKind::Scalar(scalar) => {
                if let Some(value) = scalar.as_bool() {
                    Unexpected::Bool(value)
                } else if scalar.as_integer().is_some() || scalar.as_float().is_some() {
                    number = format!("the number {}", scalar.text);
                    Unexpected::Other(&number)
                } else {
                    Unexpected::Str(&scalar.text)
                }
            }
        };
        self.placed(Err(de::Error::invalid_type(found, expected)))
    }

    fn map_access(self, known: Option<&'static [&'static str]>) -> Option<Fields<'a>> {
        let NodeKind::Mapping(entries) = &self.node.kind else {
            return None;
        };
        let mut wanted = Vec::with_capacity(entries.len());
        for entry in entries {
            let path = Path {
                parent: Some(self.path),
                segment: Segment::Key(&entry.key),
            };
            if let Some(known) = known
                && !known.contains(&entry.key.as_str())
            {
                let near = nearest(&entry.key, known.iter().copied());
                self.state.push(Fault {
                    at: entry.key_at,
                    field: path.to_string(),
                    message: "there is no such field".to_owned(),
                    help: Some(match near {
                        Some(name) => format!("did you mean {name:?}?"),
                        None => format!("fields here: {}", known.join(", ")),
                    }),
                });
                continue;
            }
            let set_aside = self.state.set_aside.borrow();
            if !set_aside.is_empty() && set_aside.contains(&path.to_string()) {
                continue;
            }
            wanted.push((entry.key.as_str(), &*entry.value));
        }
        Some(Fields {
            of: self,
            rest: wanted.into_iter(),
            value: None,
        })
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident $type:ty),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            let number = self.scalar().and_then(Scalar::as_integer);
            match number {
                None => self.wrong_type(&visitor),
                Some(number) => match <$type>::try_from(number) {
                    Ok(number) => self.placed(visitor.$visit(number)),
                    Err(_) => self.placed(Err(de::Error::custom(format!(
                        "{number} is outside {} to {}", <$type>::MIN, <$type>::MAX
                    )))),
                },
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Decoder<'_> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.node.kind {
            NodeKind::Sequence(_) => self.deserialize_seq(visitor),
            NodeKind::Mapping(_) => self.deserialize_map(visitor),
            NodeKind::Scalar(scalar) => {
                let result = if scalar.is_null() {
                    visitor.visit_unit()
                } else if let Some(value) = scalar.as_bool() {
                    visitor.visit_bool(value)
                } else if let Some(Ok(value)) = scalar.as_integer().map(i64::try_from) {
                    visitor.visit_i64(value)
                } else if let Some(value) = scalar.as_float() {
                    visitor.visit_f64(value)
                } else {
                    visitor.visit_str(&scalar.text)
                };
                self.placed(result)
            }
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.scalar().and_then(Scalar::as_bool) {
            Some(value) => self.placed(visitor.visit_bool(value)),
            None => self.wrong_type(&visitor),
        }
    }

    integers!(
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64, deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64
    );

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_f64(visitor)
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a whole number where a fraction may stand"
    )]
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let number = self
            .scalar()
            .and_then(|s| s.as_integer().map(|n| n as f64).or_else(|| s.as_float()));
        match number {
            Some(value) => self.placed(visitor.visit_f64(value)),
            None => self.wrong_type(&visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.scalar() {
            Some(s)
                if !s.plain
                    || !(s.is_null()
                        || s.as_bool().is_some()
                        || s.as_integer().is_some()
                        || s.as_float().is_some()) =>
            {
                self.placed(visitor.visit_str(&s.text))
            }
            _ => self.wrong_type(&visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.node.is_null() {
            self.placed(visitor.visit_none())
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.node.is_null() {
            self.placed(visitor.visit_unit())
        } else {
            self.wrong_type(&visitor)
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let result = visitor.visit_newtype_struct(self);
        self.placed(result)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.node.kind {
            NodeKind::Sequence(items) => {
                let result = visitor.visit_seq(Elements {
                    of: self,
                    next: 0,
                    items,
                });
                self.placed(result)
            }
            _ => self.wrong_type(&visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.map_access(None) {
            Some(fields) => {
                let result = visitor.visit_map(fields);
                self.placed(result)
            }
            None => self.wrong_type(&visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self.map_access(Some(fields)) {
            Some(access) => {
                let result = visitor.visit_map(access);
                self.placed(result)
            }
            None => self.wrong_type(&"a mapping"),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self.scalar() {
            Some(scalar) if !scalar.is_null() => {
                let variant = de::value::StrDeserializer::<DecodeError>::new(&scalar.text);
                self.placed(visitor.visit_enum(variant))
            }
            _ => self.wrong_type(&visitor),
        }
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }
}

struct Fields<'a> {
    of: Decoder<'a>,
    rest: std::vec::IntoIter<(&'a str, &'a Node)>,
    value: Option<(&'a str, &'a Node)>,
}

impl<'de> de::MapAccess<'de> for Fields<'_> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        let Some((key, node)) = self.rest.next() else {
            return Ok(None);
        };
        self.value = Some((key, node));
        seed.deserialize(de::value::StrDeserializer::<DecodeError>::new(key))
            .map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        let Some((key, node)) = self.value.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        let path = Path {
            parent: Some(self.of.path),
            segment: Segment::Key(key),
        };
        let decoder = Decoder {
            node,
            path: &path,
            state: self.of.state,
        };
        decoder.placed(seed.deserialize(decoder))
    }
}

struct Elements<'a> {
    of: Decoder<'a>,
    next: usize,
    items: &'a [std::rc::Rc<Node>],
}

impl<'de> de::SeqAccess<'de> for Elements<'_> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        loop {
            let Some(node) = self.items.get(self.next) else {
                return Ok(None);
            };
            let path = Path {
                parent: Some(self.of.path),
                segment: Segment::Index(self.next),
            };
            self.next += 1;
            let skipped = {
                let set_aside = self.of.state.set_aside.borrow();
                !set_aside.is_empty() && set_aside.contains(&path.to_string())
            };
            if !skipped {
                let decoder = Decoder {
                    node,
                    path: &path,
                    state: self.of.state,
                };
                return decoder.placed(seed.deserialize(decoder)).map(Some);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::parse::parse;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "camelCase")]
    struct Spec {
        image: String,
        #[serde(default)]
        suspend: bool,
        order: Option<Order>,
        #[serde(default)]
        exclusion_list: Vec<String>,
        port: Option<u16>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Order {
        Asc,
        Desc,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Object {
        spec: Spec,
    }

    fn faults(text: &str) -> Vec<String> {
        let (documents, _) = parse(text);
        decode::<Object>(&documents[0].root, Quoting::Show)
            .unwrap_err()
            .into_iter()
            .map(|f| {
                let help = f.help.map(|h| format!(" ({h})")).unwrap_or_default();
                format!(
                    "{}:{} {}: {}{help}",
                    f.at.line, f.at.column, f.field, f.message
                )
            })
            .collect()
    }

    #[test]
    fn reads_what_is_right() {
        let (documents, _) =
            parse("spec: {image: a, suspend: yes, order: desc, exclusionList: [x], port: 80}");
        let object: Object = decode(&documents[0].root, Quoting::Show).unwrap();
        assert_eq!(
            object.spec,
            Spec {
                image: "a".into(),
                suspend: true,
                order: Some(Order::Desc),
                exclusion_list: vec!["x".into()],
                port: Some(80),
            }
        );
    }

    #[test]
    fn one_run_names_every_fault() {
        let found = faults(
            "spec:\n  image: 1.20\n  suspended: true\n  order: descending\n  exclusionList: [a, true]\n  port: 70000\n",
        );
        assert_eq!(
            found,
            [
                "2:10 spec.image: expected a string, found the number 1.20 (put it in quotes: \"1.20\")",
                "3:3 spec.suspended: there is no such field (did you mean \"suspend\"?)",
                "4:10 spec.order: \"descending\" is not allowed here; it must be one of: asc, desc (did you mean \"desc\"?)",
                "5:22 spec.exclusionList.1: expected a string, found the boolean true (put it in quotes: \"true\")",
                "6:9 spec.port: 70000 is outside 0 to 65535",
            ]
        );
    }

    #[test]
    fn a_missing_field_is_placed_at_its_parent() {
        assert_eq!(
            faults("spec:\n  suspend: false\n"),
            ["2:3 spec.image: this field is required (add \"image\")"]
        );
        assert_eq!(
            faults("spec: text"),
            ["1:7 spec: expected a mapping, found the text \"text\""]
        );
    }

    #[test]
    fn secret_values_are_not_quoted() {
        let (documents, _) = parse("spec: {image: [hunter2], order: hunter2}");
        let text = format!(
            "{:?}",
            decode::<Object>(&documents[0].root, Quoting::Hide).unwrap_err()
        );
        assert!(!text.contains("hunter2"), "{text}");
    }
}
