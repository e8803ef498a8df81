//! Flux v2: image-reflector-controller, fluxcd/pkg/version and Masterminds/semver v3.

use super::{Answer, Asked, Row, Table, is_chosen, sign, strings, text};
use serde_json::{Value, json};

pub(super) const TABLE: Table = Table {
    name: "flux-v2",
    row,
    expected,
    least: 260,
};

/// Every version, pre-releases among them.
const ANY: &str = ">=0.0.0-0";

fn row(row: &Value) -> Row {
    let tags = strings(&row["tags"]);
    let mut asked = Asked::new(row["policy"].clone(), tags.clone());
    if row["filter"]["pattern"].is_string() {
        asked.filter = Some(row["filter"].clone());
    }
    let range = text(&row["policy"]["semver"], "range");
    match text(row, "kind") {
        "policy_construct" | "policer_from_spec" | "semver_constraint_parse" => {
            Row::One(asked, constructed)
        }
        "semver_latest"
        | "alphabetical_latest"
        | "apply_policy"
        | "end_to_end_policy"
        | "apply_policy_derived" => Row::One(asked, tag_or_message),
        "numerical_latest" => Row::One(signed(asked), unsigned),
        "filter_items" => {
            asked.policy = json!({"alphabetical": {}});
            Row::One(asked, |_, answer| {
                let mut items = answer.compared();
                items.sort_unstable();
                items.dedup();
                json!(items)
            })
        }
        "exclusion_list" => {
            let patterns = strings(&row["filter"]["exclusionList"]);
            let asked = Asked {
                exclusions: patterns,
                ..Asked::new(json!({"alphabetical": {}}), tags)
            };
            Row::One(asked, |row, answer| match text(row, "error") {
                "" => json!(answer.tags_with(&["chosen", "older"])),
                error => json!(says(answer, error)),
            })
        }
        "parse_version" => Row::One(Asked::new(json!({"semver": {"range": ANY}}), tags), parsed),
        "semver_new_version" => Row::One(Asked::pattern(format!("semver:{ANY}"), tags), parsed),
        "semver_compare" if tags.iter().all(|tag| tag.matches('.').count() >= 2) => {
            Row::Compare(Asked::new(json!({"semver": {"range": ANY}}), tags), sign)
        }
        // Of equal versions Flux v1 takes the greater text, so that only differences show.
        "semver_compare" if row["expected"] != 0 => {
            Row::Compare(Asked::pattern(format!("semver:{ANY}"), tags), sign)
        }
        "version_sort" => Row::Order(asked),
        // A tag needs three parts, the versions of these rows often have fewer; Flux v1's pattern does not mind.
        "semver_single_constraint_check" | "semver_constraint_check" => Row::One(
            Asked::pattern(format!("semver:{range}"), tags),
            |row, answer| match (row["error"].is_string(), &answer.message) {
                (true, _) => json!(says(answer, error(row))),
                (false, Some(message)) if answer.refused => {
                    json!(message.strip_prefix("invalid policy: "))
                }
                _ => is_chosen(row, answer),
            },
        ),
        _ => Row::LeftOut,
    }
}

/// Numbers with a sign are no legal tags; an extract makes them what is compared all the same.
fn signed(mut asked: Asked) -> Asked {
    for tag in &mut asked.tags {
        *tag = format!("n{}", tag.as_str().unwrap()).into();
    }
    asked.filter = Some(json!({"pattern": "^n(.*)$", "extract": "$1"}));
    asked
}

fn unsigned(row: &Value, answer: &Answer) -> Value {
    match &answer.tag {
        Some(tag) => json!(tag.strip_prefix('n')),
        None => tag_or_message(row, answer),
    }
}

fn tag_or_message(row: &Value, answer: &Answer) -> Value {
    match text(row, "error").split_once("message contains ") {
        Some((_, part)) => json!(says(answer, part.trim_matches('"'))),
        None if text(row, "error").starts_with("invalid policy") => json!(says(answer, error(row))),
        None => json!(answer.tag.as_ref().or(answer.message.as_ref())),
    }
}

fn constructed(row: &Value, answer: &Answer) -> Value {
    if row["error"].is_string() {
        json!(says(answer, error(row)))
    } else {
        json!(!answer.refused)
    }
}

fn parsed(_: &Value, answer: &Answer) -> Value {
    json!(answer.tag.is_some())
}

/// The table's sentence; empty where it only says that there is an error.
fn error(row: &Value) -> &str {
    let error = row["error_message_by_reading"].as_str();
    let error = error.unwrap_or(text(row, "error"));
    match error {
        "error" => "",
        error if error.starts_with("any error") => "",
        error => error.strip_prefix("invalid policy: ").unwrap_or(error),
    }
}

/// Whether a policy was refused with these words.
fn says(answer: &Answer, words: &str) -> bool {
    answer.refused && answer.message.as_deref().unwrap().contains(words)
}

fn expected(row: &Value) -> Value {
    let has_error = row["error"].is_string();
    match text(row, "kind") {
        "policy_construct" | "policer_from_spec" | "semver_constraint_parse" => json!(true),
        "parse_version" | "semver_new_version" => json!(!has_error),
        "exclusion_list" | "semver_single_constraint_check" | "semver_constraint_check"
            if has_error =>
        {
            json!(true)
        }
        _ if !has_error => row["expected"].clone(),
        _ if text(row, "error").contains("message contains ") => json!(true),
        _ if text(row, "error").starts_with("invalid policy") => json!(true),
        _ => json!(text(row, "error")),
    }
}
