//! What goes into which commit, on which branch, when, and signed by whom.

use std::fs;
use std::process::Command;

use tagline_testservers::{GnuPg, Image, SshKey, SshKeyType, require};

use super::fleet::{Automation, PASSWORD, Running, UPDATE, file, git_objects, secret_object};
use super::scene::{Scene, automations};
use super::service::wait_until;

#[test]
fn automations_of_one_branch_share_a_commit_and_know_their_own_changes() {
    let scene = require!(Scene::start(9));
    scene.write(&[
        Automation {
            path: "apps/group-0",
            ..Automation::new("first")
        },
        Automation {
            path: "apps/group-1",
            ..Automation::new("second")
        },
        Automation {
            path: "apps/group-2",
            ..Automation::new("unchanged-after")
        },
        Automation {
            path: "apps/missing",
            ..Automation::new("wrong-path")
        },
    ]);
    let output = scene
        .fleet
        .run("storage", &["--once", "-o", "json"])
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(scene.remote.log("main"), [UPDATE, "Deploy everything"]);
    assert_eq!(scene.pushes(), 1);
    let head = scene.remote.head("main").unwrap();
    let found: Vec<_> = automations(&report);
    for (automation, files) in found.iter().zip([2, 2, 1]) {
        assert_eq!(automation["state"], "Ready", "{automation:#}");
        assert_eq!(automation["status"]["lastPushCommit"], head.as_str());
        let changes = automation["pushes"][0]["changes"].as_array().unwrap();
        assert_eq!(changes.len(), files, "{automation:#}");
    }
    assert_eq!(found[3]["state"], "Failed");
    assert!(
        found[3]["message"]
            .as_str()
            .unwrap()
            .contains("apps/missing")
    );
    scene.remote.fsck();
}

#[test]
fn different_authors_get_a_commit_each_in_one_push() {
    let scene = require!(Scene::start(2));
    scene.write(&[
        Automation {
            path: "apps/group-0",
            author: "One",
            ..Automation::new("one")
        },
        Automation {
            path: "apps/group-1",
            author: "Two",
            ..Automation::new("two")
        },
    ]);
    scene.fleet.run_once("storage");
    assert_eq!(
        scene.remote.git(&["log", "--format=%an", "main"]),
        "Two\nOne\nSomebody"
    );
    assert_eq!(scene.pushes(), 1);
    scene.fleet.run_once("storage");
    assert_eq!(scene.remote.log("main").len(), 3);
}

#[test]
fn a_branch_per_policy_image_or_path_is_one_line() {
    let scene = require!(Scene::start(3));
    let branches = |template: &'static str, message| {
        scene.write(&[Automation {
            branch: template,
            message,
            ..Automation::new("fleet")
        }]);
        scene.fleet.run_once("storage");
        scene.fleet.run_once("storage");
        let branches = scene.remote.branches();
        let own = |branch: &String| branch.as_str() != "main";
        branches.into_iter().filter(own).collect::<Vec<_>>()
    };
    let per_policy = branches("updates/{{ .Policy.Name }}", None);
    assert_eq!(
        per_policy,
        ["updates/app-0", "updates/app-1", "updates/app-2"]
    );
    for (index, branch) in per_policy.iter().enumerate() {
        assert_eq!(scene.changed("main", branch), [file(index)]);
        assert_eq!(
            scene
                .remote
                .git(&["rev-list", "--count", &format!("main..{branch}")]),
            "1"
        );
        scene.remote.git(&["branch", "-D", branch]);
    }
    assert_eq!(
        scene.pushes(),
        1,
        "all branches in one push, and no second one"
    );
    let per_group = branches(
        "{{ .AutomationObject.Name }}/{{ .Image.Tag | trunc 3 }}",
        Some("x"),
    );
    assert_eq!(per_group, ["fleet/1.1", "fleet/1.2", "fleet/1.3"]);
    assert_eq!(scene.remote.log("main"), ["Deploy everything"]);
    scene.remote.fsck();
}

#[test]
fn one_commit_per_policy_when_asked() {
    let scene = require!(Scene::start(3));
    scene.write(&[Automation {
        commit: "grouping: Policy",
        message: None,
        ..Automation::new("fleet")
    }]);
    let report = scene.fleet.run_once("storage");
    assert_eq!(scene.remote.log("main").len(), 4);
    for age in 0..3 {
        let (from, to) = (format!("main~{}", age + 1), format!("main~{age}"));
        assert_eq!(scene.changed(&from, &to), [file(2 - age)]);
    }
    assert_eq!(scene.pushes(), 1);
    let head = scene.remote.head("main").unwrap();
    assert_eq!(
        automations(&report)[0]["status"]["lastPushCommit"],
        head.as_str()
    );
}

