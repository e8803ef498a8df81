//! The functions of Go's `text/template` itself.

use super::function::{Function, Kind, fixed, is_true, variadic};
use super::run::{Fault, Run};
use super::value::{List, Value};
use super::{print, printf};
use std::cmp::Ordering;
use std::fmt::Write;

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "eq" => variadic(&[Kind::Any], Kind::Any, equal),
        "ne" => fixed(&[Kind::Any, Kind::Any], |run, values| {
            Ok(Value::Bool(!same(run, &values[0], &values[1])?))
        }),
        "lt" => fixed(&[Kind::Any, Kind::Any], |_, values| {
            Ok(Value::Bool(order(values)?.is_some_and(Ordering::is_lt)))
        }),
        "le" => fixed(&[Kind::Any, Kind::Any], |_, values| {
            Ok(Value::Bool(order(values)?.is_some_and(Ordering::is_le)))
        }),
        "gt" => fixed(&[Kind::Any, Kind::Any], |_, values| {
            Ok(Value::Bool(order(values)?.is_some_and(Ordering::is_gt)))
        }),
        "ge" => fixed(&[Kind::Any, Kind::Any], |_, values| {
            Ok(Value::Bool(order(values)?.is_some_and(Ordering::is_ge)))
        }),
        "not" => fixed(&[Kind::Any], |run, values| {
            Ok(Value::Bool(!is_true(run, &values[0])))
        }),
        "len" => fixed(&[Kind::Any], length),
        "index" => variadic(&[Kind::Any], Kind::Any, index),
        "print" => variadic(&[], Kind::Any, |run, values| {
            let text = print::sprint(run, values)?;
            run.text(text)
        }),
        "println" => variadic(&[], Kind::Any, println),
        "printf" => variadic(&[Kind::Text], Kind::Any, |run, values| {
            let text = match &values[0] {
                Value::Text(format) => printf::sprintf(run, format, &values[1..])?,
                _ => String::new(),
            };
            run.text(text)
        }),
        "html" => variadic(&[], Kind::Any, |run, values| escaped(run, values, html)),
        "js" => variadic(&[], Kind::Any, |run, values| {
            escaped(run, values, javascript)
        }),
        "urlquery" => variadic(&[], Kind::Any, |run, values| escaped(run, values, query)),
        "call" => variadic(&[Kind::Any], Kind::Any, |_, values| {
            Err(Fault::new(format!(
                "non-function of type {}",
                values[0].type_name()
            )))
        }),
        _ => return None,
    })
}

