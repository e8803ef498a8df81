//! What remotes and networks do: each is a clear error, and nothing is lost or doubled.

use super::scene::hook;
use super::setting::{FILE, Setting, choices, filled, manifest, request};
use secrecy::SecretString;
use std::time::Duration;
use tagline_testservers::{Fault, GitHttp, require};
use tagline_updater::PushState;
use tagline_updater::git::{
    CancellationToken, GitAuth, GitError, GitReference, ReferenceFields, RemoteOptions, Timeouts,
    UpdatePath,
};

#[test]
fn a_push_whose_answer_is_lost_is_not_made_twice() {
    let server = require!(GitHttp::start());
    let repository = server.create("r");
    filled(&repository);
    let setting = Setting::new(&server.url("r"), GitAuth::None);
    server.inject("git-receive-pack?", 1, Fault::DropAnswer);
    let outcome = setting.bump(&[("app", "1.1.0")]).unwrap();
    assert_eq!(
        outcome.pushed().unwrap().to_string(),
        repository.head("main").unwrap()
    );
    assert_eq!(outcome.tries, 2);
    assert_eq!(repository.log("main").len(), 2);
}

#[test]
fn a_push_that_did_not_arrive_is_made_again() {
    let server = require!(GitHttp::start());
    let repository = server.create("r");
    filled(&repository);
    let setting = Setting::new(&server.url("r"), GitAuth::None);
    for fault in [Fault::Drop, Fault::Status(502), Fault::CutAfter(10)] {
        server.inject("git-receive-pack?", 1, fault.clone());
        let tag = format!("1.{}.0", repository.log("main").len());
        let before = repository.log("main").len();
        let outcome = setting.bump(&[("app", &tag)]).unwrap();
        assert_eq!(outcome.tries, 2, "{fault:?}");
        assert_eq!(repository.log("main").len(), before + 1, "{fault:?}");
    }
    repository.fsck();
}

#[test]
fn a_hook_that_refuses_is_shown_and_not_tried_again() {
    let server = require!(GitHttp::start());
    let repository = server.create("r");
    filled(&repository);
    hook(
        &repository,
        "pre-receive",
        "printf 'no tags on \\033[31mFridays\\033[0m\\n' >&2\necho 'second line' >&2\nexit 1\n",
    );
    let setting = Setting::new(&server.url("r"), GitAuth::None);
    let error = setting.bump(&[("app", "1.1.0")]).unwrap_err();
    assert_eq!(error.reason(), "PushRefused");
    assert!(!error.is_retryable());
    let text = error.to_string();
    assert!(text.contains("pre-receive hook declined"), "{text}");
    assert!(
        text.contains("Fridays") && text.contains("second line"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "{text:?}");
    assert_eq!(repository.log("main").len(), 1);
    let requests = server.requests();
    let pushes = requests
        .iter()
        .filter(|r| r.method == "POST" && r.path.ends_with("git-receive-pack"));
    assert_eq!(pushes.count(), 1);
}

#[test]
fn a_protected_branch_is_named() {
    let server = require!(GitHttp::start());
    let repository = server.create("r");
    filled(&repository);
    hook(
        &repository,
        "update",
        "echo 'GH006: Protected branch update failed for refs/heads/main.' >&2\nexit 1\n",
    );
    let setting = Setting::new(&server.url("r"), GitAuth::None);
    let error = setting.bump(&[("app", "1.1.0")]).unwrap_err();
    assert_eq!(error.reason(), "ProtectedBranch", "{error}");
    assert!(error.to_string().contains("refs/heads/main"));
}

#[test]
fn credentials_refused_missing_and_forbidden() {
    let server = require!(GitHttp::options().with_user("me", "s3cret").start());
    let repository = server.create("r");
    filled(&repository);
    let basic = |password: &str| GitAuth::Basic {
        username: "me".to_owned(),
        password: SecretString::from(password),
    };
    let error = Setting::new(&server.url("r"), basic("hunter2"))
        .bump(&[("app", "2")])
        .unwrap_err();
    assert_eq!(error.reason(), "AuthenticationFailed");
    assert!(!error.is_retryable());
    assert!(!error.to_string().contains("hunter2"));
    let error = Setting::new(&server.url("r"), GitAuth::None)
        .bump(&[("app", "2")])
        .unwrap_err();
    assert_eq!(error.reason(), "AuthenticationFailed");
    assert!(error.to_string().contains("none were given"), "{error}");

    let in_url = server.url("r").replace("http://", "http://me:s3cret@");
    let setting = Setting::new(&in_url, GitAuth::None);
    assert!(!format!("{:?}", setting.remote).contains("s3cret"));
    setting.bump(&[("app", "2")]).unwrap();

    let setting = Setting::new(&server.url("r"), basic("s3cret"));
    server.inject("git-receive-pack", 1, Fault::Status(403));
    let error = setting.bump(&[("app", "3")]).unwrap_err();
    assert_eq!(error.reason(), "Forbidden", "{error}");
    let bearer = require!(GitHttp::options().with_bearer("t0ken").start());
    filled(&bearer.create("r"));
    Setting::new(&bearer.url("r"), GitAuth::Bearer("t0ken".into()))
        .bump(&[("app", "2")])
        .unwrap();
}

#[test]
fn what_is_not_there_is_named() {
    let server = require!(GitHttp::start());
    let setting = Setting::new(&server.url("missing"), GitAuth::None);
    assert_eq!(
        setting.bump(&[]).unwrap_err().reason(),
        "RepositoryNotFound"
    );

    server.create("empty");
    let error = Setting::new(&server.url("empty"), GitAuth::None)
        .bump(&[])
        .unwrap_err();
    assert_eq!(error.reason(), "EmptyRepository");

    let repository = server.create("r");
    filled(&repository);
    let setting = Setting::new(&server.url("r"), GitAuth::None);
    let mut wrong = request();
    wrong.checkout = GitReference::branch("master").unwrap();
    let error = setting.run(&wrong, &choices(&[])).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("has no branch \"master\"; it has: main"),
        "{error}"
    );

    let mut wrong = request();
    wrong.path = UpdatePath::new("./clusters/prod").unwrap();
    let error = setting.run(&wrong, &choices(&[])).unwrap_err();
    assert_eq!(error.reason(), "PathNotFound");

    let mut tag = request();
    tag.checkout = GitReference::from_fields(&ReferenceFields {
        tag: Some("v1".to_owned()),
        ..ReferenceFields::default()
    })
    .unwrap();
    assert_eq!(
        setting.run(&tag, &choices(&[])).unwrap_err().reason(),
        "NoPushBranch"
    );

    let directory = tempfile::tempdir().unwrap();
    let gone = Setting::new(
        &format!("file://{}/x.git", directory.path().display()),
        GitAuth::None,
    );
    assert_eq!(gone.bump(&[]).unwrap_err().reason(), "RepositoryNotFound");
}

