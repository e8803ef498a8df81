//! `tagline check`: each mistake of a user's, and the words it is told in.

use super::program::Workplace;
use serde_json::json;

/// Objects that are right: what the broken ones stand among.
const GOOD: &str = "
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageRepository
metadata: {name: app, namespace: apps}
spec: {image: ghcr.io/org/app, interval: 5m}
---
apiVersion: image.toolkit.fluxcd.io/v1beta2
kind: ImagePolicy
metadata: {name: app, namespace: apps}
spec:
  imageRepositoryRef: {name: app}
  policy: {semver: {range: 1.x}}
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: fleet, namespace: apps}
spec: {url: https://git.example.com/fleet.git, interval: 1m, ref: {branch: main}}
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageUpdateAutomation
metadata: {name: fleet, namespace: apps}
spec:
  interval: 5m
  sourceRef: {kind: GitRepository, name: fleet}
  git: {commit: {author: {email: bot@example.com}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: other}
";

/// One mistake per file.
const MISTAKES: &[(&str, &str)] = &[
    (
        "unknown-field",
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\nmetadata: {name: a, namespace: apps, lables: {}}\nspec:\n  image: ghcr.io/org/a\n  intervall: 5m\n  secretref: {name: x}\n",
    ),
    (
        "wrong-type",
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\nmetadata: {name: a, namespace: apps}\nspec:\n  image: [ghcr.io/org/a]\n  interval: 5\n  suspend: maybe\n  exclusionList: ^a$\n",
    ),
    (
        "missing-field",
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImagePolicy\nmetadata: {name: a, namespace: apps}\nspec:\n  policy: {semver: {}}\n",
    ),
    (
        "bad-duration",
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\nmetadata: {name: a, namespace: apps}\nspec:\n  image: ghcr.io/org/a\n  interval: 5 minutes\n  timeout: 1h\n",
    ),
    (
        "bad-image",
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\nmetadata: {name: a, namespace: apps}\nspec:\n  image: https://ghcr.io/org/a\n  interval: 5m\n",
    ),
    (
        "image-with-tag",
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\nmetadata: {name: a, namespace: apps}\nspec:\n  image: ghcr.io/org/a:1.0\n  interval: 5m\n",
    ),
    (
        "bad-range",
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImagePolicy\nmetadata: {name: a, namespace: apps}\nspec:\n  imageRepositoryRef: {name: app}\n  policy:\n    semver:\n      range: '>=1.0 <x.y'\n",
    ),
    (
        "bad-pull-request",
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageUpdateAutomation\nmetadata: {name: fleet-2, namespace: apps}\nspec:\n  interval: 5m\n  sourceRef: {kind: GitRepository, name: fleet}\n  git:\n    commit: {author: {email: bot@example.com}}\n    checkout: {ref: {branch: main}}\n    push: {branch: main}\n    pullRequest:\n      provider: sourceforge\n      apiURL: ftp://git.example.com\n      label: [a]\n      autoMerge: true\n",
    ),
    (
        "bad-pull-request-fields",
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageUpdateAutomation\nmetadata: {name: fleet-2, namespace: apps}\nspec:\n  interval: 5m\n  sourceRef: {kind: GitRepository, name: fleet}\n  git:\n    commit: {author: {email: bot@example.com}}\n    checkout: {ref: {branch: main}}\n    push: {branch: main}\n    pullRequest:\n      provider: gitea\n      apiURL: ftp://git.example.com\n      labels: ['']\n      limit: 0\n      title: 'Update {{ .Policy.Name'\n      body: '{{ .Polisy.Name }}'\n",
    ),
    (
        "unusable-pull-request",
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageUpdateAutomation\nmetadata: {name: fleet-2, namespace: apps}\nspec:\n  interval: 5m\n  sourceRef: {kind: GitRepository, name: fleet}\n  git:\n    commit: {author: {email: bot@example.com}}\n    push: {branch: main}\n    pullRequest:\n      secretRef: {name: forge}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: forge, namespace: apps}\nstringData: {tokken: x}\n",
    ),
    (
        "pull-request-without-token",
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: acme, namespace: apps}\nspec: {url: 'https://gitlab.com/acme/apps', interval: 1m, ref: {branch: main}}\n---\napiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageUpdateAutomation\nmetadata: {name: fleet-2, namespace: apps}\nspec:\n  interval: 5m\n  sourceRef: {kind: GitRepository, name: acme}\n  git:\n    commit: {author: {email: bot@example.com}}\n    pullRequest: {secretRef: {name: forge}}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: forge, namespace: apps}\nstringData: {tokken: x}\n",
    ),
    (
        "bad-regex",
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImagePolicy\nmetadata: {name: a, namespace: apps}\nspec:\n  imageRepositoryRef: {name: app}\n  filterTags:\n    pattern: '^v(?P<n>[0-9]+'\n  policy: {numerical: {order: asc}}\n",
    ),
    (
        "bad-exclusion",
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\nmetadata: {name: a, namespace: apps}\nspec:\n  image: ghcr.io/org/a\n  interval: 5m\n  exclusionList: ['^ok$', '*.sig']\n",
    ),
    (
        "bad-order",
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImagePolicy\nmetadata: {name: a, namespace: apps}\nspec:\n  imageRepositoryRef: {name: app}\n  policy: {alphabetical: {order: ascending}}\n",
    ),
    (
        "no-choice",
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImagePolicy\nmetadata: {name: a, namespace: apps}\nspec:\n  imageRepositoryRef: {name: app}\n  policy: {}\n",
    ),
    (
        "interval-rule",
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImagePolicy\nmetadata: {name: a, namespace: apps}\nspec:\n  imageRepositoryRef: {name: app}\n  policy: {semver: {range: 1.x}}\n  interval: 5m\n",
    ),
    (
        "always-rule",
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImagePolicy\nmetadata: {name: a, namespace: apps}\nspec:\n  imageRepositoryRef: {name: app}\n  policy: {semver: {range: 1.x}}\n  digestReflectionPolicy: Always\n",
    ),
    (
        "unknown-references",
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImagePolicy\nmetadata: {name: a, namespace: apps}\nspec:\n  imageRepositoryRef: {name: ap}\n  policy: {semver: {range: 1.x}}\n---\napiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\nmetadata: {name: a, namespace: apps}\nspec:\n  image: ghcr.io/org/a\n  interval: 5m\n  secretRef:\n    name: pull\n---\napiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageUpdateAutomation\nmetadata: {name: a, namespace: other}\nspec:\n  interval: 5m\n  sourceRef: {kind: GitRepository, name: fleet}\n  git: {commit: {author: {email: bot@example.com}}}\n",
    ),
    (
        "two-of-one-name",
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\nmetadata: {name: twice, namespace: apps}\nspec: {image: ghcr.io/org/a, interval: 5m}\n---\napiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\nmetadata: {name: twice, namespace: apps}\nspec: {image: ghcr.io/org/b, interval: 5m}\n",
    ),
    (
        "broken-yaml",
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\nmetadata: {name: a\nspec:\n  image: ghcr.io/org/a\n",
    ),
    (
        "template",
        "{{- if .Values.enabled }}\napiVersion: v1\n{{- end }}\n",
    ),
    (
        "key-twice",
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\nmetadata: {name: a, namespace: apps}\nspec:\n  image: ghcr.io/org/a\n  interval: 5m\n  image: ghcr.io/org/b\n",
    ),
    (
        "bad-name",
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\nmetadata: {name: My_App, namespace: apps}\nspec: {image: ghcr.io/org/a, interval: 5m}\n",
    ),
    (
        "unknown-version",
        "apiVersion: image.toolkit.fluxcd.io/v2\nkind: ImageRepository\nmetadata: {name: a, namespace: apps}\nspec: {image: ghcr.io/org/a, interval: 5m}\n",
    ),
    (
        "unknown-kind",
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepositry\nmetadata: {name: a, namespace: apps}\nspec: {image: ghcr.io/org/a, interval: 5m}\n",
    ),
    (
        "bad-url",
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: a, namespace: apps}\nspec: {url: 'svn://github.com/org/fleet', interval: 1m}\n",
    ),
    (
        "no-git",
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageUpdateAutomation\nmetadata: {name: a, namespace: apps}\nspec:\n  interval: 5m\n  sourceRef: {kind: GitRepository, name: fleet}\n",
    ),
    (
        "bad-template",
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageUpdateAutomation\nmetadata: {name: a, namespace: apps}\nspec:\n  interval: 5m\n  sourceRef: {kind: GitRepository, name: fleet}\n  git:\n    commit:\n      author: {email: bot@example.com}\n      messageTemplate: '{{ range .Changed.Changes }}{{ .NewValue }}'\n",
    ),
    (
        "bad-selector",
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageUpdateAutomation\nmetadata: {name: a, namespace: apps}\nspec:\n  interval: 5m\n  sourceRef: {kind: GitRepository, name: fleet}\n  policySelector: {matchExpressions: [{key: team, operator: In}]}\n  git: {commit: {author: {email: bot@example.com}}, push: {refspec: main}}\n",
    ),
    (
        "bad-secret",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: apps}\ndata:\n  password: 'not base64: hunter2'\n",
    ),
    (
        "wrong-secret-type",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: pull, namespace: apps}\nstringData: {username: me, password: hunter2}\n---\napiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\nmetadata: {name: a, namespace: apps}\nspec:\n  image: ghcr.io/org/a\n  interval: 5m\n  secretRef: {name: pull}\n",
    ),
    (
        "ssh-without-known-hosts",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: key, namespace: apps}\nstringData: {identity: hunter2}\n---\napiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: a, namespace: apps}\nspec:\n  url: ssh://git@github.com/org/fleet\n  interval: 1m\n  secretRef: {name: key}\n",
    ),
    (
        "bad-settings",
        "apiVersion: tagline.dev/v1alpha1\nkind: Settings\nmetadata: {name: default}\nspec:\n  concurrent: 0\n  registry: {rps: -1}\n  registries:\n    - {host: ghcr.io, endpoint: mirror.example.com, burst: 0}\n",
    ),
];

