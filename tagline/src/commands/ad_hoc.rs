//! Scanning for commands that run once and end: the store, the credentials, the targets.

use super::tag_list::TagList;
use crate::cli::GlobalArgs;
use crate::exit::BadInput;
use crate::output::Output;
use crate::service::created_times;
use crate::settings::{RateArgs, Settings, scanner_options_of_flags};
use crate::shutdown;
use anyhow::Context as _;
use futures_util::{StreamExt as _, stream};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use tagline_policy::{ImageName, Policy, Registry};
use tagline_scanner::{
    Access, CredentialSource, ScanError, ScanMode, ScanTarget, Scanner, StoreOptions, TagStore,
};

/// Scans at the same time. How fast requests go out is the budgets' business.
const AT_ONCE: usize = 64;

/// A scanner for one command, by flags alone.
pub(crate) fn scanner(global: &GlobalArgs, registry: &RateArgs) -> anyhow::Result<Scanner> {
    Ok(Scanner::new(
        scanner_options_of_flags(registry)?,
        store(global)?,
    ))
}

/// A scanner for one command, by flags and manifests.
pub(crate) fn scanner_of(global: &GlobalArgs, settings: &Settings) -> anyhow::Result<Scanner> {
    Ok(Scanner::new(settings.scanner.clone(), store(global)?))
}

/// The store of a command: without `--storage-path` what it learns ends with the command.
pub(crate) fn store(global: &GlobalArgs) -> anyhow::Result<TagStore> {
    match &global.storage_path {
        Some(path) => open_store(path),
        None => TagStore::in_memory(&StoreOptions::default()).context("a store in memory"),
    }
}

/// Opens the store of a directory, which is made where it is missing.
pub(crate) fn open_store(path: &Path) -> anyhow::Result<TagStore> {
    std::fs::create_dir_all(path)
        .with_context(|| format!("--storage-path {}: cannot be created", path.display()))?;
    TagStore::open(path, &StoreOptions::default())
        .with_context(|| format!("--storage-path {}", path.display()))
}

/// Scans targets and looks up what their policies need to know; one list for each, in this order. Targets that
/// are the same are scanned once.
pub(crate) fn scan_lists(
    scanner: &Scanner,
    targets: &[(ScanTarget, &Policy)],
    output: &Output,
) -> anyhow::Result<Vec<Result<TagList, ScanError>>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let cancel = shutdown::on_signal()?;
        let mut bar = output.progress().bar("scanning", targets.len());
        let mut scans = stream::iter(targets.iter().enumerate())
            .map(|(index, (target, policy))| async move {
                (index, scan_list(scanner, target, policy).await)
            })
            .buffer_unordered(AT_ONCE);
        let mut lists = BTreeMap::new();
        loop {
            tokio::select! {
                next = scans.next() => match next {
                    Some((index, list)) => lists.insert(index, list),
                    None => return Ok(lists.into_values().collect()),
                },
                () = cancel.cancelled() => anyhow::bail!("interrupted"),
            };
            bar.step();
            bar.budgets(|| scanner.budgets());
        }
    })
}

async fn scan_list(
    scanner: &Scanner,
    target: &ScanTarget,
    policy: &Policy,
) -> Result<TagList, ScanError> {
    let tags = scanner.scan(target, ScanMode::Conditional).await?.tags;
    let created = if policy.needs_created() {
        created_times(policy, target, &tags, scanner).await?
    } else {
        HashMap::new()
    };
    Ok(TagList::Scanned {
        tags: tags.unpack(),
        created,
    })
}

/// The target of an image named on the command line, with the credentials that `docker login` left.
pub(crate) fn target(image: &str, insecure: bool) -> anyhow::Result<ScanTarget> {
    Ok(ScanTarget::new(image_name(image)?, access(insecure)))
}

/// Reads an image's name on the command line.
pub(crate) fn image_name(image: &str) -> anyhow::Result<ImageName> {
    ImageName::parse(image).map_err(|error| BadInput::error(error.to_string()))
}

/// The way of access of images named on the command line.
pub(crate) fn access(insecure: bool) -> Access {
    Access {
        credentials: CredentialSource::local_docker_config(),
        insecure,
        ..Access::default()
    }
}

/// As [`access`], with what the settings have for a registry behind what `docker login` left.
pub(crate) fn access_with_settings(
    registry: &Registry,
    insecure: bool,
    settings: &Settings,
) -> Access {
    let mut access = access(insecure);
    if let Some(source) = settings.credentials_for(registry) {
        access.credentials = CredentialSource::chain(vec![access.credentials, source.clone()]);
    }
    access
}
