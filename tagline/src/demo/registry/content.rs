//! What the registry holds: repositories with tags, manifests and blobs.

use std::collections::BTreeMap;

use tagline_policy::{RepositoryName, Tag};

use super::image::{self, Image};

/// All repositories by name.
#[derive(Debug, Default)]
pub(super) struct Content {
    repositories: BTreeMap<String, Repository>,
}

/// One repository. Its tags are kept in lexical order, the order of a tag list.
#[derive(Debug, Default)]
pub(super) struct Repository {
    tags: BTreeMap<String, String>,
    manifests: BTreeMap<String, Manifest>,
    blobs: BTreeMap<String, Vec<u8>>,
}

/// A manifest's bytes and their type.
#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) media_type: &'static str,
    pub(super) bytes: Vec<u8>,
}

impl Content {
    pub(super) fn repository(&self, name: &str) -> Option<&Repository> {
        self.repositories.get(name)
    }

    /// Stores an image and lets the tag name it; a tag that was there moves.
    pub(super) fn push(&mut self, name: &RepositoryName, tag: &Tag, image: &Image) -> String {
        let repository = self
            .repositories
            .entry(name.as_str().to_owned())
            .or_default();
        let configuration = image.configuration();
        let bytes = image.manifest();
        let digest = image::digest(&bytes);
        let manifest = Manifest {
            media_type: image::MANIFEST,
            bytes,
        };
        repository
            .blobs
            .insert(image::digest(&configuration), configuration);
        repository.manifests.insert(digest.clone(), manifest);
        repository
            .tags
            .insert(tag.as_str().to_owned(), digest.clone());
        digest
    }
}

impl Repository {
    pub(super) fn tags(&self) -> impl Iterator<Item = &str> {
        self.tags.keys().map(String::as_str)
    }

    /// The manifest that a tag or digest names.
    pub(super) fn manifest(&self, reference: &str) -> Option<(&str, &Manifest)> {
        let digest = self.tags.get(reference).map_or(reference, String::as_str);
        let (digest, manifest) = self.manifests.get_key_value(digest)?;
        Some((digest, manifest))
    }

    pub(super) fn blob(&self, digest: &str) -> Option<&[u8]> {
        self.blobs.get(digest).map(Vec::as_slice)
    }
}
