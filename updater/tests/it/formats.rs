//! Files other than YAML, edited when asked for.

use std::fs;
use tagline_policy::{ImageReference, Tag};
use tagline_updater::directory::{DirectoryOptions, update};
use tagline_updater::edit::{
    EditOptions, FileEdit, Format, Formats, MarkerMap, edit, is_candidate,
};
use tagline_updater::{Choices, PolicyName};

fn choices() -> Choices {
    let image = ImageReference {
        name: "ghcr.io/org/app".to_owned(),
        tag: Tag::new("1.1.0").unwrap(),
        digest: None,
    };
    Choices::from_iter([(PolicyName::new("ns", "app"), image)])
}

fn options() -> EditOptions {
    EditOptions {
        formats: Formats::all(),
        ..EditOptions::default()
    }
}

fn run(path: &str, text: &str) -> FileEdit {
    edit(path, text.as_bytes(), &choices(), &options()).unwrap()
}

/// `@tag@` stands for the JSON of a marker.
fn marked(text: &str) -> String {
    text.replace("@@", "{\"$imagepolicy\": \"ns:app\"}")
        .replace("@tag@", "{\"$imagepolicy\": \"ns:app:tag\"}")
        .replace("@name@", "{\"$imagepolicy\": \"ns:app:name\"}")
        .replace("@nobody@", "{\"$imagepolicy\": \"ns:nobody\"}")
}

#[track_caller]
fn becomes(path: &str, before: &str, after: &str) {
    let done = run(path, &marked(before));
    assert_eq!(done.skipped, [], "{before}");
    let new = String::from_utf8(done.text.unwrap()).unwrap();
    assert_eq!(new, marked(after));
    assert_eq!(run(path, &new).text, None);
}

#[track_caller]
fn left_alone(path: &str, text: &str, reason: &str, line: usize) {
    let done = run(path, &marked(text));
    assert_eq!(done.text, None, "{text}");
    let got: Vec<_> = done
        .skipped
        .iter()
        .map(|skip| (skip.reason.as_str(), skip.line))
        .collect();
    assert_eq!(got, [(reason, line)], "{text}");
}

#[test]
fn only_yaml_is_looked_at_unless_others_are_asked_for() {
    let only_hcl = EditOptions {
        formats: Formats::default().with(Format::Hcl),
        ..EditOptions::default()
    };
    for (path, by_default, with_hcl) in [
        ("a.yaml", true, true),
        ("a.json", false, false),
        ("a.tf", false, true),
        ("Dockerfile", false, false),
    ] {
        assert_eq!(
            is_candidate(path, &EditOptions::default()),
            by_default,
            "{path}"
        );
        assert_eq!(is_candidate(path, &only_hcl), with_hcl, "{path}");
    }
}

#[test]
fn json_has_its_markers_in_sibling_keys() {
    becomes(
        "a.json",
        "{\r\n  \"image\" : {\"$imagepolicy\": {\"tag\": \"ns:app:tag\", \"repository\": \"ns:app:name\"},\r\n \"tag\":\"1\",  \"repository\": \"x\"},\n \"n\": [1, 2.50, null]}",
        "{\r\n  \"image\" : {\"$imagepolicy\": {\"tag\": \"ns:app:tag\", \"repository\": \"ns:app:name\"},\r\n \"tag\":\"1.1.0\",  \"repository\": \"ghcr.io/org/app\"},\n \"n\": [1, 2.50, null]}",
    );
    becomes(
        "a.json",
        "{\"$imagepolicy\": \"ns:app\", \"image\": \"\\u0061:1\", \"other\": \"a:1\"}",
        "{\"$imagepolicy\": \"ns:app\", \"image\": \"ghcr.io/org/app:1.1.0\", \"other\": \"a:1\"}",
    );
    left_alone(
        "a.json",
        "{\n\"$imagepolicy\": {\"tag\": \"ns:app\"}}",
        "no-value",
        2,
    );
    left_alone(
        "a.json",
        "{\"$imagepolicy\": \"ns:app\",\n \"image\": 5}",
        "not-a-scalar",
        1,
    );
    left_alone(
        "a.json",
        "{\"$imagepolicy\": \"ns\", \"image\": \"a\"}",
        "malformed-marker",
        1,
    );
    for broken in [
        "{\"$imagepolicy\": \"ns:app\" \"image\": \"a\"}",
        "{\"$imagepolicy\": \"ns:app\",, \"a\": 1}",
        "[\"$imagepolicy\"",
        "{\"$imagepolicy\"}",
    ] {
        assert!(
            edit("a.json", broken.as_bytes(), &choices(), &options()).is_err(),
            "{broken}"
        );
    }
}

#[test]
fn json_with_comments_has_them_behind_the_value() {
    becomes(
        "a.jsonc",
        "{ // c\n  \"image\": \"app:1\", // @@\n  /* c */ \"tag\": \"1\" /* @tag@ */, }\n",
        "{ // c\n  \"image\": \"ghcr.io/org/app:1.1.0\", // @@\n  /* c */ \"tag\": \"1.1.0\" /* @tag@ */, }\n",
    );
}

