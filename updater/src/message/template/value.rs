//! The values that templates work on: Go's, as far as templates can see them.

use std::cmp::Ordering;
use std::sync::Arc;

/// A value in a template.
///
/// Carries the names of Go's types, because templates can see them: in `printf "%T"`, in `typeOf`, and
/// in error messages that users search for.
#[derive(Debug, Clone, Default)]
pub enum Value {
    /// Nothing: `nil`, or a key that a map does not have. Prints as `<no value>`.
    #[default]
    Nil,
    /// `bool`
    Bool(bool),
    /// `int`
    Int(i64),
    /// `int64`, which sprig's arithmetic gives.
    Int64(i64),
    /// `float64`
    Float(f64),
    /// `string`
    Text(Arc<str>),
    /// A slice.
    List(List),
    /// A map with a fixed content.
    Map(Map),
    /// A map that the template made and can change: sprig's `dict`.
    Dict(DictId),
    /// A struct.
    Struct(Arc<Struct>),
}

/// A slice of one element type.
#[derive(Debug, Clone)]
pub struct List {
    pub(super) items: Arc<Vec<Value>>,
    pub(super) element: &'static str,
    pub(super) depth: usize,
}

/// A map of one key type and one element type, in the order of its keys.
#[derive(Debug, Clone)]
pub struct Map {
    pub(super) entries: Arc<Vec<(Value, Value)>>,
    pub(super) type_name: &'static str,
}

/// A map that belongs to the template while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DictId(pub(super) usize);

/// A struct with the fields and methods that templates may use.
#[derive(Debug, Default)]
pub struct Struct {
    /// Go's name for the type.
    pub type_name: &'static str,
    /// The fields, in their order.
    pub fields: Vec<(&'static str, Value)>,
    /// Fields whose own fields are reached directly, as Go promotes those of embedded structs.
    pub embedded: Vec<&'static str>,
    /// Methods without arguments, already called.
    pub methods: Vec<(&'static str, Value)>,
    /// What its `String` method gives, where it has one.
    pub string: Option<String>,
}

impl Value {
    /// A text.
    #[must_use]
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into())
    }

    /// A slice, with the name of its element type.
    #[must_use]
    pub fn list(element: &'static str, items: Vec<Self>) -> Self {
        let depth = 1 + items.iter().map(Self::depth).max().unwrap_or(0);
        Self::List(List {
            items: Arc::new(items),
            element,
            depth,
        })
    }

    /// A map, with the name of its type; its keys are put in Go's printing order.
    #[must_use]
    pub fn map(type_name: &'static str, entries: impl IntoIterator<Item = (Self, Self)>) -> Self {
        let mut entries: Vec<_> = entries.into_iter().collect();
        entries.sort_by(|(a, _), (b, _)| a.key_order(b));
        Self::Map(Map {
            entries: Arc::new(entries),
            type_name,
        })
    }

    /// A `map[string]string`.
    #[must_use]
    pub fn string_map<'a>(entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self::map(
            "map[string]string",
            entries
                .into_iter()
                .map(|(key, value)| (Self::text(key), Self::text(value))),
        )
    }

    /// A struct.
    #[must_use]
    pub fn record(record: Struct) -> Self {
        Self::Struct(Arc::new(record))
    }

    /// How deep slices nest here. Maps and structs of the data are shallow by construction; maps of the
    /// template are bounded where they are printed.
    const fn depth(&self) -> usize {
        match self {
            Self::List(list) => list.depth,
            _ => 0,
        }
    }

    /// The integer, of either width.
    pub(super) const fn integer(&self) -> Option<i64> {
        match self {
            Self::Int(value) | Self::Int64(value) => Some(*value),
            _ => None,
        }
    }

    /// Go's name for the type.
    pub(super) fn type_name(&self) -> String {
        match self {
            Self::Nil => "<nil>".to_owned(),
            Self::Bool(_) => "bool".to_owned(),
            Self::Int(_) => "int".to_owned(),
            Self::Int64(_) => "int64".to_owned(),
            Self::Float(_) => "float64".to_owned(),
            Self::Text(_) => "string".to_owned(),
            Self::List(list) => format!("[]{}", list.element),
            Self::Map(map) => map.type_name.to_owned(),
            Self::Dict(_) => "map[string]interface {}".to_owned(),
            Self::Struct(record) => record.type_name.to_owned(),
        }
    }

    /// Go's name for the kind of the type.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "invalid",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Int64(_) => "int64",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::List(_) => "slice",
            Self::Map(_) | Self::Dict(_) => "map",
            Self::Struct(_) => "struct",
        }
    }

    /// The order in which Go prints and ranges over the keys of a map (`internal/fmtsort`).
    pub(super) fn key_order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Int(a) | Self::Int64(a), Self::Int(b) | Self::Int64(b)) => a.cmp(b),
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => a.total_cmp(b),
            (Self::Struct(a), Self::Struct(b)) => a
                .fields
                .iter()
                .zip(&b.fields)
                .map(|((_, a), (_, b))| a.key_order(b))
                .find(|order| order.is_ne())
                .unwrap_or(Ordering::Equal),
            (a, b) => a.kind().cmp(b.kind()),
        }
    }
}

impl Map {
    /// The value of a key.
    pub(super) fn get(&self, key: &Value) -> Option<&Value> {
        self.entries
            .binary_search_by(|(known, _)| known.key_order(key))
            .ok()
            .and_then(|index| self.entries.get(index))
            .map(|(_, value)| value)
    }

    /// Whether its keys are texts.
    pub(super) fn has_text_keys(&self) -> bool {
        self.type_name.starts_with("map[string]")
            || self
                .entries
                .first()
                .is_some_and(|(key, _)| matches!(key, Value::Text(_)))
    }
}

impl Struct {
    /// A field or method, also one of an embedded struct.
    pub(super) fn member(&self, name: &str) -> Option<&Value> {
        let own = self.methods.iter().chain(&self.fields);
        own.clone()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
            .or_else(|| {
                own.filter(|(known, _)| self.embedded.contains(known))
                    .find_map(|(_, value)| match value {
                        Value::Struct(inner) => inner.member(name),
                        _ => None,
                    })
            })
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}
