//! sprig's functions, those of `HermeticTxtFuncMap` that give the same result each time.

mod cases;
mod decimal;
mod dicts;
mod encoding;
mod json;
mod lists;
mod logic;
mod naming;
mod numbers;
mod paths;
mod regexes;
mod text;
mod times;
mod versions;
mod wrapping;

use super::function::Function;
use super::print;
use super::run::{Fault, Run};
use super::value::Value;

pub(super) fn find(name: &str) -> Option<Function> {
    [
        text::find,
        cases::find,
        naming::find,
        wrapping::find,
        lists::find,
        dicts::find,
        logic::find,
        numbers::find,
        encoding::find,
        json::find,
        regexes::find,
        paths::find,
        versions::find,
        times::find,
    ]
    .iter()
    .find_map(|find| find(name))
}

/// Why a function that Flux offers is not here.
pub(super) fn refusal(name: &str) -> Option<&'static str> {
    match name {
        "ago"
        | "bcrypt"
        | "htpasswd"
        | "genPrivateKey"
        | "genCA"
        | "genCAWithKey"
        | "genSelfSignedCert"
        | "genSelfSignedCertWithKey"
        | "genSignedCert"
        | "genSignedCertWithKey"
        | "encryptAES"
        | "randInt"
        | "shuffle" => Some("its result would differ on each run"),
        "buildCustomCert" | "decryptAES" | "derivePassword" => {
            Some("a commit message has no use for keys and passwords")
        }
        "toDate" | "mustToDate" | "mustDateModify" | "must_date_modify" | "unixEpoch" => {
            Some("there are no dates in the data of a commit message")
        }
        _ => None,
    }
}

/// The text of an argument whose parameter is `string`.
fn text_of(value: &Value) -> &str {
    match value {
        Value::Text(text) => text,
        _ => "",
    }
}

/// The number of an argument whose parameter is `int`.
fn int_of(value: &Value) -> i64 {
    value.integer().unwrap_or_default()
}

/// sprig's `strval`: any value as a text.
fn strval(run: &mut Run, value: &Value) -> Result<String, Fault> {
    print::plain(run, value)
}

/// sprig's `strslice`: any value as texts; what is nil falls out.
fn strings(run: &mut Run, value: &Value) -> Result<Vec<String>, Fault> {
    match value {
        Value::Nil => Ok(Vec::new()),
        Value::List(list) => {
            let mut texts = Vec::new();
            for item in list.items.iter().filter(|item| !matches!(item, Value::Nil)) {
                texts.push(strval(run, item)?);
            }
            Ok(texts)
        }
        other => Ok(vec![strval(run, other)?]),
    }
}

fn string_list(run: &mut Run, texts: Vec<String>) -> Result<Value, Fault> {
    run.spend(texts.iter().map(String::len).sum())?;
    run.list("string", texts.into_iter().map(Value::from).collect())
}
