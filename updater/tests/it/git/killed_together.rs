//! SIGKILL at random points of a run of several automations: each change is there once, whoever it belongs to.

use super::killed::Random;
use super::scene::{Automation, Scene, together_at};
use super::setting::manifest;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tagline_testservers::require;
use tagline_updater::PushOutcome;
use tagline_updater::git::{GitAuth, GitError, Remote, RemoteOptions};

const URL: &str = "TAGLINE_TEST_TOGETHER_URL";
const STORAGE: &str = "TAGLINE_TEST_TOGETHER_STORAGE";
const TAG: &str = "TAGLINE_TEST_TOGETHER_TAG";
const KILLS: usize = 40;

/// Two authors on `main`, of whom one has two automations, and a push branch.
fn automations(tag: &str) -> [Automation; 4] {
    [
        Automation::new("app-a", tag),
        Automation::new("app-b", tag).by("other"),
        Automation::new("app-c", tag),
        Automation::new("app-d", tag).to("auto"),
    ]
}

fn run_at(storage: &Path, url: &str, tag: &str) -> Vec<Result<PushOutcome, GitError>> {
    let remote = Remote::new(url, GitAuth::None, RemoteOptions::default()).unwrap();
    together_at(storage, &remote, &automations(tag))
}

/// Not a test: the process that is killed.
#[test]
#[ignore = "the child process of the test below"]
fn child() {
    let Ok(url) = std::env::var(URL) else { return };
    let storage = std::env::var(STORAGE).unwrap();
    let tag = std::env::var(TAG).unwrap();
    for outcome in run_at(Path::new(&storage), &url, &tag) {
        outcome.unwrap();
    }
}

#[test]
fn nothing_is_lost_or_doubled() {
    let scene = require!(Scene::with_policies(&["app-a", "app-b", "app-c", "app-d"]));
    let repository = &scene.repository;
    let url = scene.server.url("r");
    let start = |tag: &str| {
        Command::new(std::env::current_exe().unwrap())
            .args(["git::killed_together::child", "--exact", "--ignored"])
            .env(URL, &url)
            .env(STORAGE, &scene.setting.storage)
            .env(TAG, tag)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let begun = Instant::now();
    assert!(start("first").wait().unwrap().success());
    let whole = begun.elapsed() + Duration::from_millis(20);
    let mut random = Random(0x746f_6765);
    let mut died = 0;
    for n in 0..KILLS {
        let tag = format!("kill-{n}");
        let mut running = start(&tag);
        let until = Instant::now() + random.below(whole);
        while Instant::now() < until {
            std::thread::yield_now();
        }
        running.kill().unwrap();
        died += usize::from(!running.wait().unwrap().success());
        for outcome in run_at(&scene.setting.storage, &url, &tag) {
            outcome.unwrap_or_else(|e| panic!("after kill {n}: {e}"));
        }
        for (policy, branch) in [
            ("app-a", "main"),
            ("app-b", "main"),
            ("app-c", "main"),
            ("app-d", "auto"),
        ] {
            let text = repository.show(branch, &format!("{policy}.yaml"));
            assert_eq!(text, manifest(policy, &tag).as_bytes(), "after kill {n}");
        }
        let authors = repository.git(&["log", "--format=%an", "main"]);
        let authors: Vec<&str> = authors.lines().collect();
        assert_eq!(authors[..2], ["other", "Tagline"], "after kill {n}");
        assert_eq!(authors.len(), 1 + 2 * (n + 2), "after kill {n}");
        assert_eq!(scene.ahead("auto"), "1", "after kill {n}");
    }
    assert!(died > KILLS / 4, "only {died} died on the way");
    repository.fsck();
}
