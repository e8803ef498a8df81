//! Policies that move together: no commit anywhere has half of a group.

use std::fs;

use serde_json::Value;
use tagline_testservers::{BareRepository, Image, require};

use super::fleet::{Automation, Fleet, Running, file};
use super::scene::Scene;
use super::service::{every_second, signal, wait_for_end, wait_until};

const COUNT: usize = 3;

/// The policies of all images are in one group.
fn grouped(scene: &Scene) {
    scene.write(&[Automation::new("fleet")]);
    let images = scene.fleet.images();
    let grouped = images.replace("  policy:", "  group: shop\n  policy:");
    scene.fleet.write_manifest("images.yaml", &grouped);
}

/// The tags that the files of one commit name.
fn tags(remote: &BareRepository, commit: &str) -> Vec<String> {
    (0..COUNT)
        .map(|index| {
            let text = String::from_utf8(remote.show(commit, &file(index))).unwrap();
            let (_, behind) = text.split_once(&format!("app-{index}:")).unwrap();
            behind.split('\'').next().unwrap().to_owned()
        })
        .collect()
}

/// Every commit has all images at one version; those versions, the newest first.
fn versions(remote: &BareRepository, branch: &str) -> Vec<String> {
    (0..remote.log(branch).len())
        .map(|back| {
            let found = tags(remote, &format!("{branch}~{back}"));
            assert!(
                found.iter().all(|tag| *tag == found[0]),
                "half of the group in {branch}~{back}: {found:?}"
            );
            found[0].clone()
        })
        .collect()
}

fn policy<'r>(report: &'r Value, name: &str) -> &'r Value {
    let objects = report["objects"].as_array().unwrap();
    objects
        .iter()
        .find(|object| object["kind"] == "ImagePolicy" && object["name"] == name)
        .unwrap()
}

/// One pass, whatever comes of it.
fn pass(fleet: &Fleet) -> (i32, Value) {
    let output = fleet
        .run("storage", &["--once", "-o", "json"])
        .output()
        .unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap();
    (output.status.code().unwrap(), report)
}

#[test]
fn a_group_moves_when_all_have_the_version_and_says_who_lacks_it() {
    let scene = require!(Scene::start(COUNT));
    grouped(&scene);
    let (registry, remote, fleet) = (&scene.registry, &scene.remote, &scene.fleet);

    let report = fleet.run_once("storage");
    // Each has a newer version of its own; 1.0.9 is what all have.
    assert_eq!(versions(remote, "main"), ["1.0.9", "1.0.0"]);
    let message = policy(&report, "app-0")["message"].as_str().unwrap();
    assert!(
        message.ends_with("resolved to 1.0.9; group shop: 1.1.0 waits for app-1, app-2"),
        "{message}"
    );

    let image = Image::default();
    registry.push("fleet/app-0", "1.50.0", &image);
    registry.push("fleet/app-1", "1.50.0", &image);
    let report = fleet.run_once("storage");
    assert_eq!(remote.log("main").len(), 2, "nothing is committed");
    let message = policy(&report, "app-1")["message"].as_str().unwrap();
    assert!(
        message.ends_with("; group shop: 1.50.0 waits for app-2"),
        "{message}"
    );

    registry.push("fleet/app-2", "1.50.0", &image);
    fleet.run_once("storage");
    assert_eq!(versions(remote, "main"), ["1.50.0", "1.0.9", "1.0.0"]);

    // A member that is suspended, gone wrong or without its repository stops all of them.
    for name in ["app-0", "app-1", "app-2"] {
        registry.push(&format!("fleet/{name}"), "1.51.0", &image);
    }
    let whole = fs::read_to_string(fleet.manifests().join("images.yaml")).unwrap();
    let last =
        "  imageRepositoryRef: {name: app-2}\n  group: shop\n  policy: {semver: {range: 1.x}}";
    for (instead, reason, message) in [
        (
            format!("{last}\n  suspend: true"),
            "GroupHeld",
            "group shop stays as it is: ImagePolicy fleet/app-2 is suspended",
        ),
        (
            last.replace("1.x", "1.x.y"),
            "GroupHeld",
            "group shop stays as it is: ImagePolicy fleet/app-2 at ",
        ),
        (
            last.replace("{name: app-2}", "{name: app-9}"),
            "GroupHeld",
            "group shop stays as it is: ImagePolicy fleet/app-2: failed to get the referred ImageRepository",
        ),
        (
            last.replace("1.x", "2.x"),
            "GroupHeld",
            "the group waits for app-2: unable to determine latest version from provided list",
        ),
        (
            last.replace("1.x", "1.0.0"),
            "Succeeded",
            "1.51.0 waits for app-2",
        ),
        (
            last.replace("semver: {range: 1.x}", "numerical: {unparsable: Skip}"),
            "InvalidGroup",
            "group shop: app-0 is ordered by semver, app-2 by numerical asc: their versions cannot be compared",
        ),
    ] {
        assert!(whole.contains(last));
        fleet.write_manifest("images.yaml", &whole.replace(last, &instead));
        let (_, report) = pass(fleet);
        for name in ["app-0", "app-1"] {
            let status = policy(&report, name);
            assert_eq!(status["reason"], reason, "{status}");
            assert!(
                status["message"].as_str().unwrap().contains(message),
                "{status}"
            );
        }
        versions(remote, "main");
        assert_ne!(tags(remote, "main")[0], "1.51.0");
    }
    fleet.write_manifest("images.yaml", &whole);
    let (code, _) = pass(fleet);
    assert_eq!((code, &*versions(remote, "main")[0]), (0, "1.51.0"));
    remote.fsck();
}

