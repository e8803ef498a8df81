//! Credentials: which user and secret to show to which registry.
//!
//! One trait, [`ProvideCredentials`], with one module per kind of source. A source gives the credentials that fit an
//! image in the order they are to be tried; on a 401 the client goes on with the next one.

mod cloud;
mod credential_helper;
mod docker_config;
mod docker_config_file;

pub use cloud::{CloudOptions, CloudProvider, UnknownProvider};

use futures_util::future::BoxFuture;
use secrecy::SecretString;
use std::fmt;
use std::sync::Arc;
use tagline_policy::{Registry, RepositoryName};

/// One credential for a registry.
#[derive(Clone)]
pub struct Credential {
    identity: CredentialIdentity,
    secret: Secret,
}

/// Who a credential speaks for: part of the budget's name and of log lines. Never secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialIdentity(Arc<str>);

/// The secret part of a credential.
#[derive(Clone)]
pub(crate) enum Secret {
    /// No credential at all.
    Anonymous,
    /// User name and password, sent as Basic to the registry or to its token realm.
    Basic {
        username: String,
        password: SecretString,
    },
    /// An `OAuth2` refresh token (`identitytoken`), only ever sent to the token realm.
    IdentityToken(SecretString),
    /// A ready bearer token (`registrytoken`).
    RegistryToken(SecretString),
}

/// Why no credential could be had from a source.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CredentialError {
    /// A docker configuration that cannot be read as such.
    #[error("the docker configuration of {source_label} cannot be used: {reason}")]
    InvalidDockerConfig {
        /// The source.
        source_label: String,
        /// What is wrong, without quoting secrets.
        reason: String,
    },
    /// A credential helper failed.
    #[error(
        "the credential helper docker-credential-{helper} gave no credentials for {server}: {reason}"
    )]
    Helper {
        /// The helper's name.
        helper: String,
        /// What it was asked for.
        server: String,
        /// What went wrong.
        reason: String,
    },
    /// A cloud provider's token exchange failed.
    #[error("no registry credentials from {provider}: {reason}")]
    Provider {
        /// The provider.
        provider: &'static str,
        /// What went wrong.
        reason: String,
        /// Whether asking again may help.
        retryable: bool,
    },
}

/// A source of credentials.
pub trait ProvideCredentials: fmt::Debug + Send + Sync {
    /// The source's name, for example `Secret apps/ghcr`. Two sources with the same label are taken for the same
    /// one: it is part of the [`TargetKey`](crate::TargetKey).
    fn label(&self) -> &str;

    /// The credentials for a repository (or for a registry as a whole), best first; none when the source has nothing
    /// for it.
    fn credentials<'a>(
        &'a self,
        registry: &'a Registry,
        repository: Option<&'a RepositoryName>,
    ) -> BoxFuture<'a, Result<Vec<Credential>, CredentialError>>;
}

/// A shared source of credentials. The default is anonymous access.
#[derive(Clone, Default)]
pub struct CredentialSource(Option<Arc<dyn ProvideCredentials>>);

impl Credential {
    /// User name and password.
    #[must_use]
    pub fn basic(username: impl Into<String>, password: SecretString) -> Self {
        let username = username.into();
        Self {
            identity: CredentialIdentity(format!("user {username}").into()),
            secret: Secret::Basic { username, password },
        }
    }

    /// An `OAuth2` refresh token; `owner` says whose it is in budgets and logs.
    #[must_use]
    pub fn identity_token(owner: &str, token: SecretString) -> Self {
        Self {
            identity: CredentialIdentity(format!("token {owner}").into()),
            secret: Secret::IdentityToken(token),
        }
    }

    /// A bearer token that is shown as it is; `owner` says whose it is in budgets and logs.
    #[must_use]
    pub fn registry_token(owner: &str, token: SecretString) -> Self {
        Self {
            identity: CredentialIdentity(format!("token {owner}").into()),
            secret: Secret::RegistryToken(token),
        }
    }

