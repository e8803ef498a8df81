//! One policy with its tags, asked through `tagline select`: as an object among many, or as flags.

use crate::command_line::program::{Ended, Workplace};
use serde_json::{Value, json};

/// A policy and its tags.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    /// `spec.policy`.
    pub(super) policy: Value,
    /// `spec.filterTags`.
    pub(super) filter: Option<Value>,
    /// Of the `ImageRepository`.
    pub(super) exclusions: Vec<String>,
    /// The tag in use.
    pub(super) current: Option<String>,
    pub(super) never_downgrade: bool,
    pub(super) same_shape: bool,
    /// Texts, or objects with times.
    pub(super) tags: Vec<Value>,
}

/// What the program says, in both forms the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) tag: Option<String>,
    reason: Option<String>,
    /// Why there is no tag; of a policy that is none, all that is said about it.
    pub(super) message: Option<String>,
    /// Bad input.
    pub(super) refused: bool,
    verdicts: Vec<(String, String, String)>,
}

impl Answer {
    fn of(json: &Value) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let part = |verdict: &Value, key: &str| text(&verdict[key]).unwrap();
        let counted = json["considered"].is_u64() && json["matched"].is_u64();
        let told = json["reason"].is_string() && json["message"].is_string();
        assert!(counted != told, "{json}");
        assert_eq!(counted, json["tag"].is_string(), "{json}");
        Self {
            tag: text(&json["tag"]),
            reason: text(&json["reason"]),
            message: text(&json["message"]),
            refused: false,
            verdicts: json["verdicts"]
                .as_array()
                .unwrap()
                .iter()
                .map(|v| (part(v, "tag"), part(v, "verdict"), part(v, "detail")))
                .collect(),
        }
    }

    /// The tags with one of these verdicts.
    pub(super) fn tags_with(&self, words: &[&str]) -> Vec<&str> {
        let fits = self
            .verdicts
            .iter()
            .filter(|v| words.contains(&v.1.as_str()));
        fits.map(|v| v.0.as_str()).collect()
    }

    /// What is compared of the tags that could be chosen.
    pub(super) fn compared(&self) -> Vec<String> {
        let fits = self
            .verdicts
            .iter()
            .filter(|v| v.1 == "chosen" || v.1 == "older");
        fits.map(|(tag, _, detail)| {
            let compared = detail.split_once("compared as \"");
            let text = compared.and_then(|(_, text)| text.split('"').next());
            text.unwrap_or(tag).to_owned()
        })
        .collect()
    }
}

