//! Image tags as the OCI distribution specification allows them.
//!
//! A tag that is not legal never gets past these constructors, so nothing behind them has to think
//! about control characters, slashes or over-long names again.

use std::fmt;

/// The longest tag the OCI distribution specification allows, in bytes.
pub const MAX_TAG_LENGTH: usize = 128;

/// A text that is not a legal tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a legal tag: a tag has 1 to 128 characters, letters, digits, '_', '.' and '-', and does not begin with '.' or '-'"
)]
pub struct InvalidTag {
    /// What was given, cut to 200 characters.
    pub text: String,
}

/// An owned, legal tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Box<str>);

/// A borrowed, legal tag: what policies work on, so that a list of a million tags needs no copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagRef<'a>(&'a str);

fn is_legal(text: &str) -> bool {
    let [first, rest @ ..] = text.as_bytes() else {
        return false;
    };
    text.len() <= MAX_TAG_LENGTH
        && (first.is_ascii_alphanumeric() || *first == b'_')
        && rest
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

impl InvalidTag {
    fn new(text: &str) -> Self {
        Self {
            text: text.chars().take(200).collect(),
        }
    }
}

impl Tag {
    /// Takes a text as a tag.
    ///
    /// # Errors
    /// [`InvalidTag`] when the text does not match `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
    pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidTag> {
        TagRef::new(text.as_ref()).map(TagRef::to_owned)
    }

    /// The tag's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Borrows it.
    #[must_use]
    pub fn as_ref(&self) -> TagRef<'_> {
        TagRef(&self.0)
    }
}

impl<'a> TagRef<'a> {
    /// Takes a text as a tag.
    ///
    /// # Errors
    /// [`InvalidTag`] when the text does not match `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
    pub fn new(text: &'a str) -> Result<Self, InvalidTag> {
        if is_legal(text) {
            Ok(Self(text))
        } else {
            Err(InvalidTag::new(text))
        }
    }

    /// The tag's text.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// Copies it.
    #[must_use]
    pub fn to_owned(self) -> Tag {
        Tag(self.0.into())
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for TagRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

impl std::str::FromStr for Tag {
    type Err = InvalidTag;
    fn from_str(text: &str) -> Result<Self, InvalidTag> {
        Self::new(text)
    }
}

impl serde::Serialize for Tag {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Tag {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_the_specification_allows() {
        for text in ["1", "_x", "v1.2.3-rc.1", "A_b.c-d", &"a".repeat(128)] {
            assert_eq!(Tag::new(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn refuses_everything_else() {
        for text in [
            "",
            ".1",
            "-1",
            "a/b",
            "a b",
            "ä",
            "1.0+build",
            "a\n",
            &"a".repeat(129),
        ] {
            assert!(Tag::new(text).is_err(), "{text:?}");
        }
    }
}
