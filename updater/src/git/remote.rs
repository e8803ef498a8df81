//! A remote repository: its address, who we are there, how it is reached and how long we wait.

use super::error::GitError;
use super::transport::http_client;
use super::url::{GitUrl, InvalidGitUrl};
use secrecy::{ExposeSecret as _, SecretString};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Who we are at the remote.
#[derive(Debug, Clone, Default)]
pub enum GitAuth {
    /// Nobody: public repositories, `file://`.
    #[default]
    None,
    /// HTTP basic auth; also forge tokens, with the user name the forge wants.
    Basic {
        /// User name.
        username: String,
        /// Password or token.
        password: SecretString,
    },
    /// `Authorization: Bearer`.
    Bearer(SecretString),
    /// An ssh key. The remote's host keys must be known: there is no trust on first use.
    SshKey {
        /// Private key, OpenSSH or PEM format.
        identity: SecretString,
        /// Lines of a `known_hosts` file: hashed hosts, `@cert-authority` and `@revoked` as OpenSSH reads them.
        known_hosts: String,
        /// Passphrase of `identity`, when it is encrypted.
        passphrase: Option<SecretString>,
    },
}

impl GitAuth {
    fn is_same(&self, other: &Self) -> bool {
        let same =
            |one: &SecretString, other: &SecretString| one.expose_secret() == other.expose_secret();
        match (self, other) {
            (Self::None, Self::None) => true,
            (
                Self::Basic { username, password },
                Self::Basic {
                    username: other_name,
                    password: other_password,
                },
            ) => username == other_name && same(password, other_password),
            (Self::Bearer(one), Self::Bearer(other)) => same(one, other),
            // Two forms of one key are not told apart by their passphrases.
            (
                Self::SshKey {
                    identity,
                    known_hosts,
                    ..
                },
                Self::SshKey {
                    identity: other_identity,
                    known_hosts: other_hosts,
                    ..
                },
            ) => same(identity, other_identity) && known_hosts == other_hosts,
            _ => false,
        }
    }
}

/// A client certificate for TLS (`tls.crt`, `tls.key`).
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// Certificate chain, PEM.
    pub certificate: String,
    /// Private key, PEM, PKCS#8, PKCS#1 or SEC1.
    pub key: SecretString,
}

/// A proxy for http and https remotes.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// `http://`, `https://` or `socks5://` address, without user info.
    pub address: String,
    /// User name and password at the proxy.
    pub credentials: Option<(String, SecretString)>,
}

/// How long we wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection to stand.
    pub connect: Duration,
    /// The longest silence of the remote.
    pub idle: Duration,
    /// For one fetch, and again for one push (`GitRepository.spec.timeout`; Flux's default is 60 s).
    pub operation: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            idle: Duration::from_secs(30),
            operation: Duration::from_mins(1),
        }
    }
}

/// How much a remote may send. A remote that sends more is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the list of references.
    pub references: u64,
    /// Bytes of everything sent in one fetch.
    pub pack: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            references: 256 << 20,
            pack: 8 << 30,
        }
    }
}

/// What has a default in a [`Remote`].
#[derive(Debug, Clone, Default)]
pub struct RemoteOptions {
    /// Certificates to trust besides the system's (`ca.crt`), PEM.
    pub ca: Option<String>,
    /// A client certificate for https.
    pub client_certificate: Option<ClientCertificate>,
    /// A proxy; without one, the process's `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` count.
    pub proxy: Option<Proxy>,
    /// How long we wait.
    pub timeouts: Timeouts,
    /// How much the remote may send.
    pub limits: Limits,
}

impl RemoteOptions {
    fn is_same(&self, other: &Self) -> bool {
        let certificate = |options: &Self| {
            options.client_certificate.as_ref().map(|own| {
                let key = own.key.expose_secret().to_owned();
                (own.certificate.clone(), key)
            })
        };
        let proxy = |options: &Self| {
            options.proxy.as_ref().map(|proxy| {
                let credentials = proxy.credentials.as_ref();
                let credentials =
                    credentials.map(|(user, word)| (user.clone(), word.expose_secret().to_owned()));
                (proxy.address.clone(), credentials)
            })
        };
        self.ca == other.ca
            && certificate(self) == certificate(other)
            && proxy(self) == proxy(other)
            && self.timeouts == other.timeouts
            && self.limits == other.limits
    }
}

