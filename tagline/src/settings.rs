//! The process's settings, put together from flags, environment and a `Settings` object.

use crate::cli::GlobalArgs;
use crate::exit::BadInput;
use crate::resources::{
    DEFAULT_NAMESPACE, NamespacedReference, Object, RegistryEntry, Resources, SecretData,
    SettingsSpec, Span,
};
use crate::service::registry_access::{self, CloudLogins};
use anyhow::Context as _;
use jiff::SignedDuration;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tagline_policy::Registry;
use tagline_scanner::{
    CredentialSource, ImageFilter, RegistryPattern, RegistrySettings, RequestRate, ScannerOptions,
};

/// Flags of the service. Each is also a field of the `Settings` object; the flag wins.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Service")]
pub(crate) struct ServiceArgs {
    /// Scans at the same time, on all registries together [default: 256]
    #[arg(long, value_name = "N", env = "TAGLINE_CONCURRENT")]
    concurrent: Option<u32>,
    /// Pause before something is tried again whose dependency is missing [default: 30s]
    #[arg(long, value_name = "DURATION", env = "TAGLINE_REQUEUE_DEPENDENCY", value_parser = span)]
    requeue_dependency: Option<Span>,
    /// First pause after a failure, doubled with each further one [default: 750ms]
    #[arg(long, value_name = "DURATION", env = "TAGLINE_MIN_RETRY_DELAY", value_parser = span)]
    min_retry_delay: Option<Span>,
    /// Longest pause after failures [default: 15m]
    #[arg(long, value_name = "DURATION", env = "TAGLINE_MAX_RETRY_DELAY", value_parser = span)]
    max_retry_delay: Option<Span>,
    /// Refuse references to objects of other namespaces
    #[arg(long, env = "TAGLINE_NO_CROSS_NAMESPACE_REFS", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    no_cross_namespace_refs: Option<bool>,
    /// Write tags into git without looking whether they can be pulled
    #[arg(long, env = "TAGLINE_SKIP_MANIFEST_CHECK", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    skip_manifest_check: Option<bool>,
    /// For one fetch or push, where the GitRepository has no timeout [default: 60s]
    #[arg(long, value_name = "DURATION", env = "TAGLINE_GIT_TIMEOUT", value_parser = span)]
    git_timeout: Option<Span>,
    /// Added to every commit message, so that CI does not run
    #[arg(long, value_name = "TEXT", env = "TAGLINE_GIT_CI_SKIP_MESSAGE")]
    git_ci_skip_message: Option<String>,
    /// How far a scan may be from its interval to keep scans apart, as a part of it from 0 to 1 [default: 0.1]
    #[arg(long, value_name = "PART", env = "TAGLINE_INTERVAL_JITTER", value_parser = jitter)]
    interval_jitter: Option<f64>,
    /// Forget what is stored about images that nobody asked for in this time; 0s is never [default: 30d]
    #[arg(long, value_name = "DURATION", env = "TAGLINE_GC_AFTER", value_parser = span)]
    gc_after: Option<Span>,
}

/// How fast registries are asked: for every command that asks them.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Registries")]
pub(crate) struct RateArgs {
    /// Requests per second to each registry host; 0 is no limit [default: what is safe for the host]
    #[arg(long, value_name = "N", env = "TAGLINE_REGISTRY_RPS")]
    registry_rps: Option<f64>,
    /// Requests that may be made at once after a pause
    #[arg(long, value_name = "N", env = "TAGLINE_REGISTRY_BURST")]
    registry_burst: Option<u32>,
}

