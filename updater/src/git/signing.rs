//! Signed commits: SSH and OpenPGP.

use secrecy::{ExposeSecret as _, SecretString};
use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey};
use std::fmt;

/// Why a commit cannot be signed.
#[derive(Debug, thiserror::Error)]
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
    /// The key is encrypted and no passphrase was given, or the wrong one.
    #[error("the {kind} signing key is encrypted: {hint}")]
    Passphrase {
        /// `ssh` or `gpg`.
        kind: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// A key of a kind that is not accepted.
    #[error(
        "signing keys of type {algorithm} are not accepted: use ed25519, ecdsa or rsa of 2048 bits or more"
    )]
    Algorithm {
        /// The key's type.
        algorithm: String,
    },
    /// The signature could not be made.
    #[error("the signature could not be made: {0}")]
    Sign(String),
}

/// Signs commits.
#[derive(Clone)]
pub struct Signer(Key);

#[derive(Clone)]
enum Key {
    Ssh(Box<PrivateKey>),
}

impl Signer {
    /// Signs with an ssh key, as `gpg.format=ssh` does.
    ///
    /// # Errors
    /// [`SigningError`] for a key that cannot be read, is encrypted otherwise, or is not accepted.
    pub fn ssh(
        identity: &SecretString,
        passphrase: Option<&SecretString>,
    ) -> Result<Self, SigningError> {
        let key = PrivateKey::from_openssh(identity.expose_secret().trim()).map_err(|e| {
            SigningError::Key {
                kind: "ssh",
                reason: e.to_string(),
            }
        })?;
        let key = match (key.is_encrypted(), passphrase) {
            (false, _) => key,
            (true, None) => {
                return Err(SigningError::Passphrase {
                    kind: "ssh",
                    hint: "give its passphrase (Secret key password)",
                });
            }
            (true, Some(passphrase)) => {
                key.decrypt(passphrase.expose_secret())
                    .map_err(|_| SigningError::Passphrase {
                        kind: "ssh",
                        hint: "the given passphrase does not fit",
                    })?
            }
        };
        match key.algorithm() {
            Algorithm::Ed25519 | Algorithm::Ecdsa { .. } | Algorithm::Rsa { .. } => {
                Ok(Self(Key::Ssh(Box::new(key))))
            }
            other => Err(SigningError::Algorithm {
                algorithm: other.to_string(),
            }),
        }
    }

    /// The armored signature of a commit's text, for its `gpgsig` header.
    pub(crate) fn sign(&self, commit: &[u8]) -> Result<String, SigningError> {
        match &self.0 {
            Key::Ssh(key) => {
                let failed = |e: ssh_key::Error| SigningError::Sign(e.to_string());
                key.sign("git", HashAlg::Sha512, commit)
                    .and_then(|signature| signature.to_pem(LineEnding::LF))
                    .map_err(failed)
            }
        }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Key::Ssh(key) => write!(f, "Signer(ssh {})", key.algorithm()),
        }
    }
}
