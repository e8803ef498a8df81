//! Forgets targets that nobody asks for any more, with their tags and first-seen times.
//!
//! A target that is missing from the manifests keeps all of it for a while: it may be suspended, broken or on its way
//! from one file to another, and the time a tag was first seen cannot be learned again.

use super::state::Done;
use super::{Service, Subject};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use tagline_scanner::{Batch, StoreError, TagStore, TargetKey};

/// Not in the busy first minute.
const FIRST: SignedDuration = SignedDuration::from_mins(1);
/// Between two looks.
const EVERY: SignedDuration = SignedDuration::from_hours(1);
/// Targets forgotten in one transaction.
const AT_ONCE: usize = 256;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Collected {
    /// Targets that are gone.
    pub(crate) forgotten: usize,
    /// Bytes given back to the disk.
    pub(crate) freed: u64,
}

/// When the first look is due.
pub(super) fn first_collection(now: Timestamp) -> Timestamp {
    now.saturating_add(FIRST).unwrap_or(now)
}

/// Tells what became of it.
pub(super) fn tell(result: &Result<Collected, StoreError>) {
    match result {
        Ok(Collected { forgotten: 0, .. }) => {}
        Ok(collected) => tracing::info!(
            forgotten = collected.forgotten,
            freed_bytes = collected.freed,
            "forgot images that nobody asks for any more"
        ),
        Err(error) => {
            tracing::warn!(%error, "what nobody asks for any more cannot be forgotten");
        }
    }
}

impl Service {
    /// Looks for targets that nobody has asked for since `gcAfter`.
    pub(super) fn start_collection(&mut self, now: Timestamp) {
        self.next_collection = now.saturating_add(EVERY).unwrap_or(now);
        let after = SignedDuration::try_from(self.settings.gc_after).unwrap_or(SignedDuration::MAX);
        let Ok(before) = now.checked_sub(after) else {
            return;
        };
        if after.is_zero() {
            return;
        }
        let wanted: BTreeSet<TargetKey> = self.targets.keys().cloned().collect();
        let store = self.store.clone();
        self.spawn(Subject::Garbage, async move {
            Done::Collected(collect(&store, &wanted, before, now).await)
        });
    }
}

async fn collect(
    store: &TagStore,
    wanted: &BTreeSet<TargetKey>,
    before: Timestamp,
    now: Timestamp,
) -> Result<Collected, StoreError> {
    let unasked = blocking(store, move |store| store.unasked(before)).await?;
    let mut forgotten = 0;
    for keys in unasked.chunks(AT_ONCE) {
        let mut batch = Batch::new();
        for key in keys {
            // Suspended, or scanned at longer intervals.
            batch = if wanted.contains(key) {
                batch.asked(key, now)
            } else {
                forgotten += 1;
                batch.forget_unasked(key, before)
            };
        }
        store.write(batch).await?;
    }
    let freed = if forgotten == 0 {
        0
    } else {
        blocking(store, TagStore::compact_if_wasteful).await?
    };
    Ok(Collected { forgotten, freed })
}

/// Does what reads much of the store where it holds up nobody.
async fn blocking<T: Send + 'static>(
    store: &TagStore,
    work: impl FnOnce(&TagStore) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let store = store.clone();
    let done = tokio::task::spawn_blocking(move || work(&store)).await;
    done.unwrap_or(Err(StoreError::Closed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use crate::resources::{LoadOptions, Source, load};
    use crate::settings::{RegistryArgs, ServiceArgs, Settings};
    use clap::Parser as _;
    use std::sync::{Arc, Mutex};
    use tagline_policy::{ImageName, TagRef};
    use tagline_scanner::{RegistryMemory, StoreOptions, TagSet};
    use tokio_util::sync::CancellationToken;

    fn days(count: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + count * 86_400).unwrap()
    }

    fn key(image: &str) -> TargetKey {
        TargetKey::new(&ImageName::parse(image).unwrap(), None)
    }

    const SUSPENDED: &str = "
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageRepository
metadata: {name: app, namespace: apps}
spec: {image: r.example/suspended, interval: 1h, suspend: true}
";

    /// The service with the given manifests, at a time of day that the test sets.
    fn service(store: &TagStore, manifests: &str, now: &Arc<Mutex<Timestamp>>) -> Service {
        let sources = [Source::Stdin(manifests.as_bytes().into())];
        let options = LoadOptions {
            default_namespace: "default".to_owned(),
        };
        let resources = load(&sources, &options);
        assert!(resources.problems.is_empty(), "{:?}", resources.problems);
        let global = Cli::try_parse_from(["tagline", "version"]).unwrap().global;
        let mut settings = Settings::resolve(
            &global,
            &ServiceArgs::default(),
            &RegistryArgs::default(),
            &resources,
        )
        .unwrap();
        let clock = Arc::clone(now);
        settings.scanner.clock = Arc::new(move || *clock.lock().unwrap());
        let cancel = CancellationToken::new();
        Service::open(
            settings,
            store.clone(),
            Vec::new(),
            options,
            resources,
            cancel,
        )
        .unwrap()
    }

    async fn collect_now(service: &mut Service) {
        service.start_collection(service.now());
        while let Some(done) = service.tasks.join_next_with_id().await {
            service.take(done);
        }
    }

    #[tokio::test]
    async fn what_nobody_asks_for_is_forgotten_in_time() {
        let store = TagStore::in_memory(&StoreOptions::default()).unwrap();
        let tags = Arc::new(TagSet::from_tags([TagRef::new("1.0.0").unwrap()], days(0)));
        let mut batch = Batch::new();
        for image in ["r.example/suspended", "r.example/gone"] {
            batch = batch.complete(&key(image), days(0), &tags, RegistryMemory::default());
        }
        store.write(batch).await.unwrap();
        let now = Arc::new(Mutex::new(days(29)));
        let mut service = service(&store, SUSPENDED, &now);
        collect_now(&mut service).await;
        assert!(store.tags(&key("r.example/gone")).unwrap().is_some());

        *now.lock().unwrap() = days(31);
        collect_now(&mut service).await;
        assert!(store.tags(&key("r.example/gone")).unwrap().is_none());
        // The other is only suspended, and its tags are as old as they were.
        let kept = store.tags(&key("r.example/suspended")).unwrap().unwrap();
        let first_seen = kept.tags.first_seen(TagRef::new("1.0.0").unwrap());
        assert_eq!(first_seen, Some(days(0)));
        // It is as if it had been asked for just now.
        assert!(store.unasked(days(31)).unwrap().is_empty());
    }

    #[tokio::test]
    async fn zero_keeps_everything() {
        let store = TagStore::in_memory(&StoreOptions::default()).unwrap();
        let batch = Batch::new().asked(&key("r.example/gone"), days(0));
        store.write(batch).await.unwrap();
        let now = Arc::new(Mutex::new(days(3000)));
        let settings = "apiVersion: tagline.dev/v1alpha1
kind: Settings
metadata: {name: settings}
spec: {gcAfter: 0s}
";
        let mut service = service(&store, settings, &now);
        collect_now(&mut service).await;
        assert_eq!(store.unasked(days(3000)).unwrap().len(), 1);
    }
}
