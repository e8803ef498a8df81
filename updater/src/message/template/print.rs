//! Prints values as Go's `fmt` does: users hash what `%v` gives for maps and structs.

use super::run::{Fault, Run, too_deep};
use super::value::Value;
use std::fmt::Write;

/// How a value is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `%v`
    Plain,
    /// `%+v`: with field names.
    Fields,
    /// `%#v`: as Go source.
    Source,
}

/// The text of a value, `%v`.
pub(super) fn plain(run: &mut Run, value: &Value) -> Result<String, Fault> {
    styled(run, value, Style::Plain)
}

/// The text of a value.
pub(super) fn styled(run: &mut Run, value: &Value, style: Style) -> Result<String, Fault> {
    let mut printer = Printer {
        run,
        out: String::new(),
        style,
    };
    printer.value(value, 0)?;
    let out = printer.out;
    run.spend(out.len())?;
    Ok(out)
}

/// Go's `fmt.Sprint`: a space between operands when neither is a string.
pub(super) fn sprint(run: &mut Run, values: &[Value]) -> Result<String, Fault> {
    let mut out = String::new();
    let mut after_text = true;
    for value in values {
        let is_text = matches!(value, Value::Text(_));
        if !is_text && !after_text {
            out.push(' ');
        }
        out.push_str(&plain(run, value)?);
        run.spend_text(out.len())?;
        after_text = is_text;
    }
    Ok(out)
}

struct Printer<'r> {
    run: &'r Run,
    out: String,
    style: Style,
}

impl Printer<'_> {
    fn push(&mut self, text: &str) -> Result<(), Fault> {
        if self.out.len() + text.len() > self.run.limits.text {
            return Err(Fault::new(format!(
                "a text of more than {} bytes",
                self.run.limits.text
            )));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Fault> {
        if depth > self.run.limits.nesting {
            return Err(too_deep());
        }
        let source = self.style == Style::Source;
        match value {
            Value::Nil => self.push("<nil>"),
            Value::Bool(value) => self.push(if *value { "true" } else { "false" }),
            Value::Int(value) | Value::Int64(value) => self.push(&value.to_string()),
            Value::Float(value) => self.push(&float(*value)),
            Value::Text(text) if source => self.push(&quoted(text)),
            Value::Text(text) => self.push(text),
            Value::List(list) => {
                let items = list.items.iter().map(|item| (None, item));
                self.sequence(&value.type_name(), ["[", "]"], items, depth)
            }
            Value::Map(map) => {
                let entries = map
                    .entries
                    .iter()
                    .map(|(key, item)| (Some(Label::Key(key)), item));
                self.sequence(&value.type_name(), ["map[", "]"], entries, depth)
            }
            Value::Dict(dict) => {
                let entries: Vec<_> = self
                    .run
                    .entries(*dict)?
                    .iter()
                    .map(|(key, item)| (Value::text(key.as_str()), item))
                    .collect();
                let entries = entries
                    .iter()
                    .map(|(key, item)| (Some(Label::Key(key)), *item));
                self.sequence(&value.type_name(), ["map[", "]"], entries, depth)
            }
            Value::Struct(record) => match &record.string {
                Some(text) if !source => self.push(text),
                _ => {
                    let named = self.style != Style::Plain;
                    let fields = record
                        .fields
                        .iter()
                        .map(|(name, field)| (named.then_some(Label::Field(name)), field));
                    self.sequence(record.type_name, ["{", "}"], fields, depth)
                }
            },
        }
    }

    fn sequence<'v>(
        &mut self,
        type_name: &str,
        brackets: [&str; 2],
        items: impl Iterator<Item = (Option<Label<'v>>, &'v Value)>,
        depth: usize,
    ) -> Result<(), Fault> {
        let source = self.style == Style::Source;
        let (open, close, between) = if source {
            (format!("{type_name}{{"), "}", ", ")
        } else {
            (brackets[0].to_owned(), brackets[1], " ")
        };
        self.push(&open)?;
        for (index, (label, item)) in items.enumerate() {
            if index > 0 {
                self.push(between)?;
            }
            match label {
                None => {}
                Some(Label::Key(key)) => {
                    self.value(key, depth + 1)?;
                    self.push(":")?;
                }
                Some(Label::Field(name)) => {
                    self.push(name)?;
                    self.push(":")?;
                }
            }
            self.value(item, depth + 1)?;
        }
        self.push(close)
    }
}

enum Label<'v> {
    Key(&'v Value),
    Field(&'static str),
}

/// `%v` of a `float64`: the shortest text that reads back, in exponent form below 1e-4 and from 1e6 on.
pub(super) fn float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value != 0.0 && !(-4..6).contains(&exponent) {
        return format!("{digits}e{}", signed_exponent(exponent));
    }
    format!("{value}")
}

/// An exponent as C and Go print it: a sign and at least two digits.
pub(super) fn signed_exponent(exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{:02}", exponent.unsigned_abs())
}

/// `%q` of a text, as `strconv.Quote` gives it.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{ad}') => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// `%+q` of a text: `strconv.QuoteToASCII`.
pub(super) fn quoted_ascii(text: &str) -> String {
    quoted(text).chars().fold(String::new(), |mut out, c| {
        let _ = match c as u32 {
            0..=0x7f => write!(out, "{c}"),
            code @ ..=0xffff => write!(out, "\\u{code:04x}"),
            code => write!(out, "\\U{code:08x}"),
        };
        out
    })
}