impl Asked {
    pub(super) fn new(policy: Value, tags: impl IntoIterator<Item = impl Into<Value>>) -> Self {
        Self {
            policy,
            tags: tags.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// A Flux v1 pattern.
    pub(super) fn pattern(
        pattern: impl Into<String>,
        tags: impl IntoIterator<Item = impl Into<Value>>,
    ) -> Self {
        Self::new(json!({"glob": {"pattern": pattern.into()}}), tags)
    }

    /// An object whose `spec.policy` is empty: flags cannot say that.
    fn is_no_policy(&self) -> bool {
        self.policy
            .as_object()
            .is_some_and(serde_json::Map::is_empty)
    }

    /// A registry cannot have other tags, so no list can.
    pub(super) fn tags_are_legal(&self) -> bool {
        self.tags.iter().all(|tag| {
            let tag = tag.as_str().or(tag["name"].as_str()).unwrap();
            let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
            !tag.is_empty() && !tag.starts_with(['.', '-']) && tag.chars().all(legal)
        })
    }

    /// Lines for some, JSON for the others: both are read.
    fn list(&self, as_lines: bool) -> String {
        let lines: Option<Vec<&str>> = self.tags.iter().map(Value::as_str).collect();
        match lines {
            Some(lines) if as_lines => lines.join("\n"),
            _ => json!({"name": "any", "tags": self.tags}).to_string(),
        }
    }

    /// Both objects; `None` where an API server would refuse them for their form.
    fn manifests(&self, name: &str) -> Option<String> {
        let object = |kind: &str, spec: Value| {
            json!({
                "apiVersion": "image.toolkit.fluxcd.io/v1",
                "kind": kind,
                "metadata": {"name": name, "namespace": "cases"},
                "spec": spec,
            })
        };
        let mut repository = json!({"image": "registry.example.com/any", "interval": "1m"});
        if !self.exclusions.is_empty() {
            repository["exclusionList"] = json!(self.exclusions);
        }
        let mut policy = self.policy.clone();
        for kind in ["alphabetical", "numerical"] {
            match policy[kind]["order"].as_str() {
                None | Some("asc" | "desc") => {}
                Some(_) => return None,
            }
            if policy[kind].is_null()
                && let Some(kinds) = policy.as_object_mut()
            {
                kinds.remove(kind);
            }
        }
        let mut spec = json!({
            "imageRepositoryRef": {"name": name},
            "policy": policy,
            "neverDowngrade": self.never_downgrade,
            "sameShape": self.same_shape,
        });
        if let Some(filter) = &self.filter {
            spec["filterTags"] = filter.clone();
        }
        let mut policy = object("ImagePolicy", spec);
        if let Some(current) = &self.current {
            policy["status"] =
                json!({"latestRef": {"name": "registry.example.com/any", "tag": current}});
        }
        let repository = object("ImageRepository", repository);
        Some(format!("{repository}\n---\n{policy}\n---\n"))
    }

    fn flags(&self) -> Vec<String> {
        let mut flags: Vec<String> = Vec::new();
        let mut add = |flag: &str, value: &str| {
            flags.push(format!("{flag}={value}"));
        };
        // As Flux has it where several are given: the first.
        let kinds = [
            ("semver", "--semver", "range"),
            ("alphabetical", "--alphabetical", "order"),
            ("numerical", "--numerical", "order"),
            ("glob", "--glob", "pattern"),
            ("natural", "--natural", "order"),
            ("created", "--created", "order"),
        ];
        let given = kinds
            .iter()
            .find(|(kind, ..)| self.policy.get(kind).is_some());
        if let Some((kind, flag, part)) = given {
            add(flag, self.policy[kind][part].as_str().unwrap_or_default());
        }
        if let Some(filter) = &self.filter {
            for (flag, part) in [("--filter", "pattern"), ("--extract", "extract")] {
                if let Some(value) = filter[part].as_str().filter(|value| !value.is_empty()) {
                    add(flag, value);
                }
            }
            for (flag, part) in [("--include", "include"), ("--exclude", "exclude")] {
                for glob in filter[part].as_array().into_iter().flatten() {
                    add(flag, glob.as_str().unwrap());
                }
            }
        }
        for pattern in &self.exclusions {
            add("--exclusion", pattern);
        }
        if let Some(current) = &self.current {
            add("--current", current);
        }
        for (flag, is_set) in [
            ("--never-downgrade", self.never_downgrade),
            ("--same-shape", self.same_shape),
        ] {
            if is_set {
                flags.push(flag.to_owned());
            }
        }
        flags
    }
}

/// Asks all in one run. `None` for those that no manifest can say, or that are refused among the others.
pub(super) fn ask_all(place: &Workplace, all: &[&Asked]) -> Vec<Option<Answer>> {
    let mut manifests = String::new();
    let mut arguments: Vec<String> = ["select", "-f", "all.yaml", "--explain", "-o", "json"]
        .map(str::to_owned)
        .to_vec();
    let name = |index: usize| format!("row-{index}");
    for (index, asked) in all.iter().enumerate() {
        let Some(objects) = asked.manifests(&name(index)) else {
            continue;
        };
        manifests += &objects;
        let file = format!("tags/{index}");
        place.write(&file, &asked.list(index % 2 == 0));
        arguments.push(format!("--tags={}={file}", name(index)));
    }
    place.write("all.yaml", &manifests);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ended = place.run(&arguments);
    let answers = ended.json();
    let answers = answers.as_array().unwrap();
    assert_eq!(
        ended.code == 2,
        ended.stderr.contains("error: "),
        "{}",
        ended.stderr
    );
    (0..all.len())
        .map(|index| {
            let name = format!("cases/{}", name(index));
            answers
                .iter()
                .find(|answer| answer["policy"] == name.as_str())
                .filter(|answer| answer["reason"] != "invalid-repository")
                .map(Answer::of)
        })
        .collect()
}

/// Asks one as flags.
pub(super) fn ask_one(place: &Workplace, asked: &Asked) -> Answer {
    let ended = run(place, asked);
    if ended.code == 2 {
        let message = if asked.is_no_policy() {
            ended.stderr
        } else {
            let json = ended.json();
            assert_eq!(json["reason"], "invalid-policy", "{json}");
            assert_eq!(json["tag"], Value::Null, "{json}");
            assert!(ended.stderr.contains("^\n  allowed: "), "{}", ended.stderr);
            json["message"].as_str().unwrap().to_owned()
        };
        return Answer {
            message: Some(message),
            refused: true,
            ..Answer::default()
        };
    }
    let answer = Answer::of(&ended.json());
    assert_eq!(
        ended.code,
        i32::from(answer.tag.is_none()),
        "{}",
        ended.shown()
    );
    answer
}

fn run(place: &Workplace, asked: &Asked) -> Ended {
    if asked.is_no_policy() {
        place.write("none.yaml", &asked.manifests("none").unwrap());
        return place.run(&["select", "-f", "none.yaml", "--tags", "-"]);
    }
    let flags = asked.flags();
    let mut arguments = vec!["select", "--tags", "-", "--explain", "-o", "json"];
    arguments.extend(flags.iter().map(String::as_str));
    place.run_with_input(&arguments, &asked.list(true))
}

/// All tags that a policy could choose, the best first.
pub(super) fn rank(place: &Workplace, asked: &Asked) -> Vec<String> {
    let mut left = asked.clone();
    let mut ranked = Vec::new();
    while let Some(tag) = ask_one(place, &left).tag {
        let is_it = |listed: &Value| *listed == tag.as_str() || listed["name"] == tag.as_str();
        let at = left.tags.iter().position(is_it).unwrap();
        left.tags.remove(at);
        ranked.push(tag);
    }
    ranked
}
