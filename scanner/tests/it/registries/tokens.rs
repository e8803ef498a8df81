//! Tokens and credentials: as few token requests as possible, the next credential on 401, nothing given away.

use super::support::*;
use secrecy::SecretString;
use tagline_scanner::{
    Access, Credential, CredentialSource, RequestKind, ScanMode, ScanTarget, ScannerOptions,
};
use tagline_testservers::{AuthServer, DockerRegistry, HttpServer, Image, Response, require};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_token_request_serves_many_repositories() {
    let auth = require!(AuthServer::options().with_user("me", "secret").start());
    let registry = require!(DockerRegistry::options().with_tokens_of(&auth).start());
    let scanner = scanner(ScannerOptions::default());
    let repositories: Vec<_> = (0..60).map(|i| format!("team/app{i}")).collect();
    for repository in &repositories {
        registry.push(repository, "1.0.0", &Image::default());
    }
    let mut scans = tokio::task::JoinSet::new();
    for repository in repositories {
        let target = with_password(&registry.authority(), &repository, "me", "secret");
        let scanner = scanner.clone();
        scans.spawn(async move {
            scanner
                .scan(&target, ScanMode::Full)
                .await
                .unwrap()
                .tags
                .len()
        });
    }
    assert_eq!(scans.join_all().await, [1; 60]);
    let requests = auth.requests();
    assert!(requests.len() <= 12, "{} token requests", requests.len());
    assert!(
        requests
            .iter()
            .any(|request| request.query_values("scope").len() > 1)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_realm_that_takes_one_scope_gets_one() {
    let auth = require!(AuthServer::options().with_max_scopes(1).start());
    let registry = require!(DockerRegistry::options().with_tokens_of(&auth).start());
    let scanner = scanner(ScannerOptions::default());
    let repositories: Vec<_> = (0..20).map(|i| format!("team/app{i}")).collect();
    for repository in &repositories {
        registry.push(repository, "1.0.0", &Image::default());
    }
    let mut scans = tokio::task::JoinSet::new();
    for repository in repositories {
        let target = anonymous(&registry.authority(), &repository);
        let scanner = scanner.clone();
        scans.spawn(async move {
            scanner
                .scan(&target, ScanMode::Full)
                .await
                .unwrap()
                .tags
                .len()
        });
    }
    assert_eq!(scans.join_all().await, [1; 20]);
    let refused = auth
        .requests()
        .iter()
        .filter(|request| request.query_values("scope").len() > 1)
        .count();
    assert!(refused <= 1, "asked for several scopes {refused} times");
}

#[tokio::test]
async fn on_401_the_next_credential_that_fits_is_tried_and_remembered() {
    let registry = require!(DockerRegistry::options().with_user("me", "right").start());
    registry.push("team/app", "1.0.0", &Image::default());
    let authority = registry.authority();
    let config = serde_json::json!({"auths": {
        authority.as_str(): {"username": "me", "password": "right"},
        format!("{authority}/team"): {"username": "me", "password": "wrong"},
    }});
    let credentials = CredentialSource::docker_config("Secret a/b", &config.to_string()).unwrap();
    let access = Access {
        credentials,
        ..Access::default()
    };
    let target = ScanTarget::new(image(&authority, "team/app"), access);
    let scanner = scanner(ScannerOptions::default());
    let first = scanner.scan(&target, ScanMode::Full).await.unwrap();
    assert_eq!(first.requests.of(RequestKind::Tags), 2);
    let second = scanner.scan(&target, ScanMode::Full).await.unwrap();
    assert_eq!(second.requests.of(RequestKind::Tags), 1);
}

#[tokio::test]
async fn an_identity_token_is_exchanged_and_never_shown_to_the_registry() {
    let server = HttpServer::start(|request| {
        let authority = request.header("host").unwrap_or_default();
        match (request.path.as_str(), request.header("authorization")) {
            ("/token", _) if request.form_values("refresh_token") == ["identity-secret"] => {
                assert_eq!(request.method, "POST");
                assert_eq!(request.form_values("grant_type"), ["refresh_token"]);
                assert_eq!(request.form_values("scope"), ["repository:team/app:pull"]);
                Response::json(r#"{"access_token":"bearer-secret"}"#)
            }
            (_, Some("Bearer bearer-secret")) => Response::json(r#"{"tags":["1.0.0"]}"#),
            _ => Response::new(401, "").with_header(
                "WWW-Authenticate",
                format!("Bearer realm=\"http://{authority}/token\",service=\"s\""),
            ),
        }
    })
    .unwrap();
    let credential = Credential::identity_token("test", SecretString::from("identity-secret"));
    let access = Access {
        credentials: CredentialSource::fixed("test", credential),
        ..Access::default()
    };
    let target = ScanTarget::new(image(&server.authority(), "team/app"), access);
    let scan = scanner(ScannerOptions::default())
        .scan(&target, ScanMode::Full)
        .await
        .unwrap();
    assert_eq!(scan.tags.len(), 1);
    for request in server.requests() {
        let head = format!("{} {} {:?}", request.path, request.query, request.headers);
        assert!(!head.contains("identity-secret"), "{head}");
    }
}

#[tokio::test]
async fn a_redirect_to_another_origin_gets_no_credential() {
    let content = br#"{"created":"2026-01-02T03:04:05Z","os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let sum = |bytes: &[u8]| {
        let sum = ring::digest::digest(&ring::digest::SHA256, bytes);
        let hex = sum
            .as_ref()
            .iter()
            .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        format!("sha256:{hex}")
    };
    let storage = HttpServer::start(|_| Response::new(200, content.to_vec())).unwrap();
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": sum(content),
            "size": content.len(),
        },
        "layers": [],
    })
    .to_string();
    let digest = sum(manifest.as_bytes());
    let location = format!("{}/blob?signature=x", storage.url());
    let server = HttpServer::start(move |request| {
        if request.header("authorization").is_none() {
            Response::new(401, "").with_header("WWW-Authenticate", "Basic realm=\"r\"")
        } else if request.path.contains("/manifests/") {
            Response::json(manifest.clone())
        } else {
            Response::new(307, "").with_header("Location", location.clone())
        }
    })
    .unwrap();
    let target = with_password(&server.authority(), "team/app", "me", "secret");
    let digest = tagline_policy::Digest::new(digest).unwrap();
    let details = scanner(ScannerOptions::default())
        .details(&target, &digest)
        .await
        .unwrap();
    assert_eq!(details.created.unwrap().to_string(), "2026-01-02T03:04:05Z");
    let requests = storage.requests();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].header("authorization").is_none());
}

#[tokio::test]
async fn passwords_are_not_shown_to_a_registry_that_does_not_ask() {
    let server = HttpServer::start(|_| Response::json(r#"{"tags":["1"]}"#)).unwrap();
    let target = with_password(&server.authority(), "team/app", "me", "secret");
    scanner(ScannerOptions::default())
        .scan(&target, ScanMode::Full)
        .await
        .unwrap();
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.header("authorization").is_none())
    );
}

#[tokio::test]
async fn one_tenants_token_is_not_anothers() {
    let auth = require!(AuthServer::options().with_user("me", "right").start());
    let registry = require!(DockerRegistry::options().with_tokens_of(&auth).start());
    registry.push("team/app", "1.0.0", &Image::default());
    let scanner = scanner(ScannerOptions::default());
    let authority = registry.authority();
    scanner
        .scan(
            &with_password(&authority, "team/app", "me", "right"),
            ScanMode::Full,
        )
        .await
        .unwrap();
    let error = scanner
        .scan(
            &with_password(&authority, "team/app", "me", "guessed"),
            ScanMode::Full,
        )
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "Unauthorized");
}
