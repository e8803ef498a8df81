//! Flux's own setter fixtures, every row (`tests/cases/setters.json`).

use serde::Deserialize;
use tagline_policy::{Digest, ImageReference, Tag};
use tagline_updater::edit::{EditOptions, edit, is_candidate};
use tagline_updater::{Choices, PolicyName};

#[derive(Deserialize)]
struct Row {
    kind: String,
    source_test: String,
    path: Option<String>,
    update_path: Option<String>,
    policies: Vec<Policy>,
    input_yaml: Option<String>,
    expected_yaml: Option<String>,
    written: Option<bool>,
    expected_changes: Option<Vec<ExpectedChange>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Policy {
    namespace: String,
    name: String,
    latest_ref: LatestRef,
}

#[derive(Deserialize)]
struct LatestRef {
    name: String,
    tag: String,
    digest: Option<String>,
}

#[derive(Deserialize, Debug, PartialEq)]
struct ExpectedChange {
    object: ExpectedObject,
    old_value: String,
    new_value: String,
    setter: String,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
struct ExpectedObject {
    api_version: String,
    kind: String,
    name: String,
    namespace: String,
}

fn choices(policies: &[Policy]) -> Choices {
    policies
        .iter()
        .map(|policy| {
            let image = ImageReference {
                name: policy.latest_ref.name.clone(),
                tag: Tag::new(&policy.latest_ref.tag).unwrap(),
                digest: policy
                    .latest_ref
                    .digest
                    .as_deref()
                    .map(|digest| Digest::new(digest).unwrap()),
            };
            (PolicyName::new(&policy.namespace, &policy.name), image)
        })
        .collect()
}

#[test]
fn every_fixture_of_flux_comes_out_as_flux_writes_it() {
    let rows: Vec<Row> = serde_json::from_str(include_str!("../cases/setters.json")).unwrap();
    let mut run = 0;
    for row in rows {
        // Rows about the update strategy belong to the program, which reads it.
        if row.kind == "error" {
            assert!(row.input_yaml.is_none(), "{}", row.source_test);
            continue;
        }
        let path = row.path.unwrap();
        let input = row.input_yaml.unwrap();
        let options = EditOptions::default();
        assert!(is_candidate(&path, &options), "{path}");
        let in_update_path = row
            .update_path
            .is_none_or(|below| path.starts_with(below.trim_start_matches("./")));
        let edit = if in_update_path {
            edit(&path, input.as_bytes(), &choices(&row.policies), &options).unwrap()
        } else {
            tagline_updater::edit::FileEdit::default()
        };
        assert_eq!(
            edit.text.is_some(),
            row.written.unwrap(),
            "{}",
            row.source_test
        );
        let text = edit.text.unwrap_or(input.into_bytes());
        assert_eq!(String::from_utf8(text).unwrap(), row.expected_yaml.unwrap());
        if let Some(expected) = row.expected_changes {
            let changes: Vec<_> = edit
                .changes
                .into_iter()
                .map(|change| ExpectedChange {
                    object: ExpectedObject {
                        api_version: change.object.api_version,
                        kind: change.object.kind,
                        name: change.object.name,
                        namespace: change.object.namespace,
                    },
                    old_value: change.old,
                    new_value: change.new,
                    setter: change.setter,
                })
                .collect();
            assert_eq!(changes, expected, "{}", row.source_test);
        }
        run += 1;
    }
    assert_eq!(run, 17);
}
