//! Push branches: made anew on the newest checkout, continued where others worked on them, never stale, no churn.

use super::setting::{FILE, Setting, choices, filled, manifest, request};
use tagline_testservers::{BareRepository, GitHttp, require};
use tagline_updater::git::{GitAuth, GitReference, ReferenceFields};
use tagline_updater::{BranchChoices, PublishRequest, PushState};

fn to_branch(branch: &str) -> PublishRequest {
    let mut request = request();
    request.push.branch = Some(branch.to_owned());
    request
}

fn tagged(repository: &BareRepository, revision: &str) -> String {
    String::from_utf8(repository.show(revision, FILE)).unwrap()
}

#[test]
fn it_is_one_commit_on_the_newest_checkout() {
    let server = require!(GitHttp::start());
    let repository = server.create("r");
    let setting = Setting::new(&server.url("r"), GitAuth::None);
    filled(&repository);
    let request = to_branch("auto/updates");

    let first = setting
        .run(&request, &choices(&[("app", "1.1.0")]))
        .unwrap();
    assert_eq!(
        repository.head("auto/updates").unwrap(),
        first.pushed().unwrap().to_string()
    );
    assert_eq!(tagged(&repository, "main"), manifest("app", "1.0.0"));
    assert_eq!(
        tagged(&repository, "auto/updates"),
        manifest("app", "1.1.0")
    );

    // Nothing new: no commit, but the outcome still tells what the branch proposes.
    let again = setting
        .run(&request, &choices(&[("app", "1.1.0")]))
        .unwrap();
    assert_eq!(again.state, PushState::Standing(first.pushed().unwrap()));
    assert_eq!(again.changes().count(), 1);

    // A newer tag replaces the commit instead of adding one.
    setting
        .run(&request, &choices(&[("app", "1.2.0")]))
        .unwrap();
    assert_eq!(
        repository.git(&["rev-list", "--count", "main..auto/updates"]),
        "1"
    );

    // The checkout moves: the branch follows.
    let newest = repository.commit("main", "by hand", &[("README.md", "new\n")]);
    let moved = setting
        .run(&request, &choices(&[("app", "1.2.0")]))
        .unwrap();
    assert!(moved.pushed().is_some());
    assert_eq!(repository.git(&["rev-parse", "auto/updates^"]), newest);
    assert_eq!(repository.show("auto/updates", "README.md"), b"new\n");

    // Merged and not deleted: nothing is due, nothing moves.
    repository.git(&["update-ref", "refs/heads/main", "refs/heads/auto/updates"]);
    let merged = setting
        .run(&request, &choices(&[("app", "1.2.0")]))
        .unwrap();
    assert!(matches!(merged.state, PushState::UpToDate(Some(_))));

    // And used again for the next tag, forward.
    setting
        .run(&request, &choices(&[("app", "1.3.0")]))
        .unwrap();
    assert_eq!(
        repository.git(&["rev-list", "--count", "main..auto/updates"]),
        "1"
    );
    repository.fsck();
}

#[test]
fn a_squash_merged_branch_is_made_anew_for_the_next_tag() {
    let server = require!(GitHttp::start());
    let repository = server.create("r");
    let setting = Setting::new(&server.url("r"), GitAuth::None);
    filled(&repository);
    let request = to_branch("auto");
    setting
        .run(&request, &choices(&[("app", "1.1.0")]))
        .unwrap();
    repository.commit("main", "squashed", &[(FILE, manifest("app", "1.1.0"))]);
    let merged = setting
        .run(&request, &choices(&[("app", "1.1.0")]))
        .unwrap();
    assert!(
        matches!(merged.state, PushState::UpToDate(Some(_))),
        "{:?}",
        merged.state
    );
    setting
        .run(&request, &choices(&[("app", "1.2.0")]))
        .unwrap();
    assert_eq!(repository.git(&["rev-list", "--count", "main..auto"]), "1");
    assert_eq!(
        repository.git(&["merge-base", "main", "auto"]),
        repository.head("main").unwrap()
    );
}