/// Flags about registries, for the service.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Registries")]
pub(crate) struct RegistryArgs {
    #[command(flatten)]
    rate: RateArgs,
    /// Scan only images that match one of these globs on canonical names; * crosses /
    #[arg(
        long,
        value_name = "GLOB",
        value_delimiter = ',',
        env = "TAGLINE_REGISTRY_INCLUDE_IMAGE"
    )]
    registry_include_image: Vec<String>,
    /// Do not scan images that match one of these globs; wins over include [default: k8s.gcr.io/*]
    #[arg(
        long,
        value_name = "GLOB",
        value_delimiter = ',',
        env = "TAGLINE_REGISTRY_EXCLUDE_IMAGE"
    )]
    registry_exclude_image: Option<Vec<String>>,
    /// How often whole tag lists are read where only newer tags matter otherwise; 0s is always [default: 24h]
    #[arg(long, value_name = "DURATION", env = "TAGLINE_REGISTRY_FULL_LISTING_INTERVAL", value_parser = span)]
    registry_full_listing_interval: Option<Span>,
}

/// What holds for the whole process.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Where state is kept.
    pub(crate) storage_path: PathBuf,
    /// Scans at the same time.
    pub(crate) concurrent: usize,
    /// Pause before something is tried again whose dependency is missing.
    pub(crate) requeue_dependency: Duration,
    /// First pause after a failure.
    pub(crate) min_retry_delay: Duration,
    /// Longest pause after failures.
    pub(crate) max_retry_delay: Duration,
    /// Refuses references into other namespaces.
    pub(crate) no_cross_namespace_refs: bool,
    /// Writes tags without looking whether they can be pulled.
    pub(crate) skip_manifest_check: bool,
    /// For one fetch or push.
    pub(crate) git_timeout: Duration,
    /// Added to commit messages.
    pub(crate) ci_skip_message: Option<String>,
    /// How far a scan may be from its interval, in thousandths of it.
    pub(crate) jitter_permille: u32,
    /// After this time what nobody asks for is forgotten; zero is never.
    pub(crate) gc_after: Duration,
    /// What is scanned.
    pub(crate) image_filter: ImageFilter,
    /// Credentials for images that have none of their own; the first that matches counts.
    pub(crate) registry_credentials: Vec<(RegistryPattern, CredentialSource)>,
    /// Credentials from clouds.
    pub(crate) clouds: CloudLogins,
    /// The scanner's part.
    pub(crate) scanner: ScannerOptions,
}

impl From<&RateArgs> for RegistryArgs {
    fn from(rate: &RateArgs) -> Self {
        Self {
            rate: rate.clone(),
            ..Self::default()
        }
    }
}

impl Settings {
    /// Puts flags and the `Settings` object of the files together.
    ///
    /// # Errors
    /// For values that make no sense, and files that cannot be read.
    pub(crate) fn resolve(
        global: &GlobalArgs,
        service: &ServiceArgs,
        registry: &RegistryArgs,
        resources: &Resources,
    ) -> anyhow::Result<Self> {
        let empty = SettingsSpec::default();
        let object = resources.settings.as_deref();
        let spec = object.map_or(&empty, |object| &object.spec);
        let pick = |flag: Option<Span>, field: Option<Span>, default: u64| {
            flag.or(field)
                .map_or(Duration::from_millis(default), |span| span.0)
        };
        let full_listing_interval = pick(
            registry.registry_full_listing_interval,
            spec.registry.full_listing_interval.map(|span| Span(span.0)),
            24 * 60 * 60 * 1000,
        );
        let scanner = ScannerOptions {
            full_listing_every: SignedDuration::try_from(full_listing_interval)
                .unwrap_or(SignedDuration::MAX),
            ..scanner_options(&registry.rate, spec, object, resources)?
        };
        let jitter = service
            .interval_jitter
            .or(spec.interval_jitter)
            .unwrap_or(0.1);
        let storage_path = global
            .storage_path
            .clone()
            .or_else(|| spec.storage_path.as_ref().map(PathBuf::from))
            .unwrap_or_else(default_storage_path);
        Ok(Self {
            storage_path,
            concurrent: service.concurrent.or(spec.concurrent).unwrap_or(256).max(1) as usize,
            requeue_dependency: pick(service.requeue_dependency, spec.requeue_dependency, 30_000),
            min_retry_delay: pick(service.min_retry_delay, spec.min_retry_delay, 750),
            max_retry_delay: pick(service.max_retry_delay, spec.max_retry_delay, 900_000),
            no_cross_namespace_refs: service
                .no_cross_namespace_refs
                .or(spec.no_cross_namespace_refs)
                .unwrap_or(false),
            skip_manifest_check: service
                .skip_manifest_check
                .or(spec.skip_manifest_check)
                .unwrap_or(false),
            git_timeout: pick(
                service.git_timeout,
                spec.git.timeout.map(|timeout| Span(timeout.0)),
                60_000,
            ),
            ci_skip_message: service
                .git_ci_skip_message
                .clone()
                .or_else(|| spec.git.ci_skip_message.clone())
                .filter(|message| !message.is_empty()),
            jitter_permille: permille(jitter),
            gc_after: pick(
                service.gc_after,
                spec.gc_after.map(|span| Span(span.0)),
                30 * 24 * 60 * 60 * 1000,
            ),
            registry_credentials: registry_credentials(spec, object, resources)?,
            image_filter: image_filter(registry, spec),
            clouds: CloudLogins::new(Arc::clone(&scanner.clock)),
            scanner,
        })
    }
}

