//! Where a registry may lead us: token realms and redirects.
//!
//! Whoever operates a registry, or stands in front of it, writes these addresses. They must not make this program ask
//! the cloud's metadata service, services of the inner network, or anybody over plain http. What the address says is
//! checked here; what its name resolves to, where the connection is made ([`Reach`]).

use crate::names::is_inner_address;
use std::net::IpAddr;
use url::{Host, Url};

/// Whether a token realm may be asked, with credentials.
///
/// `https` unless the registry itself is http; not a private address unless it is the registry's own host.
pub(crate) fn check_realm(realm: &Url, registry: &Url) -> Result<(), &'static str> {
    check_target(realm, registry)?;
    match realm.scheme() {
        "https" => Ok(()),
        "http" if registry.scheme() == "http" => Ok(()),
        _ => Err(
            "a token realm must use https, as credentials are sent to it; correct the registry's configuration",
        ),
    }
}

/// Whether a redirect may be followed.
pub(crate) fn check_redirect(target: &Url, from: &Url) -> Result<(), &'static str> {
    check_target(target, from)?;
    match (from.scheme(), target.scheme()) {
        (_, "https") | ("http", "http") => Ok(()),
        _ => Err(
            "a redirect from https to http would give away what is sent; correct the registry's configuration",
        ),
    }
}

fn check_target(target: &Url, from: &Url) -> Result<(), &'static str> {
    if !matches!(target.scheme(), "http" | "https") {
        return Err("only http and https addresses are followed");
    }
    if !target.username().is_empty() || target.password().is_some() {
        return Err("addresses with user names in them are not followed");
    }
    if target.host() == from.host() {
        return Ok(());
    }
    let allowed = match place(target) {
        Place::Outside => true,
        // The realm of a registry inside is inside too; both are then known by names its operator has chosen.
        Place::InnerName => place(from) != Place::Outside,
        Place::InnerAddress => false,
    };
    if allowed {
        Ok(())
    } else {
        Err(
            "it is an address of this machine or of an inner network, and the registry is not there itself; if it is meant, give the registry under that address too",
        )
    }
}

/// Which addresses a host's name may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reach {
    /// Any: somebody here has chosen the host, or an answer from inside has.
    Anywhere,
    /// Only such as belong to nobody's inner network: an answer from outside has named the host. Looked at when the
    /// connection is made, so that a name cannot mean another address by then.
    Outside,
}

impl Reach {
    /// For a host that an answer has named.
    pub(crate) fn of_led(target: &Url, from: &Url, is_from_inside: bool) -> Self {
        if target.host() == from.host() || is_from_inside {
            Self::Anywhere
        } else {
            Self::Outside
        }
    }
}

/// Where a host is, as far as its name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Outside,
    /// A name that only an inner network knows.
    InnerName,
    /// A private, loopback or link-local address, or a name that always means one.
    InnerAddress,
}

fn place(url: &Url) -> Place {
    let address = match url.host() {
        None => return Place::InnerAddress,
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            return if name == "localhost"
                || name.ends_with(".localhost")
                || name == "metadata.google.internal"
                || name.ends_with(".metadata.google.internal")
            {
                Place::InnerAddress
            } else if !name.contains('.')
                || [".local", ".internal", ".localdomain"]
                    .iter()
                    .any(|suffix| name.ends_with(suffix))
            {
                Place::InnerName
            } else {
                Place::Outside
            };
        }
    };
    if is_inner_address(address) {
        Place::InnerAddress
    } else {
        Place::Outside
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn realms_are_https_and_outside() {
        let registry = url("https://registry.example.com/v2/");
        for realm in [
            "https://auth.example.com/token",
            "https://registry.example.com/token",
            "https://203.1.1.1/token",
        ] {
            assert_eq!(check_realm(&url(realm), &registry), Ok(()), "{realm}");
        }
        for realm in [
            "http://auth.example.com/token",
            "https://127.0.0.1/token",
            "https://localhost/token",
            "https://a.localhost./token",
            "https://169.254.169.254/latest/meta-data",
            "https://metadata.google.internal/",
            "https://10.0.0.1/",
            "https://192.168.1.1/",
            "https://172.16.0.1/",
            "https://100.64.0.1/",
            "https://0.0.0.0/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://[::1]/",
            "https://[fe80::1]/",
            "https://[fd00::1]/",
            "https://[::ffff:169.254.169.254]/",
            "https://[64:ff9b::a9fe:a9fe]/",
            "https://[2002:a9fe:a9fe::1]/",
            "https://intranet/",
            "https://user@auth.example.com/token",
            "ftp://auth.example.com/",
            "file:///etc/passwd",
        ] {
            assert!(check_realm(&url(realm), &registry).is_err(), "{realm}");
        }
    }

    #[test]
    fn a_registry_inside_may_have_its_realm_on_the_same_host() {
        let inside = url("http://10.0.0.5:5000/v2/");
        assert_eq!(
            check_realm(&url("http://10.0.0.5:5001/auth"), &inside),
            Ok(())
        );
        assert!(check_realm(&url("http://10.0.0.6:5001/auth"), &inside).is_err());
        assert_eq!(
            check_realm(&url("http://auth.example.com/auth"), &inside),
            Ok(())
        );
        let named = url("https://registry.corp.local/v2/");
        assert_eq!(
            check_realm(&url("https://gitlab.corp.local/jwt/auth"), &named),
            Ok(())
        );
        assert!(check_realm(&url("https://10.1.1.1/jwt/auth"), &named).is_err());
        assert!(check_realm(&url("https://metadata.google.internal/"), &named).is_err());
        let tls = url("https://127.0.0.1:5000/v2/");
        assert_eq!(
            check_realm(&url("https://127.0.0.1:5001/auth"), &tls),
            Ok(())
        );
        assert!(check_realm(&url("http://127.0.0.1:5001/auth"), &tls).is_err());
    }

    #[test]
    fn redirects_do_not_go_down_to_http() {
        let from = url("https://registry.example.com/v2/a/blobs/x");
        assert_eq!(
            check_redirect(&url("https://cdn.example.net/x"), &from),
            Ok(())
        );
        assert!(check_redirect(&url("http://cdn.example.net/x"), &from).is_err());
        assert!(check_redirect(&url("https://169.254.169.254/"), &from).is_err());
        assert_eq!(
            check_redirect(&url("http://b.example.net/"), &url("http://a.example.net/")),
            Ok(())
        );
    }
}