#[test]
fn the_service_commits_a_group_at_once() {
    let scene = require!(Scene::start(COUNT));
    grouped(&scene);
    let (registry, remote, fleet) = (&scene.registry, &scene.remote, &scene.fleet);
    every_second(fleet);
    let log = fleet.path("log");
    let mut running = Running::start(fleet.run("storage", &[]), &log);
    let image = Image::default();
    let mut expected = vec!["1.0.0", "1.0.9"];
    for version in ["1.0.9", "1.60.0", "1.61.0", "1.62.0"] {
        for name in ["app-2", "app-0", "app-1"] {
            if version != "1.0.9" {
                registry.push(&format!("fleet/{name}"), version, &image);
            }
        }
        wait_until(version, &mut running, &log, || {
            tags(remote, "main").iter().all(|tag| tag == version)
        });
        if version != "1.0.9" {
            expected.push(version);
        }
    }
    // A policy that joins holds the group until its image has the version, too.
    let late = format!("{}/fleet/late", registry.authority());
    registry.push("fleet/late", "1.62.0", &image);
    let objects = super::fleet::image_objects("late", &late);
    fleet.write_manifest(
        "late.yaml",
        &objects
            .replace("  policy:", "  group: shop\n  policy:")
            .replace("interval: 10m", "interval: 1s"),
    );
    wait_until("the new member", &mut running, &log, || {
        let text = fs::read_to_string(&log).unwrap();
        text.contains("fleet/late resolved to 1.62.0")
    });
    for index in 0..COUNT {
        registry.push(&format!("fleet/app-{index}"), "1.63.0", &image);
    }
    wait_until("word of who is waited for", &mut running, &log, || {
        let text = fs::read_to_string(&log).unwrap();
        text.contains("group shop: 1.63.0 waits for late")
    });
    registry.push("fleet/late", "1.63.0", &image);
    wait_until("the last version", &mut running, &log, || {
        tags(remote, "main").iter().all(|tag| tag == "1.63.0")
    });
    expected.push("1.63.0");
    signal(&running, "TERM");
    assert_eq!(wait_for_end(&mut running).code(), Some(0));
    let mut found = versions(remote, "main");
    found.reverse();
    assert_eq!(found, expected);
    remote.fsck();
}

#[test]
fn a_group_shares_commit_and_branch_however_changes_are_divided() {
    let scene = require!(Scene::start(COUNT));
    grouped(&scene);
    let (remote, fleet) = (&scene.remote, &scene.fleet);
    scene.write(&[Automation {
        commit: "grouping: Policy",
        branch: "updates/{{ .Policy.Name }}",
        ..Automation::new("fleet")
    }]);
    fleet.run_once("storage");
    assert_eq!(versions(remote, "updates/app-0"), ["1.0.9", "1.0.0"]);
    for branch in ["updates/app-1", "updates/app-2"] {
        assert_eq!(remote.head(branch), None, "{branch}");
    }
}
