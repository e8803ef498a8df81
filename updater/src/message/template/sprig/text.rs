//! Texts: trimming, searching, cutting, joining, quoting.

use super::super::function::{Function, Kind, fixed, variadic};
use super::super::print::quoted;
use super::super::run::{Fault, Run};
use super::super::value::Value;
use super::{int_of, string_list, strings, strval, text_of};

const ONE: &[Kind] = &[Kind::Text];
const TWO: &[Kind] = &[Kind::Text, Kind::Text];

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "hello" => fixed(&[], |run, _| run.text("Hello!")),
        "trim" => fixed(ONE, |run, values| run.text(text_of(&values[0]).trim())),
        "trimAll" | "trimall" => fixed(TWO, |run, values| {
            let set = text_of(&values[0]);
            run.text(text_of(&values[1]).trim_matches(|c| set.contains(c)))
        }),
        "trimPrefix" => fixed(TWO, |run, values| {
            let text = text_of(&values[1]);
            run.text(text.strip_prefix(text_of(&values[0])).unwrap_or(text))
        }),
        "trimSuffix" => fixed(TWO, |run, values| {
            let text = text_of(&values[1]);
            run.text(text.strip_suffix(text_of(&values[0])).unwrap_or(text))
        }),
        "nospace" => fixed(ONE, |run, values| {
            let text: String = text_of(&values[0])
                .chars()
                .filter(|c| !c.is_whitespace())
                .collect();
            run.text(text)
        }),
        "contains" => fixed(TWO, |_, values| {
            Ok(Value::Bool(
                text_of(&values[1]).contains(text_of(&values[0])),
            ))
        }),
        "hasPrefix" => fixed(TWO, |_, values| {
            Ok(Value::Bool(
                text_of(&values[1]).starts_with(text_of(&values[0])),
            ))
        }),
        "hasSuffix" => fixed(TWO, |_, values| {
            Ok(Value::Bool(
                text_of(&values[1]).ends_with(text_of(&values[0])),
            ))
        }),
        "trunc" => fixed(&[Kind::Int, Kind::Text], truncate),
        "substr" => fixed(&[Kind::Int, Kind::Int, Kind::Text], substring),
        "repeat" => fixed(&[Kind::Int, Kind::Text], repeat),
        "replace" => fixed(&[Kind::Text, Kind::Text, Kind::Text], replace),
        "indent" => fixed(&[Kind::Int, Kind::Text], |run, values| {
            let text = indent(run, values)?;
            run.text(text)
        }),
        "nindent" => fixed(&[Kind::Int, Kind::Text], |run, values| {
            let text = indent(run, values)?;
            run.text(format!("\n{text}"))
        }),
        "plural" => fixed(&[Kind::Text, Kind::Text, Kind::Int], |_, values| {
            let one = int_of(&values[2]) == 1;
            Ok(values[usize::from(!one)].clone())
        }),
        "quote" => variadic(&[], Kind::Any, |run, values| {
            joined(run, values, |text| quoted(&text))
        }),
        "squote" => variadic(&[], Kind::Any, |run, values| {
            joined(run, values, |text| format!("'{text}'"))
        }),
        "cat" => variadic(&[], Kind::Any, |run, values| {
            joined(run, values, |text| text)
        }),
        "toString" => fixed(&[Kind::Any], |run, values| {
            let text = strval(run, &values[0])?;
            run.text(text)
        }),
        "toStrings" => fixed(&[Kind::Any], |run, values| {
            let texts = strings(run, &values[0])?;
            string_list(run, texts)
        }),
        "join" => fixed(&[Kind::Text, Kind::Any], |run, values| {
            let texts = strings(run, &values[1])?;
            let between = text_of(&values[0]);
            run.spend_text(texts.iter().map(|text| text.len() + between.len()).sum())?;
            run.text(texts.join(between))
        }),
        "sortAlpha" => fixed(&[Kind::Any], |run, values| {
            let mut texts = strings(run, &values[0])?;
            texts.sort();
            string_list(run, texts)
        }),
        "splitList" => fixed(TWO, |run, values| {
            let texts = split(text_of(&values[1]), text_of(&values[0]), -1);
            string_list(run, texts)
        }),
        "split" => fixed(TWO, |run, values| {
            numbered(run, split(text_of(&values[1]), text_of(&values[0]), -1))
        }),
        "splitn" => fixed(&[Kind::Text, Kind::Int, Kind::Text], |run, values| {
            let parts = split(text_of(&values[2]), text_of(&values[0]), int_of(&values[1]));
            numbered(run, parts)
        }),
        _ => return None,
    })
}

