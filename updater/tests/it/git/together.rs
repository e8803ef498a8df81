//! Many at once: writers on one branch, automations on one mirror.

use super::setting::{Setting, choices, manifest, message, request};
use std::collections::BTreeSet;
use tagline_testservers::{BareRepository, GitHttp, GitSsh, SshKeyType, require};
use tagline_updater::git::{CancellationToken, GitAuth};
use tagline_updater::{MarkerEditor, publish};

/// Every writer has its own storage, its own file, and the same branch; everybody's bumps must all be there, once.
fn nothing_is_lost(
    repository: &BareRepository,
    url: &str,
    auth: &GitAuth,
    writers: usize,
    bumps: usize,
) {
    let file = |writer: usize| format!("apps/w{writer}.yaml");
    let files: Vec<(String, String)> = (0..writers)
        .map(|writer| (file(writer), manifest(&format!("app{writer}"), "0")))
        .collect();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (&**path, &**text))
        .collect();
    repository.commit("main", "first", &files);
    std::thread::scope(|scope| {
        for writer in 0..writers {
            scope.spawn(move || {
                let setting = Setting::new(url, auth.clone());
                let mut request = request();
                request.tries = 200;
                for bump in 1..=bumps {
                    let policy = format!("app{writer}");
                    let tag = bump.to_string();
                    let outcome = setting.run(&request, &choices(&[(&policy, &tag)])).unwrap();
                    assert!(outcome.pushed().is_some());
                }
            });
        }
    });
    for writer in 0..writers {
        assert_eq!(
            repository.show("main", &file(writer)),
            manifest(&format!("app{writer}"), &bumps.to_string()).as_bytes()
        );
    }
    let log = repository.log("main");
    assert_eq!(log.len(), writers * bumps + 1);
    assert_eq!(
        log.iter().collect::<BTreeSet<_>>().len(),
        log.len(),
        "none doubled"
    );
    let root = repository.git(&["rev-list", "--max-parents=0", "main"]);
    assert_eq!(
        repository
            .git(&["diff", "--shortstat", &root, "main"])
            .trim(),
        format!("{writers} files changed, {writers} insertions(+), {writers} deletions(-)")
    );
    repository.fsck();
}

#[test]
fn eight_writers_over_http_lose_nothing() {
    let server = require!(GitHttp::start());
    let repository = server.create("r");
    nothing_is_lost(&repository, &server.url("r"), &GitAuth::None, 8, 25);
}

#[test]
fn four_writers_over_ssh_lose_nothing() {
    let server = require!(GitSsh::start());
    let repository = server.create("r");
    let key = require!(server.client_key(SshKeyType::Ed25519));
    let auth = GitAuth::SshKey {
        identity: key.private.into(),
        known_hosts: server.known_hosts(),
        passphrase: None,
    };
    nothing_is_lost(&repository, &server.url("r"), &auth, 4, 3);
}

#[test]
fn eight_writers_to_a_directory_lose_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let repository = require!(BareRepository::create(directory.path().join("r.git")));
    nothing_is_lost(&repository, &repository.url(), &GitAuth::None, 8, 10);
}

#[test]
fn automations_share_a_mirror() {
    let server = require!(GitHttp::start());
    let repository = server.create("r");
    let files: Vec<(String, String)> = (0..6)
        .map(|n| (format!("a{n}.yaml"), manifest(&format!("app{n}"), "0")))
        .collect();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (&**path, &**text))
        .collect();
    repository.commit("main", "first", &files);
    let setting = Setting::new(&server.url("r"), GitAuth::None);
    std::thread::scope(|scope| {
        for n in 0..6 {
            let setting = &setting;
            scope.spawn(move || {
                // Half of them share a handle's storage through a handle of their own.
                let mirror = setting.mirror();
                let mut request = request();
                if n % 2 == 1 {
                    request.push.branch = Some(format!("updates/{n}"));
                }
                for tag in ["1", "2", "3"] {
                    let policy = format!("app{n}");
                    publish(
                        &mirror,
                        &request,
                        &MarkerEditor,
                        &choices(&[(&policy, tag)]),
                        &message,
                        &CancellationToken::new(),
                    )
                    .unwrap();
                }
            });
        }
    });
    assert_eq!(repository.log("main").len(), 10);
    assert_eq!(
        repository.branches(),
        ["main", "updates/1", "updates/3", "updates/5"]
    );
    let directories = std::fs::read_dir(setting.storage.join("git"))
        .unwrap()
        .count();
    assert_eq!(directories, 1);
    repository.fsck();
}
