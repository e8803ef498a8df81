//! Manifests and image configurations, asked for one by one and only when somebody needs them.

use super::exchange::{Answer, Ask};
use super::session::Session;
use crate::error::{Operation, Problem, ScanError, printable};
use crate::manifest::{ImageDetails, Manifest, Platform};
use crate::scan::RequestKind;
use http::{Method, StatusCode, header};
use jiff::Timestamp;
use oci_spec::image::{Arch, ImageConfiguration, ImageIndex, ImageManifest, Os};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::{BTreeMap, HashMap};
use tagline_policy::{Digest, TagRef};

/// Everything a tag can point to, newest first.
const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.v1+prettyjws, application/vnd.docker.distribution.manifest.v1+json";
/// Platforms and labels of one image.
const MAX_ENTRIES: usize = 1024;

/// The digest a tag points to: by HEAD, or where a registry gives no digest with it, from the manifest itself.
pub(crate) async fn head(
    session: &mut Session<'_>,
    repository: &str,
    tag: TagRef<'_>,
) -> Result<Manifest, ScanError> {
    let operation = Operation::ReadManifest;
    let url = session
        .url(&format!("{repository}/manifests/{tag}"))
        .await?;
    let answer = session
        .send(operation, || {
            let mut ask =
                Ask::get(RequestKind::ManifestHead, url.clone(), 0).header(header::ACCEPT, ACCEPT);
            ask.method = Method::HEAD;
            ask
        })
        .await?;
    if answer.status != StatusCode::OK {
        let problem = session.unexpected(answer).await;
        return Err(session.fail(operation, problem));
    }
    let media_type = media_type(&answer);
    let size = answer
        .header(header::CONTENT_LENGTH)
        .and_then(|length| length.parse().ok());
    let named = answer.header("docker-content-digest").map(str::to_owned);
    if let Some(named) = named {
        return match Digest::new(&named) {
            Ok(digest) => Ok(Manifest {
                digest,
                media_type,
                size,
            }),
            Err(error) => Err(session.fail(
                operation,
                Problem::Malformed {
                    host: answer.host(),
                    detail: printable(&error.to_string()),
                },
            )),
        };
    }
    drop(answer);
    let (bytes, media_type) = get(session, repository, tag.as_str(), RequestKind::Manifest).await?;
    Ok(Manifest {
        digest: digest_of(&bytes),
        media_type,
        size: Some(bytes.len() as u64),
    })
}

/// Creation time, labels and platforms of a manifest; the configuration of the first image where it is an index.
pub(crate) async fn details(
    session: &mut Session<'_>,
    repository: &str,
    digest: &Digest,
) -> Result<ImageDetails, ScanError> {
    let mut details = ImageDetails::default();
    let manifest = match document(session, repository, digest).await? {
        Document::Index(index) => {
            details.add_labels(index.annotations().as_ref());
            let images = || {
                index.manifests().iter().filter_map(|image| {
                    // Attestations lie in indexes as images of an unknown platform.
                    let platform = image.platform().as_ref()?;
                    (platform.os().to_string() != "unknown").then_some((image, platform))
                })
            };
            details.platforms = images()
                .map(|(_, platform)| {
                    named_platform(
                        platform.os(),
                        platform.architecture(),
                        platform.variant().as_ref(),
                    )
                })
                .take(MAX_ENTRIES)
                .collect();
            let first = images().next().map(|(image, _)| image);
            let Some(first) = first.or(index.manifests().first()) else {
                return Ok(details);
            };
            let digest = parse_digest(session, first.digest().as_ref())?;
            match document(session, repository, &digest).await? {
                Document::Image(manifest) => manifest,
                Document::Index(_) | Document::Other => return Ok(details),
            }
        }
        Document::Image(manifest) => manifest,
        Document::Other => return Ok(details),
    };
    details.add_labels(manifest.annotations().as_ref());
    let config = manifest.config();
    // Artifacts that are not images have configurations of their own kind.
    if !config.media_type().to_string().contains("image") {
        return Ok(details);
    }
    let digest = parse_digest(session, config.digest().as_ref())?;
    let configuration = configuration(session, repository, &digest).await?;
    details.created = configuration
        .created()
        .as_deref()
        .and_then(|created| created.parse::<Timestamp>().ok());
    let (os, architecture) = (configuration.os(), configuration.architecture());
    if details.platforms.is_empty() && !os.to_string().is_empty() {
        let platform = named_platform(os, architecture, configuration.variant().as_ref());
        details.platforms.push(platform);
    }
    let config = configuration.config().as_ref();
    details.add_labels(config.and_then(|config| config.labels().as_ref()));
    Ok(details)
}

/// What lies under a digest.
#[derive(Debug)]
enum Document {
    Index(Box<ImageIndex>),
    Image(Box<ImageManifest>),
    /// Docker's first format, which has no configuration: it tells nothing that is asked for here.
    Other,
}

