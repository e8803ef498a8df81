//! `Sync` (`tagline.dev/v1alpha1`): the minimal sync loop.

use super::duration::Span;
use super::image_update_automation::SourceReference;
use serde::Deserialize;

/// `spec`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SyncSpec {
    /// The git repository.
    pub(crate) source_ref: SourceReference,
    /// One path inside the repository.
    pub(crate) path: Option<String>,
    /// Several paths inside the repository.
    pub(crate) paths: Option<Vec<String>>,
    /// Time between runs that nothing triggered.
    pub(crate) interval: Span,
    /// Deletes what left the repository.
    #[serde(default)]
    pub(crate) prune: bool,
    /// Where objects go that name no namespace.
    pub(crate) target_namespace: Option<String>,
    /// Who applies.
    pub(crate) service_account_name: Option<String>,
    /// Waits until everything is ready.
    #[serde(default)]
    pub(crate) wait: bool,
    /// For one run.
    pub(crate) timeout: Option<Span>,
    /// No runs while set.
    #[serde(default)]
    pub(crate) suspend: bool,
}
