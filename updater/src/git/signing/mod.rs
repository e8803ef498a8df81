//! Signed commits: with ssh keys, as `gpg.format=ssh` does, and with OpenPGP keys.

#[cfg(feature = "openpgp")]
mod openpgp;
mod ssh;

use secrecy::SecretString;
use std::fmt;

/// Why a commit cannot be signed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SigningError {
    /// The key cannot be read.
    #[error("the {kind} signing key cannot be read: {reason}")]
    Key {
        /// `ssh` or `gpg`.
        kind: &'static str,
        /// Why not.
        reason: String,
    },
    /// The key is encrypted and no passphrase was given, or one that does not fit.
    #[error("the {kind} signing key is encrypted: {hint}")]
    Passphrase {
        /// `ssh` or `gpg`.
        kind: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// A key of a kind that is not accepted.
    #[error("signing keys of type {algorithm} are not accepted: {hint}")]
    Algorithm {
        /// The key's type.
        algorithm: String,
        /// What to use.
        hint: &'static str,
    },
    /// The signature could not be made.
    #[error("the signature could not be made: {0}")]
    Sign(String),
    /// This build has no OpenPGP.
    #[error(
        "this build cannot sign with OpenPGP keys: use an ssh key, or a build with the feature openpgp"
    )]
    NoOpenPgp,
}

/// Signs commits. The key stays in memory, decrypted; `Debug` shows only its kind.
#[derive(Clone)]
pub struct Signer(Key);

#[derive(Clone)]
enum Key {
    Ssh(ssh::SshSigner),
    #[cfg(feature = "openpgp")]
    OpenPgp(openpgp::OpenPgpSigner),
}

impl Signer {
    /// Signs with an ssh private key in OpenSSH's format: ed25519, ecdsa, or rsa of 2048 bits or more.
    ///
    /// # Errors
    /// [`SigningError`] for a key that cannot be read or decrypted, or is not accepted.
    pub fn ssh(
        identity: &SecretString,
        passphrase: Option<&SecretString>,
    ) -> Result<Self, SigningError> {
        ssh::SshSigner::new(identity, passphrase).map(|key| Self(Key::Ssh(key)))
    }

    /// Signs with an armored OpenPGP key ring that holds exactly one key (`git.asc`).
    ///
    /// # Errors
    /// [`SigningError`] for a ring that cannot be read or decrypted, or holds no key or several.
    pub fn openpgp(
        key_ring: &SecretString,
        passphrase: Option<&SecretString>,
    ) -> Result<Self, SigningError> {
        #[cfg(feature = "openpgp")]
        {
            openpgp::OpenPgpSigner::new(key_ring, passphrase).map(|key| Self(Key::OpenPgp(key)))
        }
        #[cfg(not(feature = "openpgp"))]
        {
            let _ = (key_ring, passphrase);
            Err(SigningError::NoOpenPgp)
        }
    }

    /// Whether the other one signs with the same key.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Key::Ssh(one), Key::Ssh(other)) => one.public_key() == other.public_key(),
            #[cfg(feature = "openpgp")]
            (Key::OpenPgp(one), Key::OpenPgp(other)) => one.fingerprint() == other.fingerprint(),
            #[cfg(feature = "openpgp")]
            _ => false,
        }
    }

    /// The armored signature of a commit's text, for its `gpgsig` header.
    pub(crate) fn sign(&self, commit: &[u8]) -> Result<String, SigningError> {
        match &self.0 {
            Key::Ssh(key) => key.sign(commit),
            #[cfg(feature = "openpgp")]
            Key::OpenPgp(key) => key.sign(commit),
        }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Key::Ssh(_) => "Signer(ssh)",
            #[cfg(feature = "openpgp")]
            Key::OpenPgp(_) => "Signer(gpg)",
        })
    }
}
