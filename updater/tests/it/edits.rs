//! What an edit changes, and what it leaves alone: the samples that break other tools.

use tagline_policy::{Digest, ImageReference, Tag};
use tagline_updater::edit::{EditError, EditOptions, FileEdit, edit};
use tagline_updater::{Choices, PolicyName};

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn image(name: &str, tag: &str, digest: Option<&str>) -> ImageReference {
    ImageReference {
        name: name.to_owned(),
        tag: Tag::new(tag).unwrap(),
        digest: digest.map(|digest| Digest::new(digest).unwrap()),
    }
}

fn choices() -> Choices {
    let mut choices = Choices::from_iter(
        [
            ("app", image("ghcr.io/org/app", "1.1.0", None)),
            ("pinned", image("ghcr.io/org/app", "1.1.0", Some(DIGEST))),
            ("float", image("app", "1.20", None)),
            ("date", image("app", "20240102", None)),
            ("iso", image("app", "2024-01-02", None)),
            ("exponent", image("app", "1e3", None)),
            ("octal", image("app", "017", None)),
            ("hex", image("app", "0x1f", None)),
            ("grouped", image("app", "1_000", None)),
            ("yes", image("app", "yes", None)),
            ("null", image("app", "null", None)),
            ("sexagesimal", image("12", "30", None)),
            ("ipv6", image("[::1]:5000/app", "1", None)),
            ("invalid", image("Not An Image", "1", None)),
        ]
        .map(|(name, image)| (PolicyName::new("ns", name), image)),
    );
    choices.insert_undecided(PolicyName::new("ns", "undecided"));
    choices
}

/// `@x@` stands for the marker of policy `x`.
fn marked(text: &str) -> String {
    let mut out = String::new();
    for (index, part) in text.split('@').enumerate() {
        if index % 2 == 0 {
            out.push_str(part);
        } else {
            out.push_str("# {\"$imagepolicy\": \"ns:");
            out.push_str(part);
            out.push_str("\"}");
        }
    }
    out
}

fn run(text: &str) -> Result<FileEdit, EditError> {
    edit(
        "a.yaml",
        marked(text).as_bytes(),
        &choices(),
        &EditOptions::default(),
    )
}

fn text_of(edit: &FileEdit, before: &str) -> String {
    match &edit.text {
        Some(text) => String::from_utf8(text.clone()).unwrap(),
        None => marked(before),
    }
}

#[track_caller]
fn becomes(before: &str, after: &str) {
    let edit = run(before).unwrap();
    assert_eq!(text_of(&edit, before), marked(after));
    assert_eq!(edit.skipped, []);
    // A second run finds nothing to do.
    let again = edit_again(&edit, before);
    assert_eq!(again.text, None, "not stable: {before:?}");
}

fn edit_again(first: &FileEdit, before: &str) -> FileEdit {
    let text = text_of(first, before);
    edit(
        "a.yaml",
        text.as_bytes(),
        &choices(),
        &EditOptions::default(),
    )
    .unwrap()
}

#[track_caller]
fn left_alone(before: &str, reason: &str, line: usize, column: usize) {
    let edit = run(before).unwrap();
    assert_eq!(edit.text, None, "{before:?}");
    let got: Vec<_> = edit
        .skipped
        .iter()
        .map(|skip| (skip.reason.as_str(), skip.line, skip.column))
        .collect();
    assert_eq!(got, [(reason, line, column)], "{before:?}");
}

