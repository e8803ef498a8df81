//! The name of a scan target in the store and in the schedule.
//!
//! A target is an image repository together with the way it is reached. Two users with different
//! credentials may see different tags, so the way is part of the name; what the credential says is not.

use std::fmt;
use std::sync::Arc;

use ring::digest::{Context, SHA256};
use tagline_policy::{ImageName, Registry, RepositoryName};

/// Which credential, TLS and proxy settings a target is reached with, as a hash.
///
/// Made of names and settings, never of a password or a token: a hash of a short secret can be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccessId([u8; 8]);

impl AccessId {
    /// Hashes the parts that tell one way of access from another, in the order given.
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut context = Context::new(&SHA256);
        for part in parts {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        let digest = context.finish();
        let mut id = [0; 8];
        for (to, from) in id.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        Self(id)
    }

    fn parse(text: &str) -> Option<Self> {
        if text.len() != 16 || text.bytes().any(|b| b.is_ascii_uppercase()) {
            return None;
        }
        u64::from_str_radix(text, 16)
            .ok()
            .map(|id| Self(id.to_be_bytes()))
    }
}

impl fmt::Display for AccessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

/// A text that names no target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not the key of a scan target")]
pub struct InvalidTargetKey {
    /// What was given, cut to 200 characters.
    pub text: String,
}

/// Names a scan target: the canonical image name, and `#` with the [`AccessId`] unless access is
/// anonymous with default settings. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetKey(Arc<str>);

impl TargetKey {
    /// Names the target of `image` reached in the way `access` stands for; `None` is anonymous.
    #[must_use]
    pub fn new(image: &ImageName, access: Option<AccessId>) -> Self {
        Self(match access {
            Some(access) => format!("{image}#{access}").into(),
            None => image.to_string().into(),
        })
    }

    /// Reads a key back.
    ///
    /// # Errors
    /// [`InvalidTargetKey`] when the text is not one that [`TargetKey::as_str`] gives.
    pub fn parse(text: &str) -> Result<Self, InvalidTargetKey> {
        Self::read(text).ok_or_else(|| InvalidTargetKey {
            text: text.chars().take(200).collect(),
        })
    }

    fn read(text: &str) -> Option<Self> {
        let (image, access) = match text.split_once('#') {
            Some((image, access)) => (image, Some(AccessId::parse(access)?)),
            None => (text, None),
        };
        let (registry, repository) = image.split_once('/')?;
        let image = ImageName::new(
            Registry::new(registry).ok()?,
            RepositoryName::new(repository).ok()?,
        );
        let key = Self::new(&image, access);
        (key.as_str() == text).then_some(key)
    }

    /// Puts a key together from [`TargetKey::registry`] and what follows the slash.
    pub(crate) fn join(registry: &str, rest: &str) -> Self {
        Self(format!("{registry}/{rest}").into())
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The canonical image name, `registry/repository`.
    #[must_use]
    pub fn image(&self) -> &str {
        self.0.split('#').next().unwrap_or_default()
    }

    /// The registry, `host[:port]`.
    #[must_use]
    pub fn registry(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// The way of access; `None` is anonymous.
    #[must_use]
    pub fn access(&self) -> Option<AccessId> {
        AccessId::parse(self.0.split_once('#')?.1)
    }
}

impl fmt::Display for TargetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_writes() {
        let image = ImageName::parse("podinfo/podinfo").unwrap();
        let access = AccessId::of([b"user".as_slice(), b"registry-secret"]);
        for key in [
            TargetKey::new(&image, None),
            TargetKey::new(&image, Some(access)),
        ] {
            assert_eq!(TargetKey::parse(key.as_str()).unwrap(), key);
            assert_eq!(key.image(), "index.docker.io/podinfo/podinfo");
            assert_eq!(key.registry(), "index.docker.io");
        }
        assert_eq!(TargetKey::new(&image, Some(access)).access(), Some(access));
        assert_eq!(TargetKey::new(&image, None).access(), None);
    }

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(
            AccessId::of([b"ab".as_slice(), b"c"]),
            AccessId::of([b"a".as_slice(), b"bc"])
        );
    }

    #[test]
    fn refuses_other_texts() {
        for text in [
            "",
            "alpine",
            "docker.io/library/alpine",
            "ghcr.io/org/app#",
            "ghcr.io/org/app#0123",
            "ghcr.io/org/app#0123456789ABCDEF",
            "ghcr.io/org/app#+123456789abcdef",
            "ghcr.io/../x",
        ] {
            assert!(TargetKey::parse(text).is_err(), "{text:?}");
        }
    }
}
