//! Image names: which registry, which repository there, as Flux v2 reads `spec.image`.
//!
//! Follows go-containerregistry's weak validation, which Flux v2 uses: the first path part is a
//! registry only when it contains `.` or `:` (or is `localhost`), everything else lives on Docker Hub,
//! and one-part Docker Hub names get `library/`. The canonical form is Flux's
//! (`index.docker.io/library/alpine`).

use crate::{Digest, InvalidDigest, InvalidTag, Tag};
use std::fmt;

/// The name go-containerregistry, and so Flux, gives Docker Hub.
const DOCKER_HUB: &str = "index.docker.io";

/// Why a text is not an image name. The texts are Flux's where Flux has one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidImageName {
    /// `https://…` in front.
    #[error("image '{image}' should not include URL scheme; remove '{scheme}://'")]
    Scheme {
        /// The name as given.
        image: String,
        /// The text before `://`.
        scheme: String,
    },
    /// A tag or a digest behind.
    #[error("image '{image}' should not include a tag; remove ':{tag}'")]
    Tag {
        /// The name as given.
        image: String,
        /// The text behind the colon.
        tag: String,
    },
    /// A registry that is not `host[:port]`.
    #[error("could not parse reference: {image:?}: {registry:?} is not a registry host")]
    Registry {
        /// The name as given.
        image: String,
        /// The part taken for a registry.
        registry: String,
    },
    /// A repository with characters or parts that no registry accepts.
    #[error(
        "could not parse reference: {image:?}: a repository name has 2 to 255 characters, lower-case letters, digits, '.', '_', '-', in parts divided by single '/'"
    )]
    Repository {
        /// The name as given.
        image: String,
    },
    /// A tag that is not legal, behind an image that may have one.
    #[error("could not parse reference: {image:?}: {source}")]
    IllegalTag {
        /// The image as given.
        image: String,
        /// What is wrong with the tag.
        source: InvalidTag,
    },
    /// A digest that is not legal, behind an image that may have one.
    #[error("could not parse reference: {image:?}: {source}")]
    IllegalDigest {
        /// The image as given.
        image: String,
        /// What is wrong with the digest.
        source: InvalidDigest,
    },
}

/// A registry's host, with its port where one was given; lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Registry(Box<str>);

/// A repository's name inside its registry (`<name>` in the OCI distribution specification).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryName(Box<str>);

/// Registry and repository, without tag or digest. Displays in Flux's canonical form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageName {
    registry: Registry,
    repository: RepositoryName,
}

/// An image as it is written into a manifest: the name as the user spells it, a tag, maybe a digest.
///
/// Flux's `latestRef`; displays as `name:tag` or `name:tag@digest`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageReference {
    /// The name as `ImageRepository.spec.image` spells it, not the canonical one.
    pub name: String,
    /// The chosen tag.
    pub tag: Tag,
    /// The manifest's digest, where the policy reflects digests.
    pub digest: Option<Digest>,
}

/// An image as a workload or an annotation names it: a name, maybe a tag, maybe a digest.
///
/// Displays as it was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Image {
    spelling: Box<str>,
    name: ImageName,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

