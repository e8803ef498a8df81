//! Signed commits, with `git verify-commit` as the judge.

use super::setting::{Setting, bot, choices, filled, request};
use secrecy::SecretString;
use std::fs;
use std::path::Path;
use std::process::Command;
use tagline_testservers::{BareRepository, GnuPg, SshKey, SshKeyType, require};
use tagline_updater::git::{GitAuth, Signer, SigningError};

/// Signs a bump and gives back what `git verify-commit` says.
fn verified(signer: Signer, verify: &[(&str, &str)], environment: &[(&str, &Path)]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let repository = BareRepository::create(directory.path().join("r.git")).unwrap();
    filled(&repository);
    let setting = Setting::new(&repository.url(), GitAuth::None);
    let mut request = request();
    request.signer = Some(signer);
    setting
        .run(&request, &choices(&[("app", "1.1.0")]))
        .unwrap();
    repository.fsck();
    let mut git = Command::new("git");
    for (key, value) in verify {
        git.arg("-c").arg(format!("{key}={value}"));
    }
    for (key, value) in environment {
        git.env(key, value);
    }
    let output = git
        .args(["verify-commit", "main"])
        .current_dir(repository.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn ssh_keys_of_every_kind() {
    let directory = tempfile::tempdir().unwrap();
    let allowed = directory.path().join("allowed_signers");
    for (kind, passphrase) in [
        (SshKeyType::Ed25519, ""),
        (SshKeyType::Ecdsa, ""),
        (SshKeyType::Rsa, ""),
        (SshKeyType::Ed25519, "open sesame"),
    ] {
        let key = require!(SshKey::generate_encrypted(kind, passphrase));
        let line = format!("{} {}\n", bot().email(), key.public_without_comment());
        fs::write(&allowed, line).unwrap();
        let secret: SecretString = key.private.into();
        let signer = Signer::ssh(
            &secret,
            (!passphrase.is_empty()).then(|| passphrase.into()).as_ref(),
        );
        let file = allowed.to_str().unwrap();
        let said = verified(
            signer.unwrap(),
            &[("gpg.ssh.allowedSignersFile", file)],
            &[],
        );
        assert!(
            said.contains("Good \"git\" signature for tagline@example.com"),
            "{said}"
        );
    }
}

fn verified_by(gpg: &GnuPg, signer: Signer) {
    let said = verified(signer, &[], &[("GNUPGHOME", gpg.home())]);
    assert!(said.contains("Good signature from"), "{said}");
}

#[test]
fn openpgp_keys_of_every_kind() {
    let gpg = require!(GnuPg::start());
    for (name, kind, passphrase) in [
        ("ed", "ed25519", ""),
        ("rsa", "rsa2048", ""),
        ("p256", "nistp256", ""),
        ("locked", "ed25519", "open sesame"),
    ] {
        let user = format!("{name} <{name}@example.com>");
        gpg.generate(&user, kind, "sign", passphrase);
        let ring = gpg.export(&[&user], passphrase);
        let ring: SecretString = ring.into();
        let given = (!passphrase.is_empty()).then(|| passphrase.into());
        verified_by(&gpg, Signer::openpgp(&ring, given.as_ref()).unwrap());
        if given.is_some() {
            assert!(matches!(
                Signer::openpgp(&ring, None),
                Err(SigningError::Passphrase { .. })
            ));
            let wrong = SecretString::from("wrong");
            assert!(matches!(
                Signer::openpgp(&ring, Some(&wrong)),
                Err(SigningError::Passphrase { .. })
            ));
        }
    }
    let two = gpg.export(&["<ed@example.com>", "<rsa@example.com>"], "");
    let error = Signer::openpgp(&two.into(), None).unwrap_err();
    assert!(error.to_string().contains("multiple entities"), "{error}");
}

#[test]
fn an_openpgp_subkey_signs_where_the_primary_key_does_not() {
    let gpg = require!(GnuPg::start());
    let user = "sub <sub@example.com>";
    gpg.generate(user, "ed25519", "cert", "");
    let listed = gpg.run(&["--with-colons", "--list-keys", user]);
    let fingerprint = listed
        .lines()
        .find_map(|l| l.strip_prefix("fpr:"))
        .unwrap()
        .trim_matches(':');
    gpg.run(&[
        "--passphrase",
        "",
        "--quick-add-key",
        fingerprint,
        "ed25519",
        "sign",
        "never",
    ]);
    // The primary key's secret part stays at home.
    let ring = gpg.run(&["--armor", "--export-secret-subkeys", user]);
    verified_by(&gpg, Signer::openpgp(&ring.into(), None).unwrap());
}

#[test]
fn keys_that_cannot_sign_are_refused() {
    for text in [
        "",
        "no key",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
    ] {
        assert!(matches!(
            Signer::ssh(&text.into(), None),
            Err(SigningError::Key { .. })
        ));
        assert!(matches!(
            Signer::openpgp(&text.into(), None),
            Err(SigningError::Key { .. })
        ));
    }
    let pem = "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----\n";
    let error = Signer::ssh(&pem.into(), None).unwrap_err().to_string();
    assert!(
        error.contains("ssh-keygen -p") && !error.contains("hunter2"),
        "{error}"
    );
    let locked = require!(SshKey::generate_encrypted(SshKeyType::Ed25519, "right"));
    let locked: SecretString = locked.private.into();
    let wrong = SecretString::from("wrong");
    assert!(matches!(
        Signer::ssh(&locked, None),
        Err(SigningError::Passphrase { .. })
    ));
    assert!(matches!(
        Signer::ssh(&locked, Some(&wrong)),
        Err(SigningError::Passphrase { .. })
    ));
}
