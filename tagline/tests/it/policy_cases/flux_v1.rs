//! Flux v1: tag patterns, orders, automation.

use super::{Answer, Asked, Row, Table, is_chosen, sign, strings, text};
use serde_json::{Value, json};

pub(super) const TABLE: Table = Table {
    name: "flux-v1",
    row,
    expected,
    least: 150,
};

const ANY: &str = "semver:>=0.0.0-0";

fn row(row: &Value) -> Row {
    let input = &row["input"];
    match text(row, "kind") {
        "tag_pattern.match" => {
            let pattern = text(input, "pattern");
            Row::One(Asked::pattern(pattern, [text(input, "tag")]), is_chosen)
        }
        // `latest` is left out of all globs but its own.
        "glob_lib" if text(input, "subject") != "latest" => {
            let pattern = format!("glob:{}", text(input, "pattern"));
            Row::One(Asked::pattern(pattern, [text(input, "subject")]), is_chosen)
        }
        "image_sort.created" => {
            let images = input["images"].as_array().unwrap();
            Row::Order(Asked::pattern("glob:*", images.iter().map(listed)))
        }
        "image_sort.semver" => Row::Order(Asked::pattern("semver:*", strings(&input["tags"]))),
        "image_filter" | "image_filter_and_sort" => {
            let pattern = text(input, "pattern");
            Row::Order(Asked::pattern(pattern, strings(&input["tags"])))
        }
        "automation.calculate" => Row::Several(containers(input), changes),
        "semver_lib.constraint_check" => {
            let pattern = format!("semver:{}", text(input, "constraint"));
            Row::One(Asked::pattern(pattern, [text(input, "version")]), is_chosen)
        }
        "semver_lib.constraint_parse" => {
            let pattern = format!("semver:{}", input.as_str().unwrap());
            let tags: [&str; 0] = [];
            Row::One(Asked::pattern(pattern, tags), |_, answer| {
                json!(!answer.refused)
            })
        }
        "semver_lib.version_parse" => {
            Row::One(Asked::pattern(ANY, [input.as_str().unwrap()]), is_chosen)
        }
        "semver_lib.compare" if three_parts(&strings(input)) => Row::Compare(
            Asked::new(json!({"semver": {"range": ">=0.0.0-0"}}), strings(input)),
            sign,
        ),
        // Of equal versions Flux v1 takes the greater text, so that only differences show.
        "semver_lib.compare" if row["expected"] != 0 => {
            Row::Compare(Asked::pattern(ANY, strings(input)), sign)
        }
        "semver_lib.compare_op" => {
            let both = [text(input, "a"), text(input, "b")];
            Row::Compare(
                Asked::new(json!({"semver": {"range": ">=0.0.0-0"}}), both),
                |row, order| match text(&row["input"], "op") {
                    "<" => json!(order < 0),
                    ">" => json!(order > 0),
                    _ => json!(order == 0),
                },
            )
        }
        _ => Row::LeftOut,
    }
}

fn three_parts(versions: &[String]) -> bool {
    versions
        .iter()
        .all(|version| version.matches('.').count() >= 2)
}

/// An image of the tables as a tag with its time: `base`, `base+1s`, `now-1m`.
fn listed(image: &Value) -> Value {
    let tag = text(image, "ref").rsplit(':').next().unwrap();
    let Some(time) = image["created"].as_str() else {
        return json!({"name": tag});
    };
    let offset = time.trim_start_matches("base").trim_start_matches("now");
    let offset: jiff::SignedDuration = match offset.trim_start_matches('+') {
        "" => jiff::SignedDuration::ZERO,
        offset => offset.parse().unwrap(),
    };
    let created = jiff::Timestamp::from_second(1_000_000).unwrap() + offset;
    json!({"name": tag, "created": created.to_string()})
}

/// The containers of a workload with the policy and the images of each.
fn containers(input: &Value) -> Vec<(String, Asked)> {
    let registry = input["registry"].as_array().unwrap();
    let containers = input["containers"].as_object().unwrap();
    let asked = |(container, running): (&String, &Value)| {
        let name = running.as_str().unwrap().split(':').next().unwrap();
        let of_image = |image: &&Value| text(image, "ref").split(':').next() == Some(name);
        let policy = input["policies"].get(format!("tag.{container}"));
        let pattern = policy.and_then(Value::as_str).unwrap_or("glob:*");
        let images = registry.iter().filter(of_image).map(listed);
        (container.clone(), Asked::pattern(pattern, images))
    };
    containers.iter().map(asked).collect()
}

/// What the automation changes: the newest image of each container that is not the one that runs.
fn changes(row: &Value, answers: &[(String, Answer)]) -> Value {
    let mut changes = serde_json::Map::new();
    for (container, answer) in answers {
        let running = row["input"]["containers"][container].as_str().unwrap();
        if let Some(tag) = &answer.tag {
            let newest = format!("{}:{tag}", running.split(':').next().unwrap());
            if newest != running {
                changes.insert(container.clone(), newest.into());
            }
        }
    }
    json!({"changes": changes})
}

fn expected(row: &Value) -> Value {
    match text(row, "kind") {
        "image_sort.created" => row["expected"]["tags_in_order"].clone(),
        // What is no version does not match a semver pattern; Flux v1 sorts it last, by text.
        "image_sort.semver" => {
            let mut order = strings(&row["expected"]["tags_in_order"]);
            order.retain(|tag| !tag.ends_with("-not-semver"));
            json!(order)
        }
        "semver_lib.constraint_parse" | "semver_lib.version_parse" => {
            json!(!row["error"].is_string())
        }
        _ => row["expected"].clone(),
    }
}
