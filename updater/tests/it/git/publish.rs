//! One run: the commit is there, on top of what was there, with only the marked value changed.

use super::setting::{FILE, Setting, filled, manifest};
use secrecy::SecretString;
use tagline_testservers::{BareRepository, GitHttp, GitSsh, SshKeyType, require};
use tagline_updater::PushState;
use tagline_updater::git::GitAuth;

/// Bumps twice and looks with git at what came of it.
fn bumps_arrive(repository: &BareRepository, setting: &Setting) {
    let first = filled(repository);
    let outcome = setting.bump(&[("app", "1.1.0")]).unwrap();
    let head = repository.head("main").unwrap();
    assert_eq!(outcome.pushed().unwrap().to_string(), head);
    assert_eq!(repository.git(&["rev-parse", "main^"]), first);
    assert_eq!(
        repository.show("main", FILE),
        manifest("app", "1.1.0").as_bytes()
    );
    assert_eq!(
        repository.git(&["diff", "--stat", "--format=", &first, &head]),
        " apps/app.yaml | 2 +-\n 1 file changed, 1 insertion(+), 1 deletion(-)"
    );
    assert_eq!(
        repository.git(&["log", "-1", "--format=%an <%ae> %cn <%ce> %at %ct"]),
        "Tagline <tagline@example.com> Tagline <tagline@example.com> 1767323045 1767323045"
    );

    let again = setting.bump(&[("app", "1.1.0")]).unwrap();
    assert_eq!(again.state, PushState::UpToDate(outcome.pushed()));
    assert!(again.files.is_empty());

    repository.commit("main", "by hand", &[("README.md", "changed\n")]);
    setting.bump(&[("app", "1.2.0")]).unwrap();
    assert_eq!(
        repository.log("main"),
        [
            "example.com/app:1.1.0 -> example.com/app:1.2.0",
            "by hand",
            "example.com/app:1.0.0 -> example.com/app:1.1.0",
            "first"
        ]
    );
    repository.fsck();
}

#[test]
fn over_http() {
    let server = require!(GitHttp::start());
    let repository = server.create("fleet");
    bumps_arrive(
        &repository,
        &Setting::new(&server.url("fleet"), GitAuth::None),
    );
}

#[test]
fn over_http_with_credentials() {
    let server = require!(GitHttp::options().with_user("me", "s3cret").start());
    let repository = server.create("fleet");
    let auth = GitAuth::Basic {
        username: "me".to_owned(),
        password: SecretString::from("s3cret"),
    };
    bumps_arrive(&repository, &Setting::new(&server.url("fleet"), auth));
}

#[test]
fn over_file() {
    let directory = tempfile::tempdir().unwrap();
    let repository = require!(BareRepository::create(directory.path().join("fleet.git")));
    bumps_arrive(&repository, &Setting::new(&repository.url(), GitAuth::None));
}

#[test]
fn over_ssh_with_every_kind_of_key() {
    let server = require!(GitSsh::start());
    for (name, kind) in [
        ("ed25519", SshKeyType::Ed25519),
        ("ecdsa", SshKeyType::Ecdsa),
        ("rsa", SshKeyType::Rsa),
    ] {
        let repository = server.create(name);
        let key = require!(server.client_key(kind));
        let auth = GitAuth::SshKey {
            identity: key.private.into(),
            known_hosts: server.known_hosts(),
            passphrase: None,
        };
        bumps_arrive(&repository, &Setting::new(&server.url(name), auth));
    }
}
