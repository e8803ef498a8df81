//! `ImageRepository` (`image.toolkit.fluxcd.io`): what is scanned.

use super::duration::{Span, Timeout};
use super::metadata::{LabelSelector, LocalReference};
use serde::Deserialize;
use std::time::Duration;

/// Tags that Flux never stores unless told otherwise: signatures.
pub(crate) const DEFAULT_EXCLUSION: &str = r"^.*\.sig$";

/// `spec`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ImageRepositorySpec {
    /// Repository without scheme, tag or digest.
    pub(crate) image: String,
    /// Time between scans; zero is one scan only.
    pub(crate) interval: Span,
    /// For one scan; the interval where absent.
    pub(crate) timeout: Option<Timeout>,
    /// Registry credentials.
    pub(crate) secret_ref: Option<LocalReference>,
    /// A proxy.
    pub(crate) proxy_secret_ref: Option<LocalReference>,
    /// Whose pull secrets are used.
    pub(crate) service_account_name: Option<String>,
    /// CA and client certificate.
    pub(crate) cert_secret_ref: Option<LocalReference>,
    /// No scans while set.
    #[serde(default)]
    pub(crate) suspend: bool,
    /// Namespaces whose policies may read the tags.
    pub(crate) access_from: Option<AccessFrom>,
    /// Patterns of tags that are never used.
    pub(crate) exclusion_list: Option<Vec<String>>,
    /// Where credentials come from.
    #[serde(default)]
    pub(crate) provider: RegistryProvider,
    /// Allows plain http.
    #[serde(default)]
    pub(crate) insecure: bool,
}

/// `spec.accessFrom`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccessFrom {
    /// Any of them opens the repository.
    pub(crate) namespace_selectors: Vec<NamespaceSelector>,
}

/// One namespace selector.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NamespaceSelector {
    /// Labels the namespace must have; none matches every namespace.
    pub(crate) match_labels: Option<std::collections::BTreeMap<String, String>>,
}

/// `spec.provider`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RegistryProvider {
    /// Secrets and pull secrets.
    #[default]
    Generic,
    /// Elastic Container Registry.
    Aws,
    /// Azure Container Registry.
    Azure,
    /// Artifact Registry.
    Gcp,
}

impl ImageRepositorySpec {
    /// The patterns that apply: Flux's default where none is given, and also for an empty list.
    pub(crate) fn exclusions(&self) -> Vec<String> {
        match self.exclusion_list.as_deref() {
            None | Some([]) => vec![DEFAULT_EXCLUSION.to_owned()],
            Some(patterns) => patterns.to_vec(),
        }
    }

    /// For one scan: `timeout`, else the interval, at least a second.
    pub(crate) fn scan_timeout(&self) -> Duration {
        self.timeout
            .map_or(self.interval.0, |timeout| timeout.0)
            .max(Duration::from_secs(1))
    }
}

impl NamespaceSelector {
    /// As a general selector.
    pub(crate) fn to_label_selector(&self) -> LabelSelector {
        LabelSelector {
            match_labels: self.match_labels.clone(),
            match_expressions: None,
        }
    }
}
