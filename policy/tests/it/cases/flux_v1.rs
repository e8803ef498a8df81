//! Flux v1: tag patterns, image references, include and exclude globs, Masterminds/semver v3.1.1,
//! ryanuber/go-glob.

use super::{Outcome, Table, bare, candidates, context, ranking, strings, text};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tagline_policy::{
    Candidate, Choice, Glob, GlobSet, Image, ImageName, Policy, PolicySpec, Range, TagRef, Version,
};

pub(super) const TABLE: Table = Table {
    name: "flux-v1",
    text: include_str!("../../cases/flux-v1.json"),
    kinds: &[
        "image_ref.domain_regexp",
        "image_ref.parse",
        "image_ref.components",
        "image_sort.created",
        "image_sort.semver",
        "tag_pattern.match",
        "include_exclude",
        "include_exclude.workload_images",
        "glob_lib",
        "image_filter",
        "image_filter_and_sort",
        "automation.calculate",
        "semver_lib.constraint_check",
        "semver_lib.constraint_parse",
        "semver_lib.version_parse",
        "semver_lib.version_string",
        "semver_lib.compare",
        "semver_lib.compare_op",
    ],
    run,
};

fn policy(pattern: &str) -> Policy {
    Policy::compile(&bare(PolicySpec::new(Choice::Pattern {
        pattern: pattern.to_owned(),
    })))
    .unwrap()
}

fn run(row: &Value) -> Outcome {
    let input = &row["input"];
    let expected = row["expected"].clone();
    let ours = match text(row, "kind") {
        "image_ref.domain_regexp" => {
            let domain = input.as_str().unwrap();
            let parsed = ImageName::parse(&format!("{domain}/a/b"));
            parsed
                .is_ok_and(|name| name.registry().as_str() == domain)
                .into()
        }
        "image_ref.parse" => match Image::parse(input.as_str().unwrap()) {
            Ok(image) => reference(&image),
            Err(_) => return Some((true.into(), row["error"].is_string().into())),
        },
        "image_ref.components" => {
            let image = Image::parse(input.as_str().unwrap()).unwrap();
            json!({
                "domain": image.name().registry().as_str(),
                "image": image.name().repository().as_str(),
                "tag": image.tag().unwrap().as_str(),
                "string": image.to_string(),
            })
        }
        "image_sort.created" => return Some(created(input, &expected)),
        "image_sort.semver" => {
            // What is no version does not match a semver pattern; Flux v1 sorts it last, by text.
            let tags = strings(&input["tags"]);
            let mut order = ranking(&policy("semver:*"), candidates(&tags), &context());
            let mut others: Vec<_> = tags.into_iter().filter(|t| !order.contains(t)).collect();
            others.sort_unstable();
            order.extend(others);
            return Some((order.into(), expected["tags_in_order"].clone()));
        }
        "tag_pattern.match" => {
            let tags = [text(input, "tag").to_owned()];
            let selection = policy(text(input, "pattern")).select(candidates(&tags), &context());
            selection.result.is_ok().into()
        }
        "include_exclude" => globs(input).includes(text(input, "subject")).into(),
        "include_exclude.workload_images" => {
            let set = globs(input);
            let images = [&input["initContainers"], &input["containers"]];
            let names = images.into_iter().flat_map(strings).map(|image| {
                let image = Image::parse(&image).unwrap();
                image.name().to_string()
            });
            json!({"scanned_names": names.filter(|name| set.includes(name)).collect::<Vec<_>>()})
        }
        "glob_lib" => Glob::new(text(input, "pattern"))
            .matches(text(input, "subject"))
            .into(),
        "image_filter" | "image_filter_and_sort" => {
            let tags = strings(&input["tags"]);
            ranking(
                &policy(text(input, "pattern")),
                candidates(&tags),
                &context(),
            )
            .into()
        }
        "automation.calculate" => json!({"changes": changes(input)}),
        "semver_lib.constraint_check" => {
            match (
                Range::parse(text(input, "constraint")),
                Version::parse(text(input, "version")),
            ) {
                (Ok(range), Ok(version)) => range.contains(&version).into(),
                (Err(error), _) => error.problem().into(),
                (_, Err(error)) => error.to_string().into(),
            }
        }
        "semver_lib.constraint_parse" => match Range::parse(input.as_str().unwrap()) {
            Ok(range) => {
                json!({"ors": range.shape().len(), "ands_in_first_or": range.shape()[0]})
            }
            Err(_) => return Some((true.into(), row["error"].is_string().into())),
        },
        "semver_lib.version_parse" => match Version::parse(input.as_str().unwrap()) {
            Ok(_) => true.into(),
            Err(_) => return Some((true.into(), row["error"].is_string().into())),
        },
        "semver_lib.version_string" => Version::parse(input.as_str().unwrap())
            .unwrap()
            .to_string()
            .into(),
        "semver_lib.compare" => {
            let [a, b] = [0, 1].map(|i| Version::parse(input[i].as_str().unwrap()).unwrap());
            json!(a.cmp(&b) as i8)
        }
        "semver_lib.compare_op" => {
            let [a, b] = ["a", "b"].map(|key| Version::parse(text(input, key)).unwrap());
            match text(input, "op") {
                "<" => (a < b).into(),
                ">" => (a > b).into(),
                _ => (a == b).into(),
            }
        }
        _ => return None,
    };
    Some((ours, expected))
}

