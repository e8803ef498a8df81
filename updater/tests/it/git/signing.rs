//! Signed commits, with `git verify-commit` as the judge.

use super::setting::{Setting, bot, choices, filled, request};
use secrecy::SecretString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use tagline_testservers::{BareRepository, SshKey, SshKeyType, StartError, require};
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

#[test]
fn openpgp_keys_of_every_kind() {
    let home = tempfile::Builder::new()
        .prefix("g")
        .tempdir_in("/tmp")
        .unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let gpg = |arguments: &[&str]| {
        Command::new("gpg")
            .env("GNUPGHOME", home.path())
            .args(["--batch", "--no-tty", "--pinentry-mode", "loopback"])
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
    };
    let version = gpg(&["--version"]).map_err(|_| StartError::Missing {
        program: "gpg",
        package: "gnupg",
    });
    require!(version);
    for (name, kind, passphrase) in [
        ("ed", "ed25519", ""),
        ("rsa", "rsa2048", ""),
        ("p256", "nistp256", ""),
        ("locked", "ed25519", "open sesame"),
    ] {
        let user = format!("{name} <{name}@example.com>");
        let made = gpg(&[
            "--passphrase",
            passphrase,
            "--quick-generate-key",
            &user,
            kind,
            "sign",
            "never",
        ]);
        assert!(made.unwrap().status.success(), "{name}");
        let export = gpg(&[
            "--passphrase",
            passphrase,
            "--armor",
            "--export-secret-keys",
            &user,
        ])
        .unwrap();
        let ring: SecretString = String::from_utf8(export.stdout).unwrap().into();
        let signer = Signer::openpgp(
            &ring,
            (!passphrase.is_empty()).then(|| passphrase.into()).as_ref(),
        );
        let said = verified(signer.unwrap(), &[], &[("GNUPGHOME", home.path())]);
        assert!(said.contains("Good signature from"), "{name}: {said}");
        if !passphrase.is_empty() {
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
    // A key whose primary part signs nothing: its subkey does.
    let user = "sub <sub@example.com>";
    assert!(
        gpg(&[
            "--passphrase",
            "",
            "--quick-generate-key",
            user,
            "ed25519",
            "cert",
            "never"
        ])
        .unwrap()
        .status
        .success()
    );
    let listed = gpg(&["--with-colons", "--list-keys", user]).unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let fingerprint = listed
        .lines()
        .find_map(|l| l.strip_prefix("fpr:"))
        .unwrap()
        .trim_matches(':');
    assert!(
        gpg(&[
            "--passphrase",
            "",
            "--quick-add-key",
            fingerprint,
            "ed25519",
            "sign",
            "never"
        ])
        .unwrap()
        .status
        .success()
    );
    let export = gpg(&["--armor", "--export-secret-subkeys", user]).unwrap();
    let ring: SecretString = String::from_utf8(export.stdout).unwrap().into();
    let said = verified(
        Signer::openpgp(&ring, None).unwrap(),
        &[],
        &[("GNUPGHOME", home.path())],
    );
    assert!(said.contains("Good signature from"), "{said}");
    // Two keys in one ring.
    let export = gpg(&[
        "--passphrase",
        "",
        "--armor",
        "--export-secret-keys",
        "ed@example.com",
        "rsa@example.com",
    ])
    .unwrap();
    let ring: SecretString = String::from_utf8(export.stdout).unwrap().into();
    assert!(
        Signer::openpgp(&ring, None)
            .unwrap_err()
            .to_string()
            .contains("multiple entities")
    );
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
