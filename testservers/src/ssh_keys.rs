//! ssh keys, made by `ssh-keygen` as users make them.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::StartError;
use crate::process::find_program;

/// The kinds of key a server accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SshKeyType {
    /// Ed25519.
    Ed25519,
    /// ECDSA on P-256.
    Ecdsa,
    /// RSA, 2048 bits.
    Rsa,
}

/// A key pair.
#[derive(Debug, Clone)]
pub struct SshKey {
    /// The private key, OpenSSH's format.
    pub private: String,
    /// The public key, one line of `authorized_keys`.
    pub public: String,
}

impl SshKey {
    /// A new key without a passphrase.
    ///
    /// # Errors
    /// [`StartError::Missing`] without `ssh-keygen`.
    pub fn generate(kind: SshKeyType) -> Result<Self, StartError> {
        Self::generate_encrypted(kind, "")
    }

    /// A new key under a passphrase.
    ///
    /// # Errors
    /// [`StartError::Missing`] without `ssh-keygen`.
    pub fn generate_encrypted(kind: SshKeyType, passphrase: &str) -> Result<Self, StartError> {
        let directory =
            tempfile::tempdir().map_err(StartError::io("ssh-keygen", "make a directory"))?;
        let path = directory.path().join("key");
        let (kind, bits) = match kind {
            SshKeyType::Ed25519 => ("ed25519", "256"),
            SshKeyType::Ecdsa => ("ecdsa", "256"),
            SshKeyType::Rsa => ("rsa", "2048"),
        };
        let arguments = ["-q", "-t", kind, "-b", bits, "-N", passphrase, "-C", "test"];
        ssh_keygen(&path, &arguments)?;
        let read = |path: &Path| fs::read_to_string(path);
        let failed = || StartError::io("ssh-keygen", "read the key");
        Ok(Self {
            private: read(&path).map_err(failed())?,
            public: read(&path.with_extension("pub")).map_err(failed())?,
        })
    }

    /// Algorithm and key, without the comment: what a `known_hosts` line has after the host.
    #[must_use]
    pub fn public_without_comment(&self) -> String {
        let words: Vec<&str> = self.public.split_whitespace().take(2).collect();
        words.join(" ")
    }
}

/// Runs `ssh-keygen … -f PATH`.
pub(crate) fn ssh_keygen(path: &Path, arguments: &[&str]) -> Result<(), StartError> {
    let program = find_program("ssh-keygen", "openssh-client")?;
    let output = Command::new(program)
        .args(arguments)
        .arg("-f")
        .arg(path)
        .stdin(Stdio::null())
        .output()
        .map_err(StartError::io("ssh-keygen", "start the process"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(StartError::Failed {
        server: "ssh-keygen",
        reason: output.status.to_string(),
        log: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