fn globs(input: &Value) -> GlobSet {
    GlobSet::new(&strings(&input["include"]), &strings(&input["exclude"]))
}

fn reference(image: &Image) -> Value {
    let tag = image.tag().map_or(String::new(), |tag| format!(":{tag}"));
    json!({
        "string": image.to_string(),
        "registry": image.name().registry().as_str(),
        "repository": image.name().repository().as_str(),
        "canonical_ref": format!("{}{tag}", image.name()),
    })
}

/// `base`, `base+1s`, `base-1m`, `now+1s`.
fn time(text: Option<&str>) -> Option<Timestamp> {
    let text = text?.trim_start_matches("base").trim_start_matches("now");
    let offset = if text.is_empty() {
        SignedDuration::ZERO
    } else {
        text.trim_start_matches('+').parse().unwrap()
    };
    Some(Timestamp::from_second(1_000_000).unwrap() + offset)
}

fn created(input: &Value, expected: &Value) -> (Value, Value) {
    let images = input["images"].as_array().unwrap();
    let list: Vec<Candidate<'_>> = images
        .iter()
        .map(|image| Candidate {
            created: time(image["created"].as_str()),
            ..Candidate::new(TagRef::new(text(image, "ref").rsplit(':').next().unwrap()).unwrap())
        })
        .collect();
    let order = ranking(&policy("glob:*"), list, &context());
    (order.into(), expected["tags_in_order"].clone())
}

/// What the automation changes: the newest image of each container that is not the one that runs.
fn changes(input: &Value) -> Value {
    let registry = input["registry"].as_array().unwrap();
    let mut changes = serde_json::Map::new();
    for (container, running) in input["containers"].as_object().unwrap() {
        let running = running.as_str().unwrap();
        let name = running.split(':').next().unwrap();
        let list: Vec<Candidate<'_>> = registry
            .iter()
            .filter_map(|image| {
                let (of, tag) = text(image, "ref").split_once(':')?;
                (of == name).then(|| Candidate {
                    created: time(image["created"].as_str()),
                    ..Candidate::new(TagRef::new(tag).unwrap())
                })
            })
            .collect();
        let pattern = input["policies"]
            .get(format!("tag.{container}"))
            .and_then(Value::as_str)
            .unwrap_or("glob:*");
        if let Ok(tag) = policy(pattern).select(list, &context()).result {
            let newest = format!("{name}:{tag}");
            if newest != running {
                changes.insert(container.clone(), newest.into());
            }
        }
    }
    changes.into()
}