#[test]
fn every_mistake_is_told_with_its_place_and_what_to_do() {
    for (name, text) in MISTAKES {
        let place = Workplace::with(&[("m/good.yaml", GOOD), (&format!("m/{name}.yaml"), text)]);
        let ended = place.run(&["check", "-f", "m"]);
        assert!(
            !ended.shown().contains("hunter2"),
            "{name}: a secret is shown"
        );
        assert!(
            ended.stderr.contains(&format!("m/{name}.yaml:")),
            "{name}: no place in {}",
            ended.shown()
        );
        let expected = if matches!(*name, "template" | "unknown-kind") {
            0
        } else {
            2
        };
        assert_eq!(ended.code, expected, "{name}: {}", ended.shown());
        insta::assert_snapshot!(format!("check_{name}"), ended.shown());
    }
}

#[test]
fn what_is_right_is_counted() {
    let place = Workplace::with(&[
        ("m/good.yaml", GOOD),
        ("m/sub/.hidden.yaml", "kind: ["),
        ("m/notes.txt", "x: ["),
    ]);
    let ended = place.run(&["check", "-f", "m", "-o", "json"]);
    assert_eq!(ended.code, 0, "{}", ended.shown());
    assert_eq!(
        ended.json(),
        json!({
            "valid": true,
            "files": 1,
            "objects": {"GitRepository": 1, "ImagePolicy": 1, "ImageRepository": 1, "ImageUpdateAutomation": 1},
            "passedOver": {"Deployment": 1},
            "problems": [],
        })
    );
    insta::assert_snapshot!("check_good", place.run(&["check", "-f", "m"]).shown());
}

