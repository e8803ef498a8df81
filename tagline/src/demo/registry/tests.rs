//! The registry as a client sees it, by the distribution specification's rules.

use jiff::Timestamp;
use tagline_policy::{RepositoryName, Tag};
use tagline_testservers::HttpClient;
use tokio_util::sync::CancellationToken;

use super::{DemoRegistry, Endpoint, Image};

async fn registry(tags: &[&str]) -> (DemoRegistry, HttpClient) {
    let registry = DemoRegistry::start(&CancellationToken::new())
        .await
        .unwrap();
    for tag in tags {
        push(&registry, tag);
    }
    let client = HttpClient::new(&registry.address().to_string());
    (registry, client)
}

fn push(registry: &DemoRegistry, tag: &str) -> String {
    let image = Image {
        created: Timestamp::UNIX_EPOCH,
        version: tag.to_owned(),
    };
    let name = RepositoryName::new("team/app").unwrap();
    registry.push(&name, &Tag::new(tag).unwrap(), &image)
}

/// Tags of an answer and the target of its link.
fn page(client: &HttpClient, path: &str) -> (Vec<String>, Option<String>) {
    let answer = client.get(path).unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(body["name"], "team/app");
    let tags = serde_json::from_value(body["tags"].clone()).unwrap();
    let link = answer.header("link").map(|link| {
        let target = link.strip_suffix(">; rel=\"next\"").unwrap();
        target.strip_prefix('<').unwrap().to_owned()
    });
    (tags, link)
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_tags_in_linked_pages_in_lexical_order() {
    let all = ["10", "2", "B", "a", "a+b", "c", "d"].map(|tag| tag.replace('+', "_"));
    let pushed: Vec<&str> = all.iter().rev().map(String::as_str).collect();
    let (_registry, client) = registry(&pushed).await;
    for n in [
        "",
        "?n=1",
        "?n=2",
        "?n=6",
        "?n=1000",
        "?n=99999999999999999999",
    ] {
        let mut next = Some(format!("/v2/team/app/tags/list{n}"));
        let mut tags = Vec::new();
        while let Some(path) = next {
            let (mut more, link) = page(&client, &path);
            tags.append(&mut more);
            next = link;
        }
        assert_eq!(tags, all, "{n}");
    }
    // Exactly one page: no link that leads to nothing.
    assert_eq!(page(&client, "/v2/team/app/tags/list?n=2&last=b").1, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn follows_last_whether_it_is_a_tag_or_not() {
    let (_registry, client) = registry(&["1.0", "1.1", "2.0"]).await;
    let tags = |query: &str| page(&client, &format!("/v2/team/app/tags/list?{query}"));
    assert_eq!(tags("last=1.0").0, ["1.1", "2.0"]);
    assert_eq!(tags("last=1.5").0, ["2.0"]);
    assert_eq!(tags("last=2.0"), (vec![], None));
    assert_eq!(tags("last=").0.len(), 3);
    assert_eq!(tags("other=%zz&last=1%2E0").0, ["1.1", "2.0"]);
    assert_eq!(tags("n=0"), (vec![], None));
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_what_is_no_number() {
    let (_registry, client) = registry(&["1.0"]).await;
    for n in ["-1", "x", "1.5", "+1", "%20", "", "0x10", "1%00"] {
        let answer = client
            .get(&format!("/v2/team/app/tags/list?n={n}"))
            .unwrap();
        assert_eq!(answer.status, 400, "{n}");
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(
            body["errors"][0]["code"], "PAGINATION_NUMBER_INVALID",
            "{n}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn says_what_is_unknown_by_the_specifications_codes() {
    let (_registry, client) = registry(&["1.0"]).await;
    let digest = format!("sha256:{}", "0".repeat(64));
    for (path, status, code) in [
        ("/v2/other/tags/list".to_owned(), 404, "NAME_UNKNOWN"),
        ("/v2/UPPER/tags/list".to_owned(), 400, "NAME_INVALID"),
        ("/v2//tags/list".to_owned(), 404, ""),
        (
            "/v2/team/app/manifests/9".to_owned(),
            404,
            "MANIFEST_UNKNOWN",
        ),
        (
            format!("/v2/team/app/manifests/{digest}"),
            404,
            "MANIFEST_UNKNOWN",
        ),
        (format!("/v2/team/app/blobs/{digest}"), 404, "BLOB_UNKNOWN"),
        (
            "/v2/team/app/blobs/sha256:0".to_owned(),
            400,
            "DIGEST_INVALID",
        ),
        ("/v2/team/app/else".to_owned(), 404, ""),
        ("/v2x/".to_owned(), 404, ""),
        ("/".to_owned(), 404, ""),
    ] {
        let answer = client.get(&path).unwrap();
        let found = serde_json::from_slice(&answer.body).map_or(
            String::new(),
            |body: serde_json::Value| {
                body["errors"][0]["code"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            },
        );
        assert_eq!((answer.status, &*found), (status, code), "{path}");
    }
    let answer = client
        .send("PUT", "/v2/team/app/manifests/1.0", "", b"{}")
        .unwrap();
    assert_eq!(
        (answer.status, answer.header("allow")),
        (405, Some("GET, HEAD"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_not_modified_until_the_list_changes() {
    let (registry, client) = registry(&["1.0"]).await;
    let path = "/v2/team/app/tags/list";
    let first = client.get(path).unwrap();
    let etag = first.header("etag").unwrap();
    for known in [etag.to_owned(), format!("\"x\", W/{etag}"), "*".to_owned()] {
        let again = client
            .clone()
            .with_header("If-None-Match", &known)
            .get(path)
            .unwrap();
        assert_eq!((again.status, again.header("etag")), (304, Some(etag)));
        assert!(again.body.is_empty());
    }
    push(&registry, "1.1");
    let changed = client
        .clone()
        .with_header("If-None-Match", etag)
        .get(path)
        .unwrap();
    assert_eq!(changed.status, 200);
    assert_ne!(changed.header("etag"), Some(etag));
}

#[tokio::test(flavor = "multi_thread")]
async fn serves_manifests_and_blobs_by_digest() {
    let (registry, client) = registry(&[]).await;
    let digest = push(&registry, "1.0");
    let by_tag = client.get("/v2/team/app/manifests/1.0").unwrap();
    assert_eq!(by_tag.header("docker-content-digest"), Some(&*digest));
    assert_eq!(by_tag.header("content-type"), Some(super::image::MANIFEST));
    let by_digest = client
        .get(&format!("/v2/team/app/manifests/{digest}"))
        .unwrap();
    assert_eq!(by_tag.body, by_digest.body);
    assert_eq!(super::image::digest(&by_tag.body), digest);

    let head = client
        .send("HEAD", "/v2/team/app/manifests/1.0", "", b"")
        .unwrap();
    let length = by_tag.body.len().to_string();
    assert_eq!(head.header("content-length"), Some(&*length));
    assert_eq!(head.header("docker-content-digest"), Some(&*digest));

    let manifest: serde_json::Value = serde_json::from_slice(&by_tag.body).unwrap();
    let config = manifest["config"]["digest"].as_str().unwrap();
    let blob = client.get(&format!("/v2/team/app/blobs/{config}")).unwrap();
    assert_eq!(super::image::digest(&blob.body), config);
    let config: serde_json::Value = serde_json::from_slice(&blob.body).unwrap();
    assert_eq!(config["created"], "1970-01-01T00:00:00Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn is_gone_when_dropped() {
    let (registry, client) = registry(&[]).await;
    assert_eq!(client.get("/v2/").unwrap().status, 200);
    drop(registry);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while client.get("/v2/").is_ok() {
        assert!(std::time::Instant::now() < deadline, "the registry is left");
        tokio::task::yield_now().await;
    }
}

#[test]
fn finds_the_repository_in_a_path() {
    let parse = Endpoint::parse;
    let repository = "a";
    assert_eq!(parse("a/tags/list"), Some(Endpoint::Tags { repository }));
    assert_eq!(
        parse("a/manifests/b/manifests/1"),
        Some(Endpoint::Manifest {
            repository: "a/manifests/b",
            reference: "1"
        })
    );
    let digest = "sha256:0";
    assert_eq!(
        parse("a/blobs/sha256:0"),
        Some(Endpoint::Blob { repository, digest })
    );
    assert_eq!(parse("_catalog"), None);
    assert_eq!(parse("a/other/1"), None);
}
