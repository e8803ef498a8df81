//! Reads errors of the HTTP and TLS libraries: which problem it is, in words that help.

use super::connections::OnlyInnerAddresses;
use crate::error::{Problem, Unreachable, printable};
use std::error::Error;
use std::io;
use std::sync::Arc;

/// A request that got no answer.
pub(crate) fn of_request(host: &str, error: reqwest::Error) -> Problem {
    // The address may hold a token as a query parameter.
    let error = error.without_url();
    if find::<OnlyInnerAddresses>(&error).is_some() {
        return Problem::Refused {
            host: host.to_owned(),
            url: host.to_owned(),
            reason: "its name resolves only to addresses of this machine, of an inner network or of a metadata service, and who named it is not there; if it is meant, reach the registry under its inner address too",
        };
    }
    let cause = if let Some(tls) = find::<rustls::Error>(&error) {
        of_tls(tls)
    } else if is_proxy(&error) {
        Unreachable::Proxy(innermost(&error))
    } else if error.is_connect() && error.is_timeout() {
        Unreachable::Timeout
    } else if error.is_dns() {
        Unreachable::UnknownHost
    } else if error.is_connect() {
        match find::<io::Error>(&error).map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => Unreachable::Refused,
            Some(io::ErrorKind::TimedOut) => Unreachable::Timeout,
            Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
                Unreachable::Tls("the other side hung up".to_owned())
            }
            _ => Unreachable::Other(innermost(&error)),
        }
    } else {
        return Problem::Broken {
            host: host.to_owned(),
            detail: innermost(&error),
        };
    };
    Problem::Unreachable {
        host: host.to_owned(),
        cause,
        source: Some(Arc::new(error)),
    }
}

/// A body that broke off.
pub(crate) fn of_body(host: &str, error: reqwest::Error) -> Problem {
    let error = error.without_url();
    // The library calls both so; only the first comes out of the HTTP layer underneath.
    let is_connection = chain(&error).any(|error| {
        error
            .to_string()
            .starts_with("error reading a body from connection")
    });
    if error.is_decode() && !is_connection {
        return Problem::Malformed {
            host: host.to_owned(),
            detail: format!("its compression is broken ({})", innermost(&error)),
        };
    }
    Problem::Broken {
        host: host.to_owned(),
        detail: innermost(&error),
    }
}

fn of_tls(error: &rustls::Error) -> Unreachable {
    use rustls::{CertificateError, Error};
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => Unreachable::UnknownCa,
        Error::InvalidCertificate(error) => Unreachable::Certificate(printable(&error.to_string())),
        Error::InvalidMessage(_) => {
            Unreachable::Tls("the other side does not speak TLS".to_owned())
        }
        error => Unreachable::Tls(printable(&error.to_string())),
    }
}

/// Whether the proxy, not the registry, is what failed.
fn is_proxy(error: &reqwest::Error) -> bool {
    chain(error).any(|error| {
        let text = error.to_string();
        text.contains("tunnel") || text.contains("SOCKS") || text.contains("socks")
    })
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'a (dyn Error + 'static) = *error;
        error.source()
    })
}

fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    chain(error).find_map(unwrapped)
}

/// The error itself, or what it wraps: an `io::Error` gives as its source not what it wraps but the source of that, and
/// a TLS error arrives wrapped twice.
fn unwrapped<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    error.downcast_ref::<E>().or_else(|| {
        let wrapped = error.downcast_ref::<io::Error>()?.get_ref()?;
        unwrapped(wrapped)
    })
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    chain(error)
        .last()
        .map(|error| printable(&error.to_string()))
        .unwrap_or_default()
}
