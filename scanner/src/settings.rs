//! Settings of the scanner: what holds for all registries, and what for some of them.

use crate::budget::BudgetLimits;
use crate::names::{ResolveNames, SystemNames};
use crate::proxy::ProxySettings;
use crate::registries;
use crate::tls::TlsSettings;
use jiff::{SignedDuration, Timestamp};
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tagline_policy::Registry;
use url::Url;

/// Tells the time of day. Durations are measured with tokio's clock, which tests can pause.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What holds for the whole scanner.
#[derive(Clone)]
pub struct ScannerOptions {
    /// Sent as `User-Agent`.
    pub user_agent: String,
    /// Settings per registry. Each setting comes from the first entry that matches the registry and has it,
    /// then from the options here, then from what is known to be safe for the registry.
    pub registries: Vec<RegistrySettings>,
    /// Requests per second to each registry and credential (`--registry-rps`).
    pub rate: Option<RequestRate>,
    /// Requests that may be made at once after a pause (`--registry-burst`).
    pub burst: Option<NonZeroU32>,
    /// Bounds for what a registry may send.
    pub limits: AnswerLimits,
    /// A budget that is blocked for longer than this gives an error at once; for less, requests wait.
    pub longest_wait: Duration,
    /// Where only newer tags are asked for ([`ScanMode::Newer`](crate::ScanMode::Newer)), how often the whole list is
    /// read nevertheless, to see which tags are gone.
    pub full_listing_every: SignedDuration,
    /// How names of hosts are looked up. Not used for what goes through a proxy.
    pub names: Arc<dyn ResolveNames>,
    /// The time of day.
    pub clock: Clock,
}

/// Settings for the registries that a pattern matches.
#[derive(Debug, Clone)]
pub struct RegistrySettings {
    /// Which registries.
    pub registry: RegistryPattern,
    /// A mirror or pull-through cache that is asked instead; image names stay as they are.
    pub endpoint: Option<Url>,
    /// Allow plain http.
    pub insecure: bool,
    /// Additional roots and a client certificate; an object's own come first.
    pub tls: TlsSettings,
    /// The proxy; an object's own comes first.
    pub proxy: Option<ProxySettings>,
    /// Requests per second.
    pub rate: Option<RequestRate>,
    /// Requests at once after a pause.
    pub burst: Option<NonZeroU32>,
    /// Requests at the same time.
    pub in_flight: Option<NonZeroU32>,
    /// Tags per page to ask for.
    pub page_size: Option<NonZeroU32>,
    /// Time for one request, from its start to the last byte.
    pub timeout: Option<Duration>,
}

/// Requests per second, or no limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RequestRate(Option<f64>);

/// A number that is not a rate.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error(
    "{given} requests per second are not possible: give a number above 0 and up to 100000, or 0 for no limit"
)]
pub struct InvalidRate {
    /// The number.
    pub given: f64,
}

/// A glob over registry hosts: `*` stands for any run of characters.
///
/// Matched against `host[:port]`, and a pattern without a port also against the host alone. Docker Hub matches
/// under each of its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryPattern(Box<str>);

/// Bounds for what a registry may send. Whoever sends more gets an error for this target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerLimits {
    /// Pages of one listing.
    pub pages: u32,
    /// Tags of one listing.
    pub tags: u32,
    /// Bytes of one page of tags, unpacked.
    pub page_bytes: u64,
    /// Bytes of all pages of one listing, unpacked.
    pub listing_bytes: u64,
    /// Bytes of a token, a manifest, an image configuration or an error.
    pub document_bytes: u64,
    /// Bytes of an answer's headers.
    pub header_bytes: u32,
    /// Time for one whole listing.
    pub listing_time: Duration,
}

impl Default for ScannerOptions {
    fn default() -> Self {
        Self {
            user_agent: concat!("tagline/", env!("CARGO_PKG_VERSION")).to_owned(),
            registries: Vec::new(),
            rate: None,
            burst: None,
            limits: AnswerLimits::default(),
            longest_wait: Duration::from_secs(30),
            full_listing_every: SignedDuration::from_hours(24),
            names: Arc::new(SystemNames),
            clock: Arc::new(Timestamp::now),
        }
    }
}

/// What holds for one registry.
#[derive(Debug, Clone)]
pub(crate) struct EffectiveSettings {
    pub(crate) endpoint: Option<Url>,
    pub(crate) insecure: bool,
    pub(crate) tls: TlsSettings,
    pub(crate) proxy: Option<ProxySettings>,
    pub(crate) limits: BudgetLimits,
    pub(crate) page_size: NonZeroU32,
    pub(crate) timeout: Duration,
}

