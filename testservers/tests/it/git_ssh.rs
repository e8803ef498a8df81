//! git over ssh, seen by OpenSSH's client.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use tagline_testservers::{GitSsh, SshKey, SshKeyType, require};

fn clone(directory: &Path, url: &str, key: &SshKey, known_hosts: &str, name: &str) -> Output {
    let key_path = directory.join(format!("{name}.key"));
    fs::write(&key_path, &key.private).unwrap();
    fs::set_permissions(&key_path, fs::Permissions::from_mode(0o600)).unwrap();
    let hosts_path = directory.join(format!("{name}.hosts"));
    fs::write(&hosts_path, known_hosts).unwrap();
    let ssh = format!(
        "ssh -F none -o BatchMode=yes -o IdentitiesOnly=yes -i {} -o StrictHostKeyChecking=yes -o UserKnownHostsFile={} -o GlobalKnownHostsFile=none",
        key_path.display(),
        hosts_path.display()
    );
    Command::new("git")
        .args(["clone", "-q", url, name])
        .current_dir(directory)
        .env("GIT_SSH_COMMAND", ssh)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap()
}

#[test]
fn lets_authorized_keys_in_and_nobody_else() {
    let server = require!(GitSsh::start());
    server
        .create("app")
        .commit("main", "Add a file", &[("a", "1\n")]);
    let url = server.url("app");
    let directory = tempfile::tempdir().unwrap();
    let hashed = server.known_hosts_hashed().unwrap();
    assert!(hashed.starts_with("|1|"), "{hashed}");
    for (kind, hosts) in [
        (SshKeyType::Ed25519, server.known_hosts()),
        (SshKeyType::Ecdsa, hashed),
        (SshKeyType::Rsa, server.known_hosts()),
    ] {
        let key = server.client_key(kind).unwrap();
        let output = clone(directory.path(), &url, &key, &hosts, &format!("{kind:?}"));
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{kind:?}: {error}\n{}",
            server.log()
        );
    }
    let stranger = SshKey::generate(SshKeyType::Ed25519).unwrap();
    let output = clone(
        directory.path(),
        &url,
        &stranger,
        &server.known_hosts(),
        "stranger",
    );
    assert!(String::from_utf8_lossy(&output.stderr).contains("Permission denied"));

    let key = server.client_key(SshKeyType::Ed25519).unwrap();
    let other_host = server.known_hosts_with(&stranger);
    let output = clone(directory.path(), &url, &key, &other_host, "changed");
    assert!(String::from_utf8_lossy(&output.stderr).contains("Host key verification failed"));
}
