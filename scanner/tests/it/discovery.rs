//! Images in manifests: Flux v1's own cases, and a directory with everything.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use tagline_policy::{Glob, ImageName};
use tagline_scanner::{ImageFilter, ImageText, images_in_manifests, images_in_text};

/// Flux v1's cases that concern what is scanned, as `{source_test, kind, input, expected | error}`.
fn cases(kind: &str) -> Vec<serde_json::Value> {
    let all: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("../cases/flux-v1-discovery.json")).unwrap();
    let cases: Vec<_> = all
        .into_iter()
        .filter(|case| case["kind"] == kind)
        .collect();
    assert!(!cases.is_empty(), "no cases of kind {kind}");
    cases
}

#[test]
fn helm_releases_as_in_flux_v1() {
    for case in cases("helmrelease.image_detection") {
        let yaml = case["input"]["yaml"].as_str().unwrap();
        let found = images_in_text(Path::new("release.yaml"), yaml);
        let expected: Vec<(&str, String)> = case["expected"]["containers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| {
                let image = c["image"].as_str().unwrap().to_owned();
                (c["container"].as_str().unwrap(), image)
            })
            .collect();
        // Upper case is not legal in a repository's name: Flux v1 takes it, we say so.
        let is_legal = |image: &str| ImageText::parse(image).is_ok();
        let found_names: Vec<(&str, String)> = found
            .images
            .iter()
            .map(|f| (f.container.as_str(), f.image.to_string()))
            .collect();
        let legal: Vec<(&str, String)> = expected
            .iter()
            .filter(|(_, image)| is_legal(image))
            .map(|(c, image)| (*c, ImageText::parse(image).unwrap().to_string()))
            .collect();
        assert_eq!(found_names, legal, "{}", case["source_test"]);
        assert_eq!(
            found.errors.len(),
            expected.len() - legal.len(),
            "{}: {:?}",
            case["source_test"],
            found.errors
        );
    }
}

#[test]
fn globs_as_in_flux_v1() {
    for case in cases("glob_lib") {
        let (pattern, subject) = (&case["input"]["pattern"], &case["input"]["subject"]);
        assert_eq!(
            Glob::new(pattern.as_str().unwrap()).matches(subject.as_str().unwrap()),
            case["expected"].as_bool().unwrap(),
            "{pattern} {subject}"
        );
    }
}

#[test]
fn includes_and_excludes_as_in_flux_v1() {
    let list = |value: &serde_json::Value| -> Vec<String> {
        serde_json::from_value(value.clone()).unwrap()
    };
    for case in cases("include_exclude.workload_images") {
        let input = &case["input"];
        let filter = ImageFilter::new(&[] as &[&str], &list(&input["exclude"]));
        let images: Vec<String> =
            [list(&input["initContainers"]), list(&input["containers"])].concat();
        let scanned: Vec<String> = images
            .iter()
            .map(|image| ImageText::parse(image).unwrap().image)
            .filter(|image| filter.allows(image))
            .map(|image| image.to_string())
            .collect();
        assert_eq!(scanned, list(&case["expected"]["scanned_names"]));
    }
}

#[test]
fn image_texts_as_in_flux_v1() {
    for case in cases("image_ref.parse") {
        let input = case["input"].as_str().unwrap();
        match ImageText::parse(input) {
            Ok(image) => {
                let expected = &case["expected"];
                assert_eq!(image.image.registry().as_str(), expected["registry"]);
                assert_eq!(image.image.repository().as_str(), expected["repository"]);
            }
            Err(error) => assert!(case.get("error").is_some(), "{input}: {error}"),
        }
    }
}

const EVERYTHING: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  template:
    spec:
      initContainers:
      - {name: init, image: 'busybox:1.36'}
      containers:
      - name: web
        image: ghcr.io/org/web:v1.2.3
      - name: broken
        image: ghcr.io/org/web:${TAG}
      volumes:
      - name: model
        image: {reference: quay.io/org/model:v7}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  jobTemplate:
    spec:
      template:
        spec:
          containers:
          - {name: job, image: 'localhost:5000/job'}
---
apiVersion: v1
kind: List
items:
- kind: Pod
  apiVersion: v1
  metadata: {name: one}
  spec: {containers: [{name: a, image: alpine}]}
