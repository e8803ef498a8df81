//! The smallest image that is one: a configuration, no layers, a manifest.

use super::answer::sha256_hex;
use jiff::Timestamp;

/// The media type of an image manifest (OCI image specification).
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// What tells one image of the demo from another.
#[derive(Debug, Clone)]
pub(in super::super) struct Image {
    /// When it was built.
    pub(in super::super) created: Timestamp,
    /// The version label (`org.opencontainers.image.version`).
    pub(in super::super) version: String,
}

impl Image {
    /// The configuration, which holds the creation time.
    pub(super) fn configuration(&self) -> Vec<u8> {
        serde_json::json!({
            "created": self.created.to_string(),
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": {"org.opencontainers.image.version": self.version}},
            "rootfs": {"type": "layers", "diff_ids": []},
        })
        .to_string()
        .into_bytes()
    }

    /// The manifest, which names the configuration.
    pub(super) fn manifest(&self) -> Vec<u8> {
        let configuration = self.configuration();
        serde_json::json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": digest(&configuration),
                "size": configuration.len(),
            },
            "layers": [],
        })
        .to_string()
        .into_bytes()
    }
}

/// The digest that names some bytes.
pub(super) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", sha256_hex(bytes))
}
