//! The peers, as far as a policy here says the same: the same translations as in the policy room's own tests.

use super::{Answer, Asked, Row, Table, chosen, eligible, is_chosen, sign, strings, text};
use serde_json::{Value, json};

pub(super) const TABLE: Table = Table {
    name: "peers",
    row,
    expected,
    least: 150,
};

fn current(row: &Value) -> Option<String> {
    row["current"]
        .as_str()
        .filter(|tag| !tag.is_empty())
        .map(str::to_owned)
}

fn row(row: &Value) -> Row {
    let strategy = text(row, "strategy");
    let tags = strings(&row["tags"]);
    let natural = json!({"natural": {"order": "asc"}});
    match (text(row, "peer"), text(row, "kind")) {
        ("argocd-image-updater", kind) => image_updater(kind, strategy, row),
        ("keel", "should_update" | "select") => keel(strategy, row),
        ("diun", "filter") => {
            let include = strings(&row["constraint"]["include"]).join("|");
            Row::Order(Asked {
                filter: Some(json!({"pattern": include})),
                exclusions: strings(&row["constraint"]["exclude"]),
                ..Asked::pattern("semver:*", tags)
            })
        }
        ("renovate", "predicate") if strategy == "docker.isCompatible" => Row::One(
            Asked {
                current: current(row),
                same_shape: true,
                ..Asked::new(natural, tags)
            },
            is_chosen,
        ),
        ("renovate", "compare") if strategy == "docker.sortVersions" => {
            Row::Compare(Asked::new(natural, [text(row, "current"), &tags[0]]), sign)
        }
        ("dependabot", "compare") => Row::Compare(
            Asked::new(natural, [tags[0].as_str(), text(row, "current")]),
            |row, order| {
                json!(match text(row, "strategy") {
                    "Docker::Version >=" => order <= 0,
                    "Docker::Version <" => order > 0,
                    _ => order < 0,
                })
            },
        ),
        ("dependabot", "select") => {
            let ignores = row["constraint"].get("ignore").is_some();
            let platform = row["constraint"].get("platform_validation").is_some();
            if ignores || platform {
                return Row::LeftOut;
            }
            let asked = Asked {
                current: current(row),
                same_shape: true,
                never_downgrade: true,
                ..Asked::new(natural, tags)
            };
            // Dependabot speaks of the version to be at: without an update, the current one.
            Row::One(asked, |row, answer| match &answer.tag {
                Some(tag) => json!(tag),
                None => row["current"].clone(),
            })
        }
        ("regclient", "parse") if strategy.contains("constraint") => {
            let asked = Asked::pattern(format!("semver:{}", text(row, "constraint")), tags);
            Row::One(asked, |_, answer| json!(!answer.refused))
        }
        ("regclient", "predicate") => {
            let pattern = format!("semver:{}", text(row, "constraint"));
            Row::One(Asked::pattern(pattern, tags), is_chosen)
        }
        ("regclient", "compare") => {
            let both = [text(row, "current"), tags[0].as_str()];
            if both.iter().all(|version| is_version(version)) {
                let any = json!({"semver": {"range": ">=0.0.0-0"}});
                Row::Compare(Asked::new(any, both), sign)
            } else {
                Row::Compare(Asked::new(natural, both), sign)
            }
        }
        ("regsync", "filter") => {
            let ranges = strings(&row["constraint"]["semverRange"]);
            let allow = strings(&row["constraint"]["allow"]);
            let mut asked = if ranges.is_empty() {
                Asked::new(json!({"alphabetical": {}}), tags)
            } else {
                Asked::pattern(format!("semver:{}", ranges.join(" || ")), tags)
            };
            if !allow.is_empty() {
                let pattern = format!("^(?:{})$", allow.join("|"));
                asked.filter = Some(json!({"pattern": pattern}));
            }
            Row::One(asked, eligible)
        }
        _ => Row::LeftOut,
    }
}

/// Three numbers, as a tag needs them.
fn is_version(text: &str) -> bool {
    let numbers = text.split(['-', '+']).next().unwrap();
    let numbers: Vec<&str> = numbers.trim_start_matches('v').split('.').collect();
    numbers.len() == 3 && numbers.iter().all(|number| number.parse::<u64>().is_ok())
}

