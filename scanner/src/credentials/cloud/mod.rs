//! Registry credentials from a cloud's own identity: AWS ECR, Azure Container Registry, Google Artifact Registry.
//!
//! What Flux calls `spec.provider`: no secret is configured, the process's identity in its cloud (workload identity,
//! instance metadata, the provider's usual environment variables) is exchanged for a registry credential. The clouds'
//! official crates find and refresh the identity; each is behind a cargo feature of its own name, because together
//! they double the number of packages. A build without the feature says so when the provider is asked for.
//!
//! A credential goes only to registries that belong to its provider, is kept for 80 % of its life and at most an
//! hour (as Flux keeps it), and is asked for once however many scans want it.

#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "azure")]
mod azure;
#[cfg(test)]
#[cfg(feature = "cloud")]
mod fake;
#[cfg(feature = "gcp")]
mod gcp;
mod provider;

pub use provider::{CloudProvider, UnknownProvider};

use super::{Credential, CredentialError, CredentialSource, ProvideCredentials};
use crate::settings::Clock;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use moka::future::Cache;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tagline_policy::{Registry, RepositoryName};
use url::Url;

/// The longest a credential is kept, whatever its provider says (Flux: `--token-cache-max-duration`).
const LONGEST_KEPT: Duration = Duration::from_hours(1);
/// How many registries' credentials are kept.
const KEPT_REGISTRIES: u64 = 1000;
/// How long one exchange may take, its retries included.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(30);

/// What may differ from the provider's public endpoints.
#[derive(Debug, Clone, Default)]
pub struct CloudOptions {
    /// Where the registry login is asked for instead: a private endpoint (AWS `PrivateLink`) or a test's server.
    pub login_endpoint: Option<Url>,
}

/// A credential and when it ends.
#[derive(Debug, Clone)]
struct Login {
    credential: Credential,
    expires: Option<Timestamp>,
}

/// One provider's exchange of identity for a registry credential.
trait ExchangeIdentity: fmt::Debug + Send + Sync {
    /// Asks for a credential that is good for `registry`.
    fn login<'a>(&'a self, registry: &'a Registry)
    -> BoxFuture<'a, Result<Login, CredentialError>>;

    /// Registries that share one credential share this name.
    fn shared_by(&self, registry: &Registry) -> String {
        registry.to_string()
    }
}

/// Credentials of one provider, kept while they are good.
struct CloudCredentials {
    provider: CloudProvider,
    exchange: Arc<dyn ExchangeIdentity>,
    kept: Cache<String, Kept>,
    clock: Clock,
}

#[derive(Debug, Clone)]
struct Kept {
    credential: Credential,
    keep: Duration,
}

struct UntilStale;

impl moka::Expiry<String, Kept> for UntilStale {
    fn expire_after_create(&self, _: &String, kept: &Kept, _: Instant) -> Option<Duration> {
        Some(kept.keep)
    }
}

impl CredentialSource {
    /// Credentials from a cloud's own identity; see [`CloudProvider`].
    ///
    /// # Errors
    /// [`CredentialError::Provider`] when this build has not got the provider.
    pub fn cloud(
        provider: CloudProvider,
        options: &CloudOptions,
        clock: Clock,
    ) -> Result<Self, CredentialError> {
        let exchange = exchange_of(provider, options, &clock)?;
        Ok(Self::new(CloudCredentials::new(provider, exchange, clock)))
    }
}

fn exchange_of(
    provider: CloudProvider,
    options: &CloudOptions,
    clock: &Clock,
) -> Result<Arc<dyn ExchangeIdentity>, CredentialError> {
    // Which of them are read depends on the features.
    let _ = (options, clock);
    match provider {
        #[cfg(feature = "aws")]
        CloudProvider::Aws => Ok(Arc::new(aws::Ecr::new(options))),
        #[cfg(feature = "azure")]
        CloudProvider::Azure => Ok(Arc::new(azure::ContainerRegistry::new(
            options,
            clock.clone(),
        )?)),
        #[cfg(feature = "gcp")]
        CloudProvider::Gcp => Ok(Arc::new(gcp::ArtifactRegistry::new()?)),
        #[cfg(not(all(feature = "aws", feature = "azure", feature = "gcp")))]
        missing => Err(CredentialError::Provider {
            provider: missing.as_str(),
            reason: format!(
                "this build is without it; build with the cargo feature `{missing}`, or use a docker configuration with a credential helper"
            ),
            retryable: false,
        }),
    }
}

impl CloudCredentials {
    fn new(provider: CloudProvider, exchange: Arc<dyn ExchangeIdentity>, clock: Clock) -> Self {
        Self {
            provider,
            exchange,
            kept: Cache::builder()
                .max_capacity(KEPT_REGISTRIES)
                .expire_after(UntilStale)
                .build(),
            clock,
        }
    }

    async fn credential(&self, registry: &Registry) -> Result<Credential, CredentialError> {
        if !self.provider.serves(registry) {
            return Err(CredentialError::Provider {
                provider: self.provider.as_str(),
                reason: format!(
                    "{registry} is not one of its registries ({})",
                    self.provider.registries()
                ),
                retryable: false,
            });
        }
        let name = self.exchange.shared_by(registry);
        let kept = self.kept.try_get_with(name, self.exchanged(registry)).await;
        kept.map(|kept| kept.credential)
            .map_err(|error: Arc<CredentialError>| (*error).clone())
    }

