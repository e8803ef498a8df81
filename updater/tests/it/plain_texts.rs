//! A tag written without quotes is a string for every reader (`tests/cases/plain-texts.json`: what
//! `gopkg.in/yaml.v2` and `v3`, which Kubernetes and Flux read with, and `PyYAML` make of plain texts).

use serde::Deserialize;
use tagline_policy::{ImageReference, Tag};
use tagline_updater::edit::{EditOptions, edit};
use tagline_updater::{Choices, PolicyName};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Row {
    text: String,
    /// The readers for which the plain text is that string.
    read_as_string: Vec<String>,
}

const READERS: usize = 3;

/// Quoted although all three take them for strings: a number for YAML 1.2's core schema, or for a reader that
/// has no limit on an exponent, or too near to one to tell.
fn is_doubtful(text: &str) -> bool {
    let digits = text.replace('_', "");
    let rest = digits.trim_start_matches(['0', 'b', 'B', 'o', 'O', 'x', 'X']);
    rest.is_empty()
        || digits.parse::<f64>().is_ok()
        || text.starts_with(|c: char| c.is_ascii_digit()) && text.contains(['T', 't', ':'])
}

#[test]
fn a_plain_text_is_a_string_for_every_reader() {
    let rows: Vec<Row> = serde_json::from_str(include_str!("../cases/plain-texts.json")).unwrap();
    assert!(rows.len() > 300);
    let policy = PolicyName::new("ns", "app");
    let (mut wrong, mut needless) = (Vec::new(), Vec::new());
    for row in &rows {
        let image = ImageReference {
            name: "example.com/app".to_owned(),
            tag: Tag::new(&row.text).unwrap(),
            digest: None,
        };
        let choices = Choices::from_iter([(policy.clone(), image)]);
        let text = b"a: old-value # {\"$imagepolicy\": \"ns:app:tag\"}\n";
        let done = edit("a.yaml", text, &choices, &EditOptions::default()).unwrap();
        let new = String::from_utf8(done.text.unwrap()).unwrap();
        let quoted = new.starts_with("a: \"");
        let is_string = row.read_as_string.len() == READERS;
        if !quoted && !is_string {
            wrong.push(&row.text);
        }
        if quoted && is_string && !is_doubtful(&row.text) {
            needless.push(&row.text);
        }
    }
    assert!(wrong.is_empty(), "no string for some reader: {wrong:?}");
    assert!(needless.is_empty(), "quoted for nobody: {needless:?}");
}
