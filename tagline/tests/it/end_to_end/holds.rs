//! A person takes an update back: it stays so, is shown, and is released by a newer tag or by whoever may.

use std::fs;
use std::process::Output;

use tagline_testservers::{Image, require};

use super::fleet::{Automation, Running, UPDATE, assert_success, file, newest, tagline};
use super::scene::{Scene, automations};
use super::service::wait_until;

/// Puts the first file back to what it was.
fn revert(scene: &Scene) {
    let before = scene.remote.show("main~1", &file(0));
    scene
        .remote
        .commit("main", "Revert", &[(file(0).as_str(), before)]);
}

fn is_newest(scene: &Scene) -> bool {
    let text = String::from_utf8(scene.remote.show("main", &file(0))).unwrap();
    text.contains(&format!(":{}'", newest(0)))
}

fn reconcile(scene: &Scene, arguments: &[&str]) -> Output {
    let mut command = tagline(&scene.fleet.path(""));
    command.arg("reconcile").args(arguments);
    command
        .arg("--storage-path")
        .arg(scene.fleet.path("storage"));
    command.output().unwrap()
}

/// A revert that a pass has seen.
fn held() -> Result<Scene, tagline_testservers::StartError> {
    let scene = Scene::start(1)?;
    scene.write(&[Automation::new("fleet")]);
    scene.fleet.run_once("storage");
    revert(&scene);
    let report = scene.fleet.run_once("storage");
    let found = automations(&report)[0];
    assert_eq!(found["state"], "Ready");
    let holds = &found["status"]["holds"];
    assert_eq!(holds[0]["path"], file(0).as_str(), "{found:#}");
    assert_eq!(holds[0]["policy"]["name"], "app-0");
    let ours = scene.remote.git(&["rev-parse", "main~1"]);
    assert_eq!(holds[0]["commit"], ours.as_str());
    assert!(!is_newest(&scene));
    Ok(scene)
}

#[test]
fn it_is_shown_and_a_newer_tag_ends_it() {
    let scene = require!(held());
    let output = scene.fleet.run("storage", &["--once"]).output().unwrap();
    assert_success(&output);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("taken back in git: "), "{table}");
    scene
        .registry
        .push("fleet/app-0", "1.90.0", &Image::default());
    let report = scene.fleet.run_once("storage");
    assert_eq!(scene.remote.log("main")[0], UPDATE);
    assert!(automations(&report)[0]["status"]["holds"].is_null());
}

#[test]
fn a_request_that_waits_releases_it_in_the_next_pass() {
    let scene = require!(held());
    let asked = |arguments: &[&str]| {
        reconcile(
            &scene,
            &[arguments, &["-n", "fleet", "--timeout", "0s"]].concat(),
        )
    };
    // Another policy's holds are not this one's.
    let output = asked(&["update", "fleet", "--release-hold=other"]);
    assert_success(&output);
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("waits there")
    );
    scene.fleet.run_once("storage");
    assert!(!is_newest(&scene));

    assert_success(&asked(&["update", "fleet", "--release-hold=app-0"]));
    scene.fleet.run_once("storage");
    assert!(is_newest(&scene));
    // Once: the next revert is respected again.
    revert(&scene);
    scene.fleet.run_once("storage");
    assert!(!is_newest(&scene));
    let left = fs::read_dir(scene.fleet.path("storage/requests")).unwrap();
    assert!(
        left.flatten()
            .all(|entry| entry.path().extension().unwrap() == "answer")
    );
}

#[test]
fn a_running_service_takes_requests_at_once() {
    let scene = require!(held());
    let log = scene.fleet.path("log");
    let mut running = Running::start(scene.fleet.run("storage", &[]), &log);
    let ask = |arguments: &[&str]| {
        reconcile(
            &scene,
            &[arguments, &["-n", "fleet", "--timeout", "1m", "-o", "json"]].concat(),
        )
    };
    let output = ask(&["update", "fleet", "--release-hold"]);
    assert_success(&output);
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["taken"], true, "{answer}");
    wait_until("the released update", &mut running, &log, || {
        is_newest(&scene)
    });

    let unknown = ask(&["update", "nobody"]);
    assert_eq!(unknown.status.code(), Some(2));
    let said = String::from_utf8(unknown.stderr).unwrap();
    assert!(
        said.contains("knows no ImageUpdateAutomation fleet/nobody"),
        "{said}"
    );
    assert_eq!(
        ask(&["policy", "app-0", "--release-hold"]).status.code(),
        Some(2)
    );

    // A scan that is not due for ten minutes.
    scene
        .registry
        .push("fleet/app-0", "1.95.0", &Image::default());
    assert_success(&ask(&["repository", "app-0"]));
    wait_until("the new tag", &mut running, &log, || {
        String::from_utf8(scene.remote.show("main", &file(0)))
            .unwrap()
            .contains(":1.95.0'")
    });
    assert_success(&ask(&["policy", "app-0"]));
}

#[test]
fn an_annotation_releases_it() {
    let scene = require!(held());
    let annotations = "{tagline.dev/releaseHoldsAt: '2026-01-02'}";
    scene.write(&[Automation {
        annotations,
        ..Automation::new("fleet")
    }]);
    scene.fleet.run_once("storage");
    assert!(is_newest(&scene));
    revert(&scene);
    scene.fleet.run_once("storage");
    assert!(!is_newest(&scene), "each value counts once");
}
