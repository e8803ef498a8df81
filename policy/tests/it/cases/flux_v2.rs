//! Flux v2: image-reflector-controller, fluxcd/pkg/version and Masterminds/semver v3.

use super::{Outcome, Table, bare, choose, context, strings, text};
use serde_json::{Value, json};
use tagline_policy::{
    Choice, Exclusions, Fit, ImageName, InvalidPolicy, Order, Policy, PolicySpec, Range, TagRef,
    Verdict, Version,
};

pub(super) const TABLE: Table = Table {
    name: "flux-v2",
    text: include_str!("../../cases/flux-v2.json"),
    kinds: &[
        "policy_construct",
        "semver_latest",
        "alphabetical_latest",
        "numerical_latest",
        "policer_from_spec",
        "filter_items",
        "apply_policy",
        "end_to_end_policy",
        "exclusion_list",
        "parse_image_reference",
        "canonical_image_name",
        "parse_version",
        "version_sort",
        "semver_constraint_parse",
        "semver_single_constraint_check",
        "semver_constraint_check",
        "semver_constraint_check_include_prerelease",
        "semver_new_version",
        "semver_coerce_string",
        "semver_compare",
        "apply_policy_derived",
    ],
    run,
};

fn run(row: &Value) -> Outcome {
    let tags = strings(&row["tags"]);
    let first = tags.first().cloned().unwrap_or_default();
    Some(match text(row, "kind") {
        "policy_construct" | "policer_from_spec" => construct(row),
        "semver_latest"
        | "alphabetical_latest"
        | "apply_policy"
        | "end_to_end_policy"
        | "apply_policy_derived" => select(row, &tags),
        "numerical_latest" => numerical(row, &tags),
        "filter_items" => items(row, &tags),
        "exclusion_list" => excluded(row, &tags),
        "parse_image_reference" | "canonical_image_name" => image(row),
        "parse_version" => {
            let parsed = Version::parse_tag(&first).map(|_| "ok".to_owned());
            parsed_or_error(row, parsed.map_err(|e| e.to_string()))
        }
        "semver_new_version" => {
            let parsed = Version::parse(&first).map(|_| "ok".to_owned());
            parsed_or_error(row, parsed.map_err(|e| e.to_string()))
        }
        "semver_coerce_string" => (
            Version::parse(&first).unwrap().to_string().into(),
            row["expected"].clone(),
        ),
        "semver_compare" => {
            let order = Version::parse(&first)
                .unwrap()
                .cmp(&Version::parse(&tags[1]).unwrap());
            (json!(order as i8), row["expected"].clone())
        }
        "version_sort" => sort(row, &tags),
        "semver_constraint_parse" => match Range::parse(range(row)) {
            Ok(range) => {
                let shape = range.shape();
                (
                    json!({"or_groups": shape.len(), "and_in_first_group": shape[0]}),
                    row["expected"].clone(),
                )
            }
            Err(error) => error_text(row, &error),
        },
        "semver_single_constraint_check" | "semver_constraint_check" => {
            check(row, &first, |fit| fit == Fit::Inside)
        }
        "semver_constraint_check_include_prerelease" => {
            check(row, &first, |fit| fit != Fit::Outside)
        }
        // The rewriting and the comparators are looked at where they are made: `range::tests`.
        _ => return None,
    })
}

fn range(row: &Value) -> &str {
    text(&row["policy"]["semver"], "range")
}

/// The table's error: the exact text where it has one, otherwise only that there is one.
fn table_error(row: &Value) -> Option<String> {
    let reading = row["error_message_by_reading"].as_str();
    let error = row["error"].as_str()?;
    Some(reading.unwrap_or(error).to_owned())
}

fn error_text(row: &Value, error: &InvalidPolicy) -> (Value, Value) {
    let problem = error.problem().to_owned();
    match table_error(row) {
        Some(wanted) if wanted.starts_with("any error") => (true.into(), true.into()),
        Some(wanted) => (problem.into(), wanted.into()),
        None => (problem.into(), row["expected"].clone()),
    }
}

fn parsed_or_error(row: &Value, parsed: Result<String, String>) -> (Value, Value) {
    match (parsed, table_error(row)) {
        (Ok(ok), None) => (ok.into(), row["expected"].clone()),
        (Ok(ok), Some(error)) => (ok.into(), error.into()),
        (Err(ours), None) => (ours.into(), row["expected"].clone()),
        // The library's own texts are not in every row.
        (Err(_), Some(error)) if error == "error" => (true.into(), true.into()),
        (Err(ours), Some(error)) => (ours.starts_with(&error).into(), true.into()),
    }
}

