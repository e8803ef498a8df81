//! nginx: static tag lists with entity tags, rate limits, TLS.

use tagline_testservers::{CertificateAuthority, HttpClient, Nginx, NginxTls, RateLimit, require};

#[test]
fn serves_tag_lists_with_etags() {
    let nginx = require!(Nginx::start());
    nginx.write_tags("team/app", &["1.0.0", "1.1.0"]);
    let client = HttpClient::new(&nginx.authority());
    let list = client.get("/v2/team/app/tags/list?n=1000").unwrap();
    assert_eq!(
        list.text(),
        r#"{"name":"team/app","tags":["1.0.0","1.1.0"]}"#
    );
    let etag = list.header("etag").unwrap();
    let again = client.clone().with_header("If-None-Match", etag);
    assert_eq!(again.get("/v2/team/app/tags/list").unwrap().status, 304);
    assert_eq!(client.get("/v2/other/tags/list").unwrap().status, 404);
    assert_eq!(nginx.requests().len(), 3);
}

#[test]
fn limits_the_rate() {
    for retry_after in [None, Some(7)] {
        let limit = RateLimit {
            per_second: 1,
            burst: 2,
            retry_after,
        };
        let nginx = require!(Nginx::options().with_rate_limit(limit).start());
        nginx.write_tags("app", &["1"]);
        let client = HttpClient::new(&nginx.authority());
        let answers: Vec<_> = (0..6)
            .map(|_| client.get("/v2/app/tags/list").unwrap())
            .collect();
        let refused = answers.iter().find(|answer| answer.status == 429).unwrap();
        assert_eq!(answers[0].status, 200);
        let header = refused.header("retry-after").map(str::to_owned);
        assert_eq!(header, retry_after.map(|seconds: u32| seconds.to_string()));
    }
}

#[test]
fn passes_requests_on() {
    let behind = require!(Nginx::start());
    behind.write_tags("app", &["1"]);
    let front = require!(Nginx::options().with_proxy_to(&behind.url()).start());
    let client = HttpClient::new(&front.authority());
    assert_eq!(client.get("/v2/app/tags/list").unwrap().status, 200);
}

#[test]
fn speaks_tls_and_asks_for_client_certificates() {
    let authority = CertificateAuthority::new("test");
    let tls = NginxTls {
        certificate: authority.loopback_server(),
        client_authority: Some(authority.pem()),
    };
    assert!(authority.client("me").key.contains("PRIVATE KEY"));
    let nginx = require!(Nginx::options().with_tls(tls).start());
    let answer = HttpClient::new(&nginx.authority()).get("/").unwrap();
    assert!(
        answer
            .text()
            .contains("plain HTTP request was sent to HTTPS port")
    );
}