#[test]
fn only_the_value_changes() {
    for (before, after) in [
        (
            "image:   app:1   @app@\n",
            "image:   ghcr.io/org/app:1.1.0   @app@\n",
        ),
        (
            "# c\n\n\nkey:    v\nt: 1.0.0 @app:tag@\n\n\n",
            "# c\n\n\nkey:    v\nt: 1.1.0 @app:tag@\n\n\n",
        ),
        (
            "---\n# only a comment\n---\n\na: x @app:tag@\n---\n",
            "---\n# only a comment\n---\n\na: 1.1.0 @app:tag@\n---\n",
        ),
        (
            "a: x @app:tag@\r\nb:\ty\r\n",
            "a: 1.1.0 @app:tag@\r\nb:\ty\r\n",
        ),
        ("\u{feff}a: x @app:tag@", "\u{feff}a: 1.1.0 @app:tag@"),
        (
            "é: ü # ä\na: 'x' @app:tag@\n",
            "é: ü # ä\na: '1.1.0' @app:tag@\n",
        ),
        ("a: \"x\" @app:tag@\n", "a: \"1.1.0\" @app:tag@\n"),
        ("a: \"x\\\n  y\" @app:tag@\n", "a: \"1.1.0\" @app:tag@\n"),
        ("a: \"x\\n\" @app:tag@\n", "a: \"1.1.0\" @app:tag@\n"),
        (
            "a: &v x @app:tag@\nb: *v\n",
            "a: &v 1.1.0 @app:tag@\nb: *v\n",
        ),
        (
            "a: {n: x, t: y, @app:tag@\n  z: [1,  2]}\n",
            "a: {n: x, t: 1.1.0, @app:tag@\n  z: [1,  2]}\n",
        ),
        (
            "- x @app:tag@\n-   y   @app:name@\n",
            "- 1.1.0 @app:tag@\n-   ghcr.io/org/app   @app:name@\n",
        ),
        ("@app:tag@\n- x\n- y\n", "@app:tag@\n- 1.1.0\n- y\n"),
        (
            "a: |- @app@\n  old:1\nb: |\n  # text\n",
            "a: |- @app@\n  ghcr.io/org/app:1.1.0\nb: |\n  # text\n",
        ),
        (
            "a: | @app@\n    old:1\n\n\nb: c\n",
            "a: | @app@\n    ghcr.io/org/app:1.1.0\n\n\nb: c\n",
        ),
        (
            "a: >- @app@\r\n  old:1\r\n",
            "a: >- @app@\r\n  ghcr.io/org/app:1.1.0\r\n",
        ),
        (
            "x:\n  a: | @app@\n    old:1\n\n  b: c\n",
            "x:\n  a: | @app@\n    ghcr.io/org/app:1.1.0\n\n  b: c\n",
        ),
        (
            "a: x @app:tag@\na: y @app:name@\n",
            "a: 1.1.0 @app:tag@\na: ghcr.io/org/app @app:name@\n",
        ),
        ("? x\n: y @app:tag@\n", "? x\n: 1.1.0 @app:tag@\n"),
        (
            "%YAML 1.2\n---\na: x @app:tag@\n...\n",
            "%YAML 1.2\n---\na: 1.1.0 @app:tag@\n...\n",
        ),
        (
            "a: x @pinned:digest@\nb: x @pinned@\n",
            &format!("a: {DIGEST} @pinned:digest@\nb: ghcr.io/org/app:1.1.0@pinned@\n")
                .replace("@pinned@\n", &format!("\u{1}{DIGEST} @pinned@\n")),
        ),
    ] {
        // `@` in a digest reference would be taken for a marker here.
        let after = after.replace('\u{1}', "\u{2}");
        if after.contains('\u{2}') {
            let edit = run(before).unwrap();
            assert_eq!(text_of(&edit, before), marked(&after).replace('\u{2}', "@"));
        } else {
            becomes(before, &after);
        }
    }
}

