//! Manifests: what a tag points to.

use jiff::Timestamp;
use std::collections::BTreeMap;
use tagline_policy::Digest;

/// What a tag points to, as a HEAD request tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The manifest's digest; an index has its own.
    pub digest: Digest,
    /// The manifest's media type.
    pub media_type: String,
    /// Its size in bytes, where the registry tells.
    pub size: Option<u64>,
}

/// What is inside an image, read from its manifest and configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageDetails {
    /// When it was created, as its builder claims.
    pub created: Option<Timestamp>,
    /// Labels of the configuration and annotations of the manifest.
    pub labels: BTreeMap<String, String>,
    /// The platforms it runs on; for an index those of its images.
    pub platforms: Vec<Platform>,
}

/// `os/architecture[/variant]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    /// For example `linux`.
    pub os: String,
    /// For example `amd64`.
    pub architecture: String,
    /// For example `v8`.
    pub variant: Option<String>,
}
