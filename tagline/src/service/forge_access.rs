//! From `spec.git.pullRequest`, a `GitRepository` and their Secrets to a connection to the forge.

use super::registry_access::{UnusableSecret, missing, text};
use super::status::{Failure, Retry};
use crate::resources::{
    GitRepositorySpec, ImageUpdateAutomationSpec, Object, ObjectName, PullRequestSpec, Resources,
    SecretData, parse_api_url,
};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;
use tagline_scanner::Clock;
use tagline_updater::forge::{
    ConnectOptions, Connection, Credentials, ForgeError, Forges, GitHubAppSettings, Installation,
    Provider, RepositoryAddress,
};
use url::Url;

/// For one request to a forge.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How the forge of an automation is reached.
///
/// # Errors
/// A [`Failure`] that names the field or the Secret.
pub(crate) fn connection(
    automation: &Object<ImageUpdateAutomationSpec>,
    spec: &PullRequestSpec,
    repository: &Object<GitRepositorySpec>,
    resources: &Resources,
    forges: &Forges,
    clock: &Clock,
) -> Result<Connection, Failure> {
    let api = spec
        .api_url
        .as_deref()
        .map(parse_api_url)
        .transpose()
        .map_err(|message| misconfigured(&format!("apiURL: {message}")))?;
    let address = RepositoryAddress::new(
        &repository.spec.url,
        spec.provider.map(Provider::from),
        api.as_ref(),
    )
    .map_err(|error| misconfigured(&error.to_string()))?;
    let own = automation.key.name.namespace.as_str();
    let (secret, is_gits) = match (&spec.secret_ref, &repository.spec.secret_ref) {
        (Some(reference), _) => (find(resources, own, &reference.name)?, false),
        (None, Some(reference)) => {
            let namespace = repository.key.name.namespace.as_str();
            (find(resources, namespace, &reference.name)?, true)
        }
        (None, None) => {
            return Err(misconfigured(&format!(
                "{} needs a credential: name a Secret in spec.git.pullRequest.secretRef",
                address.provider
            )));
        }
    };
    if is_gits && !is_home(&address, &repository.spec.url) {
        return Err(misconfigured(&format!(
            "{} was given for {}, not for the API at {}: name a Secret in spec.git.pullRequest.secretRef",
            secret.key,
            repository.key,
            address.api.origin().ascii_serialization()
        )));
    }
    let options = options(repository, &secret.spec, resources, clock)
        .map_err(|failure| of_pull_request(&failure))?;
    let credentials = credentials(&secret.spec, &address, &options, forges)
        .map_err(|error| access_failed(format!("{} cannot be used: {error}", secret.key)))?;
    Ok(Connection {
        repository: address,
        credentials,
        options,
    })
}

/// How the host is reached: with the authorities of the credential's Secret, and by the repository's proxy.
///
/// # Errors
/// A [`Failure`] that names the Secret that is missing or cannot be used.
pub(crate) fn options(
    repository: &Object<GitRepositorySpec>,
    secret: &SecretData,
    resources: &Resources,
    clock: &Clock,
) -> Result<ConnectOptions, Failure> {
    let mut options = ConnectOptions {
        ca_bundle: certificates(secret).map_err(|error| access_failed(error.to_string()))?,
        timeout: TIMEOUT,
        clock: clock.clone(),
        ..ConnectOptions::default()
    };
    let namespace = repository.key.name.namespace.as_str();
    if let Some(reference) = &repository.spec.proxy_secret_ref {
        let proxy = find(resources, namespace, &reference.name)?;
        let address = proxy_address(&proxy.spec);
        options.proxy =
            Some(address.map_err(|error| {
                access_failed(format!("{} cannot be used: {error}", proxy.key))
            })?);
    }
    Ok(options)
}

fn of_pull_request(failure: &Failure) -> Failure {
    Failure {
        message: format!("pull request: {}", failure.message),
        ..failure.clone()
    }
}

/// What a forge's error means for the automation.
pub(crate) fn failure(error: &ForgeError, now: Timestamp) -> Failure {
    let mut message = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    let retry = match error.retry_at() {
        Some(at) => {
            Retry::After(Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO))
        }
        None => Retry::BackOff,
    };
    Failure {
        reason: error.reason(),
        message,
        retry,
    }
}

fn find<'r>(
    resources: &'r Resources,
    namespace: &str,
    name: &str,
) -> Result<&'r Object<SecretData>, Failure> {
    let key = ObjectName::new(namespace, name);
    resources
        .secrets
        .get(&key)
        .map(|secret| &**secret)
        .ok_or_else(|| access_failed(format!("there is no Secret '{key}'")))
}

/// Whether the API is where git's credential belongs: at the remote's own host, or where its forge has the API.
fn is_home(address: &RepositoryAddress, remote: &str) -> bool {
    RepositoryAddress::new(remote, Some(address.provider), None)
        .is_ok_and(|own| own.api.origin() == address.api.origin())
}

