//! gpg with a home of its own: makes OpenPGP keys as users make them, and lets git verify what they signed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::StartError;
use crate::process::find_program;

/// A key ring.
#[derive(Debug)]
pub struct GnuPg(TempDir);

impl GnuPg {
    /// An empty key ring.
    ///
    /// # Errors
    /// [`StartError::Missing`] without `gpg`.
    pub fn start() -> Result<Self, StartError> {
        find_program("gpg", "gnupg")?;
        // Its agent's socket does not fit into a long path.
        let home = tempfile::Builder::new()
            .prefix("g")
            .tempdir_in("/tmp")
            .map_err(StartError::io("gpg", "make a directory"))?;
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700))
            .map_err(StartError::io("gpg", "close the directory"))?;
        Ok(Self(home))
    }

    /// What `GNUPGHOME` is to be for programs that use these keys.
    pub fn home(&self) -> &Path {
        self.0.path()
    }

    /// Runs gpg; what it printed.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = Command::new("gpg")
            .env("GNUPGHOME", self.home())
            .args(["--batch", "--no-tty", "--pinentry-mode", "loopback"])
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .expect("gpg can be started");
        assert!(output.status.success(), "gpg {arguments:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Makes a key for `user` (`Name <address>`) of a kind (`ed25519`) for a usage (`sign`).
    pub fn generate(&self, user: &str, kind: &str, usage: &str, passphrase: &str) {
        let generate = ["--quick-generate-key", user, kind, usage, "never"];
        self.run(&[&["--passphrase", passphrase], &generate[..]].concat());
    }

    /// The armored private keys of these users.
    pub fn export(&self, users: &[&str], passphrase: &str) -> String {
        let export = [
            "--passphrase",
            passphrase,
            "--armor",
            "--export-secret-keys",
        ];
        self.run(&[&export[..], users].concat())
    }
}

impl Drop for GnuPg {
    fn drop(&mut self) {
        // The agent ends by itself when its directory is gone; asking is faster.
        let _ = Command::new("gpgconf")
            .env("GNUPGHOME", self.home())
            .args(["--kill", "all"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}