impl Image {
    /// Reads `name[:tag][@digest]`.
    ///
    /// # Errors
    /// [`InvalidImageName`] for the name as in [`ImageName::parse`], and for a tag or a digest that is
    /// not legal.
    pub fn parse(text: &str) -> Result<Self, InvalidImageName> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        let path = rest.rfind('/').map_or(0, |at| at + 1);
        let (spelling, tag) = match rest[path..].split_once(':') {
            Some((last, tag)) => (&rest[..path + last.len()], Some(tag)),
            None => (rest, None),
        };
        let name = ImageName::parse(spelling)?;
        let tag = tag.map(Tag::new).transpose();
        let digest = digest.map(Digest::new).transpose();
        Ok(Self {
            spelling: spelling.into(),
            name,
            tag: tag.map_err(|source| InvalidImageName::IllegalTag {
                image: text.to_owned(),
                source,
            })?,
            digest: digest.map_err(|source| InvalidImageName::IllegalDigest {
                image: text.to_owned(),
                source,
            })?,
        })
    }

    /// The name as it was written, without tag and digest.
    #[must_use]
    pub fn spelling(&self) -> &str {
        &self.spelling
    }

    /// The name.
    #[must_use]
    pub const fn name(&self) -> &ImageName {
        &self.name
    }

    /// The tag, where there is one.
    #[must_use]
    pub const fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// The digest, where there is one.
    #[must_use]
    pub const fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelling)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl std::str::FromStr for Image {
    type Err = InvalidImageName;
    fn from_str(text: &str) -> Result<Self, InvalidImageName> {
        Self::parse(text)
    }
}

impl Registry {
    /// Takes `host` or `host:port`; `docker.io` and its other names become `index.docker.io`.
    ///
    /// # Errors
    /// [`InvalidImageName::Registry`] when it is not a host name, an IPv4 address or a bracketed IPv6
    /// address, with an optional port.
    pub fn new(text: &str) -> Result<Self, InvalidImageName> {
        let lower = text.to_ascii_lowercase();
        if !is_host_and_port(&lower) {
            return Err(InvalidImageName::Registry {
                image: text.to_owned(),
                registry: text.to_owned(),
            });
        }
        Ok(match lower.as_str() {
            "docker.io" | "registry-1.docker.io" => Self(DOCKER_HUB.into()),
            _ => Self(lower.into()),
        })
    }

    /// `host[:port]`, in the canonical spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is Docker Hub.
    #[must_use]
    pub fn is_docker_hub(&self) -> bool {
        &*self.0 == DOCKER_HUB
    }

    /// The host that answers the distribution API: Docker Hub's differs from its name.
    #[must_use]
    pub fn api_host(&self) -> &str {
        if self.is_docker_hub() {
            "registry-1.docker.io"
        } else {
            &self.0
        }
    }

    /// The host without its port.
    #[must_use]
    pub fn host(&self) -> &str {
        match self.0.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => &self.0,
        }
    }
}

fn is_host_and_port(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    if let Some(port) = port
        && (port.is_empty() || port.len() > 5 || port.parse::<u16>().is_err())
    {
        return false;
    }
    if let Some(address) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    !host.is_empty()
        && host.len() <= 253
        && host.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        })
}

impl RepositoryName {
    /// Takes a repository's name.
    ///
    /// # Errors
    /// [`InvalidImageName::Repository`] when it has other characters than go-containerregistry allows,
    /// is shorter than 2 or longer than 255, or has empty, `.` or `..` parts.
    pub fn new(text: &str) -> Result<Self, InvalidImageName> {
        let legal = (2..=255).contains(&text.len())
            && text.bytes().all(|b| {
                b.is_ascii_lowercase()
                    || b.is_ascii_digit()
                    || matches!(b, b'_' | b'-' | b'.' | b'/')
            })
            && text.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if legal {
            Ok(Self(text.into()))
        } else {
            Err(InvalidImageName::Repository {
                image: text.to_owned(),
            })
        }
    }

    /// The name, for example `library/alpine`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ImageName {
    /// Puts a registry and a repository together.
    #[must_use]
    pub const fn new(registry: Registry, repository: RepositoryName) -> Self {
        Self {
            registry,
            repository,
        }
    }

