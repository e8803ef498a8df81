//! git over http, seen by git's own client.

use std::path::Path;
use std::process::{Command, Output};

use tagline_testservers::{Fault, GitHttp, require};

fn git(directory: &Path, arguments: &[&str]) -> Output {
    Command::new("git")
        .args(["-c", "user.name=Me", "-c", "user.email=me@example.com"])
        .args(arguments)
        .current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .output()
        .unwrap()
}

fn succeed(directory: &Path, arguments: &[&str]) {
    let output = git(directory, arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {error}");
}

#[test]
fn clones_and_takes_pushes() {
    let server = require!(GitHttp::options().with_user("me", "p@ss").start());
    let repository = server.create("team/app");
    let first = repository.commit("main", "Add a file", &[("a/b.yaml", "x: 1\n")]);
    let directory = tempfile::tempdir().unwrap();
    let url = server.url("team/app");
    assert!(
        !git(directory.path(), &["clone", "-q", &url, "refused"])
            .status
            .success()
    );

    let url = url.replace("http://", "http://me:p%40ss@");
    succeed(directory.path(), &["clone", "-q", &url, "work"]);
    let work = directory.path().join("work");
    // Above git's http.postBuffer: the push comes in chunks.
    std::fs::write(work.join("big"), noise(3_000_000)).unwrap();
    succeed(&work, &["add", "."]);
    succeed(&work, &["commit", "-q", "-m", "Add noise"]);
    succeed(&work, &["push", "-q", "origin", "main"]);
    assert_eq!(repository.log("main"), ["Add noise", "Add a file"]);
    assert_eq!(repository.files("main"), ["a/b.yaml", "big"]);
    assert_eq!(repository.show(&first, "a/b.yaml"), b"x: 1\n");
    repository.fsck();
    let chunked =
        |request: &tagline_testservers::Request| request.header("transfer-encoding").is_some();
    assert!(server.requests().iter().any(chunked));
}

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

#[test]
fn misbehaves_on_request_only() {
    let server = require!(GitHttp::start());
    server
        .create("app")
        .commit("main", "Add a file", &[("a", noise(100_000))]);
    let directory = tempfile::tempdir().unwrap();
    let url = server.url("app");
    let faults = [
        Fault::Status(403),
        Fault::Status(500),
        Fault::CutAfter(100),
        Fault::Drop,
    ];
    for (index, fault) in faults.into_iter().enumerate() {
        server.inject("git-upload-pack", 1, fault.clone());
        let name = index.to_string();
        let output = git(
            directory.path(),
            &["-c", "http.maxRequests=1", "clone", "-q", &url, &name],
        );
        assert!(!output.status.success(), "{fault:?}");
    }
    succeed(directory.path(), &["clone", "-q", &url, "last"]);
}

#[test]
fn removes_files_and_shows_differences() {
    let server = require!(GitHttp::start());
    let repository = server.create("app");
    assert_eq!(repository.head("main"), None);
    let first = repository.commit("main", "One", &[("a", "1\n"), ("b", "1\n")]);
    let second = repository.commit("main", "Two", &[("a", "2\n")]);
    let third = repository.remove("main", "Three", &["b"]);
    assert_eq!(repository.head("main"), Some(third.clone()));
    assert!(
        repository
            .diff(&first, &second)
            .ends_with("@@ -1 +1 @@\n-1\n+2")
    );
    assert_eq!(repository.files(&third), ["a"]);
    assert_eq!(repository.branches(), ["main"]);
}

#[test]
fn somebody_else_can_be_faster() {
    let server = require!(GitHttp::start());
    let repository = server.create("app");
    repository.commit("main", "One", &[("a", "1\n")]);
    let directory = tempfile::tempdir().unwrap();
    succeed(
        directory.path(),
        &["clone", "-q", &server.url("app"), "work"],
    );
    let work = directory.path().join("work");
    succeed(&work, &["commit", "-q", "--allow-empty", "-m", "Mine"]);
    let other = repository.clone();
    server.before("/git-receive-pack", move || {
        other.commit("main", "Theirs", &[("b", "1\n")]);
    });
    assert!(
        !git(&work, &["push", "-q", "origin", "main"])
            .status
            .success()
    );
    succeed(&work, &["pull", "-q", "--rebase"]);
    succeed(&work, &["push", "-q", "origin", "main"]);
    assert_eq!(repository.log("main"), ["Mine", "Theirs", "One"]);
}