fn misconfigured(message: &str) -> Failure {
    Failure::stalled(
        "InvalidSourceConfiguration",
        format!("spec.git.pullRequest: {message}"),
    )
}

fn access_failed(message: impl std::fmt::Display) -> Failure {
    Failure::retried(
        "AuthenticationFailed",
        format!("failed to configure the forge's access: {message}"),
    )
}

/// Certificates to trust: `ca.crt`, or its older name.
fn certificates(data: &SecretData) -> Result<Option<Vec<u8>>, UnusableSecret> {
    let pem = match text(data, "ca.crt")? {
        Some(pem) => Some(pem),
        None => text(data, "caFile")?,
    };
    Ok(pem.map(|pem| pem.expose_secret().as_bytes().to_vec()))
}

/// The proxy's address with user and password, as the HTTP client takes it.
fn proxy_address(data: &SecretData) -> Result<Url, UnusableSecret> {
    let refused = |message: &str| UnusableSecret::Refused(message.to_owned());
    let address = text(data, "address")?.ok_or_else(|| missing(data, "address"))?;
    let mut url =
        Url::parse(address.expose_secret()).map_err(|_| refused("its address is no URL"))?;
    if let Some(user) = text(data, "username")? {
        let password = text(data, "password")?;
        let set = url
            .set_username(user.expose_secret())
            .and_then(|()| url.set_password(password.as_ref().map(ExposeSecret::expose_secret)));
        set.map_err(|()| refused("its address takes no user and password"))?;
    }
    Ok(url)
}

/// `token`, `bearerToken`, `username` and `password`, or a GitHub App.
fn credentials(
    data: &SecretData,
    address: &RepositoryAddress,
    options: &ConnectOptions,
    forges: &Forges,
) -> Result<Credentials, UnusableSecret> {
    if data.get("githubAppID").is_some() {
        if address.provider != Provider::GitHub {
            return Err(UnusableSecret::Refused(format!(
                "it has GitHub App data, but the forge is {}",
                address.provider
            )));
        }
        let settings = github_app(data, Some(&address.api))?;
        return forges
            .github_app(&settings, options)
            .map(Credentials::GitHubApp)
            .map_err(|error| UnusableSecret::Refused(error.to_string()));
    }
    for key in ["token", "bearerToken"] {
        if let Some(token) = text(data, key)? {
            return Ok(Credentials::Token(trimmed(&token)));
        }
    }
    let password = text(data, "password")?.ok_or_else(|| missing(data, "token"))?;
    let password = trimmed(&password);
    match (address.provider, text(data, "username")?) {
        // These take tokens only; git's own Secrets have them as a password.
        (Provider::GitHub | Provider::GitLab | Provider::AzureDevOps, _) => {
            Ok(Credentials::Token(password))
        }
        (_, Some(username)) => Ok(Credentials::Basic {
            username: username.expose_secret().trim().to_owned(),
            password,
        }),
        (_, None) => Err(missing(data, "username")),
    }
}

/// A token as files end them: with a line end.
fn trimmed(secret: &SecretString) -> SecretString {
    SecretString::from(secret.expose_secret().trim())
}

/// The GitHub App of a Secret, in Flux's keys. `api` is where `githubAppBaseURL` is not given.
pub(crate) fn github_app(
    data: &SecretData,
    api: Option<&Url>,
) -> Result<GitHubAppSettings, UnusableSecret> {
    let refused = |message: String| UnusableSecret::Refused(message);
    let app_id = text(data, "githubAppID")?.ok_or_else(|| missing(data, "githubAppID"))?;
    let private_key =
        text(data, "githubAppPrivateKey")?.ok_or_else(|| missing(data, "githubAppPrivateKey"))?;
    let installation =
        match (
            text(data, "githubAppInstallationID")?,
            text(data, "githubAppInstallationOwner")?,
        ) {
            (Some(id), None) => {
                let id = id.expose_secret().trim();
                Installation::Id(id.parse().map_err(|_| {
                    refused("its githubAppInstallationID is not a number".to_owned())
                })?)
            }
            (None, Some(owner)) => Installation::Owner(owner.expose_secret().trim().to_owned()),
            (Some(_), Some(_)) => {
                return Err(refused(
                    "it has both githubAppInstallationID and githubAppInstallationOwner; keep one"
                        .to_owned(),
                ));
            }
            (None, None) => return Err(missing(data, "githubAppInstallationID")),
        };
    let base = text(data, "githubAppBaseURL")?
        .map(|base| parse_api_url(base.expose_secret().trim()))
        .transpose()
        .map_err(|message| refused(format!("githubAppBaseURL: {message}")))?;
    let public = || Url::parse("https://api.github.com").ok();
    let api = base
        .or_else(|| api.cloned())
        .or_else(public)
        .ok_or_else(|| missing(data, "githubAppBaseURL"))?;
    Ok(GitHubAppSettings {
        api,
        app_id: app_id.expose_secret().trim().to_owned(),
        private_key,
        installation,
    })
}
