//! What stands in an `image:` field: a name, maybe a tag, maybe a digest.

use std::fmt;

use tagline_policy::{Digest, ImageName, InvalidDigest, InvalidImageName, InvalidTag, Tag};

/// An image as a manifest names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageText {
    /// The name in canonical form.
    pub image: ImageName,
    /// The tag, where one is given.
    pub tag: Option<Tag>,
    /// The digest, where one is given.
    pub digest: Option<Digest>,
}

/// A text that names no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidImageText {
    /// There is nothing.
    #[error("the image is empty")]
    Empty,
    /// It is to be filled in by a template engine or a shell.
    #[error("image {text:?} is a template, not an image; render the manifests first")]
    Template {
        /// The text, cut to 200 characters.
        text: String,
    },
    /// The name is not legal.
    #[error(transparent)]
    Name(#[from] InvalidImageName),
    /// The tag is not legal.
    #[error("image {image:?}: {source}")]
    Tag {
        /// The text, cut to 200 characters.
        image: String,
        /// Why.
        source: InvalidTag,
    },
    /// The digest is not legal.
    #[error("image {image:?}: {source}")]
    Digest {
        /// The text, cut to 200 characters.
        image: String,
        /// Why.
        source: InvalidDigest,
    },
}

impl ImageText {
    /// Splits `name[:tag][@digest]`.
    ///
    /// # Errors
    /// [`InvalidImageText`] for the first part that is not legal.
    pub fn parse(text: &str) -> Result<Self, InvalidImageText> {
        let quoted = || text.chars().take(200).collect::<String>();
        if text.is_empty() {
            return Err(InvalidImageText::Empty);
        }
        if text.contains(['$', '{', '}']) {
            return Err(InvalidImageText::Template { text: quoted() });
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => {
                let digest = Digest::new(digest).map_err(|source| InvalidImageText::Digest {
                    image: quoted(),
                    source,
                })?;
                (name, Some(digest))
            }
            None => (text, None),
        };
        // A colon before the last slash belongs to the registry's port.
        let repository = name.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match name.get(repository..).and_then(|last| last.find(':')) {
            Some(colon) => {
                let (name, tag) = name.split_at(repository + colon);
                let tag = tag.strip_prefix(':').unwrap_or_default();
                let tag = Tag::new(tag).map_err(|source| InvalidImageText::Tag {
                    image: quoted(),
                    source,
                })?;
                (name, Some(tag))
            }
            None => (name, None),
        };
        Ok(Self {
            image: ImageName::parse(name)?,
            tag,
            digest,
        })
    }
}

impl fmt::Display for ImageText {
    /// In canonical form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.image)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl std::str::FromStr for ImageText {
    type Err = InvalidImageText;
    fn from_str(text: &str) -> Result<Self, InvalidImageText> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DIGEST: &str = "sha256:599fe5e5073102dbb0ee3dbb65f049dab44fa9fc251f6835c9990f8fb196a72b";

    #[test]
    fn splits_name_tag_and_digest() {
        for (text, canonical) in [
            ("alpine", "index.docker.io/library/alpine"),
            ("alpine:3.19", "index.docker.io/library/alpine:3.19"),
            ("localhost:5000/hello:v1.1", "localhost:5000/hello:v1.1"),
            ("localhost:5000/hello", "localhost:5000/hello"),
            ("quay.io/org/app:v1", "quay.io/org/app:v1"),
        ] {
            assert_eq!(ImageText::parse(text).unwrap().to_string(), canonical);
            let with_digest = format!("{text}@{DIGEST}");
            assert_eq!(
                ImageText::parse(&with_digest).unwrap().to_string(),
                format!("{canonical}@{DIGEST}")
            );
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for text in [
            "",
            ":tag",
            "/leading/slash",
            "a/b/",
            "alpine:",
            "alpine:a b",
            "alpine@sha256:12",
            "${IMAGE}:v1",
            "{{ .Values.image }}",
            "$(image)",
            "https://ghcr.io/a/b",
            "a:b:c",
        ] {
            assert!(ImageText::parse(text).is_err(), "{text:?}");
        }
        assert!(matches!(
            ImageText::parse("app:${TAG}"),
            Err(InvalidImageText::Template { .. })
        ));
    }

    proptest! {
        #[test]
        fn survives_any_text(text in ".*") {
            if let Ok(image) = ImageText::parse(&text) {
                prop_assert_eq!(ImageText::parse(&image.to_string()).unwrap(), image);
            }
        }
    }
}
