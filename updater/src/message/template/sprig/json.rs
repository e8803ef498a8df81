//! JSON in and out, as Go's `encoding/json` writes it.

use super::super::function::{Function, Kind, fixed};
use super::super::run::{Entries, Fault, Run, too_deep};
use super::super::value::Value;
use super::text_of;
use std::fmt::Write;

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "fromJson" => fixed(&[Kind::Text], |run, values| {
            Ok(read(run, text_of(&values[0])).unwrap_or_default())
        }),
        "mustFromJson" => fixed(&[Kind::Text], |run, values| read(run, text_of(&values[0]))),
        "toJson" => fixed(&[Kind::Any], |run, values| {
            let text = written(run, &values[0], None, true).unwrap_or_default();
            run.text(text)
        }),
        "mustToJson" => fixed(&[Kind::Any], |run, values| {
            let text = written(run, &values[0], None, true)?;
            run.text(text)
        }),
        "toPrettyJson" => fixed(&[Kind::Any], |run, values| {
            let text = written(run, &values[0], Some(0), true).unwrap_or_default();
            run.text(text)
        }),
        "mustToPrettyJson" => fixed(&[Kind::Any], |run, values| {
            let text = written(run, &values[0], Some(0), true)?;
            run.text(text)
        }),
        "toRawJson" => fixed(&[Kind::Any], |run, values| {
            let text = written(run, &values[0], None, false).unwrap_or_default();
            run.text(text)
        }),
        "mustToRawJson" => fixed(&[Kind::Any], |run, values| {
            let text = written(run, &values[0], None, false)?;
            run.text(text)
        }),
        _ => return None,
    })
}

fn read(run: &mut Run, text: &str) -> Result<Value, Fault> {
    run.spend(text.len())?;
    let value = serde_json::from_str(text).map_err(|error| Fault::new(error.to_string()))?;
    from_json(run, value)
}

fn from_json(run: &mut Run, value: serde_json::Value) -> Result<Value, Fault> {
    match value {
        serde_json::Value::Null => Ok(Value::Nil),
        serde_json::Value::Bool(value) => Ok(Value::Bool(value)),
        serde_json::Value::Number(number) => Ok(Value::Float(number.as_f64().unwrap_or_default())),
        serde_json::Value::String(text) => run.text(text),
        serde_json::Value::Array(items) => {
            let mut list = Vec::new();
            for item in items {
                list.push(from_json(run, item)?);
            }
            run.any_list(list)
        }
        serde_json::Value::Object(object) => {
            let mut entries = Entries::new();
            for (key, item) in object {
                let item = from_json(run, item)?;
                entries.insert(key, item);
            }
            run.dict(entries)
        }
    }
}

fn written(
    run: &mut Run,
    value: &Value,
    indent: Option<usize>,
    escape_html: bool,
) -> Result<String, Fault> {
    let mut writer = Writer {
        run,
        out: String::new(),
        escape_html,
    };
    writer.value(value, indent, 0)?;
    Ok(writer.out)
}

struct Writer<'r> {
    run: &'r mut Run,
    out: String,
    escape_html: bool,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value, indent: Option<usize>, depth: usize) -> Result<(), Fault> {
        if depth > self.run.limits.nesting {
            return Err(too_deep());
        }
        self.run.spend(1)?;
        match value {
            Value::Nil => self.out.push_str("null"),
            Value::Bool(value) => self.out.push_str(&value.to_string()),
            Value::Int(value) | Value::Int64(value) => self.out.push_str(&value.to_string()),
            Value::Float(value) => {
                let text = number(*value)?;
                self.out.push_str(&text);
            }
            Value::Text(text) => self.text(text)?,
            Value::List(list) => {
                let items = list.items.iter().map(|item| (None, item.clone()));
                self.sequence(['[', ']'], items.collect(), indent, depth)?;
            }
            Value::Map(map) if map.has_text_keys() => {
                let entries = map
                    .entries
                    .iter()
                    .map(|(key, item)| (Some(text_of(key).to_owned()), item.clone()));
                self.sequence(['{', '}'], entries.collect(), indent, depth)?;
            }
            Value::Map(map) => {
                return Err(Fault::new(format!(
                    "json: unsupported type: {}",
                    map.type_name
                )));
            }
            Value::Dict(dict) => {
                let entries = self.run.entries(*dict)?.iter();
                let entries = entries.map(|(key, item)| (Some(key.clone()), item.clone()));
                self.sequence(['{', '}'], entries.collect(), indent, depth)?;
            }
            Value::Struct(record) => {
                let fields = record
                    .fields
                    .iter()
                    .map(|(name, field)| (Some((*name).to_owned()), field.clone()));
                self.sequence(['{', '}'], fields.collect(), indent, depth)?;
            }
        }
        if self.out.len() > self.run.limits.text {
            return Err(Fault::new("the JSON is too long"));
        }
        Ok(())
    }

    fn sequence(
        &mut self,
        [open, close]: [char; 2],
        items: Vec<(Option<String>, Value)>,
        indent: Option<usize>,
        depth: usize,
    ) -> Result<(), Fault> {
        self.out.push(open);
        let inner = indent.map(|level| level + 1);
        let empty = items.is_empty();
        for (index, (key, item)) in items.into_iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            self.line(inner);
            if let Some(key) = key {
                self.text(&key)?;
                self.out.push_str(if indent.is_some() { ": " } else { ":" });
            }
            self.value(&item, inner, depth + 1)?;
        }
        if !empty {
            self.line(indent);
        }
        self.out.push(close);
        Ok(())
    }

    fn line(&mut self, indent: Option<usize>) {
        if let Some(level) = indent {
            self.out.push('\n');
            self.out.push_str(&"  ".repeat(level));
        }
    }

    fn text(&mut self, text: &str) -> Result<(), Fault> {
        self.run.spend(text.len())?;
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                '<' | '>' | '&' if self.escape_html => {
                    let _ = write!(self.out, "\\u{:04x}", c as u32);
                }
                '\0'..='\x1f' | '\u{2028}' | '\u{2029}' => {
                    let _ = write!(self.out, "\\u{:04x}", c as u32);
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
        Ok(())
    }
}

fn number(value: f64) -> Result<String, Fault> {
    if !value.is_finite() {
        return Err(Fault::new(format!("json: unsupported value: {value}")));
    }
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let text = format!("{value:e}");
        return Ok(match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => {
                format!("{digits}e+{exponent}")
            }
            _ => text,
        });
    }
    Ok(value.to_string())
}