    /// One exchange, in a task of its own: a caller that gives up must not take it from all who wait for it.
    async fn exchanged(&self, registry: &Registry) -> Result<Kept, CredentialError> {
        let (exchange, clock) = (Arc::clone(&self.exchange), Arc::clone(&self.clock));
        let (registry, provider) = (registry.clone(), self.provider);
        let exchange = async move {
            let login = tokio::time::timeout(EXCHANGE_TIMEOUT, exchange.login(&registry))
                .await
                .unwrap_or_else(|_| {
                    let limit = EXCHANGE_TIMEOUT.as_secs();
                    Err(failed(provider, format!("no answer within {limit}s"), true))
                })?;
            Ok(Kept {
                keep: keep_for(login.expires, clock()),
                credential: login.credential,
            })
        };
        tokio::spawn(exchange)
            .await
            .unwrap_or_else(|error| Err(failed(provider, error, true)))
    }
}

/// 80 % of what is left of its life, at most [`LONGEST_KEPT`]; that long too when its end is not known.
fn keep_for(expires: Option<Timestamp>, now: Timestamp) -> Duration {
    expires.map_or(LONGEST_KEPT, |expires| {
        Duration::try_from(expires.duration_since(now))
            .unwrap_or_default()
            .mul_f64(0.8)
            .min(LONGEST_KEPT)
    })
}

/// A failed exchange. What a provider says is cut and cleaned, as it may end in a terminal or a status.
fn failed(provider: CloudProvider, reason: impl fmt::Display, retryable: bool) -> CredentialError {
    CredentialError::Provider {
        provider: provider.as_str(),
        reason: reason
            .to_string()
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(500)
            .collect(),
        retryable,
    }
}

impl fmt::Debug for CloudCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudCredentials")
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

impl ProvideCredentials for CloudCredentials {
    fn label(&self) -> &str {
        self.provider.as_str()
    }

    fn credentials<'a>(
        &'a self,
        registry: &'a Registry,
        _repository: Option<&'a RepositoryName>,
    ) -> BoxFuture<'a, Result<Vec<Credential>, CredentialError>> {
        Box::pin(async { Ok(vec![self.credential(registry).await?]) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::SecretString;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Debug)]
    struct Counting {
        asked: AtomicUsize,
        life: jiff::SignedDuration,
    }

    impl ExchangeIdentity for Counting {
        fn login<'a>(&'a self, _: &'a Registry) -> BoxFuture<'a, Result<Login, CredentialError>> {
            Box::pin(async {
                self.asked.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Ok(Login {
                    credential: Credential::basic("AWS", SecretString::from("s")),
                    expires: Some(Timestamp::UNIX_EPOCH + self.life),
                })
            })
        }
    }

    fn asked_by_100(life: jiff::SignedDuration) -> usize {
        let counting = Arc::new(Counting {
            asked: AtomicUsize::new(0),
            life,
        });
        let credentials = CloudCredentials::new(
            CloudProvider::Aws,
            Arc::clone(&counting) as Arc<dyn ExchangeIdentity>,
            Arc::new(|| Timestamp::UNIX_EPOCH),
        );
        let registry = Registry::new("123456789012.dkr.ecr.eu-west-1.amazonaws.com").unwrap();
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(async {
                for _ in 0..10 {
                    let ten = (0..10).map(|_| credentials.credentials(&registry, None));
                    for result in futures_util::future::join_all(ten).await {
                        assert_eq!(result.unwrap().len(), 1);
                    }
                }
            });
        counting.asked.load(Ordering::Relaxed)
    }

    #[test]
    fn a_living_credential_is_asked_for_once() {
        assert_eq!(asked_by_100(jiff::SignedDuration::from_hours(12)), 1);
    }

    #[test]
    fn a_dead_credential_is_asked_for_again() {
        assert!(asked_by_100(jiff::SignedDuration::ZERO) >= 10);
    }

    #[test]
    fn is_kept_for_80_percent_of_its_life_and_at_most_an_hour() {
        let now = Timestamp::UNIX_EPOCH;
        let after = |minutes| Some(now + jiff::SignedDuration::from_mins(minutes));
        assert_eq!(keep_for(after(10), now), Duration::from_mins(8));
        assert_eq!(keep_for(after(720), now), LONGEST_KEPT);
        assert_eq!(keep_for(after(-5), now), Duration::ZERO);
        assert_eq!(keep_for(None, now), LONGEST_KEPT);
    }

    #[test]
    fn refuses_to_give_anything_to_another_registry() {
        let counting = Counting {
            asked: AtomicUsize::new(0),
            life: jiff::SignedDuration::from_hours(1),
        };
        let credentials = CloudCredentials::new(
            CloudProvider::Aws,
            Arc::new(counting),
            Arc::new(|| Timestamp::UNIX_EPOCH),
        );
        let registry = Registry::new("ecr.example.com").unwrap();
        let error = futures_util::FutureExt::now_or_never(credentials.credentials(&registry, None))
            .unwrap()
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "no registry credentials from aws: ecr.example.com is not one of its registries (<account>.dkr.ecr.<region>.amazonaws.com, public.ecr.aws)"
        );
        assert!(!error.is_retryable());
    }
}
