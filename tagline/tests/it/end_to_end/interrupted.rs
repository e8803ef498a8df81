//! `tagline run` is killed at any moment and started again: the same end, no second commit.

use std::time::{Duration, Instant};

use tagline_testservers::{
    BareRepository, DockerRegistry, Fault, GitHttp, GitSsh, SshKeyType, require,
};

use super::fleet::{Fleet, PASSWORD, Running, UPDATE, http_objects, ssh_objects};

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
    remote: BareRepository,
}

impl Scene {
    fn new(
        registry: &DockerRegistry,
        remote: BareRepository,
        objects: &str,
        images: usize,
    ) -> Self {
        let fleet = Fleet::new(registry, images);
        fleet.fill(&remote);
        fleet.write_manifests(objects);
        Self { fleet, remote }
    }

    fn over_http(registry: &DockerRegistry, server: &GitHttp, images: usize) -> Self {
        let objects = http_objects(server, "fleet");
        Self::new(registry, server.create("fleet"), &objects, images)
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
            let scene = Scene::over_http(&registry, &server, 5);
            server.inject(stage, 1, fault.clone());
            scene.kill_when(&format!("{stage}, {fault:?}"), || {
                server.requests().iter().any(|request| {
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
        let scene = Scene::over_http(&registry, &server, 30);
        let before = registry.requests().len();
        scene.kill_when("scans", || registry.requests().len() >= before + scans);
    }
}

/// Kills a pass at moments spread from its start to well beyond its end.
fn kill_at_moments(moments: u32, mut scene: impl FnMut(u32) -> Scene) {
    let undisturbed = scene(0);
    let start = Instant::now();
    undisturbed.finish();
    // Two passes.
    let longest = start.elapsed();
    for moment in 0..moments {
        let scene = scene(moment + 1);
        let kill_at = Instant::now() + longest * moment / moments;
        scene.kill_when("a moment", || Instant::now() >= kill_at);
    }
}

#[test]
fn killed_at_any_moment_over_http() {
    let registry = require!(DockerRegistry::start());
    let mut servers = Vec::new();
    kill_at_moments(25, |_| {
        let server = GitHttp::options()
            .with_user("me", PASSWORD)
            .start()
            .unwrap();
        let scene = Scene::over_http(&registry, &server, 10);
        servers.push(server);
        scene
    });
}

#[test]
fn killed_at_any_moment_over_ssh() {
    let registry = require!(DockerRegistry::start());
    let server = require!(GitSsh::start());
    let key = require!(server.client_key(SshKeyType::Ed25519));
    kill_at_moments(10, |moment| {
        let name = format!("fleet-{moment}");
        let objects = ssh_objects(&server, &name, &key, &server.known_hosts());
        Scene::new(&registry, server.create(&name), &objects, 10)
    });
}