#[test]
fn problems_in_json_have_their_place_in_parts() {
    let (_, text) = MISTAKES
        .iter()
        .find(|(name, _)| *name == "bad-duration")
        .unwrap();
    let place = Workplace::with(&[("m.yaml", text)]);
    let ended = place.run(&["check", "-f", "m.yaml", "-o", "json"]);
    assert_eq!(ended.code, 2);
    let first = ended.json()["problems"][0].clone();
    assert_eq!(first["severity"], "error");
    assert_eq!(first["file"], "m.yaml");
    assert_eq!((&first["line"], &first["column"]), (&json!(6), &json!(13)));
    assert_eq!(first["object"], "ImageRepository apps/a");
    assert_eq!(first["field"], "spec.interval");
}

#[test]
fn lists_json_and_standard_input_are_read() {
    let place = Workplace::new();
    let list = json!({
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {"apiVersion": "image.toolkit.fluxcd.io/v1", "kind": "ImageRepository", "metadata": {"name": "app"},
             "spec": {"image": "alpine", "interval": "5m"}},
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}},
        ],
    });
    let ended = place.run_with_input(&["check", "-f", "-", "-o", "json"], &list.to_string());
    assert_eq!(ended.code, 0, "{}", ended.shown());
    assert_eq!(ended.json()["objects"], json!({"ImageRepository": 1}));
    assert_eq!(ended.json()["passedOver"], json!({"Service": 1}));
    let twice = place.run(&["check", "-f", "-", "-f", "-"]);
    assert_eq!(twice.code, 2);
}

