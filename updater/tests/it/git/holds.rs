//! A person's revert stays until a newer tag, or until it is released; git's history is the memory.

use super::setting::{FILE, Setting, choices, filled, manifest, request};
use tagline_testservers::{GitHttp, require};
use tagline_updater::git::GitAuth;
use tagline_updater::{PolicyName, PushState, ReleaseHolds};

#[test]
fn a_revert_is_respected_until_a_newer_tag() {
    let server = require!(GitHttp::start());
    let repository = server.create("r");
    let setting = Setting::new(&server.url("r"), GitAuth::None);
    filled(&repository);
    let bump = setting.bump(&[("app", "1.1.0")]).unwrap();
    let revert = repository.commit("main", "Revert", &[(FILE, manifest("app", "1.0.0"))]);

    let held = setting.bump(&[("app", "1.1.0")]).unwrap();
    assert_eq!(held.state, PushState::UpToDate(revert.parse_commit()));
    assert_eq!(held.held.len(), 1);
    assert_eq!(held.held[0].path, FILE);
    assert_eq!(held.held[0].image, "example.com/app:1.1.0");
    assert_eq!(held.held[0].commit, bump.pushed());
    assert_eq!(repository.head("main").unwrap(), revert);

    // The same without any cache, with other commits on top.
    repository.commit("main", "other work", &[("README.md", "x\n")]);
    let lost = Setting::new(&server.url("r"), GitAuth::None);
    assert_eq!(lost.bump(&[("app", "1.1.0")]).unwrap().held.len(), 1);

    // A newer tag ends it.
    let newer = setting.bump(&[("app", "1.2.0")]).unwrap();
    assert!(newer.pushed().is_some() && newer.held.is_empty());
    assert_eq!(
        repository.show("main", FILE),
        manifest("app", "1.2.0").as_bytes()
    );
}

#[test]
fn it_can_be_released() {
    let server = require!(GitHttp::start());
    let repository = server.create("r");
    let setting = Setting::new(&server.url("r"), GitAuth::None);
    filled(&repository);
    setting.bump(&[("app", "1.1.0")]).unwrap();
    repository.commit("main", "Revert", &[(FILE, manifest("app", "1.0.0"))]);
    let mut release = request();
    release.release_holds = ReleaseHolds::Policies([PolicyName::new("ns", "other")].into());
    assert_eq!(
        setting
            .run(&release, &choices(&[("app", "1.1.0")]))
            .unwrap()
            .held
            .len(),
        1
    );
    release.release_holds = ReleaseHolds::Policies([PolicyName::new("ns", "app")].into());
    assert!(
        setting
            .run(&release, &choices(&[("app", "1.1.0")]))
            .unwrap()
            .pushed()
            .is_some()
    );
    assert_eq!(
        repository.show("main", FILE),
        manifest("app", "1.1.0").as_bytes()
    );
    // Taken back once more: held once more.
    repository.commit("main", "Revert again", &[(FILE, manifest("app", "1.0.0"))]);
    assert_eq!(setting.bump(&[("app", "1.1.0")]).unwrap().held.len(), 1);
}

#[test]
fn only_the_reverted_value_is_held() {
    let server = require!(GitHttp::start());
    let repository = server.create("r");
    let setting = Setting::new(&server.url("r"), GitAuth::None);
    let both = |a: &str, b: &str| format!("{}---\n{}", manifest("api", a), manifest("web", b));
    repository.commit("main", "first", &[("x.yaml", both("1", "1"))]);
    setting.bump(&[("api", "2"), ("web", "2")]).unwrap();
    repository.commit("main", "a back", &[("x.yaml", both("1", "2"))]);
    let outcome = setting.bump(&[("api", "2"), ("web", "3")]).unwrap();
    assert_eq!(outcome.held.len(), 1);
    assert_eq!(outcome.skipped, [], "a hold is no unknown policy");
    assert_eq!(repository.show("main", "x.yaml"), both("1", "3").as_bytes());
}

#[test]
fn going_back_by_policy_is_no_revert() {
    let server = require!(GitHttp::start());
    let repository = server.create("r");
    let setting = Setting::new(&server.url("r"), GitAuth::None);
    filled(&repository);
    for tag in ["1.1.0", "1.0.0", "1.1.0", "1.0.0"] {
        let outcome = setting.bump(&[("app", tag)]).unwrap();
        assert!(outcome.pushed().is_some(), "{tag}: {:?}", outcome.held);
    }
}

#[test]
fn a_hold_that_the_caller_remembers_counts_beyond_the_known_history() {
    let server = require!(GitHttp::start());
    let repository = server.create("r");
    let setting = Setting::new(&server.url("r"), GitAuth::None);
    filled(&repository);
    setting.bump(&[("app", "1.1.0")]).unwrap();
    repository.commit("main", "Revert", &[(FILE, manifest("app", "1.0.0"))]);
    let held = setting.bump(&[("app", "1.1.0")]).unwrap().held;
    // The branch is rewritten: git has forgotten.
    let tree = repository.git(&["rev-parse", "main^{tree}"]);
    let root = repository.git(&[
        "-c",
        "user.name=p",
        "-c",
        "user.email=p@p",
        "commit-tree",
        &tree,
        "-m",
        "squashed",
    ]);
    repository.git(&["update-ref", "refs/heads/main", &root]);
    let mut remembered = request();
    remembered.holds = held;
    let outcome = setting
        .run(&remembered, &choices(&[("app", "1.1.0")]))
        .unwrap();
    assert_eq!(outcome.held.len(), 1);
    assert!(
        setting
            .bump(&[("app", "1.1.0")])
            .unwrap()
            .pushed()
            .is_some()
    );
}

trait ParseCommit {
    fn parse_commit(&self) -> Option<tagline_updater::git::CommitId>;
}

impl ParseCommit for String {
    fn parse_commit(&self) -> Option<tagline_updater::git::CommitId> {
        tagline_updater::git::CommitId::parse(self).ok()
    }
}
