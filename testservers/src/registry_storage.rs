//! Images in the storage directory of CNCF distribution, laid out as its filesystem driver does.
//!
//! Written directly: thousands of tags in the time of some hundred uploads, whatever authentication or TLS
//! the registry asks for. A test of this crate compares the result with a real upload.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// `{}` in a gzip'd empty tar would do as well: a layer's bytes are never looked at here.
const LAYER: &[u8] = b"layer";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Operating system and architecture of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// `linux`, …
    pub os: String,
    /// `amd64`, `arm64`, …
    pub architecture: String,
}

impl Default for Platform {
    fn default() -> Self {
        Self {
            os: "linux".to_owned(),
            architecture: "amd64".to_owned(),
        }
    }
}

/// A tiny image; different values have different digests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// When it was built (RFC 3339); left out when empty.
    pub created: String,
    /// Labels of its configuration.
    pub labels: Vec<(String, String)>,
    /// One platform gives a manifest, several an index; none means the default one.
    pub platforms: Vec<Platform>,
}

impl Image {
    /// An image of that creation time (RFC 3339).
    #[must_use]
    pub fn created(time: &str) -> Self {
        Self {
            created: time.to_owned(),
            ..Self::default()
        }
    }

    /// Adds a label.
    #[must_use]
    pub fn with_label(mut self, name: &str, value: &str) -> Self {
        self.labels.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a platform.
    #[must_use]
    pub fn with_platform(mut self, os: &str, architecture: &str) -> Self {
        self.platforms.push(Platform {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
        });
        self
    }

    fn config(&self, platform: &Platform) -> Vec<u8> {
        let labels: Vec<String> = self
            .labels
            .iter()
            .map(|(name, value)| format!("{}:{}", json(name), json(value)))
            .collect();
        let created = if self.created.is_empty() {
            String::new()
        } else {
            format!("\"created\":{},", json(&self.created))
        };
        format!(
            "{{{created}\"architecture\":{},\"os\":{},\"config\":{{\"Labels\":{{{}}}}},\"rootfs\":{{\"type\":\"layers\",\"diff_ids\":[\"{}\"]}}}}",
            json(&platform.architecture),
            json(&platform.os),
            labels.join(","),
            digest(LAYER)
        )
        .into_bytes()
    }

    /// Everything to store, in the order of an upload; the last one is what the tag names.
    pub(crate) fn objects(&self) -> Vec<Object> {
        let default = [Platform::default()];
        let platforms = if self.platforms.is_empty() {
            &default[..]
        } else {
            &self.platforms
        };
        let mut objects = vec![Object::blob(LAYER.to_vec())];
        let mut descriptors = Vec::new();
        for platform in platforms {
            let config = Object::blob(self.config(platform));
            let manifest = Object {
                media_type: Some(MANIFEST),
                bytes: format!(
                    "{{\"schemaVersion\":2,\"mediaType\":\"{MANIFEST}\",\"config\":{{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"size\":{},\"digest\":\"{}\"}},\"layers\":[{{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\",\"size\":{},\"digest\":\"{}\"}}]}}",
                    config.bytes.len(), config.digest(), LAYER.len(), digest(LAYER)
                )
                .into_bytes(),
            };
            descriptors.push(format!(
                "{{\"mediaType\":\"{MANIFEST}\",\"size\":{},\"digest\":\"{}\",\"platform\":{{\"os\":{},\"architecture\":{}}}}}",
                manifest.bytes.len(), manifest.digest(), json(&platform.os), json(&platform.architecture)
            ));
            objects.extend([config, manifest]);
        }
        if platforms.len() > 1 {
            let index = format!(
                "{{\"schemaVersion\":2,\"mediaType\":\"{INDEX}\",\"manifests\":[{}]}}",
                descriptors.join(",")
            );
            objects.push(Object {
                media_type: Some(INDEX),
                bytes: index.into_bytes(),
            });
        }
        objects
    }
}

/// A blob, or a manifest or index with its media type.
pub(crate) struct Object {
    pub(crate) media_type: Option<&'static str>,
    pub(crate) bytes: Vec<u8>,
}

impl Object {
    fn blob(bytes: Vec<u8>) -> Self {
        Self {
            media_type: None,
            bytes,
        }
    }

    pub(crate) fn digest(&self) -> String {
        digest(&self.bytes)
    }
}

fn digest(bytes: &[u8]) -> String {
    let mut text = "sha256:".to_owned();
    for byte in Sha256::digest(bytes) {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// A JSON string; names and values of tests hold no control characters.
fn json(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The directory that the registry's filesystem driver was given.
#[derive(Debug, Clone)]
pub(crate) struct Storage {
    root: PathBuf,
}

impl Storage {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    fn v2(&self) -> PathBuf {
        self.root.join("docker/registry/v2")
    }

    fn repository(&self, name: &str) -> PathBuf {
        self.v2().join("repositories").join(name)
    }

    /// Stores an image under every tag; the digest the tags name.
    pub(crate) fn push(&self, name: &str, tags: &[&str], image: &Image) -> io::Result<String> {
        let repository = self.repository(name);
        let mut last = String::new();
        for object in image.objects() {
            last = object.digest();
            let hex = last.trim_start_matches("sha256:");
            let blob = self.v2().join("blobs/sha256").join(&hex[..2]).join(hex);
            write(&blob.join("data"), &object.bytes)?;
            let links = match object.media_type {
                None => "_layers/sha256",
                Some(_) => "_manifests/revisions/sha256",
            };
            write(
                &repository.join(links).join(hex).join("link"),
                last.as_bytes(),
            )?;
        }
        fs::create_dir_all(repository.join("_uploads"))?;
        let hex = last.trim_start_matches("sha256:");
        for tag in tags {
            let directory = repository.join("_manifests/tags").join(tag);
            let history = directory.join("index/sha256").join(hex).join("link");
            write(&history, last.as_bytes())?;
            write(&directory.join("current/link"), last.as_bytes())?;
        }
        Ok(last)
    }

    pub(crate) fn delete_tag(&self, name: &str, tag: &str) -> io::Result<()> {
        fs::remove_dir_all(self.repository(name).join("_manifests/tags").join(tag))
    }

    pub(crate) fn delete_repository(&self, name: &str) -> io::Result<()> {
        fs::remove_dir_all(self.repository(name))
    }
}

/// Writes a file so that a reader sees the old bytes or the new ones.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    fs::write(&name, bytes)?;
    fs::rename(&name, path)
}