#[test]
fn changes_wait_for_the_window_and_go_together_when_somebody_asks() {
    let scene = require!(Scene::start(2));
    let with = |commit, annotations| {
        scene.write(&[Automation {
            annotations,
            commit,
            ..Automation::new("fleet")
        }]);
    };
    with("window: 12h", "{}");
    let log = scene.fleet.path("log");
    let mut running = Running::start(scene.fleet.run("storage", &[]), &log);
    let chosen = |tag: &str| {
        let said = fs::read_to_string(&log).unwrap_or_default();
        said.contains(&format!("resolved to {tag}"))
    };
    wait_until("both choices", &mut running, &log, || {
        chosen("1.1.0") && chosen("1.2.0")
    });
    // A restart does not write early.
    running.kill();
    let mut running = Running::start(scene.fleet.run("storage", &[]), &log);
    scene
        .registry
        .push("fleet/app-0", "1.7.0", &Image::default());
    let images = fs::read_to_string(scene.fleet.manifests().join("images.yaml")).unwrap();
    scene.fleet.write_manifest(
        "images.yaml",
        &images.replace("interval: 10m", "interval: 1s"),
    );
    wait_until("a third choice", &mut running, &log, || chosen("1.7.0"));
    assert_eq!(scene.remote.log("main"), ["Deploy everything"]);

    with("window: 12h", "{reconcile.fluxcd.io/requestedAt: now}");
    wait_until("the commit", &mut running, &log, || {
        scene.remote.log("main").len() > 1
    });
    assert_eq!(scene.remote.log("main"), [UPDATE, "Deploy everything"]);
    assert_eq!(scene.changed("main~1", "main"), [file(0), file(1)]);
    let text = scene.remote.show("main", &file(0));
    assert!(String::from_utf8(text).unwrap().contains(":1.7.0'"));
}

#[test]
fn a_window_that_is_over_at_the_restart_delays_nothing() {
    let scene = require!(Scene::start(1));
    let with = |commit| {
        scene.write(&[Automation {
            commit,
            ..Automation::new("fleet")
        }]);
    };
    with("window: 3s");
    let log = scene.fleet.path("log");
    let mut running = Running::start(scene.fleet.run("storage", &[]), &log);
    wait_until("the first commit", &mut running, &log, || {
        scene.remote.log("main").len() == 2
    });
    let last_run = || {
        fs::read_to_string(&log)
            .unwrap_or_default()
            .matches("resolved to")
            .count()
    };
    let before = last_run();
    scene
        .registry
        .push("fleet/app-0", "1.8.0", &Image::default());
    let images = scene
        .fleet
        .images()
        .replace("interval: 10m", "interval: 1s");
    scene.fleet.write_manifest("images.yaml", &images);
    wait_until("the choice", &mut running, &log, || last_run() > before);
    running.kill();
    // The automation is not due for ten minutes, but for its change.
    let mut running = Running::start(scene.fleet.run("storage", &[]), &log);
    wait_until("the second commit", &mut running, &log, || {
        scene.remote.log("main").len() == 3
    });
}

#[test]
fn changes_that_keep_coming_do_not_keep_a_window_open() {
    let scene = require!(Scene::start(1));
    scene.write(&[Automation {
        commit: "window: 3s",
        ..Automation::new("fleet")
    }]);
    let images = scene
        .fleet
        .images()
        .replace("interval: 10m", "interval: 1s");
    scene.fleet.write_manifest("images.yaml", &images);
    let log = scene.fleet.path("log");
    let mut running = Running::start(scene.fleet.run("storage", &[]), &log);
    let chosen = || {
        let said = fs::read_to_string(&log).unwrap_or_default();
        said.matches("resolved to").count()
    };
    // A newer tag as soon as the last one is chosen: there is never a quiet second.
    let (mut tags, mut seen) = (0, 0);
    wait_until("a commit", &mut running, &log, || {
        if chosen() > seen {
            seen = chosen();
            tags += 1;
            scene.registry.push(
                "fleet/app-0",
                &format!("1.{}.0", 100 + tags),
                &Image::default(),
            );
        }
        scene.remote.log("main").len() > 1
    });
    assert!(tags > 1, "more than one change went into it");
}

#[test]
fn a_pass_does_not_wait_for_a_window() {
    let scene = require!(Scene::start(2));
    scene.write(&[Automation {
        commit: "window: 12h",
        ..Automation::new("fleet")
    }]);
    scene.fleet.run_once("storage");
    scene
        .fleet
        .assert_updated(&scene.remote, &[UPDATE, "Deploy everything"]);
}

