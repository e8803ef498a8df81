//! Somebody else pushes while `tagline run` works.

use tagline_testservers::{DockerRegistry, Fault, GitHttp, require};

use super::fleet::{Fleet, PASSWORD, UPDATE, http_objects};

#[test]
fn work_of_others_is_kept() {
    let registry = require!(DockerRegistry::start());
    // Each moment at which the remote may have moved.
    for moment in ["service=git-receive-pack", "/git-receive-pack"] {
        let server = require!(GitHttp::options().with_user("me", PASSWORD).start());
        let remote = server.create("fleet");
        let fleet = Fleet::new(&registry, 5);
        fleet.fill(&remote);
        fleet.write_manifests(&http_objects(&server, "fleet"));
        let other = remote.clone();
        server.before(moment, move || {
            other.commit("main", "Add a note", &[("NOTES.md", "by hand\n")]);
        });
        fleet.run_once("storage");
        let log = [UPDATE, "Add a note", "Deploy everything"];
        fleet.assert_updated(&remote, &log);
        assert_eq!(remote.show("main", "NOTES.md"), b"by hand\n");
    }
}

#[test]
fn a_change_that_somebody_else_made_is_not_made_again() {
    let registry = require!(DockerRegistry::start());
    let server = require!(GitHttp::options().with_user("me", PASSWORD).start());
    let remote = server.create("fleet");
    let fleet = Fleet::new(&registry, 5);
    fleet.fill(&remote);
    let start = remote.head("main").unwrap();
    fleet.write_manifests(&http_objects(&server, "fleet"));
    fleet.run_once("storage");
    let done = remote.head("main").unwrap();

    remote.git(&["update-ref", "refs/heads/main", &start]);
    let other = remote.clone();
    server.before("/git-receive-pack", move || {
        other.git(&["update-ref", "refs/heads/main", &done]);
    });
    fleet.run_once("other-storage");
    fleet.assert_updated(&remote, &[UPDATE, "Deploy everything"]);
}

#[test]
fn a_lost_answer_to_a_push_makes_no_second_commit() {
    let registry = require!(DockerRegistry::start());
    for fault in [Fault::DropAnswer, Fault::CutAfter(1), Fault::Drop] {
        let server = require!(GitHttp::options().with_user("me", PASSWORD).start());
        let remote = server.create("fleet");
        let fleet = Fleet::new(&registry, 5);
        fleet.fill(&remote);
        fleet.write_manifests(&http_objects(&server, "fleet"));
        server.inject("fleet.git/git-receive-pack", 1, fault);
        // The pass itself may fail; the next one sees what the remote has.
        let _ = fleet.run("storage", &["--once"]).output().unwrap();
        fleet.run_once("storage");
        fleet.assert_updated(&remote, &[UPDATE, "Deploy everything"]);
    }
}