impl Settings {
    /// Credentials for a registry's images that have none of their own.
    pub(crate) fn credentials_for(&self, registry: &Registry) -> Option<&CredentialSource> {
        self.registry_credentials
            .iter()
            .find(|(pattern, _)| pattern.matches(registry))
            .map(|(_, source)| source)
    }
}

/// What every pass over flags, files and environment needs again when the files change.
#[derive(Debug, Clone)]
pub(crate) struct SettingsSource {
    /// Flags of every command.
    pub(crate) global: GlobalArgs,
    /// Flags of the service.
    pub(crate) service: ServiceArgs,
    /// Flags about registries.
    pub(crate) registry: RegistryArgs,
}

impl SettingsSource {
    /// Puts flags and the `Settings` object of the files together.
    ///
    /// # Errors
    /// As [`Settings::resolve`].
    pub(crate) fn resolve(&self, resources: &Resources) -> anyhow::Result<Settings> {
        Settings::resolve(&self.global, &self.service, &self.registry, resources)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and 1000"
)]
fn permille(part: f64) -> u32 {
    (part.clamp(0.0, 1.0) * 1000.0).round() as u32
}

fn jitter(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|part| (0.0..=1.0).contains(part))
        .ok_or_else(|| "give a number between 0 and 1, for example 0.1".to_owned())
}

/// Finds a `Secret` that an entry of the settings names. They belong to no namespace, so an entry names one.
fn secret(
    reference: &NamespacedReference,
    resources: &Resources,
) -> anyhow::Result<Arc<Object<SecretData>>> {
    let name = reference.in_namespace(DEFAULT_NAMESPACE);
    let found = resources.secrets.get(&name).cloned();
    found.with_context(|| format!("there is no Secret {name}"))
}

/// Where an entry of the settings is, for messages.
fn entry_place(object: Option<&Object<SettingsSpec>>, index: usize) -> String {
    let place = object
        .map(|object| object.place.to_string())
        .unwrap_or_default();
    format!("{place}: Settings: spec.registries.{index}")
}

fn registry_credentials(
    spec: &SettingsSpec,
    object: Option<&Object<SettingsSpec>>,
    resources: &Resources,
) -> anyhow::Result<Vec<(RegistryPattern, CredentialSource)>> {
    let mut credentials = Vec::new();
    for (index, entry) in spec.registries.iter().enumerate() {
        let Some(reference) = &entry.secret_ref else {
            continue;
        };
        let place = || entry_place(object, index);
        let secret = secret(reference, resources).with_context(place)?;
        let source = registry_access::credentials(&secret)
            .with_context(|| format!("{}: {} cannot be used", place(), secret.key))?;
        credentials.push((RegistryPattern::new(&entry.host), source));
    }
    Ok(credentials)
}

