//! From Secrets to the scanner's way of reaching a registry.

use super::status::Failure;
use crate::resources::{
    ImageRepositorySpec, Object, ObjectName, RegistryProvider, Resources, SecretData,
};
use crate::settings::Settings;
use secrecy::{ExposeSecret as _, SecretString};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tagline_policy::ImageName;
use tagline_scanner::{
    Access, Clock, CloudOptions, CloudProvider, CredentialSource, ProxySettings, TlsSettings,
};

/// Credentials from a cloud's own identity: one source per cloud, which keeps what it was given.
#[derive(Clone)]
pub(crate) struct CloudLogins {
    clock: Clock,
    sources: Arc<Mutex<BTreeMap<&'static str, CredentialSource>>>,
}

impl CloudLogins {
    /// Nothing is asked for before it is needed.
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            sources: Arc::default(),
        }
    }

    fn login(&self, provider: CloudProvider) -> Result<CredentialSource, Failure> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = sources.get(provider.as_str()) {
            return Ok(source.clone());
        }
        let source =
            CredentialSource::cloud(provider, &CloudOptions::default(), Arc::clone(&self.clock))
                .map_err(|error| {
                    let message = format!("failed to configure authentication options: {error}");
                    if error.is_retryable() {
                        Failure::retried("AuthenticationFailed", message)
                    } else {
                        Failure::stalled("AuthenticationFailed", message)
                    }
                })?;
        sources.insert(provider.as_str(), source.clone());
        Ok(source)
    }
}

impl fmt::Debug for CloudLogins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudLogins").finish_non_exhaustive()
    }
}

/// A Secret whose content cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnusableSecret {
    /// A key is missing.
    #[error("it has no key {key:?}; it has: {present}")]
    MissingKey {
        /// The key.
        key: &'static str,
        /// The keys it has.
        present: String,
    },
    /// A value is not text.
    #[error("its key {key:?} is not text")]
    NotText {
        /// The key.
        key: String,
    },
    /// The wrong type.
    #[error(
        "its type is {found:?}; registry credentials need kubernetes.io/dockerconfigjson (kubectl create secret docker-registry makes one)"
    )]
    WrongType {
        /// Its type.
        found: String,
    },
    /// The scanner does not take it.
    #[error("{0}")]
    Refused(String),
}

/// How a repository's image is reached; one that names no credentials has those of the settings.
///
/// # Errors
/// As [`access`].
pub(crate) fn access_with_settings(
    object: &Object<ImageRepositorySpec>,
    image: &ImageName,
    resources: &Resources,
    settings: &Settings,
) -> Result<Access, Failure> {
    let mut access = access(object, resources, &settings.clouds)?;
    let spec = &object.spec;
    let names_none = spec.provider == RegistryProvider::Generic
        && spec.secret_ref.is_none()
        && spec.service_account_name.is_none();
    if names_none && let Some(source) = settings.credentials_for(image.registry()) {
        access.credentials = source.clone();
    }
    Ok(access)
}

/// How a repository is reached.
///
/// # Errors
/// A [`Failure`] with Flux's reason and message when a Secret is missing or cannot be used.
pub(crate) fn access(
    object: &Object<ImageRepositorySpec>,
    resources: &Resources,
    clouds: &CloudLogins,
) -> Result<Access, Failure> {
    let spec = &object.spec;
    let namespace = object.key.name.namespace.as_str();
    let find = |name: &str| -> Result<&Object<SecretData>, Failure> {
        let key = ObjectName::new(namespace, name);
        resources
            .secrets
            .get(&key)
            .map(|secret| &**secret)
            .ok_or_else(|| authentication_failed(format!("there is no Secret {key}")))
    };
    let unusable = |secret: &Object<SecretData>| {
        let key = secret.key.to_string();
        move |error: UnusableSecret| authentication_failed(format!("{key} cannot be used: {error}"))
    };
    let mut access = Access {
        insecure: spec.insecure,
        ..Access::default()
    };
    if let Some(reference) = &spec.proxy_secret_ref {
        let secret = find(&reference.name)?;
        access.proxy = Some(proxy_settings(&secret.spec).map_err(unusable(secret))?);
    }
    if let Some(reference) = &spec.cert_secret_ref {
        let secret = find(&reference.name)?;
        access.tls = tls_settings(&secret.spec, access.tls).map_err(unusable(secret))?;
    }
    access.credentials = match spec.provider {
        RegistryProvider::Generic => {
            let mut sources = Vec::new();
            if let Some(reference) = &spec.secret_ref {
                let secret = find(&reference.name)?;
                sources.push(credentials(secret).map_err(unusable(secret))?);
            }
            if let Some(account) = &spec.service_account_name {
                let key = ObjectName::new(namespace, account.as_str());
                let Some(account) = resources.service_accounts.get(&key) else {
                    return Err(authentication_failed(format!(
                        "there is no ServiceAccount {key}"
                    )));
                };
                for reference in account.spec.image_pull_secrets.iter().flatten() {
                    let secret = find(&reference.name)?;
                    sources.push(credentials(secret).map_err(unusable(secret))?);
                }
            }
            CredentialSource::chain(sources)
        }
        RegistryProvider::Aws => clouds.login(CloudProvider::Aws)?,
        RegistryProvider::Azure => clouds.login(CloudProvider::Azure)?,
        RegistryProvider::Gcp => clouds.login(CloudProvider::Gcp)?,
    };
    Ok(access)
}

