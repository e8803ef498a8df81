//! ssh: host keys of every form, keys with passphrases, silence, and what is said when it fails.

use super::scene::hook;
use super::setting::{FILE, Setting, choices, filled, manifest, request};
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use tagline_testservers::{GitSsh, SshKey, SshKeyType, StartError, require};
use tagline_updater::git::{GitAuth, RemoteOptions, Timeouts};

fn auth(key: &SshKey, known_hosts: String) -> GitAuth {
    GitAuth::SshKey {
        identity: key.private.clone().into(),
        known_hosts,
        passphrase: None,
    }
}

fn impatient() -> RemoteOptions {
    RemoteOptions {
        timeouts: Timeouts {
            idle: Duration::from_secs(3),
            ..Timeouts::default()
        },
        ..RemoteOptions::default()
    }
}

#[test]
fn ssh_says_what_is_wrong() {
    let server = require!(GitSsh::start());
    let repository = server.create("it's");
    filled(&repository);
    let key = require!(server.client_key(SshKeyType::Ed25519));
    let auth = |known_hosts: String| GitAuth::SshKey {
        identity: key.private.clone().into(),
        known_hosts,
        passphrase: None,
    };
    let url = server.url("it's");
    let run = |auth: GitAuth, url: &str| Setting::new(url, auth).bump(&[("app", "1.1.0")]);

    let other = require!(SshKey::generate(SshKeyType::Ed25519));
    let changed = run(auth(server.known_hosts_with(&other)), &url).unwrap_err();
    assert_eq!(changed.reason(), "HostKeyVerificationFailed");
    assert!(
        changed
            .to_string()
            .contains("is not the one in known_hosts"),
        "{changed}"
    );

    let unknown = run(auth("github.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl\n".to_owned()), &url).unwrap_err();
    assert_eq!(unknown.reason(), "HostKeyVerificationFailed");
    assert!(
        unknown.to_string().contains("ssh-ed25519 SHA256:"),
        "{unknown}"
    );
    assert!(unknown.to_string().contains("ssh-keyscan -p"), "{unknown}");

    let stranger = require!(SshKey::generate(SshKeyType::Ed25519));
    let refused = run(
        GitAuth::SshKey {
            identity: stranger.private.into(),
            known_hosts: server.known_hosts(),
            passphrase: None,
        },
        &url,
    )
    .unwrap_err();
    assert_eq!(refused.reason(), "AuthenticationFailed", "{refused}");

    let missing = run(auth(server.known_hosts()), &server.url("gone")).unwrap_err();
    assert_eq!(missing.reason(), "RepositoryNotFound", "{missing}");

    let closed = run(auth(server.known_hosts()), "ssh://git@127.0.0.1:1/x.git").unwrap_err();
    assert_eq!(closed.reason(), "ConnectionFailed", "{closed}");

    run(auth(require!(server.known_hosts_hashed())), &url).unwrap();
    let encrypted = require!(SshKey::generate_encrypted(
        SshKeyType::Ed25519,
        "pass phrase"
    ));
    server.authorize(&encrypted);
    let outcome = Setting::new(
        &url,
        GitAuth::SshKey {
            identity: encrypted.private.into(),
            known_hosts: server.known_hosts(),
            passphrase: Some("pass phrase".into()),
        },
    )
    .bump(&[("app", "1.2.0")])
    .unwrap();
    assert!(outcome.pushed().is_some());
    hook(&repository, "pre-receive", "echo 'not today' >&2\nexit 1\n");
    let refused = run(auth(server.known_hosts()), &url).unwrap_err();
    assert_eq!(refused.reason(), "PushRefused");
    assert!(refused.to_string().contains("not today"), "{refused}");
}

#[test]
fn no_key_stays_on_disk() {
    let server = require!(GitSsh::start());
    filled(&server.create("r"));
    let key = require!(server.client_key(SshKeyType::Ed25519));
    let setting = Setting::new(
        &server.url("r"),
        GitAuth::SshKey {
            identity: key.private.clone().into(),
            known_hosts: server.known_hosts(),
            passphrase: None,
        },
    );
    setting.bump(&[("app", "1.1.0")]).unwrap();
    let secret = key.private.lines().nth(1).unwrap().as_bytes().to_vec();
    let mut directories = vec![setting.storage.clone()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                directories.push(entry.path());
            } else {
                let bytes = fs::read(entry.path()).unwrap();
                assert!(
                    !bytes.windows(secret.len()).any(|w| w == secret),
                    "{:?}",
                    entry.path()
                );
            }
        }
    }
}

#[test]
fn a_host_key_is_known_by_its_authority() {
    let authority = require!(SshKey::generate(SshKeyType::Ed25519));
    let server = require!(GitSsh::start_with_authority(&authority));
    let repository = server.create("r");
    filled(&repository);
    let key = require!(server.client_key(SshKeyType::Ed25519));
    let url = server.url("r");
    let run = |known_hosts| Setting::new(&url, auth(&key, known_hosts)).bump(&[("app", "1.1.0")]);
    let stranger = require!(SshKey::generate(SshKeyType::Ed25519));
    let refused = run(server.known_hosts_of_authority(&stranger)).unwrap_err();
    assert_eq!(refused.reason(), "HostKeyVerificationFailed", "{refused}");
    let trusted = server.known_hosts_of_authority(&authority);
    let revoked = format!(
        "{trusted}@revoked * {}\n",
        authority.public_without_comment()
    );
    let refused = run(revoked).unwrap_err();
    assert_eq!(refused.reason(), "HostKeyVerificationFailed", "{refused}");
    assert!(run(trusted).unwrap().pushed().is_some());
    assert_eq!(
        repository.show("main", FILE),
        manifest("app", "1.1.0").as_bytes()
    );
}

