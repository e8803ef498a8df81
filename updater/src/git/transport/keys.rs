//! Private keys for `ssh`: in a directory of our own, for as long as one operation lasts.
//!
//! `ssh` wants files. Each operation gets a fresh 0700 directory with 0600 files, removed when the operation
//! ends. A killed process leaves its directory behind; the next start removes it. A lock on a file in the
//! directory, which the system releases with the process, tells the two apart.

use super::failure::{Failure, FailureKind};
use secrecy::{ExposeSecret as _, SecretString};
use ssh_key::{LineEnding, PrivateKey};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const PREFIX: &str = "ssh-";
const LOCK: &str = "in-use";

/// The files of one operation.
pub(crate) struct KeyFiles {
    directory: TempDir,
    _lock: File,
}

impl KeyFiles {
    /// Writes `identity` (decrypted, when it has a passphrase) and `known_hosts` below `parent`.
    pub(crate) fn write(
        parent: &Path,
        identity: &SecretString,
        known_hosts: &str,
        passphrase: Option<&SecretString>,
    ) -> Result<Self, Failure> {
        let identity = usable(identity, passphrase)?;
        let write = || -> io::Result<Self> {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(parent)?;
            let directory = tempfile::Builder::new()
                .prefix(PREFIX)
                .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700))
                .tempdir_in(parent)?;
            let lock = private(&directory.path().join(LOCK))?;
            lock.lock()?;
            let mut file = private(&directory.path().join("identity"))?;
            file.write_all(identity.expose_secret().as_bytes())?;
            private(&directory.path().join("known_hosts"))?.write_all(known_hosts.as_bytes())?;
            Ok(Self {
                directory,
                _lock: lock,
            })
        };
        write().map_err(|e| {
            Failure::new(
                FailureKind::Local,
                format!("cannot write the ssh key below {}: {e}", parent.display()),
            )
        })
    }

    pub(crate) fn identity(&self) -> PathBuf {
        self.directory.path().join("identity")
    }

    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.directory.path().join("known_hosts")
    }
}

fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// The key in a form that `ssh` takes without asking: decrypted, with a line break at its end.
fn usable(
    identity: &SecretString,
    passphrase: Option<&SecretString>,
) -> Result<SecretString, Failure> {
    let bad =
        |text: String| Failure::new(FailureKind::Local, format!("the ssh private key {text}"));
    let text = identity.expose_secret().trim().replace("\r\n", "\n");
    if !text.starts_with("-----BEGIN ") {
        return Err(bad(
            "is not a PEM or OpenSSH private key: it must begin with -----BEGIN".to_owned(),
        ));
    }
    if text.contains("-----BEGIN OPENSSH PRIVATE KEY-----") {
        let key =
            PrivateKey::from_openssh(&text).map_err(|e| bad(format!("cannot be read: {e}")))?;
        if key.is_encrypted() {
            let Some(passphrase) = passphrase else {
                return Err(bad(
                    "is encrypted: give its passphrase (Secret key password)".to_owned(),
                ));
            };
            let key = key
                .decrypt(passphrase.expose_secret())
                .map_err(|_| bad("cannot be decrypted with the given passphrase".to_owned()))?;
            let text = key
                .to_openssh(LineEnding::LF)
                .map_err(|e| bad(format!("cannot be written: {e}")))?;
            return Ok(text.as_str().into());
        }
    } else if text.contains("ENCRYPTED") {
        return Err(bad(
            "is encrypted in the old PEM format: convert it with ssh-keygen -p -f FILE".to_owned(),
        ));
    }
    Ok(format!("{text}\n").into())
}

/// Removes what killed processes left below `parent`. What a living process uses stays.
pub(crate) fn sweep(parent: &Path) -> io::Result<usize> {
    let entries = match fs::read_dir(parent) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(e) => return Err(e),
    };
    let mut removed = 0;
    for entry in entries {
        let entry = entry?;
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if !ours || !entry.file_type()?.is_dir() {
            continue;
        }
        let in_use = match File::open(entry.path().join(LOCK)) {
            Ok(lock) => matches!(lock.try_lock(), Err(TryLockError::WouldBlock)),
            // Between making the directory and its lock: leave a young one alone.
            Err(_) => is_young(&entry),
        };
        if !in_use && fs::remove_dir_all(entry.path()).is_ok() {
            removed += 1;
        }
    }
    Ok(removed)
}

fn is_young(entry: &fs::DirEntry) -> bool {
    entry
        .metadata()
        .and_then(|m| m.modified())
        .ok()
        .and_then(|at| at.elapsed().ok())
        .is_none_or(|age| age.as_secs() < 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn key() -> PrivateKey {
        PrivateKey::new(
            ssh_key::private::Ed25519Keypair::from_seed(&[7; 32]).into(),
            "test",
        )
        .unwrap()
    }

    #[test]
    fn files_are_private_and_go_with_the_operation() {
        let parent = tempfile::tempdir().unwrap();
        let parent = parent.path().join("keys");
        let identity: SecretString = key().to_openssh(LineEnding::LF).unwrap().as_str().into();
        let files = KeyFiles::write(&parent, &identity, "h ssh-ed25519 AAAA\n", None).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(files.directory.path()), 0o700);
        assert_eq!(mode(&parent), 0o700);
        assert_eq!(mode(&files.identity()), 0o600);
        assert_eq!(sweep(&parent).unwrap(), 0, "a key in use stays");
        assert!(files.identity().exists());
        drop(files);
        assert_eq!(fs::read_dir(&parent).unwrap().count(), 0);
    }

    #[test]
    fn what_a_killed_process_left_is_swept() {
        let parent = tempfile::tempdir().unwrap();
        let identity: SecretString = key().to_openssh(LineEnding::LF).unwrap().as_str().into();
        let files = KeyFiles::write(parent.path(), &identity, "x", None).unwrap();
        let KeyFiles {
            directory,
            _lock: lock,
        } = files;
        let left = directory.keep();
        drop(lock);
        fs::create_dir(parent.path().join("other")).unwrap();
        assert_eq!(sweep(parent.path()).unwrap(), 1);
        assert!(!left.exists());
        assert!(parent.path().join("other").exists());
    }

    #[test]
    fn encrypted_keys_need_their_passphrase() {
        let seed = key();
        let parent = tempfile::tempdir().unwrap();
        let encrypted = seed
            .encrypt(&mut ssh_key::rand_core::OsRng, "right")
            .unwrap();
        let identity: SecretString = encrypted
            .to_openssh(LineEnding::LF)
            .unwrap()
            .as_str()
            .into();
        let with = |passphrase: Option<&str>| {
            let passphrase = passphrase.map(SecretString::from);
            KeyFiles::write(parent.path(), &identity, "x", passphrase.as_ref())
        };
        assert!(with(None).err().unwrap().to_string().contains("passphrase"));
        let wrong = with(Some("wrong")).err().unwrap();
        assert!(!wrong.to_string().contains("wrong"), "{wrong}");
        let files = with(Some("right")).unwrap();
        let written = fs::read_to_string(files.identity()).unwrap();
        assert!(!PrivateKey::from_openssh(written).unwrap().is_encrypted());
    }

    #[test]
    fn what_is_no_key_is_refused_without_showing_it() {
        let parent = tempfile::tempdir().unwrap();
        for text in [
            "",
            "hunter2",
            "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n",
        ] {
            let error = KeyFiles::write(parent.path(), &text.into(), "x", None)
                .err()
                .unwrap();
            assert_eq!(error.kind, FailureKind::Local);
            assert!(!error.to_string().contains("hunter2"));
        }
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }
}