#[test]
fn a_value_that_is_not_there_is_filled_in() {
    for (before, after) in [
        ("a: @app:tag@\nb: c\n", "a: 1.1.0 @app:tag@\nb: c\n"),
        ("a:   @app:tag@\n", "a: 1.1.0   @app:tag@\n"),
        ("- @app:tag@\n", "- 1.1.0 @app:tag@\n"),
        ("a: &x @app:tag@\nb: *x\n", "a: &x 1.1.0 @app:tag@\nb: *x\n"),
        ("a: ~ @app:tag@\n", "a: 1.1.0 @app:tag@\n"),
        ("a: '' @app:tag@\n", "a: '1.1.0' @app:tag@\n"),
        ("{a: , @app:tag@\n}\n", "{a: 1.1.0 , @app:tag@\n}\n"),
    ] {
        becomes(before, after);
    }
}

#[test]
fn a_text_stays_a_text_whatever_reads_the_file() {
    for policy in [
        "float", "date", "iso", "exponent", "octal", "hex", "grouped", "yes", "null",
    ] {
        let tag = choices()
            .chosen()
            .find(|(name, _)| name.name == policy)
            .unwrap()
            .1
            .tag
            .to_string();
        becomes(
            &format!("a: v1 @{policy}:tag@\n"),
            &format!("a: \"{tag}\" @{policy}:tag@\n"),
        );
        becomes(
            &format!("a: 'v1' @{policy}:tag@\n"),
            &format!("a: '{tag}' @{policy}:tag@\n"),
        );
        becomes(
            &format!("a: !!str v1 @{policy}:tag@\n"),
            &format!("a: !!str {tag} @{policy}:tag@\n"),
        );
        becomes(
            &format!("a: app:v1 @{policy}@\n"),
            &format!("a: app:{tag} @{policy}@\n"),
        );
    }
    becomes("a: v1 @sexagesimal@\n", "a: \"12:30\" @sexagesimal@\n");
    becomes(
        "a: [v1, @ipv6@\n]\n",
        "a: [\"[::1]:5000/app:1\", @ipv6@\n]\n",
    );
    // Flux leaves the tag of the number that was there before, and writes `!!float 1.1.0`.
    becomes("a: 1.0 @app:tag@\n", "a: 1.1.0 @app:tag@\n");
    becomes("a: !!float 1.0.1 @app:tag@\n", "a: 1.1.0 @app:tag@\n");
    becomes("a: &x !!int 1 @app:tag@\n", "a: &x 1.1.0 @app:tag@\n");
    becomes("a: !custom v1 @app:tag@\n", "a: !custom 1.1.0 @app:tag@\n");
}

#[test]
fn what_is_not_followed_is_named_with_its_place() {
    left_alone("a: v1 @nobody:tag@\n", "unknown-policy", 1, 4);
    left_alone("a: v1 @undecided@\n", "no-choice", 1, 4);
    left_alone("a: v1 @app:digest@\n", "no-digest", 1, 4);
    left_alone("a: v1 @invalid@\n", "invalid-reference", 1, 4);
    left_alone("a: 'x:{{ .Values.tag }}' @app@\n", "templated-value", 1, 4);
    left_alone("a: {{ .Values.image }} @app@\n", "templated-value", 1, 24);
    left_alone("a: | @app@\n  x\n  y\n", "multi-line-value", 2, 3);
    left_alone("a: &x 1\nb: *x @app@\n", "alias", 2, 7);
    left_alone("a: [x, y] @app@\n", "not-a-scalar", 1, 11);
    left_alone("a: @app@\n  b: c\n", "not-a-scalar", 1, 4);
    left_alone("@app@\na: v1\n", "no-value", 1, 1);
    left_alone("a: v1\n\n@app@\n", "no-value", 3, 1);
    left_alone("a: v1 # {\"$imagepolicy\": 1}\n", "malformed-marker", 1, 7);
    left_alone(
        "a: v1 # {\"$imagepolicy\": \"ns:app\"} and more\n",
        "malformed-marker",
        1,
        7,
    );
    left_alone(
        "a: v1 # {\"$imagepolicy\": \"ns\"}\n",
        "malformed-marker",
        1,
        7,
    );
    left_alone(
        "a: v1 # {\"$imagepolicy\": \"ns:app:image\"}\n",
        "malformed-marker",
        1,
        7,
    );
}

