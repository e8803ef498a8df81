//! What remotes, networks and disks do: each is a clear error, and nothing is lost or doubled.

use super::setting::{FILE, Setting, choices, filled, manifest, request, run_at};
use secrecy::SecretString;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;
use tagline_testservers::{
    BareRepository, Fault, GitHttp, GitSsh, SshKey, SshKeyType, StartError, require,
};
use tagline_updater::PushState;
use tagline_updater::git::{
    CancellationToken, GitAuth, GitError, GitReference, ReferenceFields, Remote, RemoteOptions,
    Timeouts, UpdatePath,
};

fn hook(repository: &BareRepository, name: &str, script: &str) {
    let path = repository.path().join("hooks").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

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
        "#!/bin/sh\nprintf 'no tags on \\033[31mFridays\\033[0m\\n' >&2\necho 'second line' >&2\nexit 1\n",
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
        "#!/bin/sh\necho 'GH006: Protected branch update failed for refs/heads/main.' >&2\nexit 1\n",
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
fn ssh_says_what_is_wrong() {
    let server = require!(GitSsh::start());
    let repository = server.create("it's");
    filled(&repository);
    let key = require!(server.client_key(SshKeyType::Ed25519));
    let auth = |known_hosts: String| GitAuth::SshKey {
        identity: key.private.clone().into(),
        known_hosts,
        passphrase: None,
    };
    let url = server.url("it's");
    let run = |auth: GitAuth, url: &str| Setting::new(url, auth).bump(&[("app", "1.1.0")]);

    let other = require!(SshKey::generate(SshKeyType::Ed25519));
    let changed = run(auth(server.known_hosts_with(&other)), &url).unwrap_err();
    assert_eq!(changed.reason(), "HostKeyVerificationFailed");
    assert!(
        changed
            .to_string()
            .contains("is not the one in known_hosts"),
        "{changed}"
    );

    let unknown = run(auth("github.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl\n".to_owned()), &url).unwrap_err();
    assert_eq!(unknown.reason(), "HostKeyVerificationFailed");
    assert!(
        unknown.to_string().contains("ssh-ed25519 SHA256:"),
        "{unknown}"
    );
    assert!(unknown.to_string().contains("ssh-keyscan -p"), "{unknown}");

    let stranger = require!(SshKey::generate(SshKeyType::Ed25519));
    let refused = run(
        GitAuth::SshKey {
            identity: stranger.private.into(),
            known_hosts: server.known_hosts(),
            passphrase: None,
        },
        &url,
    )
    .unwrap_err();
    assert_eq!(refused.reason(), "AuthenticationFailed", "{refused}");

    let missing = run(auth(server.known_hosts()), &server.url("gone")).unwrap_err();
    assert_eq!(missing.reason(), "RepositoryNotFound", "{missing}");

    let closed = run(auth(server.known_hosts()), "ssh://git@127.0.0.1:1/x.git").unwrap_err();
    assert_eq!(closed.reason(), "ConnectionFailed", "{closed}");

    run(auth(require!(server.known_hosts_hashed())), &url).unwrap();
    let encrypted = require!(SshKey::generate_encrypted(
        SshKeyType::Ed25519,
        "pass phrase"
    ));
    server.authorize(&encrypted);
    let outcome = Setting::new(
        &url,
        GitAuth::SshKey {
            identity: encrypted.private.into(),
            known_hosts: server.known_hosts(),
            passphrase: Some("pass phrase".into()),
        },
    )
    .bump(&[("app", "1.2.0")])
    .unwrap();
    assert!(outcome.pushed().is_some());
    hook(
        &repository,
        "pre-receive",
        "#!/bin/sh\necho 'not today' >&2\nexit 1\n",
    );
    let refused = run(auth(server.known_hosts()), &url).unwrap_err();
    assert_eq!(refused.reason(), "PushRefused");
    assert!(refused.to_string().contains("not today"), "{refused}");
}

#[test]
fn no_key_stays_on_disk() {
    let server = require!(GitSsh::start());
    filled(&server.create("r"));
    let key = require!(server.client_key(SshKeyType::Ed25519));
    let setting = Setting::new(
        &server.url("r"),
        GitAuth::SshKey {
            identity: key.private.clone().into(),
            known_hosts: server.known_hosts(),
            passphrase: None,
        },
    );
    setting.bump(&[("app", "1.1.0")]).unwrap();
    let secret = key.private.lines().nth(1).unwrap().as_bytes().to_vec();
    let mut directories = vec![setting.storage.clone()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                directories.push(entry.path());
            } else {
                let bytes = fs::read(entry.path()).unwrap();
                assert!(
                    !bytes.windows(secret.len()).any(|w| w == secret),
                    "{:?}",
                    entry.path()
                );
            }
        }
    }
}

