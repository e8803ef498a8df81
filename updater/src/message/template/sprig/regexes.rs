//! Regular expressions, in RE2's syntax.

use super::super::function::{Function, Kind, fixed};
use super::super::run::{Fault, Run};
use super::super::value::Value;
use super::{int_of, string_list, text_of};
use regex::{NoExpand, Regex, RegexBuilder};

/// How large a compiled expression may be, in bytes.
const MAX_COMPILED: usize = 1 << 20;

const TWO: &[Kind] = &[Kind::Text, Kind::Text];
const THREE: &[Kind] = &[Kind::Text, Kind::Text, Kind::Text];
const COUNTED: &[Kind] = &[Kind::Text, Kind::Text, Kind::Int];

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "regexMatch" => fixed(TWO, |run, values| {
            let text = text_of(&values[1]);
            run.spend(text.len())?;
            let regex = compile(run, &values[0]);
            Ok(Value::Bool(regex.is_ok_and(|regex| regex.is_match(text))))
        }),
        "mustRegexMatch" => fixed(TWO, |run, values| {
            let regex = compile(run, &values[0])?;
            Ok(Value::Bool(regex.is_match(text_of(&values[1]))))
        }),
        "regexFind" | "mustRegexFind" => fixed(TWO, |run, values| {
            let regex = compile(run, &values[0])?;
            let found = regex.find(text_of(&values[1]));
            run.text(found.map_or("", |found| found.as_str()))
        }),
        "regexFindAll" | "mustRegexFindAll" => fixed(COUNTED, |run, values| {
            let regex = compile(run, &values[0])?;
            let found = regex
                .find_iter(text_of(&values[1]))
                .take(count(&values[2]))
                .map(|found| found.as_str().to_owned())
                .collect();
            string_list(run, found)
        }),
        "regexReplaceAll" | "mustRegexReplaceAll" => {
            fixed(THREE, |run, values| replace_all(run, values, true))
        }
        "regexReplaceAllLiteral" | "mustRegexReplaceAllLiteral" => {
            fixed(THREE, |run, values| replace_all(run, values, false))
        }
        "regexSplit" | "mustRegexSplit" => fixed(COUNTED, |run, values| {
            let regex = compile(run, &values[0])?;
            let parts = split(&regex, &values[0], text_of(&values[1]), count(&values[2]));
            string_list(run, parts)
        }),
        "regexQuoteMeta" => fixed(&[Kind::Text], |run, values| {
            let mut quoted = String::new();
            for c in text_of(&values[0]).chars() {
                if r"\.+*?()|[]{}^$".contains(c) {
                    quoted.push('\\');
                }
                quoted.push(c);
            }
            run.text(quoted)
        }),
        _ => return None,
    })
}

fn compile(run: &mut Run, expression: &Value) -> Result<Regex, Fault> {
    let expression = text_of(expression);
    // Compiling costs far more than the text is long.
    run.spend(1000 + expression.len() * 10)?;
    RegexBuilder::new(expression)
        .size_limit(MAX_COMPILED)
        .dfa_size_limit(MAX_COMPILED)
        .build()
        .map_err(|error| {
            let text = error.to_string();
            let why = text.lines().last().unwrap_or_default();
            Fault::new(format!(
                "error parsing regexp {expression:?}: {}",
                why.trim_start_matches("error: ")
            ))
        })
}

/// A limit: negative is none.
fn count(value: &Value) -> usize {
    usize::try_from(int_of(value)).unwrap_or(usize::MAX)
}

/// Go's `Regexp.Split`: an empty match at the very start divides nothing.
fn split(regex: &Regex, expression: &Value, text: &str, limit: usize) -> Vec<String> {
    if limit == 0 {
        return Vec::new();
    }
    if text.is_empty() && !text_of(expression).is_empty() {
        return vec![String::new()];
    }
    let mut parts = Vec::new();
    let (mut begin, mut end) = (0, 0);
    for found in regex.find_iter(text).take(limit) {
        if parts.len() == limit - 1 {
            break;
        }
        end = found.start();
        if found.end() != 0 {
            parts.push(text[begin..end].to_owned());
        }
        begin = found.end();
    }
    if end != text.len() {
        parts.push(text[begin..].to_owned());
    }
    parts
}

/// Go names the arguments: expression, text, replacement.
fn replace_all(run: &mut Run, values: &[Value], expand: bool) -> Result<Value, Fault> {
    let regex = compile(run, &values[0])?;
    let (text, new) = (text_of(&values[1]), text_of(&values[2]));
    // A replacement may name every group, each as long as the text.
    let found = regex.find_iter(text).count();
    let longest = if expand && new.contains('$') {
        new.len().saturating_mul(text.len())
    } else {
        new.len()
    };
    run.spend_text(text.len().saturating_add(found.saturating_mul(longest)))?;
    let replaced = if expand {
        regex.replace_all(text, new)
    } else {
        regex.replace_all(text, NoExpand(new))
    };
    run.text(replaced.into_owned())
}