/// Go's `strings.SplitN`; a negative limit is none.
pub(super) fn split(text: &str, separator: &str, limit: i64) -> Vec<String> {
    let limit = match limit {
        0 => return Vec::new(),
        limit => usize::try_from(limit).unwrap_or(usize::MAX),
    };
    if !separator.is_empty() {
        return text.splitn(limit, separator).map(str::to_owned).collect();
    }
    let mut parts: Vec<String> = text.chars().map(String::from).collect();
    if parts.len() > limit {
        let last = parts.split_off(limit - 1).concat();
        parts.push(last);
    }
    parts
}

/// `{_0: first, _1: second, …}`
fn numbered(run: &mut Run, parts: Vec<String>) -> Result<Value, Fault> {
    run.spend(parts.iter().map(|part| part.len() + 8).sum())?;
    Ok(Value::map(
        "map[string]string",
        parts
            .into_iter()
            .enumerate()
            .map(|(index, part)| (Value::text(format!("_{index}")), Value::from(part))),
    ))
}

fn joined(run: &mut Run, values: &[Value], wrap: fn(String) -> String) -> Result<Value, Fault> {
    let mut texts = Vec::new();
    for value in values.iter().filter(|value| !matches!(value, Value::Nil)) {
        texts.push(wrap(strval(run, value)?));
    }
    run.text(texts.join(" "))
}

/// Go counts bytes here and may cut a character in two; the cut moves to the character's edge.
fn truncate(run: &mut Run, values: &[Value]) -> Result<Value, Fault> {
    let (count, text) = (int_of(&values[0]), text_of(&values[1]));
    let size = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if size >= text.len() {
        return Ok(values[1].clone());
    }
    if count < 0 {
        run.text(&text[text.ceil_char_boundary(text.len() - size)..])
    } else {
        run.text(&text[..text.floor_char_boundary(size)])
    }
}

fn substring(run: &mut Run, values: &[Value]) -> Result<Value, Fault> {
    let text = text_of(&values[2]);
    let out_of_range = || Fault::new("slice bounds out of range");
    let place = |value: &Value| {
        usize::try_from(int_of(value))
            .ok()
            .map(|place| text.floor_char_boundary(place.min(text.len())))
    };
    let (start, end) = (place(&values[0]), place(&values[1]));
    let end = match (start, end) {
        (None, None) => return Err(out_of_range()),
        (_, end) => end.unwrap_or(text.len()),
    };
    let cut = text.get(start.unwrap_or(0)..end).ok_or_else(out_of_range)?;
    run.text(cut)
}

fn repeat(run: &mut Run, values: &[Value]) -> Result<Value, Fault> {
    let text = text_of(&values[1]);
    let count = usize::try_from(int_of(&values[0]))
        .map_err(|_| Fault::new("strings: negative Repeat count"))?;
    run.spend_text(text.len().saturating_mul(count))?;
    run.text(text.repeat(count))
}

fn replace(run: &mut Run, values: &[Value]) -> Result<Value, Fault> {
    let (old, new, text) = (
        text_of(&values[0]),
        text_of(&values[1]),
        text_of(&values[2]),
    );
    let found = text.matches(old).count();
    run.spend_text(text.len() + found.saturating_mul(new.len()))?;
    run.text(text.replace(old, new))
}

fn indent(run: &mut Run, values: &[Value]) -> Result<String, Fault> {
    let text = text_of(&values[1]);
    let spaces = usize::try_from(int_of(&values[0]))
        .map_err(|_| Fault::new("strings: negative Repeat count"))?;
    let lines = text.matches('\n').count() + 1;
    run.spend_text(text.len() + lines.saturating_mul(spaces))?;
    let pad = " ".repeat(spaces);
    Ok(format!("{pad}{}", text.replace('\n', &format!("\n{pad}"))))
}
