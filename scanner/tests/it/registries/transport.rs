//! TLS with own authorities and client certificates, HTTP/2, mirrors, plain http, and hosts that are not there.

use super::support::*;
use secrecy::SecretString;
use std::net::TcpListener;
use tagline_scanner::{Access, ScanMode, ScanTarget, ScannerOptions, TlsSettings};
use tagline_testservers::{
    CertificateAuthority, HttpServer, KeyPair, Nginx, NginxTls, Response, require,
};

fn target(authority: &str, access: Access) -> ScanTarget {
    ScanTarget::new(image(authority, "team/app"), access)
}

fn tls_front(
    certificate: KeyPair,
    client_authority: Option<String>,
) -> Result<Nginx, tagline_testservers::StartError> {
    let nginx = Nginx::options()
        .with_tls(NginxTls {
            certificate,
            client_authority,
        })
        .start()?;
    nginx.write_tags("team/app", &["1.0.0"]);
    Ok(nginx)
}

#[tokio::test]
async fn an_own_authority_is_trusted_where_it_is_given() {
    let authority = CertificateAuthority::new("test");
    let nginx = require!(tls_front(authority.loopback_server(), None));
    let scanner = scanner(ScannerOptions::default());
    let with_ca = Access {
        tls: TlsSettings::default().with_ca(authority.pem()).unwrap(),
        ..Access::default()
    };
    let scan = scanner
        .scan(&target(&nginx.authority(), with_ca), ScanMode::Full)
        .await
        .unwrap();
    assert_eq!(scan.tags.len(), 1);
    assert_eq!(scan.requests.total(), 2);

    let error = scanner
        .scan(
            &target(&nginx.authority(), Access::default()),
            ScanMode::Full,
        )
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "CertificateInvalid", "{error}");
    assert!(!error.is_retryable());
    assert!(
        error.to_string().contains("unknown authority: give the CA"),
        "{error}"
    );
}

#[tokio::test]
async fn http_2_is_negotiated_and_one_connection_serves_many() {
    let authority = CertificateAuthority::new("test");
    let nginx = Nginx::options()
        .with_tls(NginxTls {
            certificate: authority.loopback_server(),
            client_authority: None,
        })
        .with_http2()
        .with_http("log_format connections '$connection $server_protocol $uri';")
        .with_server("access_log connections.log connections;")
        .start();
    let nginx = require!(nginx);
    let scanner = scanner(everywhere(|_| {}));
    let access = Access {
        tls: TlsSettings::default().with_ca(authority.pem()).unwrap(),
        ..Access::default()
    };
    let scans = (0..20).map(|number| {
        let repository = format!("team/app-{number}");
        nginx.write_tags(&repository, &["1.0.0"]);
        let target = ScanTarget::new(image(&nginx.authority(), &repository), access.clone());
        let scanner = scanner.clone();
        async move { scanner.scan(&target, ScanMode::Full).await }
    });
    for scan in futures_util::future::join_all(scans).await {
        assert_eq!(scan.unwrap().tags.len(), 1);
    }
    let log = std::fs::read_to_string(nginx.root().join("../connections.log")).unwrap();
    let connections: std::collections::HashSet<&str> = log
        .lines()
        .map(|line| {
            let mut words = line.split(' ');
            let connection = words.next().unwrap();
            assert_eq!(words.next(), Some("HTTP/2.0"), "{log}");
            connection
        })
        .collect();
    assert_eq!(log.lines().count(), 21, "{log}");
    assert!(connections.len() <= 2, "{log}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let authority = CertificateAuthority::new("test");
    let nginx = require!(tls_front(authority.server(&["registry.example"]), None));
    let access = Access {
        tls: TlsSettings::default().with_ca(authority.pem()).unwrap(),
        ..Access::default()
    };
    let error = scanner(ScannerOptions::default())
        .scan(&target(&nginx.authority(), access), ScanMode::Full)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "CertificateInvalid", "{error}");
    assert!(
        error.to_string().contains("use the name it was made for"),
        "{error}"
    );
}

#[tokio::test]
async fn a_client_certificate_is_shown() {
    let authority = CertificateAuthority::new("test");
    let clients = CertificateAuthority::new("clients");
    let nginx = require!(tls_front(authority.loopback_server(), Some(clients.pem())));
    let scanner = scanner(ScannerOptions::default());
    let tls = TlsSettings::default().with_ca(authority.pem()).unwrap();
    let without = Access {
        tls: tls.clone(),
        ..Access::default()
    };
    let error = scanner
        .scan(&target(&nginx.authority(), without), ScanMode::Full)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error.reason(),
            "UnexpectedStatus" | "TLSFailed" | "NotARegistry"
        ),
        "{error}"
    );
    let pair = clients.client("tagline");
    let with = Access {
        tls: tls
            .with_client_certificate(pair.certificate, SecretString::from(pair.key))
            .unwrap(),
        ..Access::default()
    };
    let scan = scanner
        .scan(&target(&nginx.authority(), with), ScanMode::Full)
        .await
        .unwrap();
    assert_eq!(scan.tags.len(), 1);
}

#[test]
fn unusable_certificates_are_refused_at_once_and_keys_not_quoted() {
    assert!(TlsSettings::default().with_ca("no certificate").is_err());
    let authority = CertificateAuthority::new("test");
    let pair = authority.client("a");
    let other = authority.client("b");
    for key in ["secret-key", other.key.as_str(), pair.certificate.as_str()] {
        let error = TlsSettings::default()
            .with_client_certificate(pair.certificate.clone(), SecretString::from(key))
            .unwrap_err();
        assert!(
            !format!("{error} {error:?}").contains("secret-key"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn plain_http_beyond_this_machine_needs_insecure() {
    // 127.0.0.1 counts as this machine, so another name of it stands for a host out there.
    let server = HttpServer::start(|_| Response::json(r#"{"tags":["1"]}"#)).unwrap();
    let port = server.authority().rsplit(':').next().unwrap().to_owned();
    let name = "ip6-localhost-is-not-here.invalid";
    let error = scanner(ScannerOptions::default())
        .scan(
            &target(&format!("{name}:{port}"), Access::default()),
            ScanMode::Full,
        )
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "UnknownHost", "{error}");
    assert!(error.to_string().contains("check its spelling"), "{error}");
}

#[tokio::test]
async fn nobody_there() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let error = scanner(ScannerOptions::default())
        .scan(
            &target(&free.to_string(), Access::default()),
            ScanMode::Full,
        )
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "Unreachable", "{error}");
    assert!(error.is_retryable());
    assert!(error.to_string().contains("connection refused"), "{error}");
}

#[tokio::test]
async fn a_mirror_is_asked_in_the_hosts_place() {
    let mirror = HttpServer::start(|_| Response::json(r#"{"tags":["1.0.0"]}"#)).unwrap();
    let options = everywhere(|settings| {
        settings.endpoint = Some(format!("{}/mirror", mirror.url()).parse().unwrap());
        settings.insecure = true;
    });
    let image = tagline_policy::ImageName::parse("alpine").unwrap();
    let scan = scanner(options)
        .scan(&ScanTarget::anonymous(image), ScanMode::Full)
        .await
        .unwrap();
    assert_eq!(scan.target.as_str(), "index.docker.io/library/alpine");
    let paths: Vec<_> = mirror
        .requests()
        .into_iter()
        .map(|request| request.path)
        .collect();
    assert_eq!(
        paths,
        ["/mirror/v2/", "/mirror/v2/library/alpine/tags/list"]
    );
}