#[test]
fn markers_that_are_text_of_the_file_are_named() {
    left_alone("a: |\n  b: x @app:tag@\n  c: y\n", "not-a-comment", 2, 8);
    left_alone("- a: >-\n    é @app@\n\n- b\n", "not-a-comment", 2, 7);
    left_alone("a: 'b @app@'\nc: d\n", "not-a-comment", 1, 7);
    left_alone("a: 'b\n  @app@'\nc: d\n", "not-a-comment", 2, 3);
    // A text that only talks of the token is left in peace.
    let text = "description: |\n  Values with a \"$imagepolicy\" comment are set. Write {\"$imagepolicy\": \"x:y\"}.\n";
    assert_eq!(run(text).unwrap().skipped, []);
}

#[test]
fn words_before_a_marker_make_it_prose_and_are_named() {
    left_alone("a: x #Always @app:tag@\n", "malformed-marker", 1, 6);
    left_alone("a: # one of @app:tag@\n", "malformed-marker", 1, 4);
    left_alone("a: x @{{ .policy }}:tag@\n", "malformed-marker", 1, 6);
    // A line that is commented out, with its marker, is nothing to tell about.
    let text = marked("a: x\n#b: y @app:tag@\n  # c: z @app:tag@\n");
    assert_eq!(run(&text).unwrap(), FileEdit::default());
}

#[test]
fn a_marker_above_a_block_scalar_of_a_list_counts() {
    becomes(
        "@app:tag@\n- |\n  x\n- y\n",
        "@app:tag@\n- |\n  1.1.0\n- y\n",
    );
    becomes(
        "a:\n  - b\n  @app:tag@\n  - >-\n    x\n",
        "a:\n  - b\n  @app:tag@\n  - >-\n    1.1.0\n",
    );
}

/// Where a strict parser refuses and `go-yaml`, which Kubernetes and Flux read with, does not.
#[test]
fn what_kubernetes_reads_is_edited() {
    for (before, after) in [
        // No blank before the comment.
        (
            "a: \"x\"@app:tag@\nb: 'y'# c\n",
            "a: \"1.1.0\"@app:tag@\nb: 'y'# c\n",
        ),
        (
            "é: {a: 'x',@app:tag@\n  b: \"y\"@app@\n}# c\n",
            "é: {a: '1.1.0',@app:tag@\n  b: \"ghcr.io/org/app:1.1.0\"@app@\n}# c\n",
        ),
        (
            "a: |-@app:tag@\n  x\nb: c\n",
            "a: |-@app:tag@\n  1.1.0\nb: c\n",
        ),
        // Quoted text that goes on at its key's indentation, or behind a tab.
        (
            "a:\n  b: 'text\n  goes on ''here''\n  and ends'\n  c: x @app:tag@\n  d: \"more\n\n  text\"\n",
            "a:\n  b: 'text\n  goes on ''here''\n  and ends'\n  c: 1.1.0 @app:tag@\n  d: \"more\n\n  text\"\n",
        ),
        (
            "a: \"x\n\ty\"\r\nb: \"x\"@app:tag@",
            "a: \"x\n\ty\"\r\nb: \"1.1.0\"@app:tag@",
        ),
        (
            "a:\n- b: \"x\n  y\" @app:tag@\n  c: d\n- e: 'f\n g'\n",
            "a:\n- b: \"1.1.0\" @app:tag@\n  c: d\n- e: 'f\n g'\n",
        ),
        // An escape that YAML does not know.
        (
            "a: \"it\\'s \\'\\\\'\"\nb: !!str x @app:tag@\n",
            "a: \"it\\'s \\'\\\\'\"\nb: !!str 1.1.0 @app:tag@\n",
        ),
    ] {
        becomes(before, after);
    }
    // Places are those of the text as it is.
    left_alone(
        "a: \"é\"# c\nb: {x: 'y',@nobody:tag@\n}\n",
        "unknown-policy",
        2,
        8,
    );
    // What nobody reads is named as it is.
    let error = run("a: \"x\"# c\nb: @app@\n  - c\n d\n").unwrap_err();
    assert!(
        error.to_string().starts_with("a.yaml:1:"),
        "the first error of the text: {error}"
    );
}

