//! Push branches: made anew on the newest checkout, continued where others worked on them, never stale, no churn.

use super::scene::{Scene, to_branch};
use super::setting::{FILE, choices, manifest, request};
use tagline_testservers::require;
use tagline_updater::git::{GitReference, ReferenceFields};
use tagline_updater::{BranchChoices, PushState};

#[test]
fn it_is_one_commit_on_the_newest_checkout() {
    let scene = require!(Scene::start());
    let repository = &scene.repository;
    let request = to_branch("auto/updates");

    let first = scene.run(&request, "1.1.0");
    assert_eq!(
        repository.head("auto/updates").unwrap(),
        first.pushed().unwrap().to_string()
    );
    assert_eq!(scene.tagged("main"), manifest("app", "1.0.0"));
    assert_eq!(scene.tagged("auto/updates"), manifest("app", "1.1.0"));

    // Nothing new: no commit, but the outcome still tells what the branch proposes.
    let again = scene.run(&request, "1.1.0");
    assert_eq!(again.state, PushState::Standing(first.pushed().unwrap()));
    assert_eq!(again.changes().count(), 1);

    // A newer tag replaces the commit instead of adding one.
    scene.run(&request, "1.2.0");
    assert_eq!(scene.ahead("auto/updates"), "1");

    // The checkout moves: the branch follows.
    let newest = repository.commit("main", "by hand", &[("README.md", "new\n")]);
    let moved = scene.run(&request, "1.2.0");
    assert!(moved.pushed().is_some());
    assert_eq!(repository.git(&["rev-parse", "auto/updates^"]), newest);
    assert_eq!(repository.show("auto/updates", "README.md"), b"new\n");

    // Merged and not deleted: nothing is due, nothing moves.
    repository.git(&["update-ref", "refs/heads/main", "refs/heads/auto/updates"]);
    let merged = scene.run(&request, "1.2.0");
    assert!(matches!(merged.state, PushState::UpToDate(Some(_))));

    // And used again for the next tag, forward.
    scene.run(&request, "1.3.0");
    assert_eq!(scene.ahead("auto/updates"), "1");
    repository.fsck();
}

#[test]
fn a_squash_merged_branch_is_made_anew_for_the_next_tag() {
    let scene = require!(Scene::start());
    let repository = &scene.repository;
    let request = to_branch("auto");
    scene.run(&request, "1.1.0");
    repository.commit("main", "squashed", &[(FILE, manifest("app", "1.1.0"))]);
    let merged = scene.run(&request, "1.1.0");
    assert!(
        matches!(merged.state, PushState::UpToDate(Some(_))),
        "{:?}",
        merged.state
    );
    scene.run(&request, "1.2.0");
    assert_eq!(scene.ahead("auto"), "1");
    assert_eq!(
        repository.git(&["merge-base", "main", "auto"]),
        repository.head("main").unwrap()
    );
}

#[test]
fn commits_of_others_on_it_are_kept() {
    let scene = require!(Scene::start());
    let repository = &scene.repository;
    let request = to_branch("auto");
    scene.run(&request, "1.1.0");
    let person = repository.commit("auto", "a fix by a person", &[("fix.txt", "x\n")]);
    repository.commit("main", "main moves", &[("README.md", "new\n")]);
    let outcome = scene.run(&request, "1.2.0");
    assert!(outcome.pushed().is_some());
    assert_eq!(repository.git(&["rev-parse", "auto^"]), person);
    assert_eq!(scene.tagged("auto"), manifest("app", "1.2.0"));
    let again = scene.run(&request, "1.2.0");
    assert_eq!(again.state, PushState::Standing(outcome.pushed().unwrap()));
}

#[test]
fn an_amended_commit_of_ours_is_not_replaced() {
    let scene = require!(Scene::start());
    let repository = &scene.repository;
    let request = to_branch("auto");
    scene.run(&request, "1.1.0");
    let tree = repository.git(&["rev-parse", "auto^{tree}"]);
    let amended = repository.git(&[
        "-c",
        "user.name=Person",
        "-c",
        "user.email=person@example.com",
        "commit-tree",
        &tree,
        "-p",
        "main",
        "-m",
        "amended",
    ]);
    repository.git(&["update-ref", "refs/heads/auto", &amended]);
    scene.run(&request, "1.2.0");
    assert_eq!(repository.git(&["rev-parse", "auto^"]), amended);
}

#[test]
fn it_is_recognised_after_the_cache_was_lost_and_history_is_shallow() {
    let scene = require!(Scene::start());
    let repository = &scene.repository;
    for n in 0..150 {
        repository.commit(
            "main",
            &format!("history {n}"),
            &[("README.md", format!("{n}\n"))],
        );
    }
    let request = to_branch("auto");
    scene.run(&request, "1.1.0");
    for n in 0..120 {
        repository.commit(
            "main",
            &format!("later {n}"),
            &[("README.md", format!("later {n}\n"))],
        );
    }
    let lost = scene.without_cache();
    lost.run(&request, &choices(&[("app", "1.1.0")])).unwrap();
    assert_eq!(scene.ahead("auto"), "1");
    assert_eq!(
        repository.git(&["rev-parse", "auto^"]),
        repository.head("main").unwrap()
    );
    repository.fsck();
}

#[test]
fn the_checked_out_branch_is_never_forced() {
    let scene = require!(Scene::start());
    let repository = &scene.repository;
    repository.git(&["tag", "v1.0.0", "main"]);
    // Checked out by tag, pushed to main, where only our own commits came since: still no force.
    let mut request = to_branch("main");
    request.checkout = GitReference::from_fields(&ReferenceFields {
        semver: Some("1.x".to_owned()),
        ..ReferenceFields::default()
    })
    .unwrap();
    let first = scene.run(&request, "1.1.0");
    scene.run(&request, "1.2.0");
    assert_eq!(
        repository.git(&["rev-parse", "main^"]),
        first.pushed().unwrap().to_string()
    );
    // By full name it is the same branch.
    request.checkout = GitReference::from_fields(&ReferenceFields {
        name: Some("refs/heads/main".to_owned()),
        ..ReferenceFields::default()
    })
    .unwrap();
    scene.run(&request, "1.3.0");
    assert_eq!(
        repository.git(&["rev-list", "--count", "v1.0.0..main"]),
        "3"
    );
}

#[test]
fn one_branch_per_policy_in_one_go() {
    let scene = require!(Scene::with_policies(&["api", "web"]));
    let repository = &scene.repository;
    let branches: Vec<BranchChoices> = ["api", "web", "none"]
        .into_iter()
        .map(|policy| BranchChoices {
            branch: format!("updates/{policy}"),
            choices: choices(&[(policy, "2")]),
        })
        .collect();
    let outcomes = scene.setting.run_branches(&request(), &branches).unwrap();
    let states: Vec<bool> = outcomes
        .iter()
        .map(|outcome| outcome.as_ref().unwrap().pushed().is_some())
        .collect();
    assert_eq!(states, [true, true, false]);
    assert_eq!(
        repository.branches(),
        ["main", "updates/api", "updates/web"]
    );
    assert_eq!(
        repository.git(&["diff", "--name-only", "main", "updates/api"]),
        "api.yaml"
    );
    assert_eq!(
        repository.git(&["diff", "--name-only", "main", "updates/web"]),
        "web.yaml"
    );
    assert_eq!(scene.pushes(), 1);
}
