//! What one scan gives.

use crate::tag_set::TagSet;
use crate::target_key::TargetKey;
use jiff::Timestamp;
use std::fmt;
use std::sync::Arc;
use tagline_policy::Tag;

/// How thoroughly to look.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum ScanMode {
    /// The whole list, unless the registry says that it has not changed (`If-None-Match`).
    #[default]
    Conditional,
    /// The whole list, whatever the registry said before.
    Full,
    /// Only this tag and those after it, by bytes (`last=`); the tags before it are taken to be as they were.
    ///
    /// For targets whose policies cannot choose a tag before this one. Like [`ScanMode::Conditional`] where that
    /// saves nothing (a list of one page that the registry gives an `ETag` for), where the registry was not seen to
    /// list in lexical order and to honour `last`, where the whole list was not read for
    /// [`full_listing_every`](crate::ScannerOptions::full_listing_every), and when a tag turns out to be gone.
    Newer(Tag),
}

/// What a scan found out. A scan that did not end is a [`ScanError`](crate::ScanError) and leaves the last list alone.
#[derive(Debug, Clone)]
pub struct Scan {
    /// The scanned target.
    pub target: TargetKey,
    /// How the list was had.
    pub outcome: ScanOutcome,
    /// All tags now, with the times they were first seen.
    pub tags: Arc<TagSet>,
    /// Tags that the scan before did not have.
    pub added: Arc<TagSet>,
    /// Tags that are gone since the scan before; none with [`ScanOutcome::Extended`].
    pub removed: Arc<TagSet>,
    /// When the scan ended.
    pub scanned_at: Timestamp,
    /// The requests it took, those for tokens included.
    pub requests: RequestCounts,
    /// Texts in the list that are not legal tags, and were dropped.
    pub dropped: u64,
}

/// How a list was had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScanOutcome {
    /// The whole list was read.
    Listed,
    /// The registry said that nothing has changed (304).
    Unchanged,
    /// Only the tags from one onwards were read, and none of those was gone.
    Extended,
}

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequestKind {
    /// `/v2/`.
    Ping,
    /// A token realm.
    Token,
    /// A page of tags.
    Tags,
    /// A page of the catalog.
    Catalog,
    /// A manifest's digest (HEAD).
    ManifestHead,
    /// A manifest.
    Manifest,
    /// A blob: an image's configuration.
    Blob,
}

/// Requests by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestCounts([u32; RequestKind::ALL.len()]);

impl RequestKind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Ping,
        Self::Token,
        Self::Tags,
        Self::Catalog,
        Self::ManifestHead,
        Self::Manifest,
        Self::Blob,
    ];

    /// The kind's name in metrics and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Token => "token",
            Self::Tags => "tags",
            Self::Catalog => "catalog",
            Self::ManifestHead => "manifest-head",
            Self::Manifest => "manifest",
            Self::Blob => "blob",
        }
    }
}

impl RequestCounts {
    /// Requests of one kind.
    #[must_use]
    pub fn of(&self, kind: RequestKind) -> u32 {
        self.0.get(kind as usize).copied().unwrap_or_default()
    }

    /// All requests.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.0.iter().sum()
    }

    /// Counts one more.
    pub(crate) fn add(&mut self, kind: RequestKind) {
        if let Some(count) = self.0.get_mut(kind as usize) {
            *count = count.saturating_add(1);
        }
    }
}

impl Scan {
    /// Whether any tag came or went.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        !self.added.is_empty() || !self.removed.is_empty()
    }
}

impl fmt::Display for RequestKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
