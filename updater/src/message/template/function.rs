//! The functions that templates may call: their names, their parameters, and Go's notion of truth.

use super::run::{Fault, Run};
use super::value::Value;
use super::{builtins, sprig};

/// What a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `interface{}`
    Any,
    /// `string`
    Text,
    /// `int`, and other than in Go also `int64`.
    Int,
    /// `float64`
    Float,
    /// `bool`
    Bool,
    /// `map[string]interface{}`, and other than in Go any map with texts as keys.
    Dict,
}

impl Kind {
    pub(super) fn accepts(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Any, _)
            | (Self::Text, Value::Text(_))
            | (Self::Int, Value::Int(_) | Value::Int64(_))
            | (Self::Float, Value::Float(_))
            | (Self::Bool, Value::Bool(_))
            | (Self::Dict, Value::Dict(_) | Value::Nil) => true,
            (Self::Dict, Value::Map(map)) => map.has_text_keys(),
            _ => false,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Text => "string",
            Self::Int => "int",
            Self::Float => "float64",
            Self::Bool => "bool",
            Self::Dict => "map[string]interface {}",
        }
    }
}

pub(super) type Body = fn(&mut Run, &[Value]) -> Result<Value, Fault>;

/// A function with its signature. It is only called with values that its parameters accept.
#[derive(Clone, Copy)]
pub(super) struct Function {
    pub(super) parameters: &'static [Kind],
    /// The type of any number of further arguments.
    pub(super) rest: Option<Kind>,
    pub(super) call: Body,
}

/// A function with these parameters and no others.
pub(super) const fn fixed(parameters: &'static [Kind], call: Body) -> Function {
    Function {
        parameters,
        rest: None,
        call,
    }
}

/// A function with these parameters and any number of further ones.
pub(super) const fn variadic(parameters: &'static [Kind], rest: Kind, call: Body) -> Function {
    Function {
        parameters,
        rest: Some(rest),
        call,
    }
}

/// Looks a function up: sprig's first, because it replaces some of Go's own (`slice`).
pub(super) fn find(name: &str) -> Option<Function> {
    sprig::find(name).or_else(|| builtins::find(name))
}

/// Whether a template may use this name; why not.
pub(super) fn check(name: &str) -> Result<(), String> {
    if matches!(name, "and" | "or") || find(name).is_some() {
        return Ok(());
    }
    Err(match sprig::refusal(name) {
        Some(why) => format!("function {name:?} is not available: {why}"),
        None => format!("function {name:?} not defined"),
    })
}

/// Go's truth: not the zero value, not empty.
pub(super) fn is_true(run: &Run, value: &Value) -> bool {
    match value {
        Value::Nil => false,
        Value::Bool(value) => *value,
        Value::Int(value) | Value::Int64(value) => *value != 0,
        Value::Float(value) => *value != 0.0,
        Value::Text(text) => !text.is_empty(),
        Value::List(list) => !list.items.is_empty(),
        Value::Map(map) => !map.entries.is_empty(),
        Value::Dict(dict) => run.entries(*dict).is_ok_and(|entries| !entries.is_empty()),
        Value::Struct(_) => true,
    }
}