/// Why address, credentials and options make no remote.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRemote {
    /// The address.
    #[error(transparent)]
    Url(#[from] InvalidGitUrl),
    /// Credentials that the scheme has no use for.
    #[error("{given} cannot be used with {url}: {hint}")]
    Auth {
        /// The address.
        url: String,
        /// What was given.
        given: &'static str,
        /// What to give.
        hint: &'static str,
    },
    /// An empty user name, password, token or key.
    #[error("the credentials for {url} have an empty {part}")]
    Empty {
        /// The address.
        url: String,
        /// The part that is empty.
        part: &'static str,
    },
    /// A proxy that cannot be used.
    #[error("proxy for {url}: {reason}")]
    Proxy {
        /// The address of the remote.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// A remote repository and how to get there. Cheap to clone; connections are kept between operations.
#[derive(Clone)]
pub struct Remote(Arc<Inner>);

struct Inner {
    url: GitUrl,
    auth: GitAuth,
    options: RemoteOptions,
    http: OnceLock<reqwest::Client>,
}

impl Remote {
    /// A remote at `url`. User info in an http(s) URL is taken out and used as basic auth where `auth` gives none
    /// (as Flux does), so nothing secret stays in the address.
    ///
    /// # Errors
    /// [`InvalidRemote`] for an address that is none, or for credentials that its scheme cannot use.
    pub fn new(url: &str, auth: GitAuth, options: RemoteOptions) -> Result<Self, InvalidRemote> {
        let (url, user_info) = GitUrl::parse_with_user_info(url)?;
        let auth = match (auth, user_info) {
            (GitAuth::None, Some(info)) => GitAuth::Basic {
                username: info.user,
                password: info.password.unwrap_or_default(),
            },
            (auth, _) => auth,
        };
        check_auth(&url, &auth)?;
        check_proxy(&url, options.proxy.as_ref())?;
        Ok(Self(Arc::new(Inner {
            url,
            auth,
            options,
            http: OnceLock::new(),
        })))
    }

    /// Whether the other one is the same repository, reached in the same way with the same credentials.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let (one, other) = (&*self.0, &*other.0);
        one.url == other.url && one.auth.is_same(&other.auth) && one.options.is_same(&other.options)
    }

    /// The same remote for somebody else, or with a token that was renewed. Connections are shared.
    ///
    /// # Errors
    /// [`InvalidRemote`] for credentials that the scheme cannot use.
    pub fn with_auth(&self, auth: GitAuth) -> Result<Self, InvalidRemote> {
        let Inner {
            url, options, http, ..
        } = &*self.0;
        check_auth(url, &auth)?;
        Ok(Self(Arc::new(Inner {
            url: url.clone(),
            auth,
            options: options.clone(),
            http: http.clone(),
        })))
    }

    /// The address, without credentials.
    #[must_use]
    pub fn url(&self) -> &GitUrl {
        &self.0.url
    }

    pub(crate) fn auth(&self) -> &GitAuth {
        &self.0.auth
    }

    pub(crate) fn options(&self) -> &RemoteOptions {
        &self.0.options
    }

    /// The http client with this remote's trust settings, made on first use.
    pub(crate) fn http_client(&self) -> Result<reqwest::Client, GitError> {
        if let Some(client) = self.0.http.get() {
            return Ok(client.clone());
        }
        let client =
            http_client::build(&self.0.options).map_err(|failure| GitError::Transport {
                remote: self.url().to_string(),
                doing: "setting up the connection",
                failure,
            })?;
        Ok(self.0.http.get_or_init(|| client).clone())
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("url", &self.0.url)
            .finish_non_exhaustive()
    }
}

fn check_auth(url: &GitUrl, auth: &GitAuth) -> Result<(), InvalidRemote> {
    let wrong = |given, hint| {
        Err(InvalidRemote::Auth {
            url: url.to_string(),
            given,
            hint,
        })
    };
    let empty = |part| {
        Err(InvalidRemote::Empty {
            url: url.to_string(),
            part,
        })
    };
    match (url, auth) {
        (GitUrl::Http(_), GitAuth::SshKey { .. }) => {
            wrong("an ssh key", "give username and password, or bearerToken")
        }
        (GitUrl::Ssh(_), GitAuth::None) => wrong(
            "no credential",
            "give a Secret with identity and known_hosts",
        ),
        (GitUrl::Ssh(_), GitAuth::Basic { .. } | GitAuth::Bearer(_)) => wrong(
            "a password or token",
            "give a Secret with identity and known_hosts",
        ),
        (GitUrl::Http(_), GitAuth::Basic { username, .. }) if username.is_empty() => {
            empty("username")
        }
        (GitUrl::Http(_), GitAuth::Bearer(token)) if token.expose_secret().is_empty() => {
            empty("bearerToken")
        }
        (GitUrl::Ssh(_), GitAuth::SshKey { identity, .. })
            if identity.expose_secret().trim().is_empty() =>
        {
            empty("identity")
        }
        (GitUrl::Ssh(_), GitAuth::SshKey { known_hosts, .. }) if known_hosts.trim().is_empty() => {
            empty("known_hosts")
        }
        _ => Ok(()),
    }
}

fn check_proxy(url: &GitUrl, proxy: Option<&Proxy>) -> Result<(), InvalidRemote> {
    let Some(proxy) = proxy else { return Ok(()) };
    let bad = |reason: String| {
        Err(InvalidRemote::Proxy {
            url: url.to_string(),
            reason,
        })
    };
    match url {
        GitUrl::Ssh(_) => {
            return bad("ssh remotes cannot be reached through a proxy; use https".to_owned());
        }
        GitUrl::File(_) => return Ok(()),
        GitUrl::Http(_) => {}
    }
    match ::url::Url::parse(&proxy.address) {
        Ok(address) if !matches!(address.scheme(), "http" | "https" | "socks5" | "socks5h") => {
            bad(format!(
                "scheme {:?} is not supported: use http://, https:// or socks5://",
                address.scheme()
            ))
        }
        Ok(address) if address.host_str().is_none_or(str::is_empty) => {
            bad("its address has no host".to_owned())
        }
        Ok(_) => Ok(()),
        Err(e) => bad(format!("its address is not a URL: {e}")),
    }
}