impl Document {
    /// By what it holds: not every registry sends the media type, and not every document names its own.
    fn read(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Parts {
            manifests: Option<IgnoredAny>,
            config: Option<IgnoredAny>,
        }
        let parts: Parts = serde_json::from_slice(bytes)?;
        if parts.manifests.is_some() {
            serde_json::from_slice(bytes).map(|index| Self::Index(Box::new(index)))
        } else if parts.config.is_some() {
            serde_json::from_slice(bytes).map(|image| Self::Image(Box::new(image)))
        } else {
            Ok(Self::Other)
        }
    }
}

fn named_platform(os: &Os, architecture: &Arch, variant: Option<&String>) -> Platform {
    Platform {
        os: printable(&os.to_string()),
        architecture: printable(&architecture.to_string()),
        variant: variant.map(|variant| printable(variant)),
    }
}

impl ImageDetails {
    fn add_labels(&mut self, labels: Option<&HashMap<String, String>>) {
        // Which of too many are kept must not depend on chance.
        let sorted: BTreeMap<_, _> = labels.into_iter().flatten().collect();
        for (name, value) in sorted {
            if self.labels.len() < MAX_ENTRIES {
                self.labels.insert(name.clone(), value.clone());
            }
        }
    }
}

async fn document(
    session: &mut Session<'_>,
    repository: &str,
    digest: &Digest,
) -> Result<Document, ScanError> {
    let (bytes, _) = get(session, repository, digest.as_str(), RequestKind::Manifest).await?;
    check(session, digest, &bytes)?;
    readable(session, Document::read(&bytes), "manifest")
}

async fn configuration(
    session: &mut Session<'_>,
    repository: &str,
    digest: &Digest,
) -> Result<ImageConfiguration, ScanError> {
    let operation = Operation::ReadConfiguration;
    let url = session.url(&format!("{repository}/blobs/{digest}")).await?;
    let limit = session.options.limits.document_bytes;
    let answer = session
        .send(operation, || {
            Ask::get(RequestKind::Blob, url.clone(), limit)
        })
        .await?;
    let bytes = body(session, operation, answer).await?;
    check(session, digest, &bytes)?;
    readable(
        session,
        serde_json::from_slice(&bytes),
        "image configuration",
    )
}

/// A manifest's bytes and media type.
async fn get(
    session: &mut Session<'_>,
    repository: &str,
    reference: &str,
    kind: RequestKind,
) -> Result<(Vec<u8>, String), ScanError> {
    let operation = Operation::ReadManifest;
    let url = session
        .url(&format!("{repository}/manifests/{reference}"))
        .await?;
    let limit = session.options.limits.document_bytes;
    let answer = session
        .send(operation, || {
            Ask::get(kind, url.clone(), limit).header(header::ACCEPT, ACCEPT)
        })
        .await?;
    let media_type = media_type(&answer);
    Ok((body(session, operation, answer).await?, media_type))
}

async fn body(
    session: &Session<'_>,
    operation: Operation,
    mut answer: Answer,
) -> Result<Vec<u8>, ScanError> {
    if answer.status != StatusCode::OK {
        let problem = session.unexpected(answer).await;
        return Err(session.fail(operation, problem));
    }
    match answer.bytes().await {
        Ok(bytes) => Ok(bytes),
        Err(problem) => Err(session.fail(operation, problem)),
    }
}

fn media_type(answer: &Answer) -> String {
    printable(answer.header(header::CONTENT_TYPE).unwrap_or_default())
}

/// What is kept for ever under a digest must be what the digest says.
fn check(session: &Session<'_>, digest: &Digest, bytes: &[u8]) -> Result<(), ScanError> {
    let algorithm = match digest.as_str().split(':').next() {
        Some("sha256") => &ring::digest::SHA256,
        Some("sha384") => &ring::digest::SHA384,
        _ => &ring::digest::SHA512,
    };
    let sum = hex(ring::digest::digest(algorithm, bytes).as_ref());
    if digest.as_str().ends_with(&sum) {
        return Ok(());
    }
    Err(session.fail(
        Operation::ReadManifest,
        Problem::Malformed {
            host: super::exchange::host_of(&session.host.key.endpoint),
            detail: format!("what it sent for {digest} has another digest"),
        },
    ))
}

fn readable<T>(
    session: &Session<'_>,
    read: Result<T, serde_json::Error>,
    what: &str,
) -> Result<T, ScanError> {
    read.map_err(|error| {
        session.fail(
            Operation::ReadManifest,
            Problem::Malformed {
                host: super::exchange::host_of(&session.host.key.endpoint),
                detail: format!(
                    "the {what} cannot be read (line {}, column {})",
                    error.line(),
                    error.column()
                ),
            },
        )
    })
}

fn parse_digest(session: &Session<'_>, text: &str) -> Result<Digest, ScanError> {
    Digest::new(text).map_err(|error| {
        session.fail(
            Operation::ReadManifest,
            Problem::Malformed {
                host: super::exchange::host_of(&session.host.key.endpoint),
                detail: printable(&error.to_string()),
            },
        )
    })
}

fn digest_of(bytes: &[u8]) -> Digest {
    let sum = hex(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    // 64 digits of lower-case hex are a digest by construction.
    Digest::new(format!("sha256:{sum}")).unwrap_or_else(|_| unreachable!("a SHA-256 has 64 digits"))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
