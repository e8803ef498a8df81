//! SIGKILL at random points: the next run ends in the same state, with no second commit.

use super::setting::{FILE, Setting, choices, filled, manifest, request};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tagline_testservers::{BareRepository, GitHttp, GitSsh, SshKey, SshKeyType, require};
use tagline_updater::git::{GitAuth, Remote, RemoteOptions};

const URL: &str = "TAGLINE_TEST_KILLED_URL";
const STORAGE: &str = "TAGLINE_TEST_KILLED_STORAGE";
const TAG: &str = "TAGLINE_TEST_KILLED_TAG";
const KEY: &str = "TAGLINE_TEST_KILLED_KEY";
const KNOWN_HOSTS: &str = "TAGLINE_TEST_KILLED_KNOWN_HOSTS";
/// Asks for another number of kills than the 210 of a usual run.
const KILLS: &str = "TAGLINE_TEST_KILLS";

/// Not a test: the process that is killed.
#[test]
#[ignore = "the child process of the tests below"]
fn child() {
    let Ok(url) = std::env::var(URL) else { return };
    let auth = match (std::env::var(KEY), std::env::var(KNOWN_HOSTS)) {
        (Ok(key), Ok(known_hosts)) => GitAuth::SshKey {
            identity: key.into(),
            known_hosts,
            passphrase: None,
        },
        _ => GitAuth::None,
    };
    let remote = Remote::new(&url, auth, RemoteOptions::default()).unwrap();
    let storage = std::env::var(STORAGE).unwrap();
    let tag = std::env::var(TAG).unwrap();
    super::setting::run_at(
        Path::new(&storage),
        &remote,
        &request(),
        &choices(&[("app", &tag)]),
    )
    .unwrap();
}

/// A linear congruential generator: where the kills fall is printed with a failure.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: Duration) -> Duration {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let bound = u64::try_from(bound.as_micros()).unwrap();
        Duration::from_micros((self.0 >> 33) % bound.max(1))
    }
}

fn survives(repository: &BareRepository, url: &str, key: Option<&(SshKey, String)>, kills: usize) {
    filled(repository);
    let auth = key
        .as_ref()
        .map_or(GitAuth::None, |(key, known_hosts)| GitAuth::SshKey {
            identity: key.private.clone().into(),
            known_hosts: known_hosts.clone(),
            passphrase: None,
        });
    let setting = Setting::new(url, auth);
    let start = |tag: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["git::killed::child", "--exact", "--ignored"])
            .env(URL, url)
            .env(STORAGE, &setting.storage)
            .env(TAG, tag)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some((key, known_hosts)) = key {
            command.env(KEY, &key.private).env(KNOWN_HOSTS, known_hosts);
        }
        command.spawn().unwrap()
    };
    let begun = Instant::now();
    assert!(
        start("first").wait().unwrap().success(),
        "the child works when it is let"
    );
    let whole = begun.elapsed() + Duration::from_millis(20);
    let kills = std::env::var(KILLS).map_or(kills, |n| n.parse().unwrap());
    let mut random = Random(0x7a67);
    let mut died = 0;
    for n in 0..kills {
        let tag = format!("kill-{n}");
        let mut child = start(&tag);
        let until = Instant::now() + random.below(whole);
        while Instant::now() < until {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        died += usize::from(!child.wait().unwrap().success());
        let outcome = setting.bump(&[("app", &tag)]);
        let outcome = outcome.unwrap_or_else(|e| panic!("after kill {n}: {e}"));
        assert_eq!(
            repository.show("main", FILE),
            manifest("app", &tag).as_bytes()
        );
        assert_eq!(repository.log("main").len(), 3 + n, "{outcome:?}");
    }
    assert!(died > kills / 4, "only {died} of {kills} died on the way");
    let log = repository.log("main");
    assert_eq!(log.iter().collect::<BTreeSet<_>>().len(), log.len());
    let root = repository.git(&["rev-list", "--max-parents=0", "main"]);
    assert_eq!(
        repository.git(&["diff", "--stat", &root, "main"]),
        " apps/app.yaml | 2 +-\n 1 file changed, 1 insertion(+), 1 deletion(-)"
    );
    repository.fsck();
    let keys = setting.storage.join("git-keys");
    setting.mirror();
    if keys.exists() {
        assert_eq!(
            std::fs::read_dir(keys).unwrap().count(),
            0,
            "no key is left"
        );
    }
}

#[test]
fn over_http() {
    let server = require!(GitHttp::start());
    survives(&server.create("r"), &server.url("r"), None, 90);
}

#[test]
fn over_ssh() {
    let server = require!(GitSsh::start());
    let key = require!(server.client_key(SshKeyType::Ed25519));
    survives(
        &server.create("r"),
        &server.url("r"),
        Some(&(key, server.known_hosts())),
        30,
    );
}

#[test]
fn in_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let repository = require!(BareRepository::create(directory.path().join("r.git")));
    survives(&repository, &repository.url(), None, 90);
}