    /// Reads `spec.image` as Flux v2 does: no scheme, no tag, no digest.
    ///
    /// # Errors
    /// One [`InvalidImageName`] for each thing that does not belong.
    pub fn parse(image: &str) -> Result<Self, InvalidImageName> {
        if let Some((scheme, _)) = image.split_once("://") {
            return Err(InvalidImageName::Scheme {
                image: image.to_owned(),
                scheme: scheme.to_owned(),
            });
        }
        let (registry, repository) = match image.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
                (Some(first), rest)
            }
            _ => (None, image),
        };
        if let Some((_, tag)) = repository.split_once(':') {
            return Err(InvalidImageName::Tag {
                image: image.to_owned(),
                tag: tag.split(':').next().unwrap_or_default().to_owned(),
            });
        }
        let registry = Registry::new(registry.unwrap_or(DOCKER_HUB)).map_err(|_| {
            InvalidImageName::Registry {
                image: image.to_owned(),
                registry: registry.unwrap_or_default().to_owned(),
            }
        })?;
        let illegal = || InvalidImageName::Repository {
            image: image.to_owned(),
        };
        let repository = if registry.is_docker_hub() && !repository.contains('/') {
            if repository.is_empty() {
                return Err(illegal());
            }
            RepositoryName::new(&format!("library/{repository}"))
        } else {
            RepositoryName::new(repository)
        }
        .map_err(|_| illegal())?;
        Ok(Self::new(registry, repository))
    }

    /// The registry.
    #[must_use]
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The repository inside the registry.
    #[must_use]
    pub const fn repository(&self) -> &RepositoryName {
        &self.repository
    }

    /// The short form people write: `alpine`, `podinfo/podinfo`, `ghcr.io/org/app`.
    #[must_use]
    pub fn familiar(&self) -> String {
        let path = self.repository.as_str();
        if self.registry.is_docker_hub() {
            path.strip_prefix("library/").unwrap_or(path).to_owned()
        } else {
            self.to_string()
        }
    }
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.tag)?;
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl std::str::FromStr for ImageName {
    type Err = InvalidImageName;
    fn from_str(text: &str) -> Result<Self, InvalidImageName> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_names_are_those_of_flux() {
        for (given, canonical, familiar) in [
            ("alpine", "index.docker.io/library/alpine", "alpine"),
            (
                "podinfo/podinfo",
                "index.docker.io/podinfo/podinfo",
                "podinfo/podinfo",
            ),
            (
                "docker.io/alpine",
                "index.docker.io/library/alpine",
                "alpine",
            ),
            ("ghcr.io/org/app", "ghcr.io/org/app", "ghcr.io/org/app"),
            (
                "localhost:5000/app",
                "localhost:5000/app",
                "localhost:5000/app",
            ),
            ("[::1]:5000/app", "[::1]:5000/app", "[::1]:5000/app"),
            ("GHCR.io/org/app", "ghcr.io/org/app", "ghcr.io/org/app"),
        ] {
            let name = ImageName::parse(given).unwrap();
            assert_eq!(name.to_string(), canonical);
            assert_eq!(name.familiar(), familiar);
        }
    }

    #[test]
    fn says_what_does_not_belong() {
        for (given, error) in [
            (
                "https://example.com/foo/bar",
                "image 'https://example.com/foo/bar' should not include URL scheme; remove 'https://'",
            ),
            (
                "example.com/foo/bar:1.0",
                "image 'example.com/foo/bar:1.0' should not include a tag; remove ':1.0'",
            ),
            (
                "alpine@sha256:abc",
                "image 'alpine@sha256:abc' should not include a tag; remove ':abc'",
            ),
        ] {
            assert_eq!(ImageName::parse(given).unwrap_err().to_string(), error);
        }
        for given in [
            "",
            "Foo/bar",
            "a b",
            "example.com/",
            "example.com/../x",
            "-a.b/x",
            "ghcr.io:x/y",
        ] {
            assert!(ImageName::parse(given).is_err(), "{given:?}");
        }
    }

    #[test]
    fn docker_hub_answers_under_another_host() {
        let name = ImageName::parse("alpine").unwrap();
        assert_eq!(name.registry().api_host(), "registry-1.docker.io");
        assert_eq!(
            ImageName::parse("h.io:5/x/y").unwrap().registry().host(),
            "h.io"
        );
    }
}