#[test]
fn a_damaged_mirror_is_made_anew() {
    let server = require!(GitHttp::start());
    let repository = server.create("r");
    filled(&repository);
    let setting = Setting::new(&server.url("r"), GitAuth::None);
    setting.bump(&[("app", "1.1.0")]).unwrap();
    let mirror = setting.mirror().directory().join("repository.git");
    let damages: [&dyn Fn(); 4] = [
        &|| fs::remove_dir_all(mirror.join("objects")).unwrap(),
        &|| fs::write(mirror.join("HEAD"), "garbage").unwrap(),
        &|| {
            for entry in fs::read_dir(mirror.join("objects/pack")).unwrap() {
                let path = entry.unwrap().path();
                fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
                let length = fs::metadata(&path).unwrap().len();
                fs::write(&path, vec![0; usize::try_from(length).unwrap()]).unwrap();
            }
        },
        &|| fs::remove_file(mirror.join("config")).unwrap(),
    ];
    for (n, damage) in damages.into_iter().enumerate() {
        damage();
        let outcome = setting.bump(&[("app", &format!("1.{}.0", n + 2))]);
        let outcome = outcome.unwrap_or_else(|e| panic!("damage {n}: {e}"));
        assert!(outcome.pushed().is_some(), "damage {n}");
    }
    assert_eq!(repository.log("main").len(), 6);
    repository.fsck();
}

#[test]
fn a_mirror_that_cannot_catch_up_or_is_worn_begins_anew() {
    let server = require!(GitHttp::start());
    let repository = server.create("r");
    filled(&repository);
    let options = RemoteOptions {
        timeouts: Timeouts {
            idle: Duration::from_millis(500),
            ..Timeouts::default()
        },
        ..RemoteOptions::default()
    };
    let setting = Setting::with(&server.url("r"), GitAuth::None, options);
    setting.bump(&[("app", "1.1.0")]).unwrap();
    let git = setting.mirror().directory().join("repository.git");
    let mark = git.join("mark");
    fs::write(&mark, "").unwrap();
    repository.commit("main", "more", &[("README.md", "more\n")]);
    server.inject("git-upload-pack?", 1, Fault::StallAfter(0));
    assert_eq!(
        setting.bump(&[("app", "1.2.0")]).unwrap_err().reason(),
        "TimedOut"
    );
    setting.bump(&[("app", "1.2.0")]).unwrap();
    assert!(!mark.exists(), "after a fetch that took too long");
    fs::write(&mark, "").unwrap();
    for n in 0..400 {
        fs::write(git.join(format!("objects/pack/pack-{n:040x}.pack")), "").unwrap();
    }
    setting.bump(&[("app", "1.3.0")]).unwrap();
    assert!(!mark.exists(), "after too many packs");
    assert_eq!(repository.log("main").len(), 5);
}

#[test]
fn what_a_killed_run_left_in_the_mirror_does_not_block() {
    let server = require!(GitHttp::start());
    let repository = server.create("r");
    filled(&repository);
    let setting = Setting::new(&server.url("r"), GitAuth::None);
    setting.bump(&[("app", "1.1.0")]).unwrap();
    let mirror = setting.mirror();
    let git = mirror.directory().join("repository.git");
    fs::write(mirror.directory().join("lock"), "held").unwrap();
    fs::write(git.join("refs/remotes/origin/main.lock"), "").unwrap();
    fs::write(git.join("shallow.lock"), "").unwrap();
    fs::write(git.join("objects/pack/pack_git2_abc"), "half").unwrap();
    assert!(
        setting
            .bump(&[("app", "1.2.0")])
            .unwrap()
            .pushed()
            .is_some()
    );
    assert!(!git.join("objects/pack/pack_git2_abc").exists());
}

/// A file system of one megabyte; only root can make one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Result<Self, StartError> {
        let directory = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(directory.path())
            .stderr(Stdio::null())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Ok(Self(directory));
        }
        Err(StartError::Missing {
            program: "mount (as root)",
            package: "mount",
        })
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_named_and_room_heals_it() {
    let server = require!(GitHttp::start());
    let repository = server.create("r");
    filled(&repository);
    let disk = require!(SmallDisk::mount());
    let remote = Remote::new(&server.url("r"), GitAuth::None, RemoteOptions::default()).unwrap();
    let bump = |tag: &str| {
        run_at(
            disk.0.path(),
            &remote,
            &request(),
            &choices(&[("app", tag)]),
        )
    };
    let ballast = disk.0.path().join("ballast");
    for (n, left) in [4096, 16_384, 65_536, 98_304].into_iter().enumerate() {
        bump(&format!("1.{n}.0")).unwrap();
        // Something to fetch that does not fit.
        let mut big = String::new();
        for i in 0..9000 {
            write!(big, "{:x}", (i + n) * 7919).unwrap();
        }
        repository.commit("main", "big", &[("big.txt", big)]);
        let before = repository.head("main");
        fs::write(&ballast, vec![0; 1 << 20]).unwrap_err();
        let size = fs::metadata(&ballast).unwrap().len();
        fs::File::options()
            .write(true)
            .open(&ballast)
            .unwrap()
            .set_len(size.saturating_sub(left))
            .unwrap();
        match bump(&format!("2.{n}.0")) {
            Err(error) => {
                assert_eq!(error.reason(), "StorageFull", "{error}");
                assert!(error.is_retryable());
                assert_eq!(
                    repository.head("main"),
                    before,
                    "nothing half done is pushed"
                );
            }
            Ok(outcome) => assert!(outcome.pushed().is_some(), "{left} bytes were enough"),
        }
        fs::remove_file(&ballast).unwrap();
        bump(&format!("3.{n}.0")).unwrap();
        assert_eq!(
            repository.show("main", FILE),
            manifest("app", &format!("3.{n}.0")).as_bytes()
        );
    }
    repository.fsck();
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