#[test]
fn hcl() {
    becomes(
        "main.tf",
        "resource \"x\" \"y\" {\n  image = \"app:1\" # @@\n  tags  = [\n    \"1.0\", // @tag@\n  ]\n  # @name@\n  name = \"x\"\n  v = \"1\" /* @tag@ */\n}\n",
        "resource \"x\" \"y\" {\n  image = \"ghcr.io/org/app:1.1.0\" # @@\n  tags  = [\n    \"1.1.0\", // @tag@\n  ]\n  # @name@\n  name = \"ghcr.io/org/app\"\n  v = \"1.1.0\" /* @tag@ */\n}\n",
    );
    left_alone("main.tf", "image = var.image # @@\n", "no-value", 1);
    left_alone("main.tf", "a = 1\n# @@\n", "no-value", 2);
}

#[test]
fn dockerfile() {
    becomes(
        "Dockerfile",
        "# syntax=x\n# @@\nFROM --platform=linux/amd64 app:1 AS build\n# @tag@\nARG TAG=1\n# @tag@\nENV  TAG=\"1\"\n# @@\nCOPY --from=app:1 /a /b\n",
        "# syntax=x\n# @@\nFROM --platform=linux/amd64 ghcr.io/org/app:1.1.0 AS build\n# @tag@\nARG TAG=1.1.0\n# @tag@\nENV  TAG=\"1.1.0\"\n# @@\nCOPY --from=ghcr.io/org/app:1.1.0 /a /b\n",
    );
    left_alone(
        "Dockerfile",
        "# @@\nFROM app:${TAG}\n",
        "templated-value",
        1,
    );
    left_alone("Dockerfile", "FROM app:1 # @@\n", "no-value", 1);
}

#[test]
fn dotenv() {
    becomes(
        ".env",
        "TAG=1 # @tag@\nA='1' # @tag@\nexport B=\"1\"   # @tag@\r\n# @@\nIMAGE=app:1\n",
        "TAG=1.1.0 # @tag@\nA='1.1.0' # @tag@\nexport B=\"1.1.0\"   # @tag@\r\n# @@\nIMAGE=ghcr.io/org/app:1.1.0\n",
    );
    left_alone("prod.env", "TAG=${X} # @tag@\n", "templated-value", 1);
}

#[test]
fn helm_templates() {
    let before = "{{- if .Values.on }}\nspec:\n  image: app:1 # @@\n  - \"app:1\" # @@\n  tag: 1 {{/* @tag@ */}}\n{{- end }}\n";
    let after = "{{- if .Values.on }}\nspec:\n  image: ghcr.io/org/app:1.1.0 # @@\n  - \"ghcr.io/org/app:1.1.0\" # @@\n  tag: 1.1.0 {{/* @tag@ */}}\n{{- end }}\n";
    becomes("templates/a.yaml", before, after);
    becomes("templates/_a.tpl", before, after);
    left_alone(
        "templates/_a.tpl",
        "image: {{ .Values.image }} # @@\n",
        "templated-value",
        1,
    );
    // Not asked for, such a file is left alone and named.
    let refused = edit(
        "a.yaml",
        marked(before).as_bytes(),
        &choices(),
        &EditOptions::default(),
    );
    assert!(refused.is_err());
}

#[test]
fn compose_is_yaml() {
    becomes(
        "docker-compose.yml",
        "services:\n  web:\n    image: app:1 # @@\n",
        "services:\n  web:\n    image: ghcr.io/org/app:1.1.0 # @@\n",
    );
}

#[test]
fn a_map_marks_files_that_have_no_place_for_a_marker() {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write(
        "apps/.tagline.yaml",
        "markers:\n- file: values.json\n  path: /image/tag\n  policy: ns:app:tag\n- {file: ./values.json, path: /list/1, policy: 'ns:app'}\n",
    );
    write(
        "apps/values.json",
        "{\"image\": {\"tag\": \"1\"}, \"list\": [\"a\", \"b\"]}",
    );
    write(
        "broken/.tagline.yaml",
        "markers:\n- file: ../values.json\n  path: /a\n  policy: ns:app\n",
    );
    let done = update(root.path(), &choices(), &DirectoryOptions::default()).unwrap();
    assert_eq!(
        fs::read_to_string(root.path().join("apps/values.json")).unwrap(),
        "{\"image\": {\"tag\": \"1.1.0\"}, \"list\": [\"a\", \"ghcr.io/org/app:1.1.0\"]}"
    );
    assert_eq!(done.files[0].changes.len(), 2);
    let (path, skip) = &done.skipped[0];
    assert_eq!((path.as_str(), skip.line), ("broken/.tagline.yaml", 2));
    assert_eq!(
        skip.detail,
        "broken/.tagline.yaml:2: a file outside this directory"
    );
}

#[test]
fn what_is_no_map_is_refused_with_its_line() {
    for (text, line) in [
        ("markers:\n- file: a\n  path: /b\n", 2),
        ("markers:\n- file: a\n  path: /b\n  policy: x\n", 2),
        ("other: 1\n", 1),
        ("markers: [[[[1]]]]\n", 1),
        ("markers:\n- file: &x a\n  path: *x\n  policy: a:b\n", 3),
        (
            "markers:\n- file: /etc/passwd\n  path: /b\n  policy: a:b\n",
            2,
        ),
        ("a: [\n", 1),
    ] {
        let error = MarkerMap::parse("d/.tagline.yaml", text).unwrap_err();
        assert_eq!(error.line, line, "{text}: {error}");
    }
}
