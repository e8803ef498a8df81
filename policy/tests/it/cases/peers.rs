//! The peers: Argo CD Image Updater, Keel, Diun, Renovate, Dependabot, regclient and regsync, as far
//! as a policy here says the same.

use super::{Outcome, Table, bare, candidates, choose, context, ranking, strings, text};
use jiff::Timestamp;
use serde_json::{Value, json};
use tagline_policy::{
    Candidate, Choice, Exclusions, Order, Policy, PolicySpec, Range, Tag, TagRef, Verdict, Version,
    compare_natural,
};

pub(super) const TABLE: Table = Table {
    name: "peers",
    text: include_str!("../../cases/peers.json"),
    kinds: &[
        "select",
        "predicate",
        "sort",
        "filter",
        "should_update",
        "compare",
        "parse",
    ],
    run,
};

const ASCENDING: Order = Order::Ascending;

fn compile(spec: PolicySpec) -> Policy {
    Policy::compile(&bare(spec)).unwrap()
}

fn pattern(pattern: impl Into<String>) -> PolicySpec {
    PolicySpec::new(Choice::Pattern {
        pattern: pattern.into(),
    })
}

/// What is chosen, or nothing.
fn chosen(policy: &Policy, row: &Value) -> Value {
    let context = context().with_current(Tag::new(text(row, "current")).ok());
    match policy
        .select(candidates(&strings(&row["tags"])), &context)
        .result
    {
        Ok(tag) => tag.as_str().into(),
        Err(_) => Value::Null,
    }
}

fn run(row: &Value) -> Outcome {
    let expected = row["expected"].clone();
    let strategy = text(row, "strategy");
    let tags = strings(&row["tags"]);
    let ours = match (text(row, "peer"), text(row, "kind")) {
        ("argocd-image-updater", kind) => return image_updater(kind, strategy, row),
        ("keel", "should_update" | "select") => return keel(strategy, row),
        ("diun", "filter") => {
            let include = strings(&row["constraint"]["include"]).join("|");
            let mut spec = pattern("semver:*").with_filter(include, "");
            spec.exclusions = Exclusions {
                patterns: strings(&row["constraint"]["exclude"]),
                ..Exclusions::none()
            };
            let policy = Policy::compile(&spec).unwrap();
            ranking(&policy, candidates(&tags), &context()).into()
        }
        ("renovate", "predicate") if strategy == "docker.isCompatible" => same_shape(row, &tags[0]),
        ("renovate", "compare") if strategy == "docker.sortVersions" => {
            json!(compare_natural(text(row, "current"), &tags[0]) as i8)
        }
        ("dependabot", "compare") => {
            let order = compare_natural(&tags[0], text(row, "current"));
            match strategy {
                "Docker::Version >=" => order.is_le(),
                "Docker::Version <" => order.is_gt(),
                _ => order.is_lt(),
            }
            .into()
        }
        ("dependabot", "select") => {
            let ignores = row["constraint"].get("ignore").is_some();
            let platform = row["constraint"].get("platform_validation").is_some();
            if ignores || platform {
                return None;
            }
            let mut spec = PolicySpec::new(Choice::Natural { order: ASCENDING });
            spec.guards.same_shape = true;
            spec.guards.never_downgrade = true;
            match chosen(&compile(spec), row) {
                // Dependabot speaks of the version to be at: without an update, the current one.
                Value::Null => row["current"].clone(),
                tag => tag,
            }
        }
        ("regclient", "parse") if strategy.contains("constraint") => {
            match Range::parse(text(row, "constraint")) {
                Ok(_) => "valid".into(),
                Err(_) => return Some(("invalid".into(), row["error"].clone())),
            }
        }
        ("regclient", "parse") => match Version::parse(&tags[0]) {
            Ok(v) => json!([v.major, v.minor, v.patch, v.pre]),
            Err(_) => Value::Null,
        },
        ("regclient", "predicate") => Range::parse(text(row, "constraint"))
            .unwrap()
            .contains(&Version::parse(&tags[0]).unwrap())
            .into(),
        ("regclient", "compare") => {
            let (a, b) = (text(row, "current"), tags[0].as_str());
            let order = match (Version::parse(a), Version::parse(b)) {
                (Ok(a), Ok(b)) => a.cmp(&b),
                _ => compare_natural(a, b),
            };
            json!(order as i8)
        }
        ("regsync", "filter") => return Some((regsync(row, &tags), expected)),
        _ => return None,
    };
    Some((ours, expected))
}

