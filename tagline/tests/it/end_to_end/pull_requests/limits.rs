//! A forge that is down, a forge that asks to wait, a limit of open pull requests.

use tagline_testservers::forge::ForgeKind;
use tagline_testservers::require;

use super::{Scene, reported};

#[test]
fn a_forge_that_is_down_stops_no_push() {
    let scene = require!(Scene::new(
        ForgeKind::Gitea,
        1,
        "branch: updates",
        "labels: [a]"
    ));
    scene.forge.repo().dead = true;
    let report = scene.failing_pass();
    assert_eq!(report["reason"], "ForgeUnavailable", "{report}");
    assert!(scene.remote.head("updates").is_some(), "the push arrives");
    let tip = scene.remote.head("updates");

    scene.forge.repo().dead = false;
    let report = scene.pass();
    assert_eq!(
        reported(&report),
        [("updates".to_owned(), "Open".to_owned(), Some(1))]
    );
    assert_eq!(
        scene.remote.head("updates"),
        tip,
        "found by its branch, not pushed again"
    );
}

#[test]
fn a_forge_that_asks_to_wait_is_not_asked_again() {
    let scene = require!(Scene::new(
        ForgeKind::GitHub,
        1,
        "branch: updates",
        "labels: [a]"
    ));
    // GitHub's secondary limit, at the opening of the pull request.
    let before = scene.forge.repo().requests;
    scene.forge.repo().limit_at = Some(before + 4);
    let report = scene.failing_pass();
    assert_eq!(report["reason"], "RateLimited", "{report}");
    let message = report["message"].as_str().unwrap();
    assert!(message.contains("no request before"), "{message}");
    let asked = scene.forge.repo().requests - before;
    assert_eq!(asked, 5, "nothing is sent after the 429");
    assert!(scene.remote.head("updates").is_some());
    scene.pass();
    assert_eq!(scene.open().len(), 1);
}

#[test]
fn no_more_are_open_than_the_limit_allows() {
    let branch = "branch: 'updates/{{ .Policy.Name }}'";
    let scene = require!(Scene::new(ForgeKind::Gitea, 5, branch, "limit: 2"));
    let states = |report: &serde_json::Value| -> Vec<String> {
        reported(report)
            .into_iter()
            .map(|(_, state, _)| state)
            .collect()
    };
    let mut merged = 0;
    for (open, waiting) in [(2, 3), (2, 2), (2, 1), (2, 0), (1, 0), (0, 0)] {
        let report = scene.pass();
        let count = |name: &str| {
            states(&report)
                .iter()
                .filter(|state| *state == name)
                .count()
        };
        assert_eq!(
            (count("Open"), count("Waiting")),
            (open, waiting),
            "{report}"
        );
        let branches = scene.remote.branches();
        assert_eq!(
            branches.len(),
            1 + open,
            "those that wait are not pushed: {branches:?}"
        );
        if let Some(pull) = scene.open().first() {
            scene.merge(pull.number);
            merged += 1;
        }
    }
    assert_eq!(merged, 5);
}