fn spec(row: &Value) -> Result<PolicySpec, InvalidPolicy> {
    let policy = &row["policy"];
    let order = |kind: &str| {
        policy
            .get(kind)
            .map(|policy| policy["order"].as_str().unwrap_or_default())
    };
    let range = policy.get("semver").map(|policy| text(policy, "range"));
    let choice = Choice::from_flux(range, order("alphabetical"), order("numerical"))?;
    let mut spec = bare(PolicySpec::new(choice));
    if !row["filter"].is_null() {
        let filter = &row["filter"];
        spec = spec.with_filter(text(filter, "pattern"), text(filter, "extract"));
    }
    Ok(spec)
}

fn construct(row: &Value) -> (Value, Value) {
    match spec(row).and_then(|spec| Policy::compile(&spec)) {
        Ok(_) => ("ok".into(), row["expected"].clone()),
        Err(error) => error_text(row, &error),
    }
}

fn select(row: &Value, tags: &[String]) -> (Value, Value) {
    let expected = table_error(row).map_or_else(|| row["expected"].clone(), Value::from);
    match spec(row).and_then(|spec| Policy::compile(&spec)) {
        Ok(policy) => (choose(&policy, tags, &context()), expected),
        Err(error) => {
            let message = error.message();
            match expected.as_str() {
                Some(wanted) if wanted.contains("message contains") => {
                    let part = wanted.split('"').nth(1).unwrap();
                    (message.contains(part).into(), true.into())
                }
                _ => (message.into(), expected),
            }
        }
    }
}

/// Numbers with a sign are no legal tags; an extract makes them what is compared all the same.
fn numerical(row: &Value, tags: &[String]) -> (Value, Value) {
    let marked: Vec<String> = tags.iter().map(|tag| format!("n{tag}")).collect();
    let policy = Policy::compile(&spec(row).unwrap().with_filter("^n(.*)$", "$1")).unwrap();
    let ours = choose(&policy, &marked, &context());
    let ours = match ours.as_str().and_then(|tag| tag.strip_prefix('n')) {
        Some(tag) => tag.into(),
        None => ours,
    };
    let expected = table_error(row).map_or_else(|| row["expected"].clone(), Value::from);
    (ours, expected)
}

fn items(row: &Value, tags: &[String]) -> (Value, Value) {
    let filter = &row["filter"];
    let spec = PolicySpec::new(Choice::Alphabetical {
        order: Order::Ascending,
    })
    .with_filter(text(filter, "pattern"), text(filter, "extract"));
    let policy = Policy::compile(&bare(spec)).unwrap();
    let mut items: Vec<String> = tags
        .iter()
        .filter_map(|tag| policy.compared_text(TagRef::new(tag).unwrap()))
        .collect();
    items.sort_unstable();
    items.dedup();
    (items.into(), row["expected"].clone())
}

fn excluded(row: &Value, tags: &[String]) -> (Value, Value) {
    let mut spec = PolicySpec::new(Choice::Alphabetical {
        order: Order::Ascending,
    });
    if let Some(list) = row["filter"]["exclusionList"].as_array() {
        spec.exclusions = Exclusions {
            patterns: list
                .iter()
                .map(|p| p.as_str().unwrap().to_owned())
                .collect(),
            ..Exclusions::none()
        };
    }
    let policy = match Policy::compile(&spec) {
        Ok(policy) => policy,
        Err(error) => return (error.message().into(), row["error"].clone()),
    };
    let explanation = policy.explain(super::candidates(tags), &context());
    let kept: Vec<String> = explanation
        .verdicts
        .iter()
        .filter(|v| v.verdict != Verdict::Excluded)
        .map(|v| v.tag.to_string())
        .collect();
    (kept.into(), row["expected"].clone())
}

fn image(row: &Value) -> (Value, Value) {
    match ImageName::parse(text(row, "image")) {
        Ok(name) => (name.to_string().into(), row["expected"].clone()),
        Err(error) => (error.to_string().into(), row["error"].clone()),
    }
}

fn sort(row: &Value, tags: &[String]) -> (Value, Value) {
    let range = Range::parse(range(row)).unwrap();
    let mut sorted: Vec<(Version<'_>, &String)> = tags
        .iter()
        .filter_map(|tag| Version::parse_tag(tag).ok().map(|v| (v, tag)))
        .filter(|(version, _)| range.contains(version))
        .collect();
    sorted.sort_by(|a, b| b.0.cmp(&a.0));
    let sorted: Vec<&String> = sorted.into_iter().map(|(_, tag)| tag).collect();
    (json!(sorted), row["expected"].clone())
}

fn check(row: &Value, version: &str, holds: fn(Fit) -> bool) -> (Value, Value) {
    match (Range::parse(range(row)), Version::parse(version)) {
        (Ok(range), Ok(version)) => (holds(range.fit(&version)).into(), row["expected"].clone()),
        (Err(error), _) => error_text(row, &error),
        (_, Err(error)) => (error.to_string().into(), row["expected"].clone()),
    }
}