- kind: StatefulSetList
  apiVersion: apps/v1
  items:
  - kind: StatefulSet
    apiVersion: apps/v1
    metadata: {name: db}
    spec: {template: {spec: {containers: [{name: db, image: 'postgres:16'}]}}}
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: canary}
spec: {template: {spec: {containers: [{name: c, image: 'ghcr.io/org/canary:v2'}]}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: unrelated}
data: {image: not-an-image}
";

#[test]
fn a_directory_with_everything() {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("apps/all.yaml", EVERYTHING);
    for kind in ["DaemonSet", "ReplicaSet", "Job", "ReplicationController"] {
        write(
            &format!("kinds/{kind}.json"),
            &format!(
                r#"{{"kind": "{kind}", "metadata": {{"name": "x"}}, "spec": {{"template": {{"spec": {{"containers": [{{"name": "c", "image": "r.io/{}"}}]}}}}}}}}"#,
                kind.to_ascii_lowercase()
            ),
        );
    }
    write(
        "k/kustomization.yaml",
        "images:\n- name: app\n  newName: r.io/renamed\n  newTag: v3\n",
    );
    write(
        "flux/k.yaml",
        "kind: Kustomization\nmetadata: {name: f, namespace: n}\nspec:\n  images:\n  - {name: r.io/flux, newTag: '1'}\n",
    );
    write("chart/Chart.yaml", "name: c\n");
    write(
        "chart/values.yaml",
        "image:\n  repository: r.io/chart\n  tag: v1\n",
    );
    write("chart/templates/d.yaml", "{{ if }}\nnot: [yaml\n");
    write(
        ".git/config.yaml",
        "kind: Pod\nspec: {containers: [{image: hidden}]}\n",
    );
    write(
        "broken.yaml",
        "kind: Pod\nspec: {containers: [{name: a, image: r.io/first}]}\n---\na: [\n",
    );
    write("notes.txt", "image: nothing\n");
    let found = images_in_manifests([root.path(), &root.path().join("missing.yaml")]);
    let listing: Vec<String> = found
        .images
        .iter()
        .map(|f| {
            let file = f
                .place
                .file
                .strip_prefix(root.path())
                .unwrap()
                .display()
                .to_string();
            format!(
                "{file}:{} {} {} {}",
                f.place.line, f.workload, f.container, f.image
            )
        })
        .collect();
    insta::assert_snapshot!(listing.join("\n"));
    let errors: Vec<String> = found
        .errors
        .iter()
        .map(|e| e.to_string().replace(root.path().to_str().unwrap(), "ROOT"))
        .collect();
    insta::assert_snapshot!(errors.join("\n"));
    let filter = ImageFilter::new(&["r.io/*"], &["r.io/chart"]);
    let repositories = found.repositories(&filter);
    assert!(repositories.contains_key(&ImageName::parse("r.io/renamed").unwrap()));
    assert!(!repositories.contains_key(&ImageName::parse("r.io/chart").unwrap()));
    assert!(!repositories.contains_key(&ImageName::parse("alpine").unwrap()));
}

/// A base with placeholders, two overlays and a component, as repositories have them.
#[test]
fn kustomizations_say_what_placeholders_are() {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let deployment = "kind: Deployment
metadata: {name: web}
spec: {template: {spec: {
  initContainers: [{name: migrate, image: 'MIGRATIONS'}],
  containers: [{name: web, image: app}, {name: proxy, image: 'envoy:1.0'}]}}}
";
    write("apps/base/web.yaml", deployment);
    write(
        "apps/base/kustomization.yaml",
        "resources: [./web.yaml]
images: [{name: MIGRATIONS, newName: ghcr.io/org/migrations}]
",
    );
    write("apps/staging/kustomization.yaml", "apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../base]
images: [{name: app, newName: ghcr.io/org/app, newTag: v2}, {name: ghcr.io/org/migrations, newTag: v2}]
");
    write(
        "apps/production/kustomization.yaml",
        "resources: [../base, job.yaml, 'https://example.com/remote?ref=v1']
components: [../components/mirror]
images: [{name: app, newName: mirror.example/app, newTag: v1}]
",
    );
    write(
        "apps/production/job.yaml",
        "kind: CronJob
metadata: {name: nightly}
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: job, image: app}]}}}}}
",
    );
    write(
        "apps/components/mirror/kustomization.yaml",
        "kind: Component
images: [{name: envoy, newName: mirror.example/envoy}]
",
    );
    // Nobody takes this one in.
    write(
        "apps/alone.yaml",
        "kind: Pod
metadata: {name: alone}
spec: {containers: [{name: a, image: app}]}
",
    );
    let found = images_in_manifests([root.path()]);
    assert!(found.errors.is_empty(), "{:?}", found.errors);
    let mut listing: Vec<String> = found
        .images
        .iter()
        .map(|f| {
            let file = f.place.file.strip_prefix(root.path()).unwrap().display();
            format!("{file}:{} {} {}", f.place.line, f.container, f.image)
        })
        .collect();
    listing.sort();
    insta::assert_snapshot!(listing.join("\n"), @"
    apps/alone.yaml:3 a index.docker.io/library/app
    apps/base/kustomization.yaml:2 MIGRATIONS ghcr.io/org/migrations
    apps/base/kustomization.yaml:2 MIGRATIONS ghcr.io/org/migrations:v2
    apps/base/web.yaml:4 migrate ghcr.io/org/migrations
    apps/base/web.yaml:4 migrate ghcr.io/org/migrations:v2
    apps/base/web.yaml:5 proxy index.docker.io/library/envoy:1.0
    apps/base/web.yaml:5 proxy mirror.example/envoy:1.0
    apps/base/web.yaml:5 web ghcr.io/org/app:v2
    apps/base/web.yaml:5 web mirror.example/app:v1
    apps/components/mirror/kustomization.yaml:2 envoy mirror.example/envoy
    apps/production/job.yaml:3 job mirror.example/app:v1
    apps/production/kustomization.yaml:3 app mirror.example/app:v1
    apps/staging/kustomization.yaml:4 app ghcr.io/org/app:v2
    apps/staging/kustomization.yaml:4 ghcr.io/org/migrations ghcr.io/org/migrations:v2
    ");
}

#[test]
fn aliases_that_multiply_end_with_an_error() {
    // Each level is a list of ten times the one before.
    let mut text = String::from("a0: &a0\n  kind: Pod\n  spec: {containers: [{image: r.io/x}]}\n");
    for level in 1..9 {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(
            text,
            "a{level}: &a{level}\n  kind: List\n  items: [{items}]"
        )
        .unwrap();
    }
    text.push_str("kind: List\nitems: [*a8]\n");
    let found = images_in_text(Path::new("bomb.yaml"), &text);
    assert!(found.images.len() <= 200_000);
    assert!(
        found.errors.iter().any(|e| e.reason() == "TooManyObjects"),
        "{:?}",
        found.errors
    );
}