/// Some machines have no IPv6, not even on the loopback.
fn ipv6() -> Result<(), StartError> {
    TcpListener::bind("[::1]:0")
        .map(drop)
        .map_err(|_| StartError::Missing {
            program: "IPv6 on the loopback",
            package: "none: it is a setting of the system",
        })
}

#[test]
fn over_ipv6() {
    require!(ipv6());
    let server = require!(GitSsh::start());
    filled(&server.create("r"));
    let key = require!(server.client_key(SshKeyType::Ed25519));
    let setting = Setting::new(
        &server.url_over_ipv6("r"),
        auth(&key, server.known_hosts_over_ipv6()),
    );
    assert!(
        setting
            .bump(&[("app", "1.1.0")])
            .unwrap()
            .pushed()
            .is_some()
    );
}

#[test]
fn silence_before_the_greeting_ends_at_the_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let accepting = std::thread::spawn(move || -> Vec<TcpStream> {
        // Held open until ssh is gone.
        listener.incoming().take(1).flatten().collect()
    });
    let key = require!(SshKey::generate(SshKeyType::Ed25519));
    let known_hosts = format!("[127.0.0.1]:{port} {}\n", key.public_without_comment());
    let url = format!("ssh://git@127.0.0.1:{port}/r.git");
    let error = Setting::with(&url, auth(&key, known_hosts), impatient())
        .bump(&[("app", "1.1.0")])
        .unwrap_err();
    assert_eq!(error.reason(), "TimedOut", "{error}");
    assert!(error.is_retryable());
    drop(accepting.join().unwrap());
}

#[test]
fn silence_of_the_program_there_ends_at_the_limit() {
    let server = require!(GitSsh::start());
    let repository = server.create("r");
    filled(&repository);
    // What the server runs in place of what is asked for, and what it comes to.
    for (command, arrives) in [
        ("exec sleep 600", false),
        ("printf 00; exec sleep 600", false),
        (
            "case $SSH_ORIGINAL_COMMAND in *receive-pack*) exec sleep 600;; esac; exec sh -c \\\"$SSH_ORIGINAL_COMMAND\\\"",
            false,
        ),
        (
            "sh -c \\\"$SSH_ORIGINAL_COMMAND\\\"; case $SSH_ORIGINAL_COMMAND in *receive-pack*) exec sleep 600;; esac",
            true,
        ),
    ] {
        let mut key = require!(SshKey::generate(SshKeyType::Ed25519));
        key.public = format!("command=\"{command}\" {}", key.public);
        server.authorize(&key);
        let setting = Setting::with(
            &server.url("r"),
            auth(&key, server.known_hosts()),
            impatient(),
        );
        match setting.bump(&[("app", "1.1.0")]) {
            Ok(outcome) => assert!(arrives && outcome.pushed().is_some(), "{command}"),
            Err(error) => assert!(
                !arrives && error.reason() == "TimedOut",
                "{command}: {error}"
            ),
        }
        assert_eq!(
            repository.log("main").len(),
            1 + usize::from(arrives),
            "{command}"
        );
    }
    repository.fsck();
}

#[test]
fn a_passphrase_that_is_missing_or_wrong_is_named() {
    let server = require!(GitSsh::start());
    filled(&server.create("r"));
    let key = require!(SshKey::generate_encrypted(SshKeyType::Ed25519, "right"));
    server.authorize(&key);
    for (given, wanted) in [
        (None, "Secret key password"),
        (Some("wrong"), "cannot be decrypted"),
    ] {
        let auth = GitAuth::SshKey {
            identity: key.private.clone().into(),
            known_hosts: server.known_hosts(),
            passphrase: given.map(Into::into),
        };
        let error = Setting::new(&server.url("r"), auth)
            .bump(&[("app", "2")])
            .unwrap_err();
        assert_eq!(error.reason(), "CredentialsUnusable");
        assert!(error.to_string().contains(wanted), "{error}");
    }
}

#[test]
fn a_connection_that_breaks_in_the_middle_of_a_push_doubles_nothing() {
    let server = require!(GitSsh::start());
    let repository = server.create("r");
    filled(&repository);
    // What of the push gets through: nothing, part of the commands, part of the pack.
    for (n, bytes) in [0, 40, 200, 350].into_iter().enumerate() {
        let mut key = require!(SshKey::generate(SshKeyType::Ed25519));
        let cut = format!("head -c {bytes} | sh -c \\\"$SSH_ORIGINAL_COMMAND\\\"");
        let command = format!(
            "case $SSH_ORIGINAL_COMMAND in *receive-pack*) {cut};; *) sh -c \\\"$SSH_ORIGINAL_COMMAND\\\";; esac"
        );
        key.public = format!("command=\"{command}\" {}", key.public);
        server.authorize(&key);
        let setting = Setting::with(
            &server.url("r"),
            auth(&key, server.known_hosts()),
            impatient(),
        );
        let tag = format!("1.{}.0", n + 1);
        let mut request = request();
        request.tries = 2;
        let error = setting
            .run(&request, &choices(&[("app", &tag)]))
            .unwrap_err();
        assert!(error.is_retryable(), "{bytes}: {error}");
        assert_eq!(repository.log("main").len(), 1 + n, "{bytes}");

        let whole = require!(server.client_key(SshKeyType::Ed25519));
        let healthy = Setting::new(&server.url("r"), auth(&whole, server.known_hosts()));
        healthy.bump(&[("app", &tag)]).unwrap();
        assert_eq!(repository.log("main").len(), 2 + n, "{bytes}");
        repository.fsck();
    }
}