fn image_filter(registry: &RegistryArgs, spec: &SettingsSpec) -> ImageFilter {
    let include = if registry.registry_include_image.is_empty() {
        &spec.registry.include_images
    } else {
        &registry.registry_include_image
    };
    match registry
        .registry_exclude_image
        .as_ref()
        .or(spec.registry.exclude_images.as_ref())
    {
        Some(exclude) => ImageFilter::new(include, exclude),
        None => ImageFilter::new(include, &default_exclusions()),
    }
}

fn default_exclusions() -> Vec<String> {
    ImageFilter::DEFAULT_EXCLUDE
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// The scanner's options out of flags alone, for commands without manifests.
pub(crate) fn scanner_options_of_flags(registry: &RateArgs) -> anyhow::Result<ScannerOptions> {
    scanner_options(
        registry,
        &SettingsSpec::default(),
        None,
        &Resources::default(),
    )
}

fn scanner_options(
    registry: &RateArgs,
    spec: &SettingsSpec,
    object: Option<&Object<SettingsSpec>>,
    resources: &Resources,
) -> anyhow::Result<ScannerOptions> {
    let rps = registry.registry_rps.or(spec.registry.rps);
    let rate = rps
        .map(RequestRate::per_second)
        .transpose()
        .map_err(|error| BadInput::error(format!("--registry-rps: {error}")))?;
    let burst = registry.registry_burst.or(spec.registry.burst);
    let mut registries = Vec::with_capacity(spec.registries.len());
    for (index, entry) in spec.registries.iter().enumerate() {
        let settings =
            registry_settings(entry, resources).with_context(|| entry_place(object, index))?;
        registries.push(settings);
    }
    Ok(ScannerOptions {
        registries,
        rate,
        burst: burst.and_then(NonZeroU32::new),
        ..ScannerOptions::default()
    })
}

fn registry_settings(
    entry: &RegistryEntry,
    resources: &Resources,
) -> anyhow::Result<RegistrySettings> {
    let mut settings = RegistrySettings::new(RegistryPattern::new(&entry.host));
    settings.endpoint = entry.endpoint.as_deref().map(url::Url::parse).transpose()?;
    settings.insecure = entry.insecure;
    if let Some(file) = &entry.ca_file {
        let pem = std::fs::read(file).with_context(|| format!("caFile {file}"))?;
        settings.tls = settings.tls.with_ca(pem)?;
    }
    if let Some(reference) = &entry.cert_secret_ref {
        settings.tls =
            registry_access::tls_settings(&secret(reference, resources)?.spec, settings.tls)?;
    }
    if let Some(address) = &entry.proxy {
        settings.proxy = Some(tagline_scanner::ProxySettings::new(address, None)?);
    }
    if let Some(reference) = &entry.proxy_secret_ref {
        settings.proxy = Some(registry_access::proxy_settings(
            &secret(reference, resources)?.spec,
        )?);
    }
    settings.rate = entry.rps.map(RequestRate::per_second).transpose()?;
    settings.burst = entry.burst.and_then(NonZeroU32::new);
    settings.in_flight = entry.in_flight.and_then(NonZeroU32::new);
    settings.page_size = entry.page_size.and_then(NonZeroU32::new);
    settings.timeout = entry.timeout.map(|timeout| timeout.0);
    Ok(settings)
}

/// `$XDG_STATE_HOME/tagline`, else `~/.local/state/tagline`, else `.tagline` here.
pub(crate) fn default_storage_path() -> PathBuf {
    let variable = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    variable("XDG_STATE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| variable("HOME").map(|home| home.join(".local/state")))
        .map_or_else(|| PathBuf::from(".tagline"), |state| state.join("tagline"))
}

fn span(text: &str) -> Result<Span, String> {
    Span::parse_with_days(text).map_err(|error| error.to_string())
}