#[test]
fn a_commit_is_found_by_its_id() {
    let server = require!(GitHttp::start());
    let repository = server.create("r");
    let first = filled(&repository);
    repository.commit("main", "second", &[(FILE, manifest("app", "1.5.0"))]);
    let setting = Setting::new(&server.url("r"), GitAuth::None);
    let mut request = request();
    request.push.branch = Some("from-commit".to_owned());
    let at = |commit: &str| {
        GitReference::from_fields(&ReferenceFields {
            commit: Some(commit.to_owned()),
            ..ReferenceFields::default()
        })
        .unwrap()
    };
    request.checkout = at(&first);
    setting
        .run(&request, &choices(&[("app", "1.1.0")]))
        .unwrap();
    assert_eq!(repository.git(&["rev-parse", "from-commit^"]), first);
    request.checkout = at(&"1".repeat(40));
    let error = setting
        .run(&request, &choices(&[("app", "1.1.0")]))
        .unwrap_err();
    assert_eq!(error.reason(), "ReferenceNotFound", "{error}");
}

#[test]
fn silence_ends_at_the_limit_and_a_cancel_at_once() {
    let server = require!(GitHttp::start());
    let repository = server.create("r");
    filled(&repository);
    let options = RemoteOptions {
        timeouts: Timeouts {
            idle: Duration::from_millis(300),
            ..Timeouts::default()
        },
        ..RemoteOptions::default()
    };
    let setting = Setting::with(&server.url("r"), GitAuth::None, options);
    for matching in ["info/refs?service=git-upload-pack", "git-upload-pack?"] {
        server.inject(matching, 1, Fault::StallAfter(20));
        let error = setting.bump(&[("app", "1.1.0")]).unwrap_err();
        assert_eq!(error.reason(), "TimedOut", "{error}");
        assert!(error.is_retryable());
    }
    server.inject("git-receive-pack?", 1, Fault::StallAfter(0));
    let outcome = setting.bump(&[("app", "1.1.0")]).unwrap();
    assert_eq!(outcome.tries, 2, "the push arrived, its answer did not");
    assert_eq!(repository.log("main").len(), 2);

    let patient = Setting::new(&server.url("r"), GitAuth::None);
    server.inject("info/refs", 1, Fault::StallAfter(0));
    let before = server.requests().len();
    let cancel = CancellationToken::new();
    std::thread::scope(|scope| {
        let run =
            scope.spawn(|| patient.run_with(&request(), &choices(&[("app", "1.2.0")]), &cancel));
        while server.requests().len() == before && !run.is_finished() {
            std::thread::yield_now();
        }
        cancel.cancel();
        assert!(run.join().unwrap().unwrap_err().is_cancelled());
    });
}

#[test]
fn a_dry_run_pushes_nothing_and_shows_the_diff() {
    let server = require!(GitHttp::start());
    let repository = server.create("r");
    filled(&repository);
    let setting = Setting::new(&server.url("r"), GitAuth::None);
    let mut request = request();
    request.dry_run = true;
    let outcome = setting
        .run(&request, &choices(&[("app", "1.1.0")]))
        .unwrap();
    assert_eq!(outcome.state, PushState::DryRun);
    assert!(
        outcome
            .patch()
            .contains("+  image: example.com/app:1.1.0 #")
    );
    assert_eq!(repository.log("main"), ["first"]);
}

#[test]
fn what_is_no_remote_is_refused_at_once() {
    for (url, auth) in [
        ("ssh://git@h/x", GitAuth::None),
        (
            "https://h/x",
            GitAuth::SshKey {
                identity: "x".into(),
                known_hosts: "x".to_owned(),
                passphrase: None,
            },
        ),
        (
            "ssh://git@h/x",
            GitAuth::SshKey {
                identity: "x".into(),
                known_hosts: " ".to_owned(),
                passphrase: None,
            },
        ),
        ("https://h/x", GitAuth::Bearer("".into())),
        ("ftp://h/x", GitAuth::None),
    ] {
        assert!(
            tagline_updater::git::Remote::new(url, auth, RemoteOptions::default()).is_err(),
            "{url}"
        );
    }
    let proxied = |address: &str| RemoteOptions {
        proxy: Some(tagline_updater::git::Proxy {
            address: address.to_owned(),
            credentials: None,
        }),
        ..RemoteOptions::default()
    };
    for address in ["", "ftp://p", "proxy", "http://"] {
        assert!(
            tagline_updater::git::Remote::new("https://h/x", GitAuth::None, proxied(address))
                .is_err(),
            "{address}"
        );
    }
    let _: fn(&GitError) -> bool = GitError::is_retryable;
}
