//! Lists: pages, conditional requests, only what is newer.

use super::support::*;
use tagline_scanner::{RequestKind, ScanMode, ScanOutcome, ScannerOptions};
use tagline_testservers::{DockerRegistry, Image, Nginx, require};

#[tokio::test]
async fn lists_a_real_registry() {
    let registry = require!(DockerRegistry::start());
    registry.push_tags("team/app", &["1.0.0", "1.1.0", "latest"], &Image::default());
    let scanner = scanner(ScannerOptions::default());
    let target = anonymous(&registry.authority(), "team/app");
    let scan = scanner.scan(&target, ScanMode::Conditional).await.unwrap();
    assert_eq!(ascending(&scan.tags), ["1.0.0", "1.1.0", "latest"]);
    assert_eq!(scan.added.len(), 3);
    assert_eq!(scan.outcome, ScanOutcome::Listed);
    // https is tried first, then http; no token, no manifest.
    assert_eq!(scan.requests.of(RequestKind::Ping), 2);
    assert_eq!(scan.requests.of(RequestKind::Tags), 1);
    assert_eq!(scan.requests.total(), 3);

    registry.push("team/app", "1.2.0", &Image::default());
    registry.delete_tag("team/app", "latest");
    let scan = scanner.scan(&target, ScanMode::Conditional).await.unwrap();
    assert_eq!(ascending(&scan.added), ["1.2.0"]);
    assert_eq!(ascending(&scan.removed), ["latest"]);
    assert_eq!(scan.requests.total(), 1);
    let stored = scanner.tags(&target.key()).unwrap().unwrap();
    assert_eq!(ascending(&stored.tags), ["1.0.0", "1.1.0", "1.2.0"]);
}

#[tokio::test]
async fn an_unchanged_list_costs_one_conditional_request() {
    let nginx = require!(Nginx::start());
    nginx.write_tags("team/app", &["1.0.0", "1.1.0"]);
    let scanner = scanner(ScannerOptions::default());
    let target = anonymous(&nginx.authority(), "team/app");
    let first = scanner.scan(&target, ScanMode::Conditional).await.unwrap();
    assert_eq!(first.outcome, ScanOutcome::Listed);
    let second = scanner.scan(&target, ScanMode::Conditional).await.unwrap();
    assert_eq!(second.outcome, ScanOutcome::Unchanged);
    assert_eq!(second.requests.total(), 1);
    assert_eq!(ascending(&second.tags), ["1.0.0", "1.1.0"]);
    assert!(!second.is_changed());
    nginx.write_tags("team/app", &["1.0.0", "1.1.0", "1.2.0"]);
    let third = scanner.scan(&target, ScanMode::Conditional).await.unwrap();
    assert_eq!(ascending(&third.added), ["1.2.0"]);
}
