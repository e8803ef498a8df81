//! CNCF distribution: its API shows what was stored, uploads and direct writes are the same.

use tagline_testservers::{CertificateAuthority, DockerRegistry, HttpClient, Image, require};

/// The tags of `team/app`, sorted: the registry lists them in the order of its directory.
fn tags(client: &HttpClient) -> Vec<String> {
    let list = client.get("/v2/team/app/tags/list").unwrap();
    assert_eq!(list.status, 200);
    let text = list.text();
    let (_, tags) = text.split_once('[').unwrap();
    let tags = tags.trim().trim_end_matches("]}").split(',');
    let mut tags: Vec<String> = tags.map(|tag| tag.trim_matches('"').to_owned()).collect();
    tags.sort();
    tags
}

#[test]
fn shows_pushed_and_deleted_tags() {
    let registry = require!(DockerRegistry::start());
    let client = HttpClient::new(&registry.authority());
    let digest = registry.push("team/app", "1.0.0", &Image::created("2024-01-01T00:00:00Z"));
    registry.push_tags("team/app", &["1.1.0", "latest"], &Image::default());

    assert_eq!(tags(&client), ["1.0.0", "1.1.0", "latest"]);
    let manifest = client
        .clone()
        .with_header("Accept", "application/vnd.oci.image.manifest.v1+json")
        .get("/v2/team/app/manifests/1.0.0")
        .unwrap();
    assert_eq!(manifest.header("docker-content-digest"), Some(&*digest));

    registry.delete_tag("team/app", "latest");
    assert_eq!(tags(&client), ["1.0.0", "1.1.0"]);

    registry.delete_repository("team/app");
    assert_eq!(client.get("/v2/team/app/tags/list").unwrap().status, 404);
    assert_eq!(registry.requests().len(), 4, "{:?}", registry.requests());
}

#[test]
fn direct_writes_equal_uploads() {
    let registry = require!(DockerRegistry::start());
    let client = HttpClient::new(&registry.authority());
    let index = Image::created("2024-01-01T00:00:00Z")
        .with_label("a", "b \"quoted\"")
        .with_platform("linux", "amd64")
        .with_platform("linux", "arm64");
    for (name, image) in [("single", &Image::default()), ("index", &index)] {
        let written = registry.push(&format!("written/{name}"), "1", image);
        let uploaded = registry.upload(&client, &format!("uploaded/{name}"), "1", image);
        assert_eq!(written, uploaded);
        let accept = client.clone().with_header(
            "Accept",
            "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json",
        );
        let answers = ["written", "uploaded"].map(|kind| {
            let path = format!("/v2/{kind}/{name}/manifests/1");
            let answer = accept.get(&path).unwrap();
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            answer.body
        });
        assert_eq!(answers[0], answers[1]);
    }
}

#[test]
fn asks_for_basic_authentication() {
    let registry = require!(DockerRegistry::options().with_user("me", "secret").start());
    registry.push("app", "1", &Image::default());
    let client = HttpClient::new(&registry.authority());
    let refused = client.get("/v2/").unwrap();
    assert_eq!(refused.status, 401);
    assert_eq!(
        refused.header("www-authenticate"),
        Some("Basic realm=\"test\"")
    );
    let wrong = client.clone().with_basic_auth("me", "wrong");
    assert_eq!(wrong.get("/v2/").unwrap().status, 401);
    let right = client.with_basic_auth("me", "secret");
    assert_eq!(right.get("/v2/app/tags/list").unwrap().status, 200);
}

#[test]
fn speaks_tls() {
    let authority = CertificateAuthority::new("test");
    let tls = authority.loopback_server();
    let registry = require!(DockerRegistry::options().with_tls(&tls).start());
    assert!(registry.url().starts_with("https://127.0.0.1:"));
    // A plain request is told so by Go's TLS server: proof enough without a TLS client here.
    let answer = HttpClient::new(&registry.authority()).get("/v2/").unwrap();
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("HTTPS server"), "{}", answer.text());
}
