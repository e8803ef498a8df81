//! Scanning for commands that run once and end: the store, the credentials, the targets.

use super::tag_list::TagList;
use crate::cli::GlobalArgs;
use crate::exit::BadInput;
use crate::settings::{RateArgs, Settings, scanner_options_of_flags};
use crate::shutdown;
use anyhow::Context as _;
use std::path::Path;
use tagline_policy::ImageName;
use tagline_scanner::{
    Access, CredentialSource, ScanMode, ScanTarget, Scanner, StoreOptions, TagStore,
};

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

/// Scans one target and waits for it.
pub(crate) fn scan_tags(scanner: &Scanner, target: &ScanTarget) -> anyhow::Result<TagList> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let cancel = shutdown::on_signal()?;
        tokio::select! {
            scan = scanner.scan(target, ScanMode::Conditional) => Ok(TagList::Scanned(scan?.tags.unpack())),
            () = cancel.cancelled() => Err(anyhow::anyhow!("interrupted")),
        }
    })
}

/// The target of an image named on the command line, with the credentials that `docker login` left.
pub(crate) fn target(image: &str, insecure: bool) -> anyhow::Result<ScanTarget> {
    let image = ImageName::parse(image).map_err(|error| BadInput::error(error.to_string()))?;
    Ok(ScanTarget::new(image, access(insecure)))
}

/// The way of access of images named on the command line.
pub(crate) fn access(insecure: bool) -> Access {
    Access {
        credentials: CredentialSource::local_docker_config(),
        insecure,
        ..Access::default()
    }
}
