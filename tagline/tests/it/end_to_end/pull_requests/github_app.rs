//! One GitHub App for git over https and for pull requests.

use tagline_testservers::forge::{ForgeKind, TOKEN};
use tagline_testservers::require;

use super::{Scene, automation, reported};

const KEY: &str = include_str!("../../../../../updater/tests/it/forge/keys/app-pkcs1.pem");

#[test]
fn one_app_serves_git_and_the_api() {
    let scene = require!(Scene::new(ForgeKind::GitHub, 1, "branch: updates", ""));
    scene.forge.repo().at_real_time = true;
    let write = |provider: &str| {
        let key: String = KEY
            .lines()
            .fold(String::new(), |text, line| text + "    " + line + "\n");
        let api = scene.forge.api();
        let objects = format!(
            "apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {{name: fleet, namespace: fleet}}
spec:
  url: {url}
  interval: 10m
  ref: {{branch: main}}
  provider: {provider}
  secretRef: {{name: app}}
---
apiVersion: v1
kind: Secret
metadata: {{name: app, namespace: fleet}}
stringData:
  githubAppID: '12345'
  githubAppInstallationID: '4711'
  githubAppBaseURL: {api}
  githubAppPrivateKey: |
{key}---
",
            url = scene.git.url("acme/apps"),
        );
        let pull_request = format!("provider: github, apiURL: '{api}', secretRef: {{name: app}}");
        let automation = automation("branch: updates", &pull_request);
        let text = format!("{}{objects}{automation}", scene.fleet.images());
        scene.fleet.write_manifest("all.yaml", &text);
    };

    write("generic");
    let report = scene.failing_pass();
    assert_eq!(report["reason"], "InvalidSourceConfiguration");
    assert_eq!(scene.forge.repo().requests, 0);

    write("github");
    scene
        .git
        .expect_user("x-access-token", &format!("{TOKEN}-1"));
    let report = scene.pass();
    assert_eq!(
        reported(&report),
        [("updates".to_owned(), "Open".to_owned(), Some(1))]
    );
    assert!(scene.remote.head("updates").is_some());
    assert_eq!(
        scene.forge.repo().tokens,
        1,
        "one token for git and for the API"
    );
    let bearer = format!("Bearer {TOKEN}-1");
    let repo = scene.forge.repo();
    assert!(repo.authorizations[1..].iter().all(|it| *it == bearer));
    drop(repo);

    // Tokens that are nearly over are not used.
    scene.forge.repo().at_real_time = false;
    scene
        .git
        .expect_user("x-access-token", &format!("{TOKEN}-2"));
    scene.publish_tag(0, "1.2.0");
    scene.pass();
    assert!(scene.open()[0].body.contains("`1.2.0`"));
    assert!(scene.forge.repo().tokens > 2);

    scene.git.expect_user("x-access-token", "something else");
    let report = scene.failing_pass();
    let message = report["message"].as_str().unwrap();
    assert!(
        message.contains("authentication") || message.contains("401"),
        "{message}"
    );
}
