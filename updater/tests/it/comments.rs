//! Which value a marker belongs to, against what kyaml's parser (go.yaml.in/yaml/v3) says
//! (`tests/cases/comments.json`).

use serde::Deserialize;
use tagline_updater::edit::{EditOptions, scan_markers};

#[derive(Deserialize)]
struct Row {
    text: String,
    bound: Vec<Bound>,
    error: Option<String>,
}

#[derive(Deserialize, Debug, PartialEq)]
struct Bound {
    value: String,
    setter: String,
}

const M: &str = "# {\"$imagepolicy\": \"ns:p\"}";

/// Where Tagline binds otherwise, on purpose: the text, the values it binds, the reason.
fn differences() -> Vec<(String, Vec<&'static str>, &'static str)> {
    let several = "one marker among several comment lines is meant as well";
    let empty = "a value that is not there yet is filled in";
    let behind_key = "the marker behind the key can only mean the value below it";
    vec![
        (format!("x:\n  # c\n  {M}\n  a\n"), vec!["a"], several),
        (format!("- # c\n  {M}\n  a\n"), vec!["a"], several),
        (format!("# c\n{M}\n- a\n"), vec!["a"], several),
        (format!("{M}\n# c\n- a\n"), vec!["a"], several),
        (format!("x: {M}\n  a\n"), vec!["a"], behind_key),
        (format!("a: {M}\n"), vec![""], empty),
        (format!("a: {M}\nb: c\n"), vec![""], empty),
        (format!("a: {M}\n\nb: c\n"), vec![""], empty),
        (
            format!("- {M}\n- b\n"),
            vec![""],
            "kyaml gives it to the next entry, which stands on another line",
        ),
    ]
}

#[test]
fn markers_belong_to_the_values_that_kyaml_gives_them_to() {
    let rows: Vec<Row> = serde_json::from_str(include_str!("../cases/comments.json")).unwrap();
    let differences = differences();
    let (mut wrong, mut different) = (Vec::new(), 0);
    for row in &rows {
        let found = scan_markers("a.yaml", row.text.as_bytes(), &EditOptions::default());
        let found = match (found, &row.error) {
            (Err(_), Some(_)) => continue,
            (Err(error), None) => {
                wrong.push(format!("{:?}: {error}", row.text));
                continue;
            }
            (Ok(found), _) => found,
        };
        let got: Vec<Bound> = found
            .markers
            .into_iter()
            .map(|marker| Bound {
                value: marker.value,
                setter: marker.setter.to_string(),
            })
            .collect();
        if let Some((_, values, _)) = differences.iter().find(|(text, ..)| *text == row.text) {
            let got: Vec<&str> = got.iter().map(|bound| bound.value.as_str()).collect();
            assert_eq!(&got, values, "{:?}", row.text);
            different += 1;
            continue;
        }
        let expected: Vec<Bound> = row
            .bound
            .iter()
            .map(|bound| Bound {
                value: bound.value.trim_end_matches('\n').to_owned(),
                setter: bound.setter.clone(),
            })
            .collect();
        if got != expected {
            wrong.push(format!(
                "{:?}:\n  ours  {got:?}\n  kyaml {expected:?}",
                row.text
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        rows.len(),
        wrong.join("\n")
    );
    assert_eq!(different, differences.len());
}
