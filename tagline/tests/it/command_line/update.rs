//! `tagline update`.

use super::program::Workplace;
use serde_json::json;
use tagline_testservers::{DockerRegistry, Image, require};

const POLICIES: &str = "
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImagePolicy
metadata: {name: app, namespace: apps}
spec:
  imageRepositoryRef: {name: app}
  policy: {semver: {range: 1.x}}
status:
  latestRef: {name: ghcr.io/org/app, tag: 1.2.0}
  conditions: []
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImagePolicy
metadata: {name: undecided, namespace: apps}
spec:
  imageRepositoryRef: {name: app}
  policy: {semver: {range: 1.x}}
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageRepository
metadata: {name: app, namespace: apps}
spec: {image: ghcr.io/org/app, interval: 5m}
";

const DEPLOYMENT: &str = "kind: Deployment\r\nspec:\r\n    image:   ghcr.io/org/app:1.0.0   # {\"$imagepolicy\": \"apps:app\"}\r\n    other: x:1 # {\"$imagepolicy\": \"apps:nobody\"}\r\n    later: y:1 # {\"$imagepolicy\": \"apps:undecided\"}\r\n";

fn place() -> Workplace {
    Workplace::with(&[
        ("policies.yaml", POLICIES),
        ("repo/deploy.yaml", DEPLOYMENT),
    ])
}

const OFFLINE: [&str; 6] = [
    "update",
    "-f",
    "policies.yaml",
    "--path",
    "repo",
    "--offline",
];

#[test]
fn given_choices_are_written_and_nothing_else_changes() {
    let place = place();
    let ended = place.run(&OFFLINE);
    assert_eq!(ended.code, 0);
    assert_eq!(
        place.read("repo/deploy.yaml"),
        DEPLOYMENT.replacen("1.0.0", "1.2.0", 1)
    );
    insta::assert_snapshot!("update_offline", ended.shown().replace('\r', "\\r"));
    let again = place.run(&OFFLINE);
    assert_eq!(
        (again.code, again.stdout.as_str()),
        (0, ""),
        "{}",
        again.shown()
    );
}

#[test]
fn json_is_what_other_programs_rely_on() {
    let place = place();
    let mut arguments = OFFLINE.to_vec();
    arguments.extend(["--dry-run", "-o", "json"]);
    let ended = place.run(&arguments);
    assert_eq!(
        ended.json(),
        json!({
            "changes": [{
                "file": "deploy.yaml",
                "line": 3,
                "policy": "apps/app",
                "old": "ghcr.io/org/app:1.0.0",
                "new": "ghcr.io/org/app:1.2.0",
            }],
            "skipped": [
                {"file": "deploy.yaml", "line": 4, "reason": "unknown-policy"},
                {"file": "deploy.yaml", "line": 5, "reason": "no-choice"},
            ],
        })
    );
    assert_eq!(place.read("repo/deploy.yaml"), DEPLOYMENT);
}

#[test]
fn exit_code_3_says_that_there_are_changes() {
    let place = place();
    let mut dry = OFFLINE.to_vec();
    dry.extend(["--dry-run", "--exit-code"]);
    assert_eq!(place.run(&dry).code, 3);
    let mut wet = OFFLINE.to_vec();
    wet.push("--exit-code");
    assert_eq!(place.run(&wet).code, 3);
    assert_eq!(place.run(&wet).code, 0);
}

#[test]
fn bad_input_is_exit_2() {
    let place = place();
    let ended = place.run(&[
        "update",
        "-f",
        "policies.yaml",
        "--path",
        "nowhere",
        "--offline",
    ]);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("nowhere"), "{}", ended.shown());
}

#[test]
fn images_are_scanned_where_no_choice_is_given() {
    let registry = require!(DockerRegistry::start());
    registry.push_tags("team/app", &["1.0.0", "1.1.0", "2.0.0"], &Image::default());
    let name = format!("{}/team/app", registry.authority());
    let policies = format!(
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\nmetadata: {{name: app, namespace: apps}}\nspec: {{image: {name}, interval: 5m, insecure: true}}\n---\napiVersion: image.toolkit.fluxcd.io/v1\nkind: ImagePolicy\nmetadata: {{name: app, namespace: apps}}\nspec:\n  imageRepositoryRef: {{name: app}}\n  policy: {{semver: {{range: 1.x}}}}\n---\napiVersion: image.toolkit.fluxcd.io/v1\nkind: ImagePolicy\nmetadata: {{name: none, namespace: apps}}\nspec:\n  imageRepositoryRef: {{name: app}}\n  policy: {{semver: {{range: '>=9'}}}}\n"
    );
    let deployment = format!(
        "image: {name}:1.0.0 # {{\"$imagepolicy\": \"apps:app\"}}\nnone: {name}:1.0.0 # {{\"$imagepolicy\": \"apps:none\"}}\n"
    );
    let place = Workplace::with(&[
        ("policies.yaml", &policies),
        ("repo/deploy.yaml", &deployment),
    ]);
    let ended = place.run(&["update", "-f", "policies.yaml", "--path", "repo"]);
    assert_eq!(ended.code, 1, "{}", ended.shown());
    assert!(
        ended
            .stderr
            .contains("ImagePolicy apps/none: unable to determine latest version"),
        "{}",
        ended.shown()
    );
    assert_eq!(
        place.read("repo/deploy.yaml"),
        deployment.replacen("1.0.0", "1.1.0", 1)
    );
}