fn image_updater(kind: &str, strategy: &str, row: &Value) -> Row {
    let tags = strings(&row["tags"]);
    let constraint = row["constraint"].as_str().unwrap_or("*");
    let alphabetical = json!({"alphabetical": {"order": "asc"}});
    match (kind, strategy) {
        ("select", "semver") => {
            let asked = Asked::pattern(format!("semver:{constraint}"), tags);
            Row::One(asked, |row, answer| {
                if answer.refused || row["error"].is_string() {
                    json!(answer.refused)
                } else {
                    chosen(row, answer)
                }
            })
        }
        ("select", "alphabetical") => Row::One(Asked::new(alphabetical, tags), tag_or_message),
        ("predicate", "ignore-tags glob (filepath.Match)") => {
            let asked = Asked {
                filter: Some(json!({"exclude": strings(&row["constraint"])})),
                ..Asked::new(alphabetical, tags)
            };
            Row::One(asked, |_, answer| {
                json!(!answer.tags_with(&["excluded"]).is_empty())
            })
        }
        ("sort", _) => {
            let policy = match strategy {
                "alphabetical" => alphabetical,
                "semver" => json!({"glob": {"pattern": "semver:*"}}),
                _ => json!({"created": {"order": "asc"}}),
            };
            let listed = tags.iter().enumerate().map(|(index, tag)| {
                match row["created_unix"][index].as_i64() {
                    Some(second) => {
                        let created = jiff::Timestamp::from_second(second).unwrap();
                        json!({"name": tag, "created": created.to_string()})
                    }
                    None => json!(tag),
                }
            });
            Row::Order(Asked::new(policy, listed))
        }
        _ => Row::LeftOut,
    }
}

fn tag_or_message(_: &Value, answer: &Answer) -> Value {
    json!(answer.tag.as_ref().or(answer.message.as_ref()))
}

fn keel(strategy: &str, row: &Value) -> Row {
    let tags = strings(&row["tags"]);
    let alphabetical = json!({"alphabetical": {"order": "asc"}});
    match strategy {
        "semver:all" | "semver:major" | "semver:minor" | "semver:patch" => {
            let version = text(row, "current").trim_start_matches('v').to_owned();
            let (numbers, pre) = version.split_once('-').unwrap_or((&version, ""));
            let mut parts: Vec<u64> = Vec::new();
            for part in numbers.split('.') {
                match part.parse() {
                    Ok(number) => parts.push(number),
                    Err(_) => return Row::LeftOut,
                }
            }
            parts.resize(3, 0);
            let (major, minor, patch) = (parts[0], parts[1], parts[2]);
            let version = match pre {
                "" => format!("{major}.{minor}.{patch}"),
                pre => format!("{major}.{minor}.{patch}-{pre}"),
            };
            let upper = match strategy {
                "semver:minor" => format!(", <{}.0.0-0", major + 1),
                "semver:patch" => format!(", <{major}.{}.0-0", minor + 1),
                _ => String::new(),
            };
            let any_pre = if pre.is_empty() { "-0" } else { "" };
            let pattern = format!(
                "semver:>{version}{upper} || >{major}.{minor}.{patch}{any_pre}{upper}, >{version}"
            );
            Row::One(
                Asked {
                    current: current(row),
                    same_shape: row["constraint"]["matchPreRelease"] == true,
                    ..Asked::pattern(pattern, tags)
                },
                chosen,
            )
        }
        "regexp" => Row::One(
            Asked {
                filter: Some(json!({"pattern": row["constraint"]})),
                ..Asked::new(alphabetical, tags)
            },
            tag_or_message,
        ),
        "glob (alphabetical order)" => {
            let asked = Asked {
                filter: Some(json!({"include": [row["constraint"]]})),
                current: current(row),
                never_downgrade: true,
                ..Asked::new(alphabetical, tags)
            };
            // Keel speaks of updates: the tag that runs is none.
            Row::One(asked, |row, answer| match &answer.tag {
                Some(tag) if *tag != text(row, "current") => json!(tag),
                _ => Value::Null,
            })
        }
        _ => Row::LeftOut,
    }
}

fn expected(row: &Value) -> Value {
    let has_error = row["error"].is_string();
    match (text(row, "peer"), text(row, "kind"), text(row, "strategy")) {
        ("argocd-image-updater", "select", "semver") if has_error => json!(true),
        // The table has the oldest first.
        ("argocd-image-updater", "sort", _) => {
            let mut order = strings(&row["expected"]);
            order.reverse();
            json!(order)
        }
        ("regclient", "parse", _) => json!(!has_error),
        _ => row["expected"].clone(),
    }
}