fn equal(run: &mut Run, values: &[Value]) -> Result<Value, Fault> {
    let [first, others @ ..] = values else {
        return Err(Fault::new("missing argument for comparison"));
    };
    if others.is_empty() {
        return Err(Fault::new("missing argument for comparison"));
    }
    for other in others {
        if same(run, first, other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

/// Go's `eq` of two values.
fn same(run: &mut Run, a: &Value, b: &Value) -> Result<bool, Fault> {
    match (a, b) {
        (Value::Nil, Value::Nil) => Ok(true),
        (Value::Nil, _) | (_, Value::Nil) => Ok(false),
        (Value::Struct(x), Value::Struct(y)) if x.type_name == y.type_name => {
            Ok(a.key_order(b).is_eq())
        }
        (Value::List(_) | Value::Dict(_) | Value::Map(_), _)
        | (_, Value::List(_) | Value::Dict(_) | Value::Map(_)) => Err(Fault::new(format!(
            "non-comparable type {}: {}",
            print::plain(run, a)?,
            a.type_name()
        ))),
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Text(a), Value::Text(b)) => Ok(a == b),
        #[expect(clippy::float_cmp, reason = "Go compares exactly")]
        (Value::Float(a), Value::Float(b)) => Ok(a == b),
        _ => match (a.integer(), b.integer()) {
            (Some(a), Some(b)) => Ok(a == b),
            _ => Err(incompatible(a, b)),
        },
    }
}

/// The order of two arguments; `None` for NaN, which is neither less nor greater.
fn order(values: &[Value]) -> Result<Option<Ordering>, Fault> {
    let [a, b] = values else {
        return Err(Fault::new("missing argument for comparison"));
    };
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => Ok(Some(a.cmp(b))),
        (Value::Float(a), Value::Float(b)) => Ok(a.partial_cmp(b)),
        _ => match (a.integer(), b.integer()) {
            (Some(a), Some(b)) => Ok(Some(a.cmp(&b))),
            _ if a.kind() == b.kind() => Err(Fault::new("invalid type for comparison")),
            _ => Err(incompatible(a, b)),
        },
    }
}

fn incompatible(a: &Value, b: &Value) -> Fault {
    Fault::new(format!(
        "incompatible types for comparison: {} and {}",
        a.type_name(),
        b.type_name()
    ))
}

fn length(run: &mut Run, values: &[Value]) -> Result<Value, Fault> {
    let length = match &values[0] {
        Value::Text(text) => text.len(),
        Value::List(list) => list.items.len(),
        Value::Map(map) => map.entries.len(),
        Value::Dict(dict) => run.entries(*dict)?.len(),
        Value::Nil => return Err(Fault::new("len of nil pointer")),
        other => {
            return Err(Fault::new(format!("len of type {}", other.type_name())));
        }
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn index(run: &mut Run, values: &[Value]) -> Result<Value, Fault> {
    let [first, keys @ ..] = values else {
        return Err(Fault::new("index of untyped nil"));
    };
    let mut value = first.clone();
    for key in keys {
        value = match &value {
            Value::Nil => return Err(Fault::new("index of untyped nil")),
            Value::List(List { items, .. }) => {
                let position = position(key, items.len())?;
                items.get(position).cloned().unwrap_or_default()
            }
            Value::Text(text) => {
                let position = position(key, text.len())?;
                Value::Int(i64::from(text.as_bytes()[position]))
            }
            Value::Map(map) => {
                if matches!(key, Value::Text(_)) != map.has_text_keys() {
                    return Err(Fault::new(format!(
                        "value has type {}; should be {}",
                        key.type_name(),
                        if map.has_text_keys() {
                            "string"
                        } else {
                            "the type of the map's keys"
                        }
                    )));
                }
                match map.get(key) {
                    Some(value) => value.clone(),
                    None if map.type_name.ends_with("]string") => Value::text(""),
                    None => Value::Nil,
                }
            }
            Value::Dict(dict) => match key {
                Value::Text(key) => run.entries(*dict)?.get(&**key).cloned().unwrap_or_default(),
                key => {
                    return Err(Fault::new(format!(
                        "value has type {}; should be string",
                        key.type_name()
                    )));
                }
            },
            other => {
                return Err(Fault::new(format!(
                    "can't index item of type {}",
                    other.type_name()
                )));
            }
        };
    }
    Ok(value)
}

fn position(key: &Value, length: usize) -> Result<usize, Fault> {
    let Some(position) = key.integer() else {
        return Err(Fault::new(match key {
            Value::Nil => "cannot index slice/array with nil".to_owned(),
            key => format!("cannot index slice/array with type {}", key.type_name()),
        }));
    };
    usize::try_from(position)
        .ok()
        .filter(|position| *position < length)
        .ok_or_else(|| Fault::new(format!("index out of range: {position}")))
}

fn println(run: &mut Run, values: &[Value]) -> Result<Value, Fault> {
    let mut out = String::new();
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        out.push_str(&print::plain(run, value)?);
        run.spend_text(out.len())?;
    }
    out.push('\n');
    run.text(out)
}

fn escaped(run: &mut Run, values: &[Value], escape: fn(&str) -> String) -> Result<Value, Fault> {
    // Go's evalArgs: what is missing is a text by then.
    let values: Vec<Value> = values
        .iter()
        .map(|value| match value {
            Value::Nil => Value::text("<no value>"),
            value => value.clone(),
        })
        .collect();
    let text = print::sprint(run, &values)?;
    run.text(escape(&text))
}

fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
    }
    out
}

fn javascript(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' | '\0'..='\x1f' => {
                let _ = write!(out, "\\u{:04X}", c as u32);
            }
            c => out.push(c),
        }
    }
    out
}

/// Go's `url.QueryEscape`.
pub(super) fn query(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) => out.push(char::from(b)),
            b => {
                let _ = write!(out, "%{b:02X}");
            }
        }
    }
    out
}
