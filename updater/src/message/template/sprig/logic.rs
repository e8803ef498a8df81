//! Defaults, choices, types and comparison.

use super::super::function::{Function, Kind, fixed, is_true, variadic};
use super::super::run::{Fault, Run, too_deep};
use super::super::value::Value;
use super::text_of;

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "default" => variadic(&[Kind::Any], Kind::Any, |run, values| {
            Ok(match values.get(1) {
                Some(given) if is_true(run, given) => given.clone(),
                _ => values[0].clone(),
            })
        }),
        "empty" => fixed(&[Kind::Any], |run, values| {
            Ok(Value::Bool(!is_true(run, &values[0])))
        }),
        "coalesce" => variadic(&[], Kind::Any, |run, values| {
            let first = values.iter().find(|value| is_true(run, value));
            Ok(first.cloned().unwrap_or_default())
        }),
        "all" => variadic(&[], Kind::Any, |run, values| {
            Ok(Value::Bool(values.iter().all(|value| is_true(run, value))))
        }),
        "any" => variadic(&[], Kind::Any, |run, values| {
            Ok(Value::Bool(values.iter().any(|value| is_true(run, value))))
        }),
        "ternary" => fixed(&[Kind::Any, Kind::Any, Kind::Bool], |run, values| {
            Ok(values[usize::from(!is_true(run, &values[2]))].clone())
        }),
        "fail" => fixed(&[Kind::Text], |_, values| {
            Err(Fault::new(text_of(&values[0])))
        }),
        "typeOf" => fixed(&[Kind::Any], |run, values| run.text(values[0].type_name())),
        "kindOf" => fixed(&[Kind::Any], |run, values| run.text(values[0].kind())),
        "typeIs" => fixed(&[Kind::Text, Kind::Any], |_, values| {
            Ok(Value::Bool(values[1].type_name() == text_of(&values[0])))
        }),
        "typeIsLike" => fixed(&[Kind::Text, Kind::Any], |_, values| {
            let wanted = text_of(&values[0]);
            let name = values[1].type_name();
            Ok(Value::Bool(
                name == wanted || name == wanted.trim_start_matches('*'),
            ))
        }),
        "kindIs" => fixed(&[Kind::Text, Kind::Any], |_, values| {
            Ok(Value::Bool(values[1].kind() == text_of(&values[0])))
        }),
        "deepEqual" => fixed(&[Kind::Any, Kind::Any], |run, values| {
            Ok(Value::Bool(deep_equal(run, &values[0], &values[1])?))
        }),
        _ => return None,
    })
}

/// Go's `reflect.DeepEqual`: same types, same values.
pub(super) fn deep_equal(run: &mut Run, a: &Value, b: &Value) -> Result<bool, Fault> {
    compare(run, a, b, 0)
}

fn compare(run: &mut Run, a: &Value, b: &Value, depth: usize) -> Result<bool, Fault> {
    run.spend(1)?;
    if depth > run.limits.nesting {
        return Err(too_deep());
    }
    match (a, b) {
        (Value::Nil, Value::Nil) => Ok(true),
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Int(a), Value::Int(b)) | (Value::Int64(a), Value::Int64(b)) => Ok(a == b),
        #[expect(clippy::float_cmp, reason = "Go compares exactly")]
        (Value::Float(a), Value::Float(b)) => Ok(a == b),
        (Value::Text(a), Value::Text(b)) => {
            run.spend(a.len())?;
            Ok(a == b)
        }
        (Value::List(x), Value::List(y)) => {
            if x.element != y.element || x.items.len() != y.items.len() {
                return Ok(false);
            }
            for (a, b) in x.items.iter().zip(y.items.iter()) {
                if !compare(run, a, b, depth + 1)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Map(x), Value::Map(y)) => {
            if x.type_name != y.type_name || x.entries.len() != y.entries.len() {
                return Ok(false);
            }
            for ((key_a, a), (key_b, b)) in x.entries.iter().zip(y.entries.iter()) {
                if !key_a.key_order(key_b).is_eq() || !compare(run, a, b, depth + 1)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Dict(x), Value::Dict(y)) => {
            let (x, y) = (run.entries(*x)?.clone(), run.entries(*y)?.clone());
            run.spend(x.len() + y.len())?;
            if x.len() != y.len() {
                return Ok(false);
            }
            for ((key_a, a), (key_b, b)) in x.iter().zip(y.iter()) {
                if key_a != key_b || !compare(run, a, b, depth + 1)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Struct(x), Value::Struct(y)) => {
            Ok(x.type_name == y.type_name && a.key_order(b).is_eq())
        }
        _ => Ok(false),
    }
}
