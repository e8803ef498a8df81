//! Manifests on demand: digests by HEAD, details by digest.

use super::support::*;
use tagline_policy::TagRef;
use tagline_scanner::{RequestKind, ScannerOptions};
use tagline_testservers::{DockerRegistry, HttpServer, Image, Response, require};

#[tokio::test]
async fn a_digest_costs_one_head() {
    let registry = require!(DockerRegistry::start());
    let image = Image::created("2026-01-02T03:04:05Z")
        .with_label("org.opencontainers.image.source", "https://example.com")
        .with_platform("linux", "amd64")
        .with_platform("linux", "arm64");
    let digest = registry.push("team/app", "1.0.0", &image);
    let target = anonymous(&registry.authority(), "team/app");
    let scanner = scanner(ScannerOptions::default());
    let manifest = scanner
        .manifest(&target, TagRef::new("1.0.0").unwrap())
        .await
        .unwrap();
    assert_eq!(manifest.digest.as_str(), digest);
    assert_eq!(
        manifest.media_type,
        "application/vnd.oci.image.index.v1+json"
    );
    assert!(registry.requests().iter().any(|line| line.contains("HEAD")));

    let details = scanner.details(&target, &manifest.digest).await.unwrap();
    assert_eq!(details.created.unwrap().to_string(), "2026-01-02T03:04:05Z");
    assert_eq!(
        details.labels["org.opencontainers.image.source"],
        "https://example.com"
    );
    let platforms: Vec<_> = details
        .platforms
        .iter()
        .map(|p| p.architecture.as_str())
        .collect();
    assert_eq!(platforms, ["amd64", "arm64"]);

    let missing = scanner
        .manifest(&target, TagRef::new("9.9.9").unwrap())
        .await
        .unwrap_err();
    assert_eq!(missing.reason(), "NotFound");
    let _ = RequestKind::ManifestHead;
}

#[tokio::test]
async fn a_single_image_names_its_platform() {
    let registry = require!(DockerRegistry::start());
    let digest = registry.push("team/app", "1.0.0", &Image::created("2026-01-02T03:04:05Z"));
    let target = anonymous(&registry.authority(), "team/app");
    let digest = tagline_policy::Digest::new(digest).unwrap();
    let details = scanner(ScannerOptions::default())
        .details(&target, &digest)
        .await
        .unwrap();
    assert_eq!(details.platforms.len(), 1);
    assert_eq!(details.platforms[0].os, "linux");
}

#[tokio::test]
async fn content_that_does_not_fit_its_digest_is_refused() {
    let server = HttpServer::start(|request| {
        if request.path.contains("/manifests/") {
            Response::json(r#"{"annotations":{"a":"b"}}"#)
        } else {
            Response::json("{}")
        }
    })
    .unwrap();
    let target = anonymous(&server.authority(), "team/app");
    let digest = tagline_policy::Digest::new(format!("sha256:{}", "0".repeat(64))).unwrap();
    let error = scanner(ScannerOptions::default())
        .details(&target, &digest)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("has another digest"), "{error}");
}

#[tokio::test]
async fn without_a_digest_header_the_manifest_itself_tells() {
    let server = HttpServer::start(|_| Response::json("{}")).unwrap();
    let target = anonymous(&server.authority(), "team/app");
    let manifest = scanner(ScannerOptions::default())
        .manifest(&target, TagRef::new("1").unwrap())
        .await
        .unwrap();
    assert_eq!(
        manifest.digest.as_str(),
        "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    );
}
