//! `tagline run` as a service: commits follow new tags and changed files; signals end it cleanly.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use tagline_testservers::{DockerRegistry, Fault, GitHttp, Image, require};

use super::fleet::{Fleet, PASSWORD, Running, file, http_objects, image_objects, newest};

const LIMIT: Duration = Duration::from_mins(1);

pub(super) fn wait_until(
    what: &str,
    running: &mut Running,
    log: &std::path::Path,
    mut happened: impl FnMut() -> bool,
) {
    let deadline = Instant::now() + LIMIT;
    while !happened() {
        let ended = running.0.try_wait().unwrap();
        assert!(
            Instant::now() < deadline && ended.is_none(),
            "waited in vain for {what} ({ended:?}):\n{}",
            fs::read_to_string(log).unwrap_or_default()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(super) fn signal(running: &Running, name: &str) {
    let status = Command::new("kill")
        .args(["-s", name, &running.0.id().to_string()])
        .status();
    assert!(status.unwrap().success());
}

pub(super) fn wait_for_end(running: &mut Running) -> ExitStatus {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(status) = running.0.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < deadline, "it does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The manifests ask for a scan each second.
pub(super) fn every_second(fleet: &Fleet) {
    for name in ["images.yaml", "git.yaml"] {
        let path = fleet.manifests().join(name);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("interval: 10m", "interval: 1s")).unwrap();
    }
}

#[test]
fn new_tags_and_changed_manifests_become_commits() {
    let registry = require!(DockerRegistry::start());
    let server = require!(GitHttp::options().with_user("me", PASSWORD).start());
    let remote = server.create("fleet");
    let fleet = Fleet::new(&registry, 3);
    fleet.fill(&remote);
    fleet.write_manifests(&http_objects(&server, "fleet"));
    every_second(&fleet);
    let log = fleet.path("log");
    let mut running = Running::start(fleet.run("storage", &[]), &log);
    let holds = |path: &str, text: &str| {
        String::from_utf8(remote.show("main", path))
            .unwrap()
            .contains(text)
    };
    wait_until("the first tags", &mut running, &log, || {
        (0..3).all(|index| holds(&file(index), &format!(":{}'", newest(index))))
    });
    let started = fs::read_to_string(&log).unwrap();
    assert!(
        !started.contains("WARN") && !started.contains("ERROR"),
        "nothing was wrong:\n{started}"
    );

    registry.push("fleet/app-2", "1.50.0", &Image::default());
    wait_until("a new tag", &mut running, &log, || {
        holds(&file(2), ":1.50.0'")
    });

    // A new object for a marker that was there all the time.
    let image = format!("{}/fleet/late", registry.authority());
    registry.push("fleet/late", "1.0.1", &Image::default());
    let marked = format!("image: {image}:1.0.0 # {{\"$imagepolicy\": \"fleet:late\"}}\n");
    remote.commit("main", "Add a late one", &[("apps/late.yaml", &marked)]);
    fleet.write_manifest("late.yaml", &image_objects("late", &image));
    wait_until("a new object", &mut running, &log, || {
        holds("apps/late.yaml", ":1.0.1 ")
    });
    assert_eq!(
        remote.show("main", "apps/late.yaml"),
        marked.replace("1.0.0", "1.0.1").as_bytes()
    );

    // A broken file is told and changes nothing else.
    fleet.write_manifest("late.yaml", "kind: [");
    wait_until("word of a broken file", &mut running, &log, || {
        fs::read_to_string(&log).unwrap().contains("late.yaml:1:")
    });
    registry.push("fleet/app-1", "1.60.0", &Image::default());
    wait_until("a new tag beside a broken file", &mut running, &log, || {
        holds(&file(1), ":1.60.0'")
    });

    signal(&running, "TERM");
    assert_eq!(wait_for_end(&mut running).code(), Some(0));
    let text = fs::read_to_string(&log).unwrap();
    assert!(!text.contains(PASSWORD), "{text}");
    remote.fsck();
}

#[test]
fn a_signal_ends_it_in_the_middle_of_a_fetch() {
    let registry = require!(DockerRegistry::start());
    for name in ["TERM", "INT"] {
        let server = require!(GitHttp::options().with_user("me", PASSWORD).start());
        let remote = server.create("fleet");
        let fleet = Fleet::new(&registry, 3);
        fleet.fill(&remote);
        fleet.write_manifests(&http_objects(&server, "fleet"));
        server.inject("git-upload-pack", 100, Fault::StallAfter(4));
        let log = fleet.path("log");
        let mut running = Running::start(fleet.run("storage", &[]), &log);
        let asked = || {
            server
                .requests()
                .iter()
                .any(|request| request.header("authorization").is_some())
        };
        wait_until("a fetch", &mut running, &log, asked);
        signal(&running, name);
        let status = wait_for_end(&mut running);
        assert_eq!(status.signal(), None, "it ends by itself: {status}");
        assert_eq!(remote.log("main").len(), 1);
    }
}
