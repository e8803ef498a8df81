//! What an edit did, what it left alone, and why.

use crate::PolicyName;

/// Where something stands in a file; both count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// A Kubernetes object, as Flux's message templates name it. Fields are empty where a document has none.
///
/// Sorts by `apiVersion`, `kind`, `name`, `namespace`, as Go's `fmtsort` sorts Flux's struct.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectIdentifier {
    /// `apiVersion`.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
}

/// One value that was changed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Change {
    /// The value's line, from 1.
    pub line: usize,
    /// The value's column, from 1, in characters.
    pub column: usize,
    /// The marker's text: `namespace:policy[:tag|:name|:digest]`.
    pub setter: String,
    /// The policy.
    pub policy: PolicyName,
    /// The value before.
    pub old: String,
    /// The value now.
    pub new: String,
    /// The object that the value belongs to.
    pub object: ObjectIdentifier,
}

/// Why a marked value was left alone.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SkipReason {
    /// The marker names a policy that does not exist or that this run may not use.
    UnknownPolicy,
    /// The policy has not chosen an image.
    NoChoice,
    /// The marker asks for a digest and the policy has none.
    NoDigest,
    /// What the policy chose is not an image reference.
    InvalidReference,
    /// The value is filled in by a template (`{{ … }}`).
    TemplatedValue,
    /// The value has several lines.
    MultiLineValue,
    /// The marked value is an alias (`*name`); the place it points to is to be marked instead.
    Alias,
    /// The marker stands on a mapping or a sequence.
    NotAScalar,
    /// The marker stands where no value is: above a key, on an empty line.
    NoValue,
    /// The marker is no comment but part of a text, as in a block scalar that holds YAML.
    NotAComment,
    /// Meant as a marker, but not one.
    MalformedMarker,
    /// The file, or a document of it, cannot be parsed.
    Unparsable,
    /// The file or directory cannot be read.
    Unreadable,
    /// The file cannot be written.
    Unwritable,
}

impl SkipReason {
    /// The word for programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownPolicy => "unknown-policy",
            Self::NoChoice => "no-choice",
            Self::NoDigest => "no-digest",
            Self::InvalidReference => "invalid-reference",
            Self::TemplatedValue => "templated-value",
            Self::MultiLineValue => "multi-line-value",
            Self::Alias => "alias",
            Self::NotAScalar => "not-a-scalar",
            Self::NoValue => "no-value",
            Self::NotAComment => "not-a-comment",
            Self::MalformedMarker => "malformed-marker",
            Self::Unparsable => "unparsable",
            Self::Unreadable => "unreadable",
            Self::Unwritable => "unwritable",
        }
    }
}

/// One marker that was found and not followed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Skip {
    /// Its line, from 1.
    pub line: usize,
    /// Its column, from 1, in characters.
    pub column: usize,
    /// The word for programs.
    pub reason: SkipReason,
    /// The marker's text, where there is a marker.
    pub setter: Option<String>,
    /// The sentence for people.
    pub detail: String,
}

/// What an edit did to one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileEdit {
    /// The new bytes; `None` when nothing changes.
    pub text: Option<Vec<u8>>,
    /// The values changed, in the file's order.
    pub changes: Vec<Change>,
    /// The markers not followed, in the file's order.
    pub skipped: Vec<Skip>,
}

/// Why a file is left alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// Not UTF-8.
    #[error("{path}:{line}: not UTF-8 text: {source}")]
    NotUtf8 {
        /// The file.
        path: String,
        /// The line of the first wrong byte.
        line: usize,
        /// Which byte.
        source: std::str::Utf8Error,
    },
    /// Not what its name says it is. A file of several documents is left alone as a whole when one of
    /// them is broken.
    #[error("{path}:{line}:{column}: cannot be parsed: {message}")]
    Unparsable {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// The column, from 1, in characters.
        column: usize,
        /// The document in the file, from 1.
        document: usize,
        /// What the parser says.
        message: String,
    },
    /// The edited text would differ in more than the marked values.
    #[error("{path}:{line}: the edit would change more than the marked value; file left alone")]
    Unfaithful {
        /// The file.
        path: String,
        /// Where the texts first differ otherwise.
        line: usize,
    },
}

impl EditError {
    /// The same as an entry of the list of skipped things.
    #[must_use]
    pub fn to_skip(&self) -> Skip {
        let (line, column) = match self {
            Self::NotUtf8 { line, .. } | Self::Unfaithful { line, .. } => (*line, 1),
            Self::Unparsable { line, column, .. } => (*line, *column),
        };
        Skip {
            line,
            column,
            reason: SkipReason::Unparsable,
            setter: None,
            detail: self.to_string(),
        }
    }
}
