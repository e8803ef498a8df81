//! Proxies: http, https and socks5, given with an object or a registry, or by the environment.

use secrecy::{ExposeSecret as _, SecretString};
use std::fmt;
use url::Url;

/// The longest proxy address that is accepted, as in Flux.
const MAX_ADDRESS_LENGTH: usize = 2048;

/// One proxy with its credentials.
#[derive(Clone)]
pub struct ProxySettings {
    address: Url,
    login: Option<(String, SecretString)>,
}

/// An address that is not a proxy's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the proxy address cannot be used: {reason}; it must look like http://host:port, https://host:port or socks5://host:port"
)]
pub struct InvalidProxy {
    /// What is wrong with it.
    pub reason: String,
}

impl ProxySettings {
    /// Takes an address and, where the proxy wants them, user name and password (also accepted inside the address).
    ///
    /// # Errors
    /// [`InvalidProxy`] for another scheme than http, https, socks5 and socks5h, for an address without a host, or a too long one.
    pub fn new(address: &str, login: Option<(String, SecretString)>) -> Result<Self, InvalidProxy> {
        let invalid = |reason: &str| InvalidProxy {
            reason: reason.to_owned(),
        };
        if address.len() > MAX_ADDRESS_LENGTH {
            return Err(invalid("it is longer than 2048 characters"));
        }
        // The parser's error does not quote the address, which may hold a password.
        let mut url = Url::parse(address).map_err(|error| invalid(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") {
            return Err(invalid(&format!("unknown scheme {:?}", url.scheme())));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(invalid("it names no host"));
        }
        let inside = (!url.username().is_empty()).then(|| {
            (
                decoded(url.username()),
                SecretString::from(decoded(url.password().unwrap_or_default())),
            )
        });
        if inside.is_some() {
            let emptied = url.set_username("").and_then(|()| url.set_password(None));
            emptied.map_err(|()| invalid("its user name cannot be read"))?;
        }
        Ok(Self {
            address: url,
            login: login.or(inside),
        })
    }

    /// The address and the user name, without the password.
    #[must_use]
    pub fn redacted(&self) -> String {
        match &self.login {
            None => self.address.to_string(),
            Some((user, _)) => format!("{} (as {user})", self.address),
        }
    }

    pub(crate) fn to_reqwest(&self) -> Result<reqwest::Proxy, InvalidProxy> {
        let mut address = self.address.clone();
        let is_socks = address.scheme().starts_with("socks5");
        if let Some((user, password)) = self.login.as_ref().filter(|_| is_socks) {
            let set = address
                .set_username(user)
                .and_then(|()| address.set_password(Some(password.expose_secret())));
            set.map_err(|()| InvalidProxy {
                reason: "its user name cannot be used".to_owned(),
            })?;
        }
        let proxy = reqwest::Proxy::all(address).map_err(|error| InvalidProxy {
            reason: error.without_url().to_string(),
        })?;
        Ok(match self.login.as_ref().filter(|_| !is_socks) {
            None => proxy,
            Some((user, password)) => proxy.basic_auth(user, password.expose_secret()),
        })
    }
}

fn decoded(text: &str) -> String {
    url::form_urlencoded::parse(
        format!("v={}", text.replace('+', "%2B").replace('&', "%26")).as_bytes(),
    )
    .next()
    .map(|(_, value)| value.into_owned())
    .unwrap_or_default()
}

impl PartialEq for ProxySettings {
    fn eq(&self, other: &Self) -> bool {
        let login = |settings: &Self| {
            settings
                .login
                .as_ref()
                .map(|(user, password)| (user.clone(), password.expose_secret().to_owned()))
        };
        self.address == other.address && login(self) == login(other)
    }
}

impl Eq for ProxySettings {}

impl std::hash::Hash for ProxySettings {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.address.hash(state);
    }
}

impl fmt::Debug for ProxySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProxySettings")
            .field(&self.redacted())
            .finish()
    }
}
