//! Templates against what Go's `text/template` with sprig 3.3.0 gave for them (`tests/cases/templates.json`).

use serde::Deserialize;
use tagline_updater::edit::ObjectIdentifier;
use tagline_updater::message::template::{ParseError, Template};
use tagline_updater::message::{Change, Changed, MessageData};

#[derive(Deserialize)]
struct Row {
    template: String,
    output: Option<String>,
    error: Option<String>,
    parse_error: Option<String>,
}

fn data() -> MessageData {
    let object = |parts: [&str; 4]| {
        let [api_version, kind, name, namespace] = parts.map(str::to_owned);
        ObjectIdentifier {
            api_version,
            kind,
            name,
            namespace,
        }
    };
    let change = |old: &str, new: &str, setter: &str| Change {
        old_value: old.to_owned(),
        new_value: new.to_owned(),
        setter: setter.to_owned(),
    };
    let web = change("web:1.0.0", "web:1.1.0", "apps:web");
    let tag = change("1.0.0", "1.1.0", "apps:web:tag");
    let mut changed = Changed::default();
    changed
        .file_changes
        .entry("a/deploy.yaml".to_owned())
        .or_default()
        .insert(
            object(["apps/v1", "Deployment", "web", "prod"]),
            vec![web.clone(), tag],
        );
    changed
        .file_changes
        .entry("b/values.yaml".to_owned())
        .or_default()
        .insert(ObjectIdentifier::default(), vec![web]);
    MessageData {
        namespace: "flux-system".to_owned(),
        name: "apps".to_owned(),
        changed,
        values: [("cluster", "prod"), ("x", "y")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
    }
}

/// Where Tagline answers otherwise, on purpose: the template, its answer, the reason.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    (
        r#"{{ trunc (add 1 2) "abcdef" }}"#,
        "abc",
        "sprig's sums are int64, and nothing is gained by refusing them as int",
    ),
    (
        r#"{{ (dict "a" nil).a.b }}"#,
        "<no value>",
        "nil has no fields, as a missing key has none",
    ),
    (
        "{{ len nil }}",
        "template: commit message:1:3: executing \"commit message\" at <len nil>: error calling len: len of nil pointer",
        "Go panics inside its reflection",
    ),
    (
        "{{ first nil }}",
        "template: commit message:1:3: executing \"commit message\" at <first nil>: error calling first: Cannot find first on type invalid",
        "Go panics inside its reflection",
    ),
    (
        "{{ eq (list 1) (list 1) }}",
        "template: commit message:1:3: executing \"commit message\" at <eq (list 1) (list 1)>: error calling eq: non-comparable type [1]: []interface {}",
        "Go prints the list with the wrong verb",
    ),
    (
        "{{ call .Values }}",
        "template: commit message:1:3: executing \"commit message\" at <call .Values>: error calling call: non-function of type map[string]string",
        "the data has no functions; the shorter sentence will do",
    ),
    (
        r#"{{ dig "a" "b" "def" (dict "a" 1) }}"#,
        "template: commit message:1:3: executing \"commit message\" at <dig \"a\" \"b\" \"def\" (dict \"a\" 1)>: error calling dig: wrong type for value; expected map[string]interface {}; got int",
        "Go panics",
    ),
    (
        r#"{{ mustFromJson "bad" }}"#,
        "template: commit message:1:3: executing \"commit message\" at <mustFromJson \"bad\">: error calling mustFromJson: expected value at line 1 column 1",
        "our JSON reader's own words, with the place",
    ),
    (
        r#"{{ regexFind "(" "a" }}"#,
        "template: commit message:1:3: executing \"commit message\" at <regexFind \"(\" \"a\">: error calling regexFind: error parsing regexp \"(\": unclosed group",
        "our regex engine's own words",
    ),
    (
        "{{ 1.2.3 }}",
        "template: commit message:1: bad number syntax: \"1.2.3\"",
        "says what is wrong",
    ),
    (
        "{{ @ }}",
        "template: commit message:1: unrecognized character in action: '@'",
        "says what is wrong",
    ),
    (
        r#"{{ snakecase "web-1.2.3" }} {{ snakecase "fooBar2" }} {{ snakecase "2FA" }} {{ snakecase "a1b2C3" }} {{ kebabcase "my image_Name" }} {{ snakecase "éÀb" }} {{ snakecase "" }} {{ camelcase "" }} {{ camelcase "HTTPServer" }} {{ camelcase "myApp" }} {{ camelcase "_" }}"#,
        "web_1.2.3 foo_bar2 2_fa a_1b2_c3 my-image-name é_àb   Httpserver MyApp _",
        "xstrings doubles a lone connector",
    ),
];

#[test]
fn templates_give_what_go_gives() {
    let rows: Vec<Row> = serde_json::from_str(include_str!("../cases/templates.json")).unwrap();
    let data = data().to_value();
    let mut wrong = Vec::new();
    let mut different = 0;
    for row in &rows {
        let (kind, got) = match Template::parse("commit message", &row.template) {
            // Go names only the line.
            Err(ParseError {
                name,
                line,
                message,
                ..
            }) => ("parse_error", format!("template: {name}:{line}: {message}")),
            Ok(template) => match template.render(&data) {
                Ok(text) => ("output", text),
                Err(error) => ("error", error.to_string()),
            },
        };
        if let Some((_, ours, _)) = DIFFERENCES
            .iter()
            .find(|(template, ..)| *template == row.template)
        {
            assert_eq!(&got, ours);
            different += 1;
            continue;
        }
        let expected = match kind {
            "output" => &row.output,
            "error" => &row.error,
            _ => &row.parse_error,
        };
        if expected.as_ref() != Some(&got) {
            wrong.push(format!(
                "{:?}\n  {kind}: {got:?}\n  go: {:?}",
                row.template,
                row.output
                    .as_ref()
                    .or(row.error.as_ref())
                    .or(row.parse_error.as_ref())
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
    assert_eq!(different, DIFFERENCES.len());
}
