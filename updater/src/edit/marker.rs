//! Markers: the comments that bind a value in a file to an image policy.
//!
//! Flux's setters (`flux-v2-automation` 3.1): the comment's text, after its leading `#`, is one JSON
//! object of strings that holds `$imagepolicy`: `# {"$imagepolicy": "<namespace>:<policy>[:field]"}`.
//! The form kyaml itself uses, `{"$ref": "#/definitions/io.k8s.cli.setters.<namespace>:<policy>"}`,
//! works as well.

use crate::PolicyName;
use memchr::memmem::Finder;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;
use tagline_policy::ImageReference;

/// The token that Flux looks for before it parses a file, quotes included.
const TOKEN: &[u8] = b"\"$imagepolicy\"";

const REFERENCE_PREFIX: &str = "#/definitions/io.k8s.cli.setters.";

/// Which part of the chosen image a marked value holds.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Field {
    /// `name:tag` or `name:tag@digest`; the marker has no suffix.
    Image,
    /// The tag, `:tag`.
    Tag,
    /// The name, `:name`.
    Name,
    /// The digest, `:digest`.
    Digest,
}

/// What a marker says: the policy, and the part of its choice that the value holds.
///
/// Displays as Flux's `Setter` does, `namespace:policy[:tag|:name|:digest]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Setter {
    /// The policy named.
    pub policy: PolicyName,
    /// The part of its choice.
    pub field: Field,
}

/// A text that is not `namespace:policy[:tag|:name|:digest]`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} does not name a policy: expected <namespace>:<policy>, maybe followed by :tag, :name or :digest"
)]
pub struct InvalidSetter {
    /// What was given, cut to 200 characters.
    pub text: String,
}

impl Setter {
    /// The text a value gets when the policy chose this image; `None` for a digest it does not have.
    #[must_use]
    pub fn value(&self, image: &ImageReference) -> Option<String> {
        match self.field {
            Field::Image => Some(image.to_string()),
            Field::Tag => Some(image.tag.to_string()),
            Field::Name => Some(image.name.clone()),
            Field::Digest => image.digest.as_ref().map(ToString::to_string),
        }
    }
}

impl FromStr for Setter {
    type Err = InvalidSetter;

    fn from_str(text: &str) -> Result<Self, InvalidSetter> {
        let invalid = || InvalidSetter {
            text: text.chars().take(200).collect(),
        };
        let mut parts = text.split(':');
        let (Some(namespace), Some(name)) = (parts.next(), parts.next()) else {
            return Err(invalid());
        };
        let field = match (parts.next(), parts.next()) {
            (None, _) => Field::Image,
            (Some("tag"), None) => Field::Tag,
            (Some("name"), None) => Field::Name,
            (Some("digest"), None) => Field::Digest,
            _ => return Err(invalid()),
        };
        if namespace.is_empty() || name.is_empty() || text.contains(char::is_whitespace) {
            return Err(invalid());
        }
        Ok(Self {
            policy: PolicyName::new(namespace, name),
            field,
        })
    }
}

impl fmt::Display for Setter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = match self.field {
            Field::Image => "",
            Field::Tag => ":tag",
            Field::Name => ":name",
            Field::Digest => ":digest",
        };
        write!(f, "{}:{}{suffix}", self.policy.namespace, self.policy.name)
    }
}

impl serde::Serialize for Setter {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Setter {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Whether a file can hold markers at all: a plain search, so that unmarked files are never parsed.
///
/// Flux's own screening: the token with its double quotes, anywhere in the bytes.
#[must_use]
pub fn may_hold_markers(text: &[u8]) -> bool {
    FINDER.find(text).is_some()
}

/// The places of the token that marks a marker.
pub(super) fn tokens(text: &[u8]) -> impl Iterator<Item = usize> + '_ {
    FINDER.find_iter(text)
}

static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(TOKEN));

/// What a comment turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Comment {
    /// Text for people.
    Prose,
    /// A marker.
    Marker(Setter),
    /// Meant as a marker, but it is none; why.
    Malformed(String),
}

/// Reads a comment's text, with or without its leading `#`.
pub(super) fn read(comment: &str) -> Comment {
    let text = comment.trim_start_matches('#').trim();
    if !text.starts_with('{') || !(text.contains("$imagepolicy") || text.contains("$ref")) {
        return Comment::Prose;
    }
    let fields: BTreeMap<String, String> = match serde_json::from_str(text) {
        Ok(fields) => fields,
        Err(error) if text.contains("$imagepolicy") => {
            return Comment::Malformed(format!("not a JSON object of strings: {error}"));
        }
        Err(_) => return Comment::Prose,
    };
    let named = match (fields.get("$imagepolicy"), fields.get("$ref")) {
        (Some(name), _) => name.as_str(),
        (None, Some(reference)) => match reference.strip_prefix(REFERENCE_PREFIX) {
            Some(name) => name,
            None => return Comment::Prose,
        },
        (None, None) => return Comment::Prose,
    };
    if named.contains("{{") {
        return Comment::Malformed("the policy is filled in by a template".to_owned());
    }
    match named.parse() {
        Ok(setter) => Comment::Marker(setter),
        Err(error) => Comment::Malformed(InvalidSetter::to_string(&error)),
    }
}