#[test]
fn markers_must_name_policies() {
    let deployment = "a: ghcr.io/org/app:1.0 # {\"$imagepolicy\": \"apps:app\"}\nb: ghcr.io/org/app:1.0 # {\"$imagepolicy\": \"apps:ap\"}\nc: 1.0 # {\"$imagepolicy\": \"apps:app:tga\"}\n";
    let place = Workplace::with(&[
        ("m.yaml", GOOD),
        ("repo/deploy.yaml", deployment),
        (
            "repo/broken.yaml",
            "a: [ # {\"$imagepolicy\": \"apps:app\"}\n",
        ),
        ("repo/unmarked.yaml", "a: ["),
    ]);
    let ended = place.run(&["check", "-f", "m.yaml", "--path", "repo"]);
    assert_eq!(ended.code, 2);
    insta::assert_snapshot!("check_markers", ended.shown());
    let nowhere = place.run(&["check", "-f", "m.yaml", "--path", "nowhere"]);
    assert_eq!(nowhere.code, 2);
    assert!(nowhere.stderr.contains("nowhere"), "{}", nowhere.shown());
}

#[test]
fn the_formats_of_an_automation_are_checked_and_taken() {
    let check = |formats: &str| {
        let manifest = GOOD.replace(
            "  git: {commit: {author: {email: bot@example.com}}}\n",
            &format!("  git: {{commit: {{author: {{email: bot@example.com}}}}}}\n  update: {{formats: {formats}}}\n"),
        );
        let place = Workplace::with(&[
            ("m.yaml", &manifest),
            (
                "repo/Dockerfile",
                "# {\"$imagepolicy\": \"apps:nobody\"}\nFROM a:1\n",
            ),
        ]);
        place.run(&["check", "-f", "m.yaml", "--path", "repo"])
    };
    assert_eq!(check("[yaml]").code, 0);
    let found = check("[yaml, dockerfile]");
    assert_eq!(found.code, 2);
    assert!(
        found.stderr.contains("repo/Dockerfile:2:6") && found.stderr.contains("apps:nobody"),
        "{}",
        found.shown()
    );
    assert!(check("[]").stderr.contains("an empty list"));
    let unknown = check("[toml]").stderr;
    assert!(
        unknown.contains("toml") && unknown.contains("dockerfile"),
        "{unknown}"
    );
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let place = Workplace::with(&[("m/good.yaml", GOOD), ("m/latin1.yaml", "")]);
    std::fs::write(place.path().join("m/latin1.yaml"), b"a: 1\nb: caf\xe9\n").unwrap();
    std::os::unix::fs::symlink("nowhere", place.path().join("m/dangling.yaml")).unwrap();
    let ended = place.run(&["check", "-f", "m", "-f", "missing"]);
    assert_eq!(ended.code, 2);
    insta::assert_snapshot!("check_unreadable", ended.shown());
}
