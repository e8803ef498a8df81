//! Basic, bearer and no authentication, with real registries.

use super::support::*;
use tagline_scanner::{RequestKind, ScanMode, ScannerOptions};
use tagline_testservers::{AuthServer, DockerRegistry, Image, require};

#[tokio::test]
async fn basic_authentication() {
    let registry = require!(
        DockerRegistry::options()
            .with_user("me", "pass word")
            .start()
    );
    registry.push("team/app", "1.0.0", &Image::default());
    let scanner = scanner(ScannerOptions::default());
    let authority = registry.authority();
    let scan = scanner
        .scan(
            &with_password(&authority, "team/app", "me", "pass word"),
            ScanMode::Full,
        )
        .await
        .unwrap();
    assert_eq!(scan.tags.len(), 1);
    let error = scanner
        .scan(
            &with_password(&authority, "team/app", "me", "wrong-secret"),
            ScanMode::Full,
        )
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "Unauthorized");
    assert!(!format!("{error} {error:?}").contains("wrong-secret"));
    let error = scanner
        .scan(&anonymous(&authority, "team/app"), ScanMode::Full)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "Unauthorized");
    assert!(error.to_string().contains("set credentials"), "{error}");
}

#[tokio::test]
async fn bearer_tokens_are_kept() {
    let auth = require!(AuthServer::options().with_user("me", "secret").start());
    let registry = require!(DockerRegistry::options().with_tokens_of(&auth).start());
    registry.push("team/app", "1.0.0", &Image::default());
    let scanner = scanner(ScannerOptions::default());
    let target = with_password(&registry.authority(), "team/app", "me", "secret");
    let first = scanner.scan(&target, ScanMode::Full).await.unwrap();
    assert_eq!(first.tags.len(), 1);
    assert_eq!(first.requests.of(RequestKind::Token), 1);
    let second = scanner.scan(&target, ScanMode::Full).await.unwrap();
    assert_eq!(second.requests.total(), 1);
    assert_eq!(auth.requests().len(), 1);
    let wrong = with_password(&registry.authority(), "team/app", "me", "wrong-secret");
    let error = scanner.scan(&wrong, ScanMode::Full).await.unwrap_err();
    assert_eq!(error.reason(), "Unauthorized", "{error}");
}
