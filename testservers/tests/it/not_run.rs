//! A test whose server is not installed is reported, and never passes unseen in CI.

use std::process::{Command, Output};

use tagline_testservers::{DockerRegistry, StartError, require};

/// Tells this test binary, started again, that the server is missing.
const MISSING: &str = "TAGLINE_TESTSERVERS_MISSING";

fn missing() -> Result<DockerRegistry, StartError> {
    Err(StartError::Missing {
        program: "docker-registry",
        package: "docker-registry",
    })
}

#[test]
fn needs_a_missing_server() {
    if std::env::var_os(MISSING).is_some() {
        require!(missing());
        unreachable!("`require!` ends the test");
    }
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("not-run");
    let listed = run(|command| command.env("CI", "true").env("TAGLINE_NOT_RUN_FILE", &list));
    assert!(listed.status.success());
    assert_eq!(
        std::fs::read_to_string(&list).unwrap(),
        "NOT RUN: tagline-testservers not_run::needs_a_missing_server (needs docker-registry: apt-get install docker-registry)\n"
    );

    let alone = run(|command| command.env_remove("CI"));
    assert!(alone.status.success());
    assert!(String::from_utf8_lossy(&alone.stderr).contains("NOT RUN: "));

    let unseen = run(|command| command.env("CI", "true"));
    assert!(!unseen.status.success());
}

fn run(set: impl Fn(&mut Command) -> &mut Command) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "not_run::needs_a_missing_server"])
        .env(MISSING, "1")
        .env_remove("TAGLINE_NOT_RUN_FILE");
    set(&mut command).output().unwrap()
}
