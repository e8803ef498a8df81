//! How a remote is reached: TLS with an own authority, client certificates, proxies, redirects.

use super::setting::{Setting, filled};
use super::socks_proxy::SocksProxy;
use base64::Engine as _;
use tagline_testservers::{CertificateAuthority, GitHttp, Nginx, NginxTls, require};
use tagline_updater::git::{ClientCertificate, GitAuth, Proxy, RemoteOptions};

fn basic() -> GitAuth {
    GitAuth::Basic {
        username: "me".to_owned(),
        password: "s3cret".into(),
    }
}

#[test]
fn https_with_an_own_authority_and_a_client_certificate() {
    let git = require!(GitHttp::options().with_user("me", "s3cret").start());
    let repository = git.create("r");
    filled(&repository);
    let authority = CertificateAuthority::new("test authority");
    let tls = |client_authority| NginxTls {
        certificate: authority.loopback_server(),
        client_authority,
    };
    let server = require!(
        Nginx::options()
            .with_proxy_to(&git.base_url())
            .with_tls(tls(None))
            .start()
    );
    let url = format!("{}/r.git", server.url());
    assert!(url.starts_with("https://"));

    let unknown = Setting::new(&url, basic())
        .bump(&[("app", "1.1.0")])
        .unwrap_err();
    assert_eq!(unknown.reason(), "TLSFailed", "{unknown}");
    assert!(!unknown.is_retryable());
    let trusting = RemoteOptions {
        ca: Some(authority.pem()),
        ..RemoteOptions::default()
    };
    Setting::with(&url, basic(), trusting.clone())
        .bump(&[("app", "1.1.0")])
        .unwrap();
    for ca in ["", "no certificate"] {
        let options = RemoteOptions {
            ca: Some(ca.to_owned()),
            ..RemoteOptions::default()
        };
        let error = Setting::with(&url, basic(), options).bump(&[]).unwrap_err();
        assert_eq!(error.reason(), "CredentialsUnusable", "{error}");
    }

    let strict = require!(
        Nginx::options()
            .with_proxy_to(&git.base_url())
            .with_tls(tls(Some(authority.pem())))
            .start()
    );
    let url = format!("{}/r.git", strict.url());
    assert!(
        Setting::with(&url, basic(), trusting.clone())
            .bump(&[("app", "1.2.0")])
            .is_err()
    );
    let own = authority.client("tagline");
    let with_certificate = RemoteOptions {
        client_certificate: Some(ClientCertificate {
            certificate: own.certificate,
            key: own.key.into(),
        }),
        ..trusting
    };
    Setting::with(&url, basic(), with_certificate)
        .bump(&[("app", "1.2.0")])
        .unwrap();
    assert_eq!(repository.log("main").len(), 3);
}

#[test]
fn through_a_proxy_with_credentials() {
    let git = require!(GitHttp::start());
    filled(&git.create("r"));
    let expected = base64::engine::general_purpose::STANDARD.encode("user:pa55");
    let proxy = require!(
        Nginx::options()
            .with_server(&format!(
                "if ($http_proxy_authorization != \"Basic {expected}\") {{ return 407; }}\nlocation / {{ proxy_pass http://$http_host$request_uri; proxy_http_version 1.1; proxy_request_buffering off; }}"
            ))
            .start()
    );
    let through = |credentials| RemoteOptions {
        proxy: Some(Proxy {
            address: proxy.url(),
            credentials,
        }),
        ..RemoteOptions::default()
    };
    let refused = Setting::with(&git.url("r"), GitAuth::None, through(None)).bump(&[("app", "2")]);
    assert!(refused.unwrap_err().to_string().contains("407"));
    assert!(git.requests().is_empty());
    let known = Some(("user".to_owned(), "pa55".into()));
    Setting::with(&git.url("r"), GitAuth::None, through(known))
        .bump(&[("app", "2")])
        .unwrap();
    assert!(proxy.requests().len() >= 4);
}

