//! An OCI registry in memory, served over real HTTP on a free loopback port.
//!
//! Read-only over HTTP, as OCI's distribution specification 1.1 has it: `/v2/`, tag lists with `n`, `last` and
//! `Link`, manifests and blobs, its error bodies; `ETag` and `If-None-Match` on top. The demo itself "pushes" by
//! calling [`DemoRegistry::push`].

mod answer;
mod content;
mod image;
mod tag_list;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::extract::{RawQuery, Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use tagline_policy::{Digest, RepositoryName, Tag};
use tokio_util::sync::CancellationToken;

use self::answer::{ErrorCode, conditional, not_allowed, refuse};
use self::content::Content;
pub(super) use self::image::Image;
use super::server::LoopbackServer;

/// A running registry; ends when dropped.
pub(super) struct DemoRegistry {
    content: Arc<RwLock<Content>>,
    server: LoopbackServer,
}

impl DemoRegistry {
    /// Starts an empty registry.
    pub(super) async fn start(stop: &CancellationToken) -> std::io::Result<Self> {
        let content = Arc::new(RwLock::new(Content::default()));
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&content));
        let server = LoopbackServer::start(router, stop).await?;
        Ok(Self { content, server })
    }

    /// Where it listens: the registry part of an image name is its text.
    pub(super) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Stores an image under a tag, as a push does.
    pub(super) fn push(&self, repository: &RepositoryName, tag: &Tag, image: &Image) -> String {
        let mut content = self.content.write().unwrap_or_else(PoisonError::into_inner);
        content.push(repository, tag, image)
    }
}

async fn answer(
    State(content): State<Arc<RwLock<Content>>>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    let path = request.uri().path();
    let Some(path) = path
        .strip_prefix("/v2")
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
    else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return not_allowed();
    }
    let content = content.read().unwrap_or_else(PoisonError::into_inner);
    let path = path.trim_start_matches('/');
    if path.is_empty() {
        return conditional(request.headers(), "application/json", b"{}".to_vec());
    }
    let Some(endpoint) = Endpoint::parse(path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if RepositoryName::new(endpoint.repository()).is_err() {
        return refuse(ErrorCode::NameInvalid, endpoint.repository());
    }
    let Some(repository) = content.repository(endpoint.repository()) else {
        return refuse(ErrorCode::NameUnknown, endpoint.repository());
    };
    match endpoint {
        Endpoint::Tags { repository: name } => {
            let query = query.unwrap_or_default();
            match tag_list::Asked::parse(&query) {
                Ok(asked) => tag_list::page(name, repository.tags(), &asked, request.headers()),
                Err(detail) => refuse(ErrorCode::PaginationNumberInvalid, &detail),
            }
        }
        Endpoint::Manifest { reference, .. } => match repository.manifest(reference) {
            Some((digest, manifest)) => {
                answer::content(digest, manifest.media_type, &manifest.bytes)
            }
            None => refuse(ErrorCode::ManifestUnknown, reference),
        },
        Endpoint::Blob { digest: text, .. } => match Digest::new(text) {
            Err(_) => refuse(ErrorCode::DigestInvalid, text),
            Ok(_) => match repository.blob(text) {
                Some(bytes) => answer::content(text, "application/octet-stream", bytes),
                None => refuse(ErrorCode::BlobUnknown, text),
            },
        },
    }
}

/// What a path below `/v2/` asks for. A repository's name may have any number of parts.
#[derive(Debug, PartialEq, Eq)]
enum Endpoint<'a> {
    Tags {
        repository: &'a str,
    },
    Manifest {
        repository: &'a str,
        reference: &'a str,
    },
    Blob {
        repository: &'a str,
        digest: &'a str,
    },
}

impl<'a> Endpoint<'a> {
    fn parse(path: &'a str) -> Option<Self> {
        if let Some(repository) = path.strip_suffix("/tags/list") {
            return Some(Self::Tags { repository });
        }
        let (parent, last) = path.rsplit_once('/')?;
        if let Some(repository) = parent.strip_suffix("/manifests") {
            let reference = last;
            return Some(Self::Manifest {
                repository,
                reference,
            });
        }
        let repository = parent.strip_suffix("/blobs")?;
        Some(Self::Blob {
            repository,
            digest: last,
        })
    }

    fn repository(&self) -> &'a str {
        match self {
            Self::Tags { repository }
            | Self::Manifest { repository, .. }
            | Self::Blob { repository, .. } => repository,
        }
    }
}