fn image_updater(kind: &str, strategy: &str, row: &Value) -> Outcome {
    let tags = strings(&row["tags"]);
    let expected = row["expected"].clone();
    let constraint = row["constraint"].as_str().unwrap_or("*");
    let ours = match (kind, strategy) {
        ("select", "semver") => {
            match Policy::compile(&bare(pattern(format!("semver:{constraint}")))) {
                Ok(policy) => chosen(&policy, row),
                Err(_) => return Some((true.into(), row["error"].is_string().into())),
            }
        }
        ("select", "alphabetical") => {
            let policy = compile(PolicySpec::new(Choice::Alphabetical { order: ASCENDING }));
            choose(&policy, &tags, &context())
        }
        ("predicate", "ignore-tags glob (filepath.Match)") => {
            let mut spec = PolicySpec::new(Choice::Alphabetical { order: ASCENDING });
            spec.exclusions = Exclusions {
                exclude: strings(&row["constraint"]),
                ..Exclusions::none()
            };
            let policy = Policy::compile(&spec).unwrap();
            let explanation = policy.explain(candidates(&tags), &context());
            (explanation.verdicts[0].verdict == Verdict::Excluded).into()
        }
        ("sort", _) => {
            let choice = match strategy {
                "alphabetical" => Choice::Alphabetical { order: ASCENDING },
                "semver" => Choice::Pattern {
                    pattern: "semver:*".into(),
                },
                _ => Choice::Created { order: ASCENDING },
            };
            let list = tags.iter().enumerate().map(|(index, tag)| Candidate {
                created: row["created_unix"][index]
                    .as_i64()
                    .map(|second| Timestamp::from_second(second).unwrap()),
                ..Candidate::new(TagRef::new(tag).unwrap())
            });
            let mut order = ranking(
                &compile(PolicySpec::new(choice)),
                list.collect(),
                &context(),
            );
            order.reverse();
            order.into()
        }
        _ => return None,
    };
    Some((ours, expected))
}

fn keel(strategy: &str, row: &Value) -> Outcome {
    let current = text(row, "current");
    let tags = strings(&row["tags"]);
    let ours = match strategy {
        "semver:all" | "semver:major" | "semver:minor" | "semver:patch" => {
            let Ok(version) = Version::parse(current) else {
                return None;
            };
            let upper = match strategy {
                "semver:minor" => format!(", <{}.0.0-0", version.major + 1),
                "semver:patch" => format!(", <{}.{}.0-0", version.major, version.minor + 1),
                _ => String::new(),
            };
            let pre = if version.pre.is_empty() { "-0" } else { "" };
            let range = format!(
                "semver:>{version}{upper} || >{}.{}.{}{pre}{upper}, >{version}",
                version.major, version.minor, version.patch
            );
            let mut spec = pattern(range);
            spec.guards.same_shape = row["constraint"]["matchPreRelease"] == true;
            chosen(&compile(spec), row)
        }
        "regexp" => {
            let spec = PolicySpec::new(Choice::Alphabetical { order: ASCENDING })
                .with_filter(text(row, "constraint"), "");
            choose(&compile(spec), &tags, &context())
        }
        "glob (alphabetical order)" => {
            let mut spec = PolicySpec::new(Choice::Alphabetical { order: ASCENDING });
            spec.exclusions = Exclusions {
                include: vec![text(row, "constraint").to_owned()],
                ..Exclusions::none()
            };
            spec.guards.never_downgrade = true;
            let chosen = chosen(&Policy::compile(&spec).unwrap(), row);
            // Keel speaks of updates: the tag that runs is none.
            if chosen == current {
                Value::Null
            } else {
                chosen
            }
        }
        _ => return None,
    };
    let expected = row["expected"].clone();
    Some((ours, expected))
}

/// Whether the second tag keeps the shape of the current one.
fn same_shape(row: &Value, tag: &str) -> Value {
    let mut spec = PolicySpec::new(Choice::Natural { order: ASCENDING });
    spec.guards.same_shape = true;
    let context = context().with_current(Tag::new(text(row, "current")).ok());
    let list = [Candidate::new(TagRef::new(tag).unwrap())];
    compile(spec).select(list, &context).result.is_ok().into()
}

/// Ranges are alternatives; then the patterns that allow, anchored.
fn regsync(row: &Value, tags: &[String]) -> Value {
    let ranges = strings(&row["constraint"]["semverRange"]);
    let allow = strings(&row["constraint"]["allow"]);
    let mut spec = if ranges.is_empty() {
        PolicySpec::new(Choice::Alphabetical { order: ASCENDING })
    } else {
        pattern(format!("semver:{}", ranges.join(" || ")))
    };
    if !allow.is_empty() {
        spec = spec.with_filter(format!("^(?:{})$", allow.join("|")), "");
    }
    let explanation = compile(spec).explain(candidates(tags), &context());
    let kept: Vec<String> = explanation
        .verdicts
        .iter()
        .filter(|v| matches!(v.verdict, Verdict::Chosen | Verdict::Older))
        .map(|v| v.tag.to_string())
        .collect();
    kept.into()
}
