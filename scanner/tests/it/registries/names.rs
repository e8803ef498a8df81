//! A name that an answer from outside has given must not mean an address inside, whenever it is looked up.
//!
//! Here 127.0.0.1 counts as an address of the world outside, and all others as inner ones.

use super::raw_server::{Part, RawServer, answer, json};
use super::support::*;
use secrecy::SecretString;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use tagline_scanner::{
    Access, Addresses, Credential, CredentialSource, ResolveNames, Scan, ScanError, ScanMode,
    ScanTarget, ScannerOptions,
};

const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const INSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// Names with the addresses of one look-up after the other; the last ones stay.
#[derive(Debug, Default)]
struct Names(Mutex<HashMap<&'static str, Vec<Vec<IpAddr>>>>);

impl ResolveNames for Names {
    fn resolve<'a>(&'a self, name: &'a str) -> Addresses<'a> {
        let found = {
            let mut names = self.0.lock().unwrap();
            names.get_mut(name).map(|answers| {
                if answers.len() > 1 {
                    answers.remove(0)
                } else {
                    answers[0].clone()
                }
            })
        };
        Box::pin(async move { found.ok_or_else(|| io::Error::other("no such name")) })
    }

    fn is_inside(&self, address: IpAddr) -> bool {
        address != OUTSIDE
    }
}

async fn scan(
    names: impl IntoIterator<Item = (&'static str, Vec<Vec<IpAddr>>)>,
    port: u16,
) -> Result<Scan, ScanError> {
    let options = ScannerOptions {
        names: Arc::new(Names(Mutex::new(names.into_iter().collect()))),
        ..everywhere(|_| {})
    };
    let password = SecretString::from("pa55word".to_owned());
    let access = Access {
        credentials: CredentialSource::fixed("test", Credential::basic("me", password)),
        insecure: true,
        ..Access::default()
    };
    let image = image(&format!("registry.test:{port}"), "team/app");
    scanner(options)
        .scan(&ScanTarget::new(image, access), ScanMode::Full)
        .await
}

/// A token realm on an inner address.
fn inner_realm() -> RawServer {
    RawServer::start_on(SocketAddr::new(INSIDE, 0), |_, _| json(r#"{"token":"t"}"#))
}

fn challenge(realm: &str) -> Vec<Part> {
    let header = format!("WWW-Authenticate: Bearer realm=\"{realm}\",service=\"s\"\r\n");
    answer("401 Unauthorized", &header, "")
}

/// A registry that wants a token from there.
fn registry_on(address: SocketAddr, realm: &RawServer) -> RawServer {
    let realm = format!("http://auth.test:{}/token", realm.port());
    RawServer::start_on(address, move |request, _| {
        if request
            .head
            .to_ascii_lowercase()
            .contains("authorization: bearer t")
        {
            json(r#"{"tags":["1"]}"#)
        } else {
            challenge(&realm)
        }
    })
}

#[tokio::test]
async fn a_realm_inside_named_from_outside_is_not_asked() {
    let realm = inner_realm();
    let registry = registry_on(SocketAddr::new(OUTSIDE, 0), &realm);
    let error = scan(
        [
            ("registry.test", vec![vec![OUTSIDE]]),
            ("auth.test", vec![vec![INSIDE]]),
        ],
        registry.port(),
    )
    .await
    .unwrap_err();
    assert_eq!(error.reason(), "RefusedLocation", "{error}");
    assert!(!error.is_retryable());
    let text = error.to_string();
    assert!(
        text.contains("registry.test") && text.contains("named auth.test"),
        "{text}"
    );
    assert!(realm.requests().is_empty());
}

#[tokio::test]
async fn of_several_addresses_only_those_outside_are_asked() {
    let inner = inner_realm();
    let address = SocketAddr::new(OUTSIDE, inner.port());
    let outer = RawServer::start_on(address, |_, _| json(r#"{"token":"t"}"#));
    let registry = registry_on(SocketAddr::new(OUTSIDE, 0), &inner);
    scan(
        [
            ("registry.test", vec![vec![OUTSIDE]]),
            ("auth.test", vec![vec![INSIDE, OUTSIDE]]),
        ],
        registry.port(),
    )
    .await
    .unwrap();
    assert_eq!((inner.requests().len(), outer.requests().len()), (0, 1));
}

#[tokio::test]
async fn a_registry_inside_may_have_its_realm_inside() {
    let realm = inner_realm();
    let registry = registry_on(SocketAddr::new(INSIDE, 0), &realm);
    let scan = scan(
        [
            ("registry.test", vec![vec![INSIDE]]),
            ("auth.test", vec![vec![INSIDE]]),
        ],
        registry.port(),
    )
    .await
    .unwrap();
    assert_eq!(scan.tags.len(), 1);
    assert_eq!(realm.requests().len(), 1);
}

/// First somebody inside answers in the registry's name, without any challenge; then the registry itself.
#[tokio::test]
async fn a_name_that_changes_does_not_make_a_registry_an_inner_one() {
    let realm = inner_realm();
    let bystander = RawServer::start_on(SocketAddr::new(INSIDE, 0), |_, _| {
        answer("404 Not Found", "", "")
    });
    let registry = registry_on(SocketAddr::new(OUTSIDE, bystander.port()), &realm);
    let error = scan(
        [
            // https is tried first, which nobody speaks here.
            (
                "registry.test",
                vec![vec![INSIDE], vec![INSIDE], vec![OUTSIDE]],
            ),
            ("auth.test", vec![vec![INSIDE]]),
        ],
        registry.port(),
    )
    .await
    .unwrap_err();
    assert_eq!(error.reason(), "RefusedLocation", "{error}");
    assert_eq!(bystander.requests().len(), 1);
    assert_eq!(registry.requests().len(), 1);
    assert!(realm.requests().is_empty());
}

#[tokio::test]
async fn a_redirect_from_outside_does_not_lead_inside() {
    let inner = RawServer::start_on(SocketAddr::new(INSIDE, 0), |_, _| json(r#"{"tags":["1"]}"#));
    let target = format!("Location: http://other.test:{}/x\r\n", inner.port());
    let registry = RawServer::start(move |request, _| {
        if request.target == "/v2/" {
            json("{}")
        } else {
            answer("307 Temporary Redirect", &target, "")
        }
    });
    let names = |registry| {
        [
            ("registry.test", vec![vec![registry]]),
            ("other.test", vec![vec![INSIDE]]),
        ]
    };
    let error = scan(names(OUTSIDE), registry.port()).await.unwrap_err();
    assert_eq!(error.reason(), "RefusedLocation", "{error}");
    assert!(inner.requests().is_empty());
}