#[test]
fn through_a_proxy_over_tls() {
    let git = require!(GitHttp::start());
    filled(&git.create("r"));
    let authority = CertificateAuthority::new("proxy authority");
    let proxy = require!(
        Nginx::options()
            .with_tls(NginxTls {
                certificate: authority.loopback_server(),
                client_authority: None,
            })
            .with_server("location / { proxy_pass http://$http_host$request_uri; proxy_http_version 1.1; proxy_request_buffering off; }")
            .start()
    );
    let through = |ca| RemoteOptions {
        ca,
        proxy: Some(Proxy {
            address: proxy.url(),
            credentials: None,
        }),
        ..RemoteOptions::default()
    };
    let stranger = Setting::with(&git.url("r"), GitAuth::None, through(None)).bump(&[("app", "2")]);
    assert_eq!(stranger.unwrap_err().reason(), "TLSFailed");
    assert!(git.requests().is_empty());
    Setting::with(&git.url("r"), GitAuth::None, through(Some(authority.pem())))
        .bump(&[("app", "2")])
        .unwrap();
    assert!(proxy.requests().len() >= 4);
}

#[test]
fn through_a_socks_proxy() {
    let git = require!(GitHttp::start());
    filled(&git.create("r"));
    let proxy = SocksProxy::start("user", "pa55");
    let run = |address: String, password: &str| {
        let options = RemoteOptions {
            proxy: Some(Proxy {
                address,
                credentials: Some(("user".to_owned(), password.into())),
            }),
            ..RemoteOptions::default()
        };
        Setting::with(&git.url("r"), GitAuth::None, options).bump(&[("app", "2")])
    };
    let error = run(proxy.address("socks5"), "wrong").unwrap_err();
    assert_eq!(error.reason(), "ConnectionFailed", "{error}");
    assert!(!error.to_string().contains("wrong"), "{error}");
    assert!(git.requests().is_empty());
    run(proxy.address("socks5"), "pa55").unwrap();
    assert!(
        run(proxy.address("socks5h"), "pa55")
            .unwrap()
            .pushed()
            .is_none()
    );
    assert!(proxy.connections() >= 2);
}

#[test]
fn a_moved_repository_is_followed_without_taking_credentials_along() {
    let git = require!(GitHttp::options().with_user("me", "s3cret").start());
    let repository = git.create("new");
    filled(&repository);
    let open = require!(GitHttp::start());
    let public = open.create("new");
    filled(&public);
    let redirect = |to: &str| {
        Nginx::options()
            .with_server(&format!("location ~ ^/old\\.git/(.*)$ {{ return 301 {to}/new.git/$1$is_args$args; }}\nlocation /login {{ return 200 'sign in'; }}\nlocation /private.git {{ return 302 /login; }}"))
            .start()
    };
    // To another origin the password does not go.
    let moved = require!(redirect(&git.base_url()));
    let error = Setting::new(&format!("{}/old.git", moved.url()), basic())
        .bump(&[("app", "2")])
        .unwrap_err();
    assert_eq!(error.reason(), "AuthenticationFailed", "{error}");
    assert!(
        git.requests()
            .iter()
            .all(|r| r.header("authorization").is_none())
    );
    // A public one is followed, for the push as well.
    let moved = require!(redirect(&open.base_url()));
    Setting::new(&format!("{}/old.git", moved.url()), basic())
        .bump(&[("app", "2")])
        .unwrap();
    assert!(
        open.requests()
            .iter()
            .all(|r| r.header("authorization").is_none())
    );
    assert_eq!(public.log("main").len(), 2);
    // A login page is no repository.
    let error = Setting::new(&format!("{}/private.git", moved.url()), basic())
        .bump(&[])
        .unwrap_err();
    assert!(error.to_string().contains("login page"), "{error}");
}

#[test]
fn what_answers_without_being_git() {
    let server = require!(
        Nginx::options()
            .with_server("location / { default_type text/html; return 200 '<html>hello</html>'; }\nlocation /busy.git { add_header Retry-After 30 always; return 429; }\nlocation /down.git { return 503; }")
            .start()
    );
    let reason = |path: &str| {
        Setting::new(&format!("{}/{path}", server.url()), GitAuth::None)
            .bump(&[])
            .unwrap_err()
    };
    assert_eq!(reason("page.git").reason(), "NotAGitRepository");
    let busy = reason("busy.git");
    assert_eq!(busy.reason(), "TooManyRequests");
    assert!(
        busy.is_retryable() && busy.to_string().contains("retry after 30"),
        "{busy}"
    );
    assert_eq!(reason("down.git").reason(), "RemoteFailed");
    let closed = Setting::new("http://127.0.0.1:1/x.git", GitAuth::None)
        .bump(&[])
        .unwrap_err();
    assert_eq!(closed.reason(), "ConnectionFailed");
}
