//! The tables of Flux v2's policies, through `tagline select` as other programs call it.

use super::program::Workplace;
use serde_json::Value;

/// Rows whose outcome is a tag or a sentence, given a policy and a list.
const KINDS: [&str; 6] = [
    "semver_latest",
    "alphabetical_latest",
    "numerical_latest",
    "apply_policy",
    "apply_policy_derived",
    "end_to_end_policy",
];

fn flags(row: &Value) -> Option<Vec<String>> {
    let policy = row["policy"].as_object()?;
    let order = |choice: &Value| choice["order"].as_str().unwrap_or_default().to_owned();
    let mut flags = if let Some(choice) = policy.get("semver") {
        vec!["--semver".to_owned(), choice["range"].as_str()?.to_owned()]
    } else if let Some(choice) = policy.get("alphabetical") {
        vec!["--alphabetical".to_owned(), order(choice)]
    } else if let Some(choice) = policy.get("numerical") {
        vec!["--numerical".to_owned(), order(choice)]
    } else {
        return None;
    };
    if let Some(pattern) = row["filter"]["pattern"].as_str() {
        flags.extend(["--filter".to_owned(), pattern.to_owned()]);
        if let Some(extract) = row["filter"]["extract"]
            .as_str()
            .filter(|extract| !extract.is_empty())
        {
            flags.extend(["--extract".to_owned(), extract.to_owned()]);
        }
    }
    Some(flags)
}

fn tags(row: &Value) -> Option<Vec<&str>> {
    row["tags"].as_array()?.iter().map(Value::as_str).collect()
}

/// A registry cannot have such a tag, so no list can.
fn all_are_legal(tags: &[&str]) -> bool {
    tags.iter().all(|tag| {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        !tag.is_empty() && !tag.starts_with(['.', '-']) && tag.chars().all(legal)
    })
}

#[test]
fn flux_v2_chooses_the_same() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../policy/tests/cases/flux-v2.json"
    );
    let rows: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let place = Workplace::new();
    let mut ran = 0;
    for row in rows
        .iter()
        .filter(|row| KINDS.iter().any(|kind| row["kind"] == *kind))
    {
        let (Some(flags), Some(tags)) = (flags(row), tags(row)) else {
            continue;
        };
        if !all_are_legal(&tags) {
            continue;
        }
        let mut arguments = vec!["select", "--tags", "-", "-o", "json"];
        arguments.extend(flags.iter().map(String::as_str));
        let ended = place.run_with_input(&arguments, &tags.join("\n"));
        if let Some(expected) = row["expected"].as_str() {
            assert_eq!(ended.code, 0, "{row}: {}", ended.shown());
            assert_eq!(ended.json()["tag"], expected, "{row}");
        } else if row.get("expected").is_none() {
            assert_ne!(ended.code, 0, "{row}: {}", ended.shown());
        }
        ran += 1;
    }
    assert!(ran >= 25, "only {ran} rows fitted");
}
