//! The http client of a remote: what it trusts, how it gets out, how it names itself.

use super::failure::{Failure, FailureKind};
use crate::git::remote::RemoteOptions;
use reqwest::{Certificate, Client, Identity, Proxy};
use secrecy::ExposeSecret as _;
use std::error::Error as _;
use std::io;

/// Hosts tell git from a browser by the prefix `git/`.
const USER_AGENT: &str = concat!("git/2.0 (tagline ", env!("CARGO_PKG_VERSION"), ")");

/// A client without redirects and without a total time limit: both are handled per request.
pub(crate) fn build(options: &RemoteOptions) -> Result<Client, Failure> {
    let unusable = |what: &str, e: &dyn std::fmt::Display| {
        Failure::new(FailureKind::Local, format!("{what} cannot be used: {e}"))
    };
    // A second call finds the provider set, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut client = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .user_agent(USER_AGENT)
        .connect_timeout(options.timeouts.connect)
        .http1_only();
    if let Some(ca) = &options.ca {
        let roots = Certificate::from_pem_bundle(ca.as_bytes())
            .map_err(|e| unusable("the CA bundle (ca.crt)", &e))?;
        if roots.is_empty() {
            return Err(unusable(
                "the CA bundle (ca.crt)",
                &"it holds no certificate",
            ));
        }
        client = client.tls_certs_merge(roots);
    }
    if let Some(own) = &options.client_certificate {
        let pem = format!("{}\n{}", own.certificate, own.key.expose_secret());
        let identity = Identity::from_pem(pem.as_bytes()).map_err(|_| {
            unusable(
                "the client certificate (tls.crt, tls.key)",
                &"it is not PEM",
            )
        })?;
        client = client.identity(identity);
    }
    if let Some(proxy) = &options.proxy {
        let mut all = Proxy::all(&proxy.address)
            .map_err(|e| unusable("the proxy address", &e.without_url()))?;
        if let Some((user, password)) = &proxy.credentials {
            all = all.basic_auth(user, password.expose_secret());
        }
        client = client.proxy(all);
    }
    client
        .build()
        .map_err(|e| unusable("the TLS settings", &failure(e)))
}

/// A reqwest error with its kind and its whole chain of causes, without the URL.
pub(super) fn failure(e: reqwest::Error) -> Failure {
    let e = e.without_url();
    let mut kind = if e.is_timeout() {
        FailureKind::Timeout
    } else {
        FailureKind::Network
    };
    let mut text = String::new();
    let mut source = e.source();
    while let Some(cause) = source {
        if is_tls(cause) {
            kind = FailureKind::Tls;
        }
        let said = cause.to_string();
        if !text.ends_with(&said) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&said);
        }
        source = cause.source();
    }
    if text.is_empty() {
        text = e.to_string();
    }
    if kind == FailureKind::Timeout {
        text = format!("time is up ({text})");
    }
    Failure::new(kind, text)
}

/// rustls errors arrive wrapped, more than once, in `io::Error`, whose `source()` skips what it wraps.
fn is_tls(e: &(dyn std::error::Error + 'static)) -> bool {
    e.is::<rustls::Error>()
        || e.downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
            .is_some_and(|inner| is_tls(inner))
}
