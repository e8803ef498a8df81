//! SSHSIG signatures: namespace `git`, SHA-512 (OpenSSH's PROTOCOL.sshsig, as Flux makes them).

use super::SigningError;
use rsa::pkcs1v15::SigningKey;
use rsa::rand_core::OsRng;
use rsa::sha2::Sha512;
use rsa::signature::{RandomizedSigner as _, SignatureEncoding as _};
use rsa::traits::PublicKeyParts as _;
use rsa::{BigUint, RsaPrivateKey};
use secrecy::{ExposeSecret as _, SecretString};
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, HashAlg, LineEnding, Mpint, PrivateKey, Signature, SshSig};

const KIND: &str = "ssh";
/// Flux's bound as well.
const SHORTEST_RSA: usize = 2048;

const NAMESPACE: &str = "git";

#[derive(Clone)]
pub(super) enum SshSigner {
    Rsa {
        public: KeyData,
        key: Box<RsaPrivateKey>,
    },
    Other(Box<PrivateKey>),
}

impl SshSigner {
    pub(super) fn new(
        identity: &SecretString,
        passphrase: Option<&SecretString>,
    ) -> Result<Self, SigningError> {
        let text = identity.expose_secret().trim();
        if text.starts_with("-----BEGIN ") && !text.contains("BEGIN OPENSSH PRIVATE KEY") {
            return Err(SigningError::Key {
                kind: KIND,
                reason: "it is not in OpenSSH's format: convert it with ssh-keygen -p -f FILE"
                    .to_owned(),
            });
        }
        let key = PrivateKey::from_openssh(text).map_err(|e| SigningError::Key {
            kind: KIND,
            reason: e.to_string(),
        })?;
        let key = match (key.is_encrypted(), passphrase) {
            (false, _) => key,
            (true, None) => {
                return Err(SigningError::Passphrase {
                    kind: KIND,
                    hint: "give its passphrase (Secret key password)",
                });
            }
            (true, Some(passphrase)) => {
                key.decrypt(passphrase.expose_secret())
                    .map_err(|_| SigningError::Passphrase {
                        kind: KIND,
                        hint: "the given passphrase does not fit",
                    })?
            }
        };
        let refused = |algorithm: String| SigningError::Algorithm {
            algorithm,
            hint: "use ed25519, ecdsa, or rsa of 2048 bits or more",
        };
        match key.algorithm() {
            Algorithm::Ed25519 | Algorithm::Ecdsa { .. } => Ok(Self::Other(Box::new(key))),
            Algorithm::Rsa { .. } => {
                let rsa = rsa_key(&key)?;
                if rsa.n().bits() < SHORTEST_RSA {
                    return Err(refused(format!("ssh-rsa of {} bits", rsa.n().bits())));
                }
                Ok(Self::Rsa {
                    public: key.public_key().key_data().clone(),
                    key: Box::new(rsa),
                })
            }
            other => Err(refused(other.to_string())),
        }
    }

    pub(super) fn public_key(&self) -> &KeyData {
        match self {
            Self::Rsa { public, .. } => public,
            Self::Other(key) => key.public_key().key_data(),
        }
    }

    pub(super) fn sign(&self, commit: &[u8]) -> Result<String, SigningError> {
        let failed = |e: &dyn std::fmt::Display| SigningError::Sign(e.to_string());
        let signature = match self {
            Self::Other(key) => key
                .sign(NAMESPACE, HashAlg::Sha512, commit)
                .map_err(|e| failed(&e))?,
            Self::Rsa { public, key } => {
                let algorithm = Algorithm::Rsa {
                    hash: Some(HashAlg::Sha512),
                };
                let blob = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, commit)
                    .map_err(|e| failed(&e))?;
                let raw = SigningKey::<Sha512>::new((**key).clone())
                    .try_sign_with_rng(&mut OsRng, &blob)
                    .map_err(|e| failed(&e))?;
                let signature =
                    Signature::new(algorithm, raw.to_bytes().into_vec()).map_err(|e| failed(&e))?;
                SshSig::new(public.clone(), NAMESPACE, HashAlg::Sha512, signature)
                    .map_err(|e| failed(&e))?
            }
        };
        signature.to_pem(LineEnding::LF).map_err(|e| failed(&e))
    }
}

/// ssh-key 0.6 puts one of the two primes in twice when it signs with RSA, so the rsa crate is asked directly.
fn rsa_key(key: &PrivateKey) -> Result<RsaPrivateKey, SigningError> {
    let bad = |reason: &str| SigningError::Key {
        kind: KIND,
        reason: reason.to_owned(),
    };
    let pair = key.key_data().rsa().ok_or_else(|| bad("not an rsa key"))?;
    let number = |number: &Mpint| {
        number
            .as_positive_bytes()
            .map(BigUint::from_bytes_be)
            .ok_or_else(|| bad("a negative number in an rsa key"))
    };
    RsaPrivateKey::from_components(
        number(&pair.public.n)?,
        number(&pair.public.e)?,
        number(&pair.private.d)?,
        vec![number(&pair.private.p)?, number(&pair.private.q)?],
    )
    .map_err(|e| bad(&e.to_string()))
}