impl ScannerOptions {
    /// Puts together what holds for one registry.
    pub(crate) fn settings_for(&self, registry: &Registry) -> EffectiveSettings {
        let known = registries::defaults(registry);
        let matching = || {
            self.registries
                .iter()
                .filter(|settings| settings.registry.matches(registry))
        };
        EffectiveSettings {
            endpoint: matching().find_map(|settings| settings.endpoint.clone()),
            insecure: matching().any(|settings| settings.insecure),
            tls: matching()
                .find(|settings| !settings.tls.is_default())
                .map(|settings| settings.tls.clone())
                .unwrap_or_default(),
            proxy: matching().find_map(|settings| settings.proxy.clone()),
            limits: BudgetLimits {
                rate: matching()
                    .find_map(|settings| settings.rate)
                    .or(self.rate)
                    .unwrap_or(known.limits.rate),
                burst: matching()
                    .find_map(|settings| settings.burst)
                    .or(self.burst)
                    .unwrap_or(known.limits.burst),
                in_flight: matching()
                    .find_map(|settings| settings.in_flight)
                    .unwrap_or(known.limits.in_flight),
            },
            page_size: matching()
                .find_map(|settings| settings.page_size)
                .unwrap_or(known.page_size),
            timeout: matching()
                .find_map(|settings| settings.timeout)
                .unwrap_or(registries::TIMEOUT),
        }
    }
}

impl Default for AnswerLimits {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self {
            pages: 20_000,
            tags: 2_000_000,
            page_bytes: 256 * MIB,
            listing_bytes: 512 * MIB,
            document_bytes: 4 * MIB,
            header_bytes: 64 * 1024,
            listing_time: Duration::from_hours(1),
        }
    }
}

impl RegistrySettings {
    /// Settings without any value for the registries of a pattern.
    #[must_use]
    pub fn new(registry: RegistryPattern) -> Self {
        Self {
            registry,
            endpoint: None,
            insecure: false,
            tls: TlsSettings::default(),
            proxy: None,
            rate: None,
            burst: None,
            in_flight: None,
            page_size: None,
            timeout: None,
        }
    }
}

impl RequestRate {
    /// No limit of our own.
    pub const UNLIMITED: Self = Self(None);

    /// A rate; 0 stands for no limit, as `--registry-rps=0` does.
    ///
    /// # Errors
    /// [`InvalidRate`] for negative, tiny, huge and non-numbers.
    pub fn per_second(rate: f64) -> Result<Self, InvalidRate> {
        if rate == 0.0 {
            Ok(Self::UNLIMITED)
        } else if (0.000_1..=100_000.0).contains(&rate) {
            Ok(Self(Some(rate)))
        } else {
            Err(InvalidRate { given: rate })
        }
    }

    /// Requests per second; `None` without limit.
    #[must_use]
    pub const fn as_per_second(self) -> Option<f64> {
        self.0
    }

    pub(crate) const fn known(rate: f64) -> Self {
        Self(Some(rate))
    }
}

impl RegistryPattern {
    /// Takes a pattern; upper and lower case are the same.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        Self(pattern.to_ascii_lowercase().into())
    }

    /// Whether it matches a registry.
    #[must_use]
    pub fn matches(&self, registry: &Registry) -> bool {
        let hub: &[&str] = if registry.is_docker_hub() {
            &["docker.io", "registry-1.docker.io", "index.docker.io"]
        } else {
            &[]
        };
        glob_matches(&self.0, registry.as_str())
            || glob_matches(&self.0, registry.host())
            || hub.iter().any(|name| glob_matches(&self.0, name))
    }
}

/// Matches `*` against any run of characters; everything else stands for itself.
pub(crate) fn glob_matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.len() >= part.len() && rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    true
}

impl fmt::Display for RegistryPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ScannerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScannerOptions")
            .field("user_agent", &self.user_agent)
            .field("registries", &self.registries)
            .field("rate", &self.rate)
            .field("burst", &self.burst)
            .field("limits", &self.limits)
            .field("longest_wait", &self.longest_wait)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_hosts_with_and_without_port() {
        for (pattern, registry, matches) in [
            ("ghcr.io", "ghcr.io", true),
            ("GHCR.io", "ghcr.io", true),
            (
                "*.dkr.ecr.*.amazonaws.com",
                "1.dkr.ecr.eu-west-1.amazonaws.com",
                true,
            ),
            (
                "*.dkr.ecr.*.amazonaws.com",
                "1.dkr.ecr.amazonaws.com",
                false,
            ),
            ("registry.corp", "registry.corp:5000", true),
            ("registry.corp:5000", "registry.corp:5000", true),
            ("registry.corp:5001", "registry.corp:5000", false),
            ("docker.io", "docker.io", true),
            ("index.docker.io", "docker.io", true),
            ("*", "anything:1", true),
            ("a*a", "a", false),
            ("", "ghcr.io", false),
        ] {
            let registry = Registry::new(registry).unwrap();
            assert_eq!(
                RegistryPattern::new(pattern).matches(&registry),
                matches,
                "{pattern} {registry}"
            );
        }
    }

    #[test]
    fn rates_are_sane() {
        assert_eq!(
            RequestRate::per_second(0.0).unwrap(),
            RequestRate::UNLIMITED
        );
        assert_eq!(
            RequestRate::per_second(2.5).unwrap().as_per_second(),
            Some(2.5)
        );
        for wrong in [-1.0, f64::NAN, f64::INFINITY, 1e-9, 1e9] {
            assert!(RequestRate::per_second(wrong).is_err(), "{wrong}");
        }
    }
}
