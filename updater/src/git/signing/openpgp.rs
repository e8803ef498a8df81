//! Detached OpenPGP signatures (RFC 9580, version 4 keys), as Flux and `gpg` make them.

use super::SigningError;
use pgp::composed::{ArmorOptions, Deserializable as _, DetachedSignature, SignedSecretKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{
    SecretKey, SecretSubkey, Signature, SignatureConfig, SignatureType, Subpacket, SubpacketData,
};
use pgp::types::{
    KeyDetails, KeyVersion, Password, S2kParams, SecretParams, SigningKey, StringToKey, Timestamp,
};
use secrecy::{ExposeSecret as _, SecretString};

const KIND: &str = "gpg";

#[derive(Clone)]
pub(super) enum OpenPgpSigner {
    Primary(Box<SecretKey>),
    Subkey(Box<SecretSubkey>),
}

impl OpenPgpSigner {
    pub(super) fn new(
        key_ring: &SecretString,
        passphrase: Option<&SecretString>,
    ) -> Result<Self, SigningError> {
        let bad = |reason: String| SigningError::Key { kind: KIND, reason };
        let text = key_ring.expose_secret();
        let (keys, _) = SignedSecretKey::from_armor_many(text.as_bytes())
            .map_err(|e| bad(format!("not an armored private key: {e}")))?;
        let mut keys = keys
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| bad(e.to_string()))?;
        let Some(key) = keys.pop() else {
            return Err(bad("it holds no private key".to_owned()));
        };
        if !keys.is_empty() {
            return Err(bad(
                "multiple entities read, could not determine which signing key to use".to_owned(),
            ));
        }
        key.verify_bindings()
            .map_err(|e| bad(format!("its self-signatures do not hold: {e}")))?;
        choose(key, passphrase)
    }

    pub(super) fn fingerprint(&self) -> pgp::types::Fingerprint {
        match self {
            Self::Primary(key) => key.fingerprint(),
            Self::Subkey(key) => key.fingerprint(),
        }
    }

    pub(super) fn sign(&self, commit: &[u8]) -> Result<String, SigningError> {
        match self {
            Self::Primary(key) => sign(&**key, commit),
            Self::Subkey(key) => sign(&**key, commit),
        }
    }
}

/// The newest subkey that may sign, else the primary key, decrypted.
fn choose(
    key: SignedSecretKey,
    passphrase: Option<&SecretString>,
) -> Result<OpenPgpSigner, SigningError> {
    let usable = |signatures: &[Signature]| {
        !signatures
            .iter()
            .any(|s| s.typ() == Some(SignatureType::SubkeyRevocation))
            && signatures.iter().any(|s| s.key_flags().sign())
    };
    let subkey = key
        .secret_subkeys
        .iter()
        .filter(|subkey| usable(&subkey.signatures) && !is_stub(subkey.key.secret_params()))
        .max_by_key(|subkey| subkey.key.created_at());
    let mut signer = match subkey {
        Some(subkey) => OpenPgpSigner::Subkey(Box::new(subkey.key.clone())),
        None => OpenPgpSigner::Primary(Box::new(key.primary_key)),
    };
    let (version, encrypted) = match &signer {
        OpenPgpSigner::Primary(key) => (key.version(), key.secret_params().is_encrypted()),
        OpenPgpSigner::Subkey(key) => (key.version(), key.secret_params().is_encrypted()),
    };
    if version != KeyVersion::V4 {
        return Err(SigningError::Algorithm {
            algorithm: format!("OpenPGP {version:?}"),
            hint: "use a version 4 key",
        });
    }
    if encrypted {
        let Some(passphrase) = passphrase else {
            return Err(SigningError::Passphrase {
                kind: KIND,
                hint: "give its passphrase (Secret key passphrase)",
            });
        };
        let password = Password::from(passphrase.expose_secret());
        let removed = match &mut signer {
            OpenPgpSigner::Primary(key) => key.remove_password(&password),
            OpenPgpSigner::Subkey(key) => key.remove_password(&password),
        };
        removed.map_err(|_| SigningError::Passphrase {
            kind: KIND,
            hint: "the given passphrase does not fit",
        })?;
    }
    Ok(signer)
}

/// gpg exports a key whose secret part is elsewhere (a smart card, another machine) as a stub.
fn is_stub(params: &SecretParams) -> bool {
    let SecretParams::Encrypted(encrypted) = params else {
        return false;
    };
    matches!(
        encrypted.string_to_key_params(),
        S2kParams::Cfb { s2k, .. } | S2kParams::MalleableCfb { s2k, .. }
            if matches!(s2k, StringToKey::Private { .. })
    )
}

fn sign(key: &impl SigningKey, commit: &[u8]) -> Result<String, SigningError> {
    let make = || -> pgp::errors::Result<String> {
        let mut config = SignatureConfig::v4(
            SignatureType::Binary,
            key.algorithm(),
            HashAlgorithm::Sha512,
        );
        config.hashed_subpackets = vec![
            Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint()))?,
            Subpacket::critical(SubpacketData::SignatureCreationTime(Timestamp::now()))?,
        ];
        config.unhashed_subpackets = vec![Subpacket::regular(SubpacketData::IssuerKeyId(
            key.legacy_key_id(),
        ))?];
        let signature = config.sign(key, &Password::empty(), commit)?;
        DetachedSignature::new(signature).to_armored_string(ArmorOptions::default())
    };
    make().map_err(|e| SigningError::Sign(e.to_string()))
}
