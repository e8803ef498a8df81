//! `Settings` (`tagline.dev/v1alpha1`): what holds for the whole process. Every field is also a flag and
//! an environment variable; a flag wins over the environment, the environment over this object.

use super::duration::{LongSpan, Span, Timeout};
use super::metadata::NamespacedReference;
use serde::Deserialize;

/// `spec`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SettingsSpec {
    /// Where state is kept (`--storage-path`).
    pub(crate) storage_path: Option<String>,
    /// Scans that run at the same time (`--concurrent`).
    pub(crate) concurrent: Option<u32>,
    /// Pause before something is tried again whose dependency is missing (`--requeue-dependency`).
    pub(crate) requeue_dependency: Option<Span>,
    /// First pause after a failure (`--min-retry-delay`).
    pub(crate) min_retry_delay: Option<Span>,
    /// Longest pause after failures (`--max-retry-delay`).
    pub(crate) max_retry_delay: Option<Span>,
    /// Refuses references into other namespaces (`--no-cross-namespace-refs`).
    pub(crate) no_cross_namespace_refs: Option<bool>,
    /// Writes tags without looking whether they can be pulled (`--skip-manifest-check`).
    pub(crate) skip_manifest_check: Option<bool>,
    /// Spread of due times as a part of the interval, 0 to 1 (`--interval-jitter`).
    pub(crate) interval_jitter: Option<f64>,
    /// For targets nobody asks for any more (`--gc-after`).
    pub(crate) gc_after: Option<LongSpan>,
    /// What holds for every registry.
    #[serde(default)]
    pub(crate) registry: RegistryDefaults,
    /// What holds for some registries; the first that matches and has a field wins.
    #[serde(default)]
    pub(crate) registries: Vec<RegistryEntry>,
    /// Commits and pushes.
    #[serde(default)]
    pub(crate) git: GitDefaults,
}

/// `spec.registry`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RegistryDefaults {
    /// Requests per second to each host; 0 is no limit (`--registry-rps`).
    pub(crate) rps: Option<f64>,
    /// Requests at once after a pause (`--registry-burst`).
    pub(crate) burst: Option<u32>,
    /// Globs of images that are scanned; all where empty (`--registry-include-image`).
    #[serde(default)]
    pub(crate) include_images: Vec<String>,
    /// Globs of images that are not scanned (`--registry-exclude-image`).
    pub(crate) exclude_images: Option<Vec<String>>,
    /// How often whole lists are read where only newer tags matter otherwise; zero is always
    /// (`--registry-full-listing-interval`).
    pub(crate) full_listing_interval: Option<LongSpan>,
}

/// One entry of `spec.registries`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RegistryEntry {
    /// `host` or `host:port`, with `*` for any text.
    pub(crate) host: String,
    /// A mirror or pull-through cache that is asked instead.
    pub(crate) endpoint: Option<String>,
    /// Allows plain http.
    #[serde(default)]
    pub(crate) insecure: bool,
    /// A file with certificate authorities.
    pub(crate) ca_file: Option<String>,
    /// A Secret with `tls.crt`, `tls.key`, `ca.crt`.
    pub(crate) cert_secret_ref: Option<NamespacedReference>,
    /// A Secret with registry credentials, for targets that have none of their own.
    pub(crate) secret_ref: Option<NamespacedReference>,
    /// A proxy without credentials.
    pub(crate) proxy: Option<String>,
    /// A Secret with a proxy.
    pub(crate) proxy_secret_ref: Option<NamespacedReference>,
    /// Requests per second; 0 is no limit.
    pub(crate) rps: Option<f64>,
    /// Requests at once after a pause.
    pub(crate) burst: Option<u32>,
    /// Requests at the same time.
    pub(crate) in_flight: Option<u32>,
    /// Tags asked for per page.
    pub(crate) page_size: Option<u32>,
    /// For one request.
    pub(crate) timeout: Option<Timeout>,
}

/// `spec.git`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GitDefaults {
    /// For one fetch or push where the `GitRepository` has none (`--git-timeout`).
    pub(crate) timeout: Option<Timeout>,
    /// Added to commit messages so that CI does not run (`--git-ci-skip-message`).
    pub(crate) ci_skip_message: Option<String>,
}

impl SettingsSpec {
    /// Values that fit no field, with their field.
    pub(super) fn value_faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut rate = |field: String, rps: Option<f64>| {
            if let Some(Err(error)) = rps.map(tagline_scanner::RequestRate::per_second) {
                faults.push((field, error.to_string()));
            }
        };
        rate("spec.registry.rps".to_owned(), self.registry.rps);
        for (index, entry) in self.registries.iter().enumerate() {
            rate(format!("spec.registries.{index}.rps"), entry.rps);
        }
        for (index, entry) in self.registries.iter().enumerate() {
            let field = |name: &str| format!("spec.registries.{index}.{name}");
            if entry.host.is_empty() {
                faults.push((
                    field("host"),
                    "a host is required, for example ghcr.io or *.example.com".to_owned(),
                ));
            }
            if let Some(endpoint) = &entry.endpoint {
                let legal = url::Url::parse(endpoint)
                    .is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
                if !legal {
                    let message = format!("{endpoint:?} is not an http or https address");
                    faults.push((field("endpoint"), message));
                }
            }
            if let Some(Err(error)) = entry
                .proxy
                .as_ref()
                .map(|proxy| tagline_scanner::ProxySettings::new(proxy, None))
            {
                faults.push((field("proxy"), error.to_string()));
            }
            for (name, value) in [
                ("burst", entry.burst),
                ("inFlight", entry.in_flight),
                ("pageSize", entry.page_size),
            ] {
                if value == Some(0) {
                    faults.push((field(name), "must be 1 or more".to_owned()));
                }
            }
        }
        if self.concurrent == Some(0) {
            faults.push(("spec.concurrent".to_owned(), "must be 1 or more".to_owned()));
        }
        if self
            .interval_jitter
            .is_some_and(|jitter| !(0.0..=1.0).contains(&jitter))
        {
            faults.push((
                "spec.intervalJitter".to_owned(),
                "must be between 0 and 1".to_owned(),
            ));
        }
        faults
    }
}
