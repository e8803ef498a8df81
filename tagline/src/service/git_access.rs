//! From a `GitRepository` and its Secrets to the updater's remote.

use super::registry_access::{UnusableSecret, missing, text};
use super::status::Failure;
use crate::resources::{GitProvider, GitRepositorySpec, Object, ObjectName, Resources, SecretData};
use secrecy::ExposeSecret as _;
use std::time::Duration;
use tagline_updater::git::{
    ClientCertificate, GitAuth, GitUrl, Proxy, Remote, RemoteOptions, Timeouts,
};

/// The remote of a repository.
///
/// # Errors
/// A [`Failure`] with Flux's reason and message when a Secret is missing or cannot be used.
pub(crate) fn remote(
    object: &Object<GitRepositorySpec>,
    resources: &Resources,
    default_timeout: Duration,
) -> Result<Remote, Failure> {
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
        auth = authentication(&spec.url, data).map_err(unusable(secret))?;
    }
    if spec.provider != GitProvider::Generic {
        return Err(Failure::stalled(
            "InvalidSourceConfiguration",
            format!(
                "{}: provider {} is not built in; use a Secret with provider generic: invalid source configuration",
                object.key,
                spec.provider.as_str()
            ),
        ));
    }
    Remote::new(&spec.url, auth, options)
        .map_err(|error| source_failed(format!("{}: {error}", object.key)))
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
