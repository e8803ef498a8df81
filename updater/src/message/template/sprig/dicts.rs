//! Maps from texts to anything.

use super::super::function::{Function, Kind, fixed, is_true, variadic};
use super::super::run::{Entries, Fault, Run, too_deep};
use super::super::value::Value;
use super::{strval, text_of};

const DICT: &[Kind] = &[Kind::Dict];

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "dict" => variadic(&[], Kind::Any, dict),
        "get" => fixed(&[Kind::Dict, Kind::Text], |run, values| {
            let entries = entries(run, &values[0])?;
            let found = entries.get(text_of(&values[1])).cloned();
            Ok(found.unwrap_or_else(|| Value::text("")))
        }),
        "set" => fixed(&[Kind::Dict, Kind::Text, Kind::Any], set),
        "unset" => fixed(&[Kind::Dict, Kind::Text], |run, values| {
            if let Value::Dict(dict) = &values[0] {
                run.entries_mut(*dict)?.remove(text_of(&values[1]));
            }
            Ok(values[0].clone())
        }),
        "hasKey" => fixed(&[Kind::Dict, Kind::Text], |run, values| {
            let entries = entries(run, &values[0])?;
            Ok(Value::Bool(entries.contains_key(text_of(&values[1]))))
        }),
        "keys" => variadic(&[], Kind::Dict, |run, values| {
            let mut keys = Vec::new();
            for value in values {
                keys.extend(entries(run, value)?.into_keys());
            }
            super::string_list(run, keys)
        }),
        "values" => fixed(DICT, |run, values| {
            let values = entries(run, &values[0])?.into_values().collect();
            run.any_list(values)
        }),
        "pluck" => variadic(&[Kind::Text], Kind::Dict, |run, values| {
            let mut found = Vec::new();
            for value in &values[1..] {
                found.extend(entries(run, value)?.get(text_of(&values[0])).cloned());
            }
            run.any_list(found)
        }),
        "pick" => variadic(DICT, Kind::Text, |run, values| {
            let mut entries = entries(run, &values[0])?;
            let keys: Vec<&str> = values[1..].iter().map(text_of).collect();
            entries.retain(|key, _| keys.contains(&key.as_str()));
            run.dict(entries)
        }),
        "omit" => variadic(DICT, Kind::Text, |run, values| {
            let mut entries = entries(run, &values[0])?;
            for key in &values[1..] {
                entries.remove(text_of(key));
            }
            run.dict(entries)
        }),
        "dig" => variadic(&[Kind::Text, Kind::Any, Kind::Any], Kind::Any, dig),
        "merge" | "mustMerge" => variadic(DICT, Kind::Dict, |run, values| {
            merge_all(run, values, false)
        }),
        "mergeOverwrite" | "mustMergeOverwrite" => {
            variadic(DICT, Kind::Dict, |run, values| merge_all(run, values, true))
        }
        "deepCopy" | "mustDeepCopy" => {
            fixed(&[Kind::Any], |run, values| deep_copy(run, &values[0], 0))
        }
        _ => return None,
    })
}

/// The entries of any map with texts as keys.
fn entries(run: &mut Run, value: &Value) -> Result<Entries, Fault> {
    let entries = match value {
        Value::Dict(dict) => run.entries(*dict)?.clone(),
        Value::Map(map) => map
            .entries
            .iter()
            .map(|(key, item)| (text_of(key).to_owned(), item.clone()))
            .collect(),
        _ => Entries::new(),
    };
    run.spend(entries.len())?;
    Ok(entries)
}

fn dict(run: &mut Run, values: &[Value]) -> Result<Value, Fault> {
    let mut entries = Entries::new();
    for pair in values.chunks(2) {
        let key = strval(run, &pair[0])?;
        let value = pair.get(1).cloned().unwrap_or_else(|| Value::text(""));
        entries.insert(key, value);
    }
    run.dict(entries)
}

fn set(run: &mut Run, values: &[Value]) -> Result<Value, Fault> {
    let key = text_of(&values[1]);
    run.spend(key.len() + 1)?;
    match &values[0] {
        Value::Dict(dict) => {
            run.entries_mut(*dict)?
                .insert(key.to_owned(), values[2].clone());
            Ok(values[0].clone())
        }
        other => Err(Fault::new(format!(
            "cannot set a key of {}; copy it with deepCopy",
            other.type_name()
        ))),
    }
}

/// `dig "a" "b" default $dict`: the value below the keys, or the default.
fn dig(run: &mut Run, values: &[Value]) -> Result<Value, Fault> {
    let [keys @ .., default, last] = values else {
        return Err(Fault::new("dig needs at least three arguments"));
    };
    let mut value = last.clone();
    for key in keys {
        let Value::Text(key) = key else {
            return Err(Fault::new("the keys of dig are strings"));
        };
        if !matches!(value, Value::Dict(_) | Value::Map(_)) {
            return Err(Fault::new(format!(
                "wrong type for value; expected map[string]interface {{}}; got {}",
                value.type_name()
            )));
        }
        match entries(run, &value)?.remove(&**key) {
            Some(found) => value = found,
            None => return Ok(default.clone()),
        }
    }
    Ok(value)
}

/// Fills the first map with what the others have; with `overwrite` later ones win.
fn merge_all(run: &mut Run, values: &[Value], overwrite: bool) -> Result<Value, Fault> {
    for source in &values[1..] {
        merge(run, &values[0], source, overwrite, 0)?;
    }
    Ok(values[0].clone())
}

fn merge(
    run: &mut Run,
    into: &Value,
    from: &Value,
    overwrite: bool,
    depth: usize,
) -> Result<(), Fault> {
    if depth > run.limits.nesting {
        return Err(too_deep());
    }
    let Value::Dict(dict) = into else {
        return Err(Fault::new(format!(
            "cannot merge into {}; copy it with deepCopy",
            into.type_name()
        )));
    };
    for (key, new) in entries(run, from)? {
        let old = run.entries(*dict)?.get(&key).cloned();
        match old {
            Some(old @ Value::Dict(_)) if matches!(new, Value::Dict(_) | Value::Map(_)) => {
                merge(run, &old, &new, overwrite, depth + 1)?;
            }
            Some(old) if is_true(run, &old) && !(overwrite && is_true(run, &new)) => {}
            _ => {
                run.spend(key.len() + 1)?;
                run.entries_mut(*dict)?.insert(key, new);
            }
        }
    }
    Ok(())
}

fn deep_copy(run: &mut Run, value: &Value, depth: usize) -> Result<Value, Fault> {
    if depth > run.limits.nesting {
        return Err(too_deep());
    }
    match value {
        Value::Dict(_) => {
            let mut copy = Entries::new();
            for (key, item) in entries(run, value)? {
                let item = deep_copy(run, &item, depth + 1)?;
                copy.insert(key, item);
            }
            run.dict(copy)
        }
        Value::Map(map) if map.has_text_keys() => {
            let copy = entries(run, value)?;
            run.dict(copy)
        }
        Value::List(list) => {
            let mut copy = Vec::new();
            for item in list.items.iter() {
                copy.push(deep_copy(run, item, depth + 1)?);
            }
            run.list(list.element, copy)
        }
        other => Ok(other.clone()),
    }
}
