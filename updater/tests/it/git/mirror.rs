//! The mirror on this machine: damaged, worn, left behind by a killed run, on a disk that is full.

use super::setting::{FILE, Setting, choices, filled, manifest, message, request, run_at};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;
use tagline_testservers::{Fault, GitHttp, StartError, require};
use tagline_updater::git::{CancellationToken, GitAuth, Mirrors, Remote, RemoteOptions, Timeouts};
use tagline_updater::{MarkerEditor, publish};

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
    let mut full = 0;
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
                full += 1;
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
    assert!(full > 0, "the disk was never full");
    repository.fsck();
}

#[test]
fn a_full_disk_at_the_remote_is_tried_again_later() {
    let disk = require!(SmallDisk::mount());
    let server = require!(GitHttp::options().with_root(disk.0.path()).start());
    let repository = server.create("r");
    filled(&repository);
    let setting = Setting::new(&server.url("r"), GitAuth::None);
    setting.bump(&[("app", "1.1.0")]).unwrap();
    let ballast = disk.0.path().join("ballast");
    fs::write(&ballast, vec![0; 1 << 20]).unwrap_err();
    let error = setting.bump(&[("app", "1.2.0")]).unwrap_err();
    assert!(error.is_retryable(), "{} {error}", error.reason());
    assert_eq!(repository.log("main").len(), 2);
    fs::remove_file(&ballast).unwrap();
    setting.bump(&[("app", "1.2.0")]).unwrap();
    assert_eq!(repository.log("main").len(), 3);
    repository.fsck();
}

#[test]
fn a_service_may_keep_its_mirrors_whatever_becomes_of_their_files() {
    let server = require!(GitHttp::options().with_user("me", "s3cret").start());
    let repository = server.create("r");
    filled(&repository);
    let storage = tempfile::tempdir().unwrap();
    let mirrors = Mirrors::new(storage.path());
    let bump = |password: &str, tag: &str| {
        let auth = GitAuth::Basic {
            username: "me".to_owned(),
            password: password.into(),
        };
        let remote = Remote::new(&server.url("r"), auth, RemoteOptions::default()).unwrap();
        publish(
            &mirrors.open(&remote).unwrap(),
            &request(),
            &MarkerEditor,
            &choices(&[("app", tag)]),
            &message,
            &CancellationToken::new(),
        )
    };
    bump("s3cret", "1.1.0").unwrap();
    fs::remove_dir_all(storage.path().join("git")).unwrap();
    bump("s3cret", "1.2.0").unwrap();
    // Connections of one credential are not those of another.
    let refused = bump("wrong", "1.3.0").unwrap_err();
    assert_eq!(refused.reason(), "AuthenticationFailed", "{refused}");
    bump("s3cret", "1.3.0").unwrap();
    assert_eq!(repository.log("main").len(), 4);
}
