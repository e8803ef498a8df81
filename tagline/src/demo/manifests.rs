//! The demo's files: a repository with markers, and the manifests that a user would write.
//!
//! They name `registry.demo` and `https://git.demo/fleet.git`; written out, they name the servers of this run.

use std::fs;
use std::io;
use std::path::Path;

use super::git_remote::Login;

const REGISTRY: &str = "registry.demo";
const REMOTE: &str = "https://git.demo/fleet.git";
/// What only a remote over http has.
const SECRET_REFERENCE: &str = "  secretRef:\n    name: git-login\n";

const FLEET: [(&str, &str); 5] = [
    ("README.md", include_str!("files/fleet/README.md")),
    (
        "apps/shop/storefront.yaml",
        include_str!("files/fleet/apps/shop/storefront.yaml"),
    ),
    (
        "apps/shop/worker.yaml",
        include_str!("files/fleet/apps/shop/worker.yaml"),
    ),
    (
        "apps/billing/deployment.yaml",
        include_str!("files/fleet/apps/billing/deployment.yaml"),
    ),
    (
        "apps/billing/kustomization.yaml",
        include_str!("files/fleet/apps/billing/kustomization.yaml"),
    ),
];

const MANIFESTS: [(&str, &str); 2] = [
    ("images.yaml", include_str!("files/manifests/images.yaml")),
    (
        "automation.yaml",
        include_str!("files/manifests/automation.yaml"),
    ),
];

/// The login of the manifests' Secret.
pub(super) fn login() -> Login {
    Login {
        username: "tagline".to_owned(),
        password: "for-the-demo-only".to_owned(),
    }
}

/// Writes the files of the repository that is to be kept up to date.
pub(super) fn write_fleet(directory: &Path, registry: &str) -> io::Result<()> {
    write(directory, &FLEET, |text| text.replace(REGISTRY, registry))
}

/// Writes the manifests. A remote without http gets no login.
pub(super) fn write_manifests(
    directory: &Path,
    registry: &str,
    remote: &str,
    with_login: bool,
) -> io::Result<()> {
    write(directory, &MANIFESTS, |text| {
        let text = text.replace(REGISTRY, registry).replace(REMOTE, remote);
        if with_login {
            text
        } else {
            text.replace(SECRET_REFERENCE, "")
        }
    })
}

fn write(
    directory: &Path,
    files: &[(&str, &str)],
    fill: impl Fn(&str) -> String,
) -> io::Result<()> {
    for (path, text) in files {
        let path = directory.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, fill(text))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_servers_of_this_run() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        write_fleet(path, "127.0.0.1:1234").unwrap();
        write_manifests(
            path,
            "127.0.0.1:1234",
            "http://127.0.0.1:99/fleet.git",
            true,
        )
        .unwrap();
        for (name, _) in FLEET.iter().chain(&MANIFESTS) {
            let text = fs::read_to_string(path.join(name)).unwrap();
            assert!(!text.contains(".demo"), "{name}: {text}");
        }
        let automation = fs::read_to_string(path.join("automation.yaml")).unwrap();
        let Login { username, password } = login();
        assert!(automation.contains(&format!("username: {username}\n  password: {password}\n")));
        assert!(automation.contains("secretRef"));
    }

    #[test]
    fn a_remote_without_http_needs_no_login() {
        let directory = tempfile::tempdir().unwrap();
        write_manifests(directory.path(), "127.0.0.1:1", "file:///fleet.git", false).unwrap();
        let automation = fs::read_to_string(directory.path().join("automation.yaml")).unwrap();
        assert!(!automation.contains("secretRef"));
        assert!(automation.contains("    branch: main\n---\n"));
    }
}