    /// Access without any credential.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            identity: CredentialIdentity("anonymous".into()),
            secret: Secret::Anonymous,
        }
    }

    /// Names another owner: providers whose user name is the same for everybody say who they really are.
    #[must_use]
    pub fn owned_by(mut self, owner: &str) -> Self {
        self.identity = CredentialIdentity(owner.into());
        self
    }

    /// Who it speaks for.
    #[must_use]
    pub const fn identity(&self) -> &CredentialIdentity {
        &self.identity
    }

    pub(crate) const fn secret(&self) -> &Secret {
        &self.secret
    }

    pub(crate) const fn is_anonymous(&self) -> bool {
        matches!(self.secret, Secret::Anonymous)
    }
}

impl CredentialIdentity {
    /// The identity's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl CredentialSource {
    /// Anonymous access.
    #[must_use]
    pub const fn anonymous() -> Self {
        Self(None)
    }

    /// Shares a source.
    #[must_use]
    pub fn new(source: impl ProvideCredentials + 'static) -> Self {
        Self(Some(Arc::new(source)))
    }

    /// One fixed credential for whatever image it is used with; `label` names it.
    #[must_use]
    pub fn fixed(label: &str, credential: Credential) -> Self {
        Self::new(Fixed {
            label: label.into(),
            credential,
        })
    }

    /// Several sources, asked in order: all credentials of the first, then those of the second, and so on.
    #[must_use]
    pub fn chain(sources: Vec<Self>) -> Self {
        let mut sources: Vec<_> = sources.into_iter().filter_map(|source| source.0).collect();
        match sources.len() {
            0 | 1 => Self(sources.pop()),
            _ => Self::new(Chain {
                label: sources
                    .iter()
                    .map(|source| source.label())
                    .collect::<Vec<_>>()
                    .join(", "),
                sources,
            }),
        }
    }

    /// The source's name; empty for anonymous access.
    #[must_use]
    pub fn label(&self) -> &str {
        self.0.as_ref().map_or("", |source| source.label())
    }

    /// Whether there is no source behind it.
    #[must_use]
    pub const fn is_anonymous(&self) -> bool {
        self.0.is_none()
    }

    /// The credentials to try, in order; never empty, as without any it is anonymous access.
    pub(crate) async fn candidates(
        &self,
        registry: &Registry,
        repository: Option<&RepositoryName>,
    ) -> Result<Vec<Credential>, CredentialError> {
        let mut found = match &self.0 {
            None => Vec::new(),
            Some(source) => source.credentials(registry, repository).await?,
        };
        if found.is_empty() {
            found.push(Credential::anonymous());
        }
        Ok(found)
    }
}

impl CredentialError {
    /// Whether asking again later may help.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::InvalidDockerConfig { .. } => false,
            Self::Helper { .. } => true,
            Self::Provider { retryable, .. } => *retryable,
        }
    }
}

#[derive(Debug)]
struct Fixed {
    label: String,
    credential: Credential,
}

impl ProvideCredentials for Fixed {
    fn label(&self) -> &str {
        &self.label
    }

    fn credentials<'a>(
        &'a self,
        _registry: &'a Registry,
        _repository: Option<&'a RepositoryName>,
    ) -> BoxFuture<'a, Result<Vec<Credential>, CredentialError>> {
        Box::pin(async { Ok(vec![self.credential.clone()]) })
    }
}

#[derive(Debug)]
struct Chain {
    label: String,
    sources: Vec<Arc<dyn ProvideCredentials>>,
}

impl ProvideCredentials for Chain {
    fn label(&self) -> &str {
        &self.label
    }

    fn credentials<'a>(
        &'a self,
        registry: &'a Registry,
        repository: Option<&'a RepositoryName>,
    ) -> BoxFuture<'a, Result<Vec<Credential>, CredentialError>> {
        Box::pin(async move {
            let mut found = Vec::new();
            for source in &self.sources {
                found.extend(source.credentials(registry, repository).await?);
            }
            Ok(found)
        })
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({})", self.identity)
    }
}

impl fmt::Debug for CredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CredentialSource({:?})", self.label())
    }
}

impl fmt::Display for CredentialIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
