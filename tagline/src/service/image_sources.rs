//! Where images were built from, for the links of pull requests: read once for each tag and digest, when a pull request
//! shows it, and behind everything else that is asked of the registry.

use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tagline_policy::Tag;
use tagline_scanner::{ImageDetails, Problem, ScanTarget, Scanner, StateTable, TagStore};
use tagline_updater::PolicyName;
use tagline_updater::forge::{ImageChange, SourceRevision, Wanted};

/// Where they are kept in the store.
const TABLE: &str = "image-sources";
/// A pull request waits no longer for its links; it gets them with its next change.
const PATIENCE: Duration = Duration::from_secs(10);
/// Images looked up at the same time.
const AT_ONCE: usize = 4;
/// Links that are looked up for one pull request; more are for nobody to read.
const MOST: usize = 200;

/// Sources and revisions by image, tag and digest.
#[derive(Debug, Clone)]
pub(crate) struct ImageSources {
    scanner: Scanner,
    table: StateTable,
    /// What cannot be read is not tried again by this process.
    known: Arc<Mutex<HashMap<String, Option<SourceRevision>>>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
}

impl Kept {
    fn of(details: &ImageDetails) -> Self {
        let label = |name: &str| details.labels.get(name).cloned();
        Self {
            source: label("org.opencontainers.image.source"),
            revision: label("org.opencontainers.image.revision"),
        }
    }

    fn into_source(self) -> Option<SourceRevision> {
        Some(SourceRevision {
            url: self.source?,
            revision: self.revision,
        })
    }
}

impl ImageSources {
    /// Those of a store.
    pub(crate) fn new(scanner: Scanner, store: &TagStore) -> Self {
        Self {
            scanner,
            table: store.state(TABLE),
            known: Arc::default(),
        }
    }

    /// Writes the sources of old and new images into changes, as far as they can be known soon.
    pub(crate) async fn fill_in(
        &self,
        pull_requests: &mut [Wanted],
        targets: &BTreeMap<PolicyName, ScanTarget>,
    ) {
        let mut wanted: BTreeMap<String, (Tag, &ScanTarget)> = BTreeMap::new();
        for change in pull_requests.iter().flat_map(|it| &it.changes) {
            let Some(target) = target_of(change, targets) else {
                continue;
            };
            for version in [&change.old, &change.chosen] {
                let Some(tag) = tag_of(version) else { continue };
                wanted.insert(name(&change.image, version), (tag, target));
            }
        }
        let mut lookups = Vec::new();
        for (name, (tag, target)) in wanted.into_iter().take(MOST) {
            lookups.push(self.look_up(name, tag, target));
        }
        let lookups = stream::iter(lookups).buffer_unordered(AT_ONCE);
        let _ = tokio::time::timeout(PATIENCE, lookups.collect::<()>()).await;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let source = |image: &str, version: &str| known.get(&name(image, version)).cloned();
        for change in pull_requests.iter_mut().flat_map(|it| &mut it.changes) {
            change.old_source = source(&change.image, &change.old).flatten();
            change.new_source = source(&change.image, &change.chosen).flatten();
        }
    }

    async fn look_up(&self, name: String, tag: Tag, target: &ScanTarget) {
        let is_known = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.contains_key(&name)
        };
        if is_known {
            return;
        }
        let kept = self.table.get(&name).ok().flatten();
        let kept = kept.and_then(|bytes| serde_json::from_slice::<Kept>(&bytes).ok());
        let kept = match kept {
            Some(kept) => kept,
            None => self.read(&name, &tag, target).await.unwrap_or_default(),
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(name, kept.into_source());
    }

    async fn read(&self, name: &str, tag: &Tag, target: &ScanTarget) -> Option<Kept> {
        let kept = match self.scanner.details_of_tag(target, tag.as_ref()).await {
            Ok(details) => Kept::of(&details),
            // An old tag may be gone for good.
            Err(error) if matches!(error.problem, Problem::NotFound { .. }) => Kept::default(),
            Err(error) => {
                tracing::debug!(image = name, %error, "the image's source cannot be read");
                return None;
            }
        };
        if let Ok(bytes) = serde_json::to_vec(&kept)
            && let Err(error) = self.table.put(name, bytes).await
        {
            tracing::debug!(image = name, %error, "the image's source cannot be kept");
        }
        Some(kept)
    }
}

fn target_of<'t>(
    change: &ImageChange,
    targets: &'t BTreeMap<PolicyName, ScanTarget>,
) -> Option<&'t ScanTarget> {
    let (namespace, name) = change.policy.split_once('/')?;
    targets.get(&PolicyName::new(namespace, name))
}

/// The tag in `tag` or `tag@digest`; none in a whole reference, which may be of another image.
fn tag_of(version: &str) -> Option<Tag> {
    Tag::new(version.split('@').next()?).ok()
}

fn name(image: &str, version: &str) -> String {
    format!("{image}:{version}")
}
