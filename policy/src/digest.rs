//! Content digests (`sha256:<64 hex>`), as manifests are addressed by them.

use std::fmt;

/// A text that is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a digest: expected sha256:<64 lower-case hex> or sha512:<128 lower-case hex>"
)]
pub struct InvalidDigest {
    /// What was given, cut to 200 characters.
    pub text: String,
}

/// A digest with an algorithm that the OCI image specification registers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(Box<str>);

impl Digest {
    /// Takes a text as a digest.
    ///
    /// # Errors
    /// [`InvalidDigest`] for an unknown algorithm, a wrong length, or anything but lower-case hex.
    pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidDigest> {
        let text = text.as_ref();
        let legal = match text.split_once(':') {
            Some(("sha256", hex)) => hex.len() == 64 && is_hex(hex),
            Some(("sha384", hex)) => hex.len() == 96 && is_hex(hex),
            Some(("sha512", hex)) => hex.len() == 128 && is_hex(hex),
            _ => false,
        };
        if legal {
            Ok(Self(text.into()))
        } else {
            Err(InvalidDigest {
                text: text.chars().take(200).collect(),
            })
        }
    }

    /// The digest with its algorithm, `sha256:…`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl std::str::FromStr for Digest {
    type Err = InvalidDigest;
    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        Self::new(text)
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_only_registered_algorithms_in_lower_case() {
        let hex = "0123456789abcdef".repeat(4);
        assert!(Digest::new(format!("sha256:{hex}")).is_ok());
        assert!(Digest::new(format!("sha256:{}", hex.to_uppercase())).is_err());
        assert!(Digest::new(format!("md5:{hex}")).is_err());
        assert!(Digest::new(format!("sha256:{}", &hex[1..])).is_err());
        assert!(Digest::new("").is_err());
    }
}
