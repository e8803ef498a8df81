//! `tagline run --once`: one pass over everything, then a report.

use tagline_testservers::{DockerRegistry, GitSsh, SshKeyType, require};

use super::fleet::{Automation, Fleet, UPDATE, assert_success, ssh_objects};
use super::scene::Scene;

const LOG: [&str; 2] = [UPDATE, "Deploy everything"];

#[test]
fn fifty_repositories_over_http() {
    let scene = require!(Scene::start(50));
    scene.write(&[Automation::new("fleet")]);
    let (remote, fleet) = (&scene.remote, &scene.fleet);

    fleet.run_once("storage");
    fleet.assert_updated(remote, &LOG);
    let head = remote.head("main");
    fleet.run_once("storage");
    assert_eq!(remote.head("main"), head, "a second run commits nothing");
    // Without what the first run knew it is the same.
    fleet.run_once("new-storage");
    assert_eq!(remote.head("main"), head);
}

#[test]
fn fifty_repositories_over_ssh() {
    let registry = require!(DockerRegistry::start());
    let server = require!(GitSsh::start());
    let remote = server.create("fleet");
    let fleet = Fleet::new(&registry, 50);
    fleet.fill(&remote);
    for (index, kind) in [SshKeyType::Ed25519, SshKeyType::Ecdsa, SshKeyType::Rsa]
        .into_iter()
        .enumerate()
    {
        let key = require!(server.client_key(kind));
        let known_hosts = if index == 0 {
            server.known_hosts()
        } else {
            require!(server.known_hosts_hashed())
        };
        fleet.write_manifests(&ssh_objects(&server, "fleet", &key, &known_hosts));
        fleet.run_once("storage");
        fleet.assert_updated(&remote, &LOG);
    }
}

#[test]
fn a_table_names_every_object_and_the_commit() {
    let scene = require!(Scene::start(3));
    scene.write(&[Automation::new("fleet")]);
    let (remote, fleet) = (&scene.remote, &scene.fleet);
    let output = fleet.run("storage", &["--once"]).output().unwrap();
    assert_success(&output);
    let table = String::from_utf8(output.stdout).unwrap();
    for word in [
        "app-0",
        "app-1",
        "app-2",
        "1.1.0",
        "1.2.0",
        "1.3.0",
        "ImageUpdateAutomation",
    ] {
        assert!(table.contains(word), "no {word} in\n{table}");
    }
    let head = remote.head("main").unwrap();
    assert!(table.contains(&head[..7]), "no {head} in\n{table}");
    assert!(!table.contains('\u{1b}'), "colours in a pipe: {table:?}");
}

#[test]
fn manifests_from_standard_input() {
    let scene = require!(Scene::start(2));
    scene.write(&[Automation::new("fleet")]);
    let (remote, fleet) = (&scene.remote, &scene.fleet);
    let mut all =
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: other}\n---\n".to_owned();
    for name in ["images.yaml", "git.yaml"] {
        all += &std::fs::read_to_string(fleet.manifests().join(name)).unwrap();
        all += "\n---\n";
    }
    let path = fleet.path("all.yaml");
    std::fs::write(&path, all).unwrap();
    let mut command = super::fleet::tagline(&fleet.path(""));
    command.args(["run", "-f", "-", "--once", "--storage-path"]);
    command.arg(fleet.path("storage"));
    command.stdin(std::fs::File::open(path).unwrap());
    assert_success(&command.output().unwrap());
    fleet.assert_updated(remote, &LOG);
}

#[test]
fn new_tags_make_a_second_commit_and_gone_tags_none() {
    let scene = require!(Scene::start(3));
    scene.write(&[Automation::new("fleet")]);
    let (registry, remote, fleet) = (&scene.registry, &scene.remote, &scene.fleet);
    fleet.run_once("storage");
    let first = remote.head("main").unwrap();

    registry.push(
        "fleet/app-1",
        "1.77.0",
        &tagline_testservers::Image::default(),
    );
    fleet.run_once("storage");
    let second = remote.head("main").unwrap();
    let changed = remote.diff(&first, &second);
    assert_eq!(
        changed
            .lines()
            .filter(|line| line.starts_with("+ "))
            .count(),
        1
    );
    assert!(changed.contains("fleet/app-1:1.77.0"), "{changed}");
    assert_eq!(remote.log("main").len(), 3);
}