/// Runs a pass with this signing key and lets git judge its commit.
fn sign(
    scene: &Scene,
    secret: &[(&str, &str)],
    kind: &'static str,
    verify: &mut Command,
) -> String {
    let commit = match kind {
        "gpg" => "signingKey: {secretRef: {name: signing}}",
        _ => "signingKey: {type: ssh, secretRef: {name: signing}}",
    };
    let message = Some("Signed update");
    scene.write(&[Automation {
        commit,
        message,
        ..Automation::new("fleet")
    }]);
    scene
        .fleet
        .write_manifest("signing.yaml", &secret_object("signing", secret));
    scene.fleet.run_once("storage");
    assert_eq!(scene.remote.log("main")[0], "Signed update");
    let output = verify
        .args(["verify-commit", "main"])
        .current_dir(scene.remote.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    scene.remote.fsck();
    said
}

#[test]
fn an_openpgp_key_from_a_secret_signs() {
    for passphrase in ["", "open sesame"] {
        let scene = require!(Scene::start(1));
        let gpg = require!(GnuPg::start());
        gpg.generate(
            "Tagline <tagline@example.com>",
            "ed25519",
            "sign",
            passphrase,
        );
        let ring = gpg.export(&["<tagline@example.com>"], passphrase);
        let mut secret = vec![("git.asc", ring.as_str())];
        if !passphrase.is_empty() {
            secret.push(("passphrase", passphrase));
        }
        let said = sign(
            &scene,
            &secret,
            "gpg",
            Command::new("git").env("GNUPGHOME", gpg.home()),
        );
        assert!(said.contains("Good signature from"), "{said}");
    }
}

#[test]
fn an_ssh_key_from_a_secret_signs() {
    for (kind, passphrase) in [(SshKeyType::Ed25519, "open sesame"), (SshKeyType::Rsa, "")] {
        let scene = require!(Scene::start(1));
        let key = require!(SshKey::generate_encrypted(kind, passphrase));
        let allowed = scene.fleet.path("allowed_signers");
        fs::write(
            &allowed,
            format!("tagline@example.com {}\n", key.public_without_comment()),
        )
        .unwrap();
        let mut secret = vec![("identity", key.private.as_str())];
        if !passphrase.is_empty() {
            secret.push(("password", passphrase));
        }
        let setting = format!("gpg.ssh.allowedSignersFile={}", allowed.display());
        let said = sign(
            &scene,
            &secret,
            "ssh",
            Command::new("git").arg("-c").arg(setting),
        );
        assert!(
            said.contains("Good \"git\" signature for tagline@example.com"),
            "{said}"
        );
    }
}

#[test]
fn a_key_that_cannot_sign_stops_the_run_and_says_so() {
    let scene = require!(Scene::start(1));
    let locked = require!(SshKey::generate_encrypted(SshKeyType::Ed25519, PASSWORD));
    for (secret, wanted) in [
        (vec![("identity", locked.private.as_str())], "password"),
        (
            vec![("git.asc", "no key")],
            "does not contain an 'identity' key",
        ),
    ] {
        let commit = "signingKey: {type: ssh, secretRef: {name: signing}}";
        scene.write(&[Automation {
            commit,
            ..Automation::new("fleet")
        }]);
        scene
            .fleet
            .write_manifest("signing.yaml", &secret_object("signing", &secret));
        let output = scene
            .fleet
            .run("storage", &["--once", "-o", "json"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let message = automations(&report)[0]["message"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(
            message.contains(wanted) && message.contains("signing"),
            "{message}"
        );
        assert_eq!(
            scene.remote.log("main"),
            ["Deploy everything"],
            "nothing goes unsigned"
        );
    }
}

#[test]
fn an_scp_like_address_gets_the_ssh_key() {
    let scene = require!(Scene::start(1));
    let key = require!(SshKey::generate(SshKeyType::Ed25519));
    let known_hosts = format!("192.0.2.1 {}", key.public_without_comment());
    let secret = [
        ("identity", key.private.as_str()),
        ("known_hosts", known_hosts.as_str()),
    ];
    let objects = git_objects("git@127.0.0.1:org/fleet.git", &secret);
    scene.fleet.write_manifest(
        "git.yaml",
        &(objects + &Automation::new("fleet").to_string()),
    );
    let output = scene
        .fleet
        .run("storage", &["--once", "-o", "json"])
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = automations(&report)[0];
    // It gets as far as the host, which lets nobody in here.
    assert_eq!(found["reason"], "GitOperationFailed", "{found:#}");
    let message = found["message"].as_str().unwrap();
    assert!(message.contains("127.0.0.1"), "{message}");
}
