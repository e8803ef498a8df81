//! `tagline run` is killed at any moment and started again: the same end, no second commit.

use std::time::{Duration, Instant};

use tagline_testservers::{BareRepository, DockerRegistry, Fault, GitHttp, require};

use super::fleet::{Fleet, PASSWORD, Running, UPDATE, http_objects};

const LOG: [&str; 2] = [UPDATE, "Deploy everything"];
/// How long something that must happen may take.
const LIMIT: Duration = Duration::from_mins(1);

fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !happened() {
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

struct Scene {
    fleet: Fleet,
    server: GitHttp,
    remote: BareRepository,
}

impl Scene {
    fn new(registry: &DockerRegistry, server: GitHttp, images: usize) -> Self {
        let remote = server.create("fleet");
        let fleet = Fleet::new(registry, images);
        fleet.fill(&remote);
        fleet.write_manifests(&http_objects(&server, "fleet"));
        Self {
            fleet,
            server,
            remote,
        }
    }

    /// Starts a pass, kills it as soon as `reached`, and lets another pass finish the work.
    fn kill_when(&self, what: &str, reached: impl FnMut() -> bool) {
        let log = self.fleet.path("log");
        let mut running = Running::start(self.fleet.run("storage", &["--once"]), &log);
        wait_until(what, reached);
        running.kill();
        self.finish();
    }

    fn finish(&self) {
        self.fleet.run_once("storage");
        self.fleet.assert_updated(&self.remote, &LOG);
        self.fleet.run_once("storage");
        self.fleet.assert_updated(&self.remote, &LOG);
    }
}

#[test]
fn killed_between_any_two_stages() {
    let registry = require!(DockerRegistry::start());
    // Every request to the remote, held before or after git did its work.
    for stage in [
        "service=git-upload-pack",
        "fleet.git/git-upload-pack",
        "service=git-receive-pack",
        "fleet.git/git-receive-pack",
    ] {
        for fault in [
            Fault::Delay(LIMIT),
            Fault::StallAfter(0),
            Fault::StallAfter(10),
        ] {
            let server = require!(GitHttp::options().with_user("me", PASSWORD).start());
            let scene = Scene::new(&registry, server, 5);
            scene.server.inject(stage, 1, fault.clone());
            scene.kill_when(&format!("{stage}, {fault:?}"), || {
                scene.server.requests().iter().any(|request| {
                    format!("{}?{}", request.path, request.query).contains(stage)
                        && request.header("authorization").is_some()
                })
            });
        }
    }
}

#[test]
fn killed_between_scans() {
    let registry = require!(DockerRegistry::start());
    for scans in [1, 2, 10, 29, 30] {
        let server = require!(GitHttp::options().with_user("me", PASSWORD).start());
        let scene = Scene::new(&registry, server, 30);
        let before = registry.requests().len();
        scene.kill_when("scans", || registry.requests().len() >= before + scans);
    }
}

#[test]
fn killed_at_any_moment() {
    let registry = require!(DockerRegistry::start());
    let server = require!(GitHttp::options().with_user("me", PASSWORD).start());
    let undisturbed = Scene::new(&registry, server, 10);
    let start = Instant::now();
    undisturbed.finish();
    // Two passes: the moments lie well beyond the first one's end.
    let longest = start.elapsed();
    let moments = 30;
    for moment in 0..moments {
        let server = require!(GitHttp::options().with_user("me", PASSWORD).start());
        let scene = Scene::new(&registry, server, 10);
        let kill_at = Instant::now() + longest * moment / moments;
        scene.kill_when("a moment", || Instant::now() >= kill_at);
    }
}
