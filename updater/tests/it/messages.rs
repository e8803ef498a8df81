//! Commit messages: Flux's own tests (`tests/cases/commit-messages.json`), and the standard message.

use serde::Deserialize;
use std::collections::BTreeMap;
use tagline_updater::edit::ObjectIdentifier;
use tagline_updater::git::UpdatePath;
use tagline_updater::message::{
    Change, Changed, CommitMessage, MessageTemplate, template::Template,
};

#[derive(Deserialize)]
struct Row {
    source_test: String,
    template: Option<String>,
    automation_object: Option<String>,
    changed: Option<ChangedRow>,
    #[serde(default)]
    values: BTreeMap<String, String>,
    expected: Option<String>,
    expected_contains: Option<Vec<String>>,
    error: Option<String>,
    condition: Option<Condition>,
    push_summary: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ChangedRow {
    file_changes: BTreeMap<String, Vec<ObjectRow>>,
}

#[derive(Deserialize)]
struct ObjectRow {
    object: ObjectName,
    changes: Vec<ChangeRow>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ObjectName {
    #[serde(rename = "APIVersion")]
    api_version: String,
    kind: String,
    name: String,
    namespace: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ChangeRow {
    old_value: String,
    new_value: String,
    setter: String,
}

#[derive(Deserialize)]
struct Condition {
    reason: String,
}

fn changed_of(row: ChangedRow) -> Changed {
    let mut result = Changed::default();
    for (path, objects) in row.file_changes {
        let file = result.file_changes.entry(path).or_default();
        for ObjectRow { object, changes } in objects {
            let object = ObjectIdentifier {
                api_version: object.api_version,
                kind: object.kind,
                name: object.name,
                namespace: object.namespace,
            };
            let changes = changes.into_iter().map(|change| Change {
                old_value: change.old_value,
                new_value: change.new_value,
                setter: change.setter,
            });
            file.insert(object, changes.collect());
        }
    }
    result
}

#[test]
fn every_message_of_flux_comes_out_as_flux_writes_it() {
    let rows: Vec<Row> =
        serde_json::from_str(include_str!("../cases/commit-messages.json")).unwrap();
    let (mut run, mut of_the_program) = (0, 0);
    for row in rows {
        // What is said about a push belongs to the program, which has the events.
        if row.push_summary.is_some() {
            of_the_program += 1;
            continue;
        }
        run += 1;
        let source = row.template.unwrap();
        let automation = row.automation_object.unwrap();
        let (namespace, name) = automation.split_once('/').unwrap();
        // A difference on purpose: without a template Flux says nothing but "Update from image update
        // automation"; ours says what changed.
        let template = (!source.is_empty()).then(|| MessageTemplate::parse(&source).unwrap());
        let differs = template.is_none();
        let message = CommitMessage {
            path: UpdatePath::default(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            template,
            values: row.values,
            ci_skip: None,
        };
        let result = message.describe(changed_of(row.changed.unwrap()));
        if let Some(error) = row.error {
            let got = result.unwrap_err();
            assert_eq!(got.to_string(), error, "{}", row.source_test);
            assert_eq!(
                got.condition_reason().unwrap(),
                row.condition.unwrap().reason
            );
            continue;
        }
        let got = result.unwrap();
        for part in row.expected_contains.unwrap_or_default() {
            assert!(got.contains(&part), "{}: {got}", row.source_test);
        }
        match row.expected {
            Some(expected) if differs => {
                assert_eq!(expected, tagline_updater::message::FLUX_DEFAULT);
                assert_ne!(got, expected);
            }
            Some(expected) => assert_eq!(got, expected, "{}", row.source_test),
            None => {}
        }
    }
    assert_eq!((run, of_the_program), (8, 6));
}

fn automation(rows: &[(&str, &str, &str, &str)]) -> CommitMessageOf {
    let mut changed = Changed::default();
    for (path, object, old, new) in rows {
        let mut parts = object.split('/').map(str::to_owned);
        let mut part = || parts.next().unwrap_or_default();
        let object = ObjectIdentifier {
            api_version: "v1".to_owned(),
            kind: part(),
            namespace: part(),
            name: part(),
        };
        let change = Change {
            old_value: (*old).to_owned(),
            new_value: (*new).to_owned(),
            setter: "apps:web".to_owned(),
        };
        let file = changed.file_changes.entry((*path).to_owned()).or_default();
        file.entry(object).or_default().push(change);
    }
    CommitMessageOf(
        CommitMessage {
            namespace: "flux-system".to_owned(),
            name: "apps".to_owned(),
            ..CommitMessage::default()
        },
        changed,
    )
}

struct CommitMessageOf(CommitMessage, Changed);

impl CommitMessageOf {
    fn text(self) -> String {
        self.0.describe(self.1).unwrap()
    }
}

#[test]
fn the_standard_message_says_what_changed_from_what_to_what_and_where() {
    let text = automation(&[
        (
            "apps/prod.yaml",
            "Deployment/prod/web",
            "ghcr.io/org/web:1.0.0",
            "ghcr.io/org/web:1.1.0",
        ),
        (
            "apps/dev.yaml",
            "Deployment/dev/web",
            "ghcr.io/org/web:1.0.0",
            "ghcr.io/org/web:1.1.0",
        ),
        ("values.yaml", "", "1.0.0", "1.1.0"),
    ])
    .text();
    assert_eq!(
        text,
        "\
Update ghcr.io/org/web to 1.1.0

ghcr.io/org/web: 1.0.0 -> 1.1.0 (apps:web)
  apps/dev.yaml: Deployment dev/web
  apps/prod.yaml: Deployment prod/web
1.0.0 -> 1.1.0 (apps:web)
  values.yaml

Automation: flux-system/apps
"
    );
}

#[test]
fn the_subject_stays_short() {
    let name = "registry.example.com:5000/some/very/long/path/to/an/image/that/goes/on/app";
    let text = automation(&[("a", "", &format!("{name}:1"), &format!("{name}:2"))]).text();
    assert_eq!(text.lines().next().unwrap(), "Update app to 2");
    let many: Vec<String> = (0..30).map(|n| format!("ghcr.io/org/app{n}")).collect();
    let changes: Vec<_> = many
        .iter()
        .map(|name| {
            (
                "a".to_owned(),
                format!("{name}:1"),
                format!("{name}:2@sha256:{}", "0".repeat(64)),
            )
        })
        .collect();
    let changes: Vec<_> = changes
        .iter()
        .map(|(path, old, new)| (path.as_str(), "", old.as_str(), new.as_str()))
        .collect();
    let text = automation(&changes).text();
    assert_eq!(text.lines().next().unwrap(), "Update 30 images");
}

#[test]
fn ci_can_be_told_to_skip() {
    let mut message = automation(&[("a", "", "1", "2")]);
    message.0.ci_skip = Some("[ci skip]".to_owned());
    assert!(
        message
            .text()
            .ends_with("Automation: flux-system/apps\n\n[ci skip]\n")
    );
    let mut message = automation(&[("a", "", "1", "2")]);
    message.0.ci_skip = Some("[ci skip]".to_owned());
    message.0.template = Some(MessageTemplate::parse("Bump").unwrap());
    assert_eq!(message.text(), "Bump\n\n[ci skip]\n");
}

#[test]
fn a_broken_template_is_placed() {
    let error = MessageTemplate::parse("Update\n\n{{ range .Changed.Changes }}\n  {{ nofunc }}\n")
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "unable to create commit message template from spec: template: commit message:4:6: function \"nofunc\" not defined"
    );
    let refused = Template::parse("t", "{{ genCA \"x\" 1 }}").unwrap_err();
    assert_eq!(
        refused.to_string(),
        "template: t:1:4: function \"genCA\" is not available: its result would differ on each run"
    );
}
