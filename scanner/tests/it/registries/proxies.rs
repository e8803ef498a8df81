//! Proxies: http, https and socks5, with credentials, which are used and never shown.
//!
//! The registries have names that only the proxy knows. Proxies out of the environment are tested with the program.

use super::raw_server::{RawServer, answer, json};
use super::support::*;
use secrecy::SecretString;
use tagline_scanner::{
    Access, InvalidProxy, ProxySettings, ScanMode, ScanTarget, ScannerOptions, TlsSettings,
};
use tagline_testservers::{
    CertificateAuthority, HttpServer, Nginx, NginxTls, ProxyServer, Response, require,
};

const SECRET: &str = "proxy-secret/+%";

fn target(authority: &str, access: Access) -> ScanTarget {
    ScanTarget::new(image(authority, "team/app"), access)
}

fn through(proxy: Result<ProxySettings, InvalidProxy>) -> Access {
    Access {
        proxy: Some(proxy.unwrap()),
        insecure: true,
        ..Access::default()
    }
}

#[tokio::test]
async fn every_kind_of_proxy_leads_to_names_that_only_it_knows() {
    let registry = HttpServer::start(|_| Response::json(r#"{"tags":["1"]}"#)).unwrap();
    for kind in ["http", "socks5", "socks5h"] {
        let options = if kind == "http" {
            ProxyServer::http()
        } else {
            ProxyServer::socks5()
        };
        let proxy = options
            .with_host("registry.example", &registry.authority())
            .with_login("me", SECRET)
            .start()
            .unwrap();
        let login = Some(("me".to_owned(), SecretString::from(SECRET)));
        let address = format!("{kind}://{}", proxy.authority());
        // A name is looked up by the client itself with socks5, and by the proxy with socks5h.
        let name = if kind == "socks5" {
            registry.authority()
        } else {
            "registry.example:5000".to_owned()
        };
        let target = target(&name, through(ProxySettings::new(&address, login)));
        let scan = scanner(ScannerOptions::default())
            .scan(&target, ScanMode::Full)
            .await
            .unwrap();
        assert_eq!(scan.tags.len(), 1, "{kind}");
        assert!(proxy.asked().iter().all(|asked| *asked == name), "{kind}");
        assert!(!proxy.asked().is_empty(), "{kind}");

        for wrong in [
            ProxySettings::new(&address, None),
            ProxySettings::new(
                &format!("{kind}://me:wrong-secret@{}", proxy.authority()),
                None,
            ),
        ] {
            let access = through(wrong);
            let target = ScanTarget::new(image(&name, "team/app"), access);
            let error = scanner(ScannerOptions::default())
                .scan(&target, ScanMode::Full)
                .await
                .unwrap_err();
            let text = format!("{error} {error:?} {target:?} {}", target.key());
            assert!(!text.contains("secret"), "{kind}: {text}");
        }
        assert!(proxy.refused() >= 2, "{kind}");
    }
}

#[tokio::test]
async fn tls_goes_through_a_tunnel_untouched() {
    let authority = CertificateAuthority::new("test");
    let registry = Nginx::options()
        .with_tls(NginxTls {
            certificate: authority.server(&["registry.example"]),
            client_authority: None,
        })
        .with_http2()
        .start();
    let registry = require!(registry);
    registry.write_tags("team/app", &["1.0.0"]);
    for kind in ["http", "socks5h"] {
        let options = if kind == "http" {
            ProxyServer::http()
        } else {
            ProxyServer::socks5()
        };
        let proxy = options
            .with_host("registry.example", &registry.authority())
            .start()
            .unwrap();
        let address = format!("{kind}://{}", proxy.authority());
        let access = Access {
            tls: TlsSettings::default().with_ca(authority.pem()).unwrap(),
            insecure: false,
            ..through(ProxySettings::new(&address, None))
        };
        let scan = scanner(ScannerOptions::default())
            .scan(&target("registry.example", access), ScanMode::Full)
            .await
            .unwrap();
        assert_eq!(scan.tags.len(), 1, "{kind}");
        assert_eq!(proxy.asked(), ["registry.example:443"], "{kind}");
    }
}

/// The way to the proxy is encrypted, and its certificate is checked.
#[tokio::test]
async fn a_proxy_may_speak_tls() {
    let authority = CertificateAuthority::new("test");
    // "me:proxy-secret/+%" as a header has it.
    let proxy = Nginx::options()
        .with_tls(NginxTls {
            certificate: authority.loopback_server(),
            client_authority: None,
        })
        .with_server(
            "if ($http_proxy_authorization != 'Basic bWU6cHJveHktc2VjcmV0Lysl') { return 407; }",
        )
        .start();
    let proxy = require!(proxy);
    proxy.write_tags("team/app", &["1.0.0"]);
    let login = Some(("me".to_owned(), SecretString::from(SECRET)));
    let settings = ProxySettings::new(&proxy.url(), login);
    let access = through(settings.clone());
    let error = scanner(ScannerOptions::default())
        .scan(&target("registry.example:5000", access), ScanMode::Full)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "CertificateInvalid", "{error}");
    let access = Access {
        tls: TlsSettings::default().with_ca(authority.pem()).unwrap(),
        ..through(settings)
    };
    let scan = scanner(ScannerOptions::default())
        .scan(&target("registry.example:5000", access), ScanMode::Full)
        .await
        .unwrap();
    assert_eq!(scan.tags.len(), 1);
}

#[tokio::test]
async fn plain_http_goes_through_a_proxy_with_its_credentials() {
    let proxy = RawServer::start(|request, _| {
        if request.target.starts_with("http://") {
            json(r#"{"tags":["through the proxy","1.0.0"]}"#)
        } else {
            answer("403 Forbidden", "", "")
        }
    });
    let settings = ProxySettings::new(
        &format!("http://{}", proxy.authority()),
        Some(("me".to_owned(), SecretString::from("proxy-secret"))),
    )
    .unwrap();
    let access = Access {
        proxy: Some(settings),
        insecure: true,
        ..Access::default()
    };
    let scan = scanner(ScannerOptions::default())
        .scan(&target("registry.example:5000", access), ScanMode::Full)
        .await
        .unwrap();
    assert_eq!((scan.tags.len(), scan.dropped), (1, 1));
    let requests = proxy.requests();
    assert!(
        requests
            .iter()
            .any(|request| request.target == "registry.example:5000"),
        "CONNECT first"
    );
    assert!(requests.iter().any(
        |request| request.target == "http://registry.example:5000/v2/team/app/tags/list?n=1000"
    ));
    assert!(requests.iter().all(|request| {
        request
            .head
            .to_ascii_lowercase()
            .contains("proxy-authorization: basic")
    }));
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_and_its_password_is_not() {
    let proxy = RawServer::start(|_, _| answer("407 Proxy Authentication Required", "", ""));
    let address = format!("http://me:proxy-secret@{}", proxy.authority());
    let access = Access {
        proxy: Some(ProxySettings::new(&address, None).unwrap()),
        ..Access::default()
    };
    let target = target("registry.example", access);
    let error = scanner(ScannerOptions::default())
        .scan(&target, ScanMode::Full)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "ProxyFailed", "{error}");
    assert!(!format!("{error} {error:?} {target:?} {:?}", target.key()).contains("proxy-secret"));
}
