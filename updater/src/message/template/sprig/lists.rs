//! Lists. As in sprig, any slice goes in and `[]interface{}` comes out.

use super::super::function::{Function, Kind, fixed, is_true, variadic};
use super::super::run::{Fault, Run};
use super::super::value::Value;
use super::logic::deep_equal;
use super::numbers::to_int64;

const LIST: &[Kind] = &[Kind::Any];
const LIST_AND_ONE: &[Kind] = &[Kind::Any, Kind::Any];

pub(super) fn find(name: &str) -> Option<Function> {
    Some(
        match name
            .strip_prefix("must")
            .map_or(name.to_owned(), lower_first)
            .as_str()
        {
            "list" | "tuple" => {
                variadic(&[], Kind::Any, |run, values| run.any_list(values.to_vec()))
            }
            "first" => fixed(LIST, |_, values| {
                Ok(items(&values[0], "find first")?
                    .first()
                    .cloned()
                    .unwrap_or_default())
            }),
            "last" => fixed(LIST, |_, values| {
                Ok(items(&values[0], "find last")?
                    .last()
                    .cloned()
                    .unwrap_or_default())
            }),
            "rest" => fixed(LIST, |run, values| {
                let items = items(&values[0], "find rest")?;
                run.any_list(items.get(1..).unwrap_or_default().to_vec())
            }),
            "initial" => fixed(LIST, |run, values| {
                let items = items(&values[0], "find initial")?;
                run.any_list(items[..items.len().saturating_sub(1)].to_vec())
            }),
            "append" | "push" => fixed(LIST_AND_ONE, |run, values| {
                let mut items = items(&values[0], "push")?.to_vec();
                run.spend(items.len())?;
                items.push(values[1].clone());
                run.any_list(items)
            }),
            "prepend" => fixed(LIST_AND_ONE, |run, values| {
                let mut items = items(&values[0], "prepend")?.to_vec();
                run.spend(items.len())?;
                items.insert(0, values[1].clone());
                run.any_list(items)
            }),
            "concat" => variadic(&[], Kind::Any, concat),
            "reverse" => fixed(LIST, |run, values| {
                let items = items(&values[0], "find reverse")?;
                run.any_list(items.iter().rev().cloned().collect())
            }),
            "uniq" => fixed(LIST, unique),
            "without" => variadic(LIST, Kind::Any, without),
            "has" => fixed(LIST_AND_ONE, |run, values| {
                if matches!(values[1], Value::Nil) {
                    return Ok(Value::Bool(false));
                }
                let found = contains(run, items(&values[1], "find has")?, &values[0])?;
                Ok(Value::Bool(found))
            }),
            "compact" => fixed(LIST, |run, values| {
                let items = items(&values[0], "compact")?;
                let kept = items
                    .iter()
                    .filter(|item| is_true(run, item))
                    .cloned()
                    .collect();
                run.any_list(kept)
            }),
            "slice" => variadic(LIST, Kind::Any, slice),
            "chunk" => fixed(&[Kind::Int, Kind::Any], chunk),
            _ => return None,
        },
    )
}

/// `mustFirst` is `first`: both report what is wrong as an error of the template.
fn lower_first(name: &str) -> String {
    let mut chars = name.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

fn items<'v>(value: &'v Value, action: &str) -> Result<&'v [Value], Fault> {
    match value {
        Value::List(list) => Ok(&list.items),
        other => Err(Fault::new(format!(
            "Cannot {action} on type {}",
            other.kind()
        ))),
    }
}

fn concat(run: &mut Run, values: &[Value]) -> Result<Value, Fault> {
    let mut all = Vec::new();
    for value in values {
        let items = items(value, "concat")?;
        run.spend(items.len())?;
        all.extend_from_slice(items);
    }
    run.any_list(all)
}

fn contains(run: &mut Run, items: &[Value], wanted: &Value) -> Result<bool, Fault> {
    for item in items {
        if deep_equal(run, item, wanted)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn unique(run: &mut Run, values: &[Value]) -> Result<Value, Fault> {
    let mut kept: Vec<Value> = Vec::new();
    for item in items(&values[0], "find uniq")? {
        if !contains(run, &kept, item)? {
            kept.push(item.clone());
        }
    }
    run.any_list(kept)
}

fn without(run: &mut Run, values: &[Value]) -> Result<Value, Fault> {
    let mut kept = Vec::new();
    for item in items(&values[0], "find without")? {
        if !contains(run, &values[1..], item)? {
            kept.push(item.clone());
        }
    }
    run.any_list(kept)
}

fn slice(run: &mut Run, values: &[Value]) -> Result<Value, Fault> {
    let Value::List(list) = &values[0] else {
        return Err(Fault::new(format!(
            "list should be type of slice or array but {}",
            values[0].kind()
        )));
    };
    if list.items.is_empty() {
        return Ok(Value::Nil);
    }
    let place = |index: usize| values.get(index).map(to_int64);
    let start = usize::try_from(place(1).unwrap_or(0));
    let end = place(2).map_or(Ok(list.items.len()), usize::try_from);
    let cut = match (start, end) {
        (Ok(start), Ok(end)) => list.items.get(start..end),
        _ => None,
    };
    let cut = cut.ok_or_else(|| Fault::new("slice bounds out of range"))?;
    run.list(list.element, cut.to_vec())
}

fn chunk(run: &mut Run, values: &[Value]) -> Result<Value, Fault> {
    let size = usize::try_from(to_int64(&values[0])).unwrap_or(0);
    let items = items(&values[1], "chunk")?;
    if size == 0 {
        return Err(Fault::new("chunk size must be positive"));
    }
    let mut chunks = Vec::new();
    for part in items.chunks(size) {
        chunks.push(run.any_list(part.to_vec())?);
    }
    run.list("[]interface {}", chunks)
}