#[test]
fn prose_about_markers_is_no_marker() {
    let text = "# put {\"$imagepolicy\": \"ns:app\"} behind the value\na: v1\n";
    assert_eq!(run(text).unwrap(), FileEdit::default());
}

#[test]
fn a_missing_digest_can_be_blanked_as_flux_does() {
    let options = EditOptions {
        blank_missing_digests: true,
        ..EditOptions::default()
    };
    let text = marked("a: sha256:1 @app:digest@\nb: '' @app:digest@\n");
    let edit = edit("a.yaml", text.as_bytes(), &choices(), &options).unwrap();
    assert_eq!(
        String::from_utf8(edit.text.unwrap()).unwrap(),
        marked("a: \"\" @app:digest@\nb: '' @app:digest@\n")
    );
    // Nothing is missing where nothing was.
    assert_eq!(run("b: '' @app:digest@\n").unwrap(), FileEdit::default());
}

#[test]
fn a_file_with_a_broken_document_is_left_alone_as_a_whole() {
    let error = run("a: v1 @app:tag@\n---\nb: [\n---\nc: v1 @app:tag@\n").unwrap_err();
    let EditError::Unparsable { line, document, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!((*document, *line), (2, 3));
    assert_eq!(error.to_skip().reason.as_str(), "unparsable");
    for text in [
        "a: &x 1 @app@\nb: *nobody\n",
        "{{- if .x }}\na: v1 @app@\n",
        "a: \"x @app@\n",
    ] {
        assert!(
            matches!(run(text), Err(EditError::Unparsable { .. })),
            "{text:?}"
        );
    }
    let bytes = [marked("a: v1 @app@\nb: ").into_bytes(), vec![0xff]].concat();
    let error = edit("a.yaml", &bytes, &choices(), &EditOptions::default()).unwrap_err();
    assert!(
        matches!(error, EditError::NotUtf8 { line: 2, .. }),
        "{error}"
    );
}

#[test]
fn changes_name_the_object() {
    let text = "\
apiVersion: v1
kind: List
items:
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: web, namespace: prod}
  spec: {image: x} @app@
- kind: CronJob
  spec:
    image: x @app@
  metadata:
    name: job
---
image: x @app@
---
- kind: Pod
  metadata:
    name: p
  image: x @app@
---
kind: AllowList
metadata:
  name: allowed
items:
- image: x @app@
";
    let edit = run(&text.replace("{image: x} @app@", "{image: x @app@\n  }")).unwrap();
    let objects: Vec<_> = edit
        .changes
        .iter()
        .map(|change| {
            format!(
                "{}/{}/{}",
                change.object.kind, change.object.namespace, change.object.name
            )
        })
        .collect();
    assert_eq!(
        objects,
        [
            "Deployment/prod/web",
            "CronJob//job",
            "//",
            "Pod//p",
            "AllowList//allowed"
        ]
    );
}

#[test]
fn the_full_form_of_a_marker_works() {
    let text =
        "a: v1 # {\"$ref\":\"#/definitions/io.k8s.cli.setters.ns:app:tag\"}\nb: v1 @app:tag@\n";
    let edit = run(text).unwrap();
    assert_eq!(edit.changes.len(), 2);
    assert_eq!(edit.changes[0].setter, "ns:app:tag");
    // Alone it is not looked for, as in Flux.
    let alone = run(text.lines().next().unwrap()).unwrap();
    assert_eq!(alone, FileEdit::default());
}
