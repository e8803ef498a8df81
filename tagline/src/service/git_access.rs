//! From a `GitRepository` and its Secrets to the updater's remote.

use super::forge_access;
use super::registry_access::{UnusableSecret, missing, text};
use super::status::Failure;
use crate::resources::{GitProvider, GitRepositorySpec, Object, ObjectName, Resources, SecretData};
use secrecy::ExposeSecret as _;
use std::sync::Arc;
use std::time::Duration;
use tagline_scanner::Clock;
use tagline_updater::forge::{ConnectOptions, Forges, GitHubApp, Provider, RepositoryAddress};
use tagline_updater::git::{
    ClientCertificate, GitAuth, GitUrl, Proxy, Remote, RemoteOptions, Timeouts,
};

/// A remote, and where its tokens come from if they do not last.
#[derive(Clone)]
pub(crate) struct GitAccess {
    remote: Remote,
    github_app: Option<Arc<GitHubApp>>,
}

impl GitAccess {
    /// The address, without credentials.
    pub(crate) fn url(&self) -> &GitUrl {
        self.remote.url()
    }

    /// Whether the other is the same remote, for the same user.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let same_app = match (&self.github_app, &other.github_app) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        };
        same_app && self.remote.is_same(&other.remote)
    }

    /// The remote with a credential that is good for some minutes at least.
    ///
    /// # Errors
    /// A [`Failure`] when a token cannot be had.
    pub(crate) async fn remote(&self) -> Result<Remote, Failure> {
        let Some(app) = &self.github_app else {
            return Ok(self.remote.clone());
        };
        let token = app.token().await.map_err(|error| {
            let failed = forge_access::failure(&error, app.now());
            Failure {
                reason: "AuthenticationFailed",
                message: format!("failed configuring source manager: {}", failed.message),
                retry: failed.retry,
            }
        })?;
        let auth = GitAuth::Basic {
            username: GitHubApp::GIT_USERNAME.to_owned(),
            password: token.token,
        };
        self.remote
            .with_auth(auth)
            .map_err(|error| source_failed(error.to_string()))
    }
}

/// How a repository is reached.
///
/// # Errors
/// A [`Failure`] with Flux's reason and message when a Secret is missing or cannot be used.
pub(crate) fn access(
    object: &Object<GitRepositorySpec>,
    resources: &Resources,
    default_timeout: Duration,
    forges: &Forges,
    clock: &Clock,
) -> Result<GitAccess, Failure> {
    let spec = &object.spec;
    let namespace = object.key.name.namespace.as_str();
    let find = |what: &str, name: &str| -> Result<&Object<SecretData>, Failure> {
        let key = ObjectName::new(namespace, name);
        resources
            .secrets
            .get(&key)
            .map(|secret| &**secret)
            .ok_or_else(|| {
                source_failed(format!(
                    "failed to get {what} secret '{key}': there is no such Secret"
                ))
            })
    };
    let unusable = |secret: &Object<SecretData>| {
        let key = secret.key.to_string();
        move |error: UnusableSecret| source_failed(format!("{key} cannot be used: {error}"))
    };
    let mut options = RemoteOptions {
        timeouts: Timeouts {
            operation: spec.timeout.map_or(default_timeout, |timeout| timeout.0),
            ..Timeouts::default()
        },
        ..RemoteOptions::default()
    };
    if let Some(reference) = &spec.proxy_secret_ref {
        let secret = find("proxy", &reference.name)?;
        options.proxy = Some(proxy(&secret.spec).map_err(unusable(secret))?);
    }
    let mut auth = GitAuth::None;
    let mut github_app = None;
    if let Some(reference) = &spec.secret_ref {
        let secret = find("auth", &reference.name)?;
        let data = &secret.spec;
        let read = |key| text(data, key);
        let ca = read("ca.crt").map_err(unusable(secret))?;
        let ca = match ca {
            Some(ca) => Some(ca),
            None => read("caFile").map_err(unusable(secret))?,
        };
        options.ca = ca.map(|ca| ca.expose_secret().to_owned());
        options.client_certificate = client_certificate(data).map_err(unusable(secret))?;
        if data.get("githubAppID").is_some() && spec.provider == GitProvider::Generic {
            return Err(Failure::stalled(
                "InvalidSourceConfiguration",
                format!(
                    "{} has GitHub App data, but {} has provider generic: invalid source configuration",
                    secret.key, object.key
                ),
            ));
        }
        if spec.provider == GitProvider::Github {
            let options = forge_access::options(object, data, resources, clock)?;
            let app = app(&spec.url, data, &options, forges).map_err(unusable(secret))?;
            github_app = Some(app);
        } else {
            auth = authentication(&spec.url, data).map_err(unusable(secret))?;
        }
    } else if spec.provider == GitProvider::Github {
        return Err(Failure::stalled(
            "InvalidSourceConfiguration",
            format!(
                "{}: secretRef with github app data must be specified when provider is set to github: invalid source configuration",
                object.key
            ),
        ));
    }
    if !matches!(spec.provider, GitProvider::Generic | GitProvider::Github) {
        return Err(Failure::stalled(
            "InvalidSourceConfiguration",
            format!(
                "{}: provider {} is not built in; use a Secret with provider generic: invalid source configuration",
                object.key,
                spec.provider.as_str()
            ),
        ));
    }
    let remote = Remote::new(&spec.url, auth, options)
        .map_err(|error| source_failed(format!("{}: {error}", object.key)))?;
    if github_app.is_some() && !matches!(remote.url(), GitUrl::Http(_)) {
        return Err(Failure::stalled(
            "InvalidSourceConfiguration",
            format!(
                "{}: a GitHub App's tokens are for https, not for {}: invalid source configuration",
                object.key, spec.url
            ),
        ));
    }
    Ok(GitAccess { remote, github_app })
}