fn authentication_failed(message: impl fmt::Display) -> Failure {
    Failure::retried(
        "AuthenticationFailed",
        format!("failed to configure authentication options: {message}"),
    )
}

/// Registry credentials of a pull secret.
pub(crate) fn credentials(secret: &Object<SecretData>) -> Result<CredentialSource, UnusableSecret> {
    let data = &secret.spec;
    let label = secret.key.to_string();
    let key = match data.secret_type.as_str() {
        "kubernetes.io/dockerconfigjson" => ".dockerconfigjson",
        "kubernetes.io/dockercfg" => ".dockercfg",
        other => {
            return Err(UnusableSecret::WrongType {
                found: other.to_owned(),
            });
        }
    };
    let config = text(data, key)?.ok_or_else(|| missing(data, key))?;
    CredentialSource::docker_config(&label, config.expose_secret())
        .map_err(|error| UnusableSecret::Refused(error.to_string()))
}

/// `tls.crt`, `tls.key`, `ca.crt`, and their older names, on top of what is there.
pub(crate) fn tls_settings(
    data: &SecretData,
    tls: TlsSettings,
) -> Result<TlsSettings, UnusableSecret> {
    let refused = |error: tagline_scanner::InvalidTls| UnusableSecret::Refused(error.to_string());
    let either =
        |key: &'static str, older: &'static str| -> Result<Option<SecretString>, UnusableSecret> {
            Ok(text(data, key)?.or(text(data, older)?))
        };
    let mut tls = tls;
    if let Some(ca) = either("ca.crt", "caFile")? {
        tls = tls
            .with_ca(ca.expose_secret().as_bytes().to_vec())
            .map_err(refused)?;
    }
    match (
        either("tls.crt", "certFile")?,
        either("tls.key", "keyFile")?,
    ) {
        (Some(chain), Some(key)) => tls
            .with_client_certificate(chain.expose_secret().as_bytes().to_vec(), key)
            .map_err(refused),
        (None, None) if tls.is_default() => Err(missing(data, "ca.crt")),
        (None, None) => Ok(tls),
        (Some(_), None) => Err(missing(data, "tls.key")),
        (None, Some(_)) => Err(missing(data, "tls.crt")),
    }
}

/// `address`, `username`, `password`.
pub(crate) fn proxy_settings(data: &SecretData) -> Result<ProxySettings, UnusableSecret> {
    let address = text(data, "address")?.ok_or_else(|| missing(data, "address"))?;
    let login = match (text(data, "username")?, text(data, "password")?) {
        (Some(user), password) => Some((
            user.expose_secret().to_owned(),
            password.unwrap_or_default(),
        )),
        (None, _) => None,
    };
    ProxySettings::new(address.expose_secret(), login)
        .map_err(|error| UnusableSecret::Refused(error.to_string()))
}

/// A value of a Secret as text.
pub(super) fn text(data: &SecretData, key: &str) -> Result<Option<SecretString>, UnusableSecret> {
    let Some(value) = data.get(key) else {
        return Ok(None);
    };
    match std::str::from_utf8(value.expose_secret()) {
        Ok(text) => Ok(Some(SecretString::from(text))),
        Err(_) => Err(UnusableSecret::NotText {
            key: key.to_owned(),
        }),
    }
}

/// That a key is missing.
pub(super) fn missing(data: &SecretData, key: &'static str) -> UnusableSecret {
    let present: Vec<&str> = data.keys().collect();
    let present = if present.is_empty() {
        "no keys at all".to_owned()
    } else {
        present.join(", ")
    };
    UnusableSecret::MissingKey { key, present }
}
