//! Semantic versions, as Masterminds' `semver` reads and compares them.

use super::super::function::{Function, Kind, fixed};
use super::super::run::Fault;
use super::super::value::{Struct, Value};
use super::text_of;
use tagline_policy::{Range, Version};

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "semver" => fixed(&[Kind::Text], |_, values| semver(text_of(&values[0]))),
        "semverCompare" => fixed(&[Kind::Text, Kind::Text], |run, values| {
            let (range, version) = (text_of(&values[0]), text_of(&values[1]));
            run.spend(range.len() + version.len())?;
            let range = Range::parse(range).map_err(|error| Fault::new(error.to_string()))?;
            Ok(Value::Bool(range.contains(&parse(version)?)))
        }),
        _ => return None,
    })
}

fn parse(text: &str) -> Result<Version<'_>, Fault> {
    Version::parse(text).map_err(|_| Fault::new("Invalid Semantic Version"))
}

/// A version with the members that templates use.
fn semver(original: &str) -> Result<Value, Fault> {
    let version = parse(original)?;
    let mut string = format!("{}.{}.{}", version.major, version.minor, version.patch);
    for (mark, part) in [('-', version.pre), ('+', version.build)] {
        if !part.is_empty() {
            string.push(mark);
            string.push_str(part);
        }
    }
    let number = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
    Ok(Value::record(Struct {
        type_name: "*semver.Version",
        methods: vec![
            ("Major", number(version.major)),
            ("Minor", number(version.minor)),
            ("Patch", number(version.patch)),
            ("Prerelease", Value::text(version.pre)),
            ("Metadata", Value::text(version.build)),
            ("Original", Value::text(original)),
            ("String", Value::text(string.as_str())),
        ],
        string: Some(string),
        ..Struct::default()
    }))
}