/// The GitHub App of a repository's Secret. Its API is that of the repository's host where the Secret names none.
fn app(
    url: &str,
    data: &SecretData,
    options: &ConnectOptions,
    forges: &Forges,
) -> Result<Arc<GitHubApp>, UnusableSecret> {
    let home = RepositoryAddress::new(url, Some(Provider::GitHub), None).ok();
    let settings = forge_access::github_app(data, home.as_ref().map(|home| &home.api))?;
    forges
        .github_app(&settings, options)
        .map_err(|error| UnusableSecret::Refused(error.to_string()))
}

fn source_failed(message: impl std::fmt::Display) -> Failure {
    Failure::retried(
        "SourceManagerFailed",
        format!("failed configuring source manager: {message}"),
    )
}

fn authentication(url: &str, data: &SecretData) -> Result<GitAuth, UnusableSecret> {
    // `git@host:path` is ssh as well.
    if matches!(GitUrl::parse(url), Ok(GitUrl::Ssh(_))) {
        let identity = text(data, "identity")?.ok_or_else(|| missing(data, "identity"))?;
        let known_hosts = text(data, "known_hosts")?.ok_or_else(|| missing(data, "known_hosts"))?;
        return Ok(GitAuth::SshKey {
            identity,
            known_hosts: known_hosts.expose_secret().to_owned(),
            passphrase: text(data, "password")?,
        });
    }
    let username = text(data, "username")?;
    let password = text(data, "password")?;
    match (text(data, "bearerToken")?, username, password) {
        (Some(_), Some(_), _) => Err(UnusableSecret::Refused(
            "it has both bearerToken and username; keep one".to_owned(),
        )),
        (Some(token), None, _) => Ok(GitAuth::Bearer(token)),
        (None, Some(user), password) => Ok(GitAuth::Basic {
            username: user.expose_secret().to_owned(),
            password: password.unwrap_or_default(),
        }),
        (None, None, Some(_)) => Err(missing(data, "username")),
        (None, None, None) => Ok(GitAuth::None),
    }
}

fn client_certificate(data: &SecretData) -> Result<Option<ClientCertificate>, UnusableSecret> {
    match (text(data, "tls.crt")?, text(data, "tls.key")?) {
        (Some(chain), Some(key)) => Ok(Some(ClientCertificate {
            certificate: chain.expose_secret().to_owned(),
            key,
        })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(missing(data, "tls.key")),
        (None, Some(_)) => Err(missing(data, "tls.crt")),
    }
}

fn proxy(data: &SecretData) -> Result<Proxy, UnusableSecret> {
    let address = text(data, "address")?.ok_or_else(|| missing(data, "address"))?;
    let credentials = match (text(data, "username")?, text(data, "password")?) {
        (Some(user), password) => Some((
            user.expose_secret().to_owned(),
            password.unwrap_or_default(),
        )),
        (None, _) => None,
    };
    Ok(Proxy {
        address: address.expose_secret().to_owned(),
        credentials,
    })
}