#[test]
fn commits_of_others_on_it_are_kept() {
    let server = require!(GitHttp::start());
    let repository = server.create("r");
    let setting = Setting::new(&server.url("r"), GitAuth::None);
    filled(&repository);
    let request = to_branch("auto");
    setting
        .run(&request, &choices(&[("app", "1.1.0")]))
        .unwrap();
    let person = repository.commit("auto", "a fix by a person", &[("fix.txt", "x\n")]);
    repository.commit("main", "main moves", &[("README.md", "new\n")]);
    let outcome = setting
        .run(&request, &choices(&[("app", "1.2.0")]))
        .unwrap();
    assert!(outcome.pushed().is_some());
    assert_eq!(repository.git(&["rev-parse", "auto^"]), person);
    assert_eq!(tagged(&repository, "auto"), manifest("app", "1.2.0"));
    let again = setting
        .run(&request, &choices(&[("app", "1.2.0")]))
        .unwrap();
    assert_eq!(again.state, PushState::Standing(outcome.pushed().unwrap()));
}

#[test]
fn an_amended_commit_of_ours_is_not_replaced() {
    let server = require!(GitHttp::start());
    let repository = server.create("r");
    let setting = Setting::new(&server.url("r"), GitAuth::None);
    filled(&repository);
    let request = to_branch("auto");
    setting
        .run(&request, &choices(&[("app", "1.1.0")]))
        .unwrap();
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
    setting
        .run(&request, &choices(&[("app", "1.2.0")]))
        .unwrap();
    assert_eq!(repository.git(&["rev-parse", "auto^"]), amended);
}

#[test]
fn it_is_recognised_after_the_cache_was_lost_and_history_is_shallow() {
    let server = require!(GitHttp::start());
    let repository = server.create("r");
    filled(&repository);
    for n in 0..150 {
        repository.commit(
            "main",
            &format!("history {n}"),
            &[("README.md", format!("{n}\n"))],
        );
    }
    let request = to_branch("auto");
    let setting = Setting::new(&server.url("r"), GitAuth::None);
    setting
        .run(&request, &choices(&[("app", "1.1.0")]))
        .unwrap();
    for n in 0..120 {
        repository.commit(
            "main",
            &format!("later {n}"),
            &[("README.md", format!("later {n}\n"))],
        );
    }
    let lost = Setting::new(&server.url("r"), GitAuth::None);
    lost.run(&request, &choices(&[("app", "1.1.0")])).unwrap();
    assert_eq!(repository.git(&["rev-list", "--count", "main..auto"]), "1");
    assert_eq!(
        repository.git(&["rev-parse", "auto^"]),
        repository.head("main").unwrap()
    );
    repository.fsck();
}

#[test]
fn the_checked_out_branch_is_never_forced() {
    let server = require!(GitHttp::start());
    let repository = server.create("r");
    filled(&repository);
    repository.git(&["tag", "v1.0.0", "main"]);
    // Checked out by tag, pushed to main, where only our own commits came since: still no force.
    let mut request = to_branch("main");
    request.checkout = GitReference::from_fields(&ReferenceFields {
        semver: Some("1.x".to_owned()),
        ..ReferenceFields::default()
    })
    .unwrap();
    let setting = Setting::new(&server.url("r"), GitAuth::None);
    let first = setting
        .run(&request, &choices(&[("app", "1.1.0")]))
        .unwrap();
    setting
        .run(&request, &choices(&[("app", "1.2.0")]))
        .unwrap();
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
    setting
        .run(&request, &choices(&[("app", "1.3.0")]))
        .unwrap();
    assert_eq!(
        repository.git(&["rev-list", "--count", "v1.0.0..main"]),
        "3"
    );
}

#[test]
fn one_branch_per_policy_in_one_go() {
    let server = require!(GitHttp::start());
    let repository = server.create("r");
    repository.commit(
        "main",
        "first",
        &[
            ("a.yaml", manifest("api", "1")),
            ("b.yaml", manifest("web", "1")),
        ],
    );
    let setting = Setting::new(&server.url("r"), GitAuth::None);
    let branches: Vec<BranchChoices> = ["api", "web", "none"]
        .into_iter()
        .map(|policy| BranchChoices {
            branch: format!("updates/{policy}"),
            choices: choices(&[(policy, "2")]),
        })
        .collect();
    let outcomes = setting.run_branches(&request(), &branches).unwrap();
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
        "a.yaml"
    );
    assert_eq!(
        repository.git(&["diff", "--name-only", "main", "updates/web"]),
        "b.yaml"
    );
    let pushes = server
        .requests()
        .iter()
        .filter(|r| r.method == "POST" && r.path.ends_with("git-receive-pack"))
        .count();
    assert_eq!(pushes, 1);
}
