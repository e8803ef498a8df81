//! The scanner: asks registries within their budgets and keeps what they say.

use crate::blocks;
use crate::budget::{BudgetStatus, Priority};
use crate::client::Registries;
use crate::client::listing::{self, Interrupted, Keeper, Listing, Pages, Start};
use crate::client::session::Session;
use crate::client::{catalog, manifests};
use crate::error::{Operation, Problem, ScanError};
use crate::manifest::{ImageDetails, Manifest};
use crate::scan::{Scan, ScanMode, ScanOutcome};
use crate::settings::ScannerOptions;
use crate::single_flight::SingleFlight;
use crate::store::{
    Batch, LastError, ListingOrder, PartialListing, RegistryMemory, StoreError, StoredTags,
    TagStore,
};
use crate::tag_set::{Merged, TagSet};
use crate::target::{Access, ScanTarget};
use crate::target_key::TargetKey;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use tagline_policy::{Digest, ImageName, Registry, TagRef};

/// An interrupted listing is gone on with for so long; later the tags may be other ones.
const RESUMED_FOR: SignedDuration = SignedDuration::from_hours(24);

/// Scans registries. Cheap to clone; clones share connections, budgets, tokens and the store.
#[derive(Debug, Clone)]
pub struct Scanner {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    registries: Registries,
    store: TagStore,
    scans: Arc<SingleFlight<(TargetKey, ScanMode), Result<Scan, ScanError>>>,
}

/// Who asks, and how urgently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanRequest {
    /// How thoroughly to look.
    pub mode: ScanMode,
    /// Which requests go first.
    pub priority: Priority,
    /// Tenants take turns: usually the namespace.
    pub tenant: Arc<str>,
    /// The scan is interrupted after so long, and goes on where it was at the next one.
    pub time_limit: Option<Duration>,
}

impl Scanner {
    /// A scanner that keeps what it learns in `store`.
    #[must_use]
    pub fn new(options: ScannerOptions, store: TagStore) -> Self {
        crate::tls::install_provider();
        let registries = Registries::new(options);
        match blocks::kept(&store) {
            Ok(blocks) => registries.budgets.restore(blocks),
            Err(error) => {
                tracing::warn!(%error, "which registries want to be left alone is not known any more");
            }
        }
        Self {
            inner: Arc::new(Inner {
                registries,
                store,
                scans: Arc::default(),
            }),
        }
    }

    /// Takes over other options for all that is asked from now on: budgets, addresses, proxies, time-outs. The clock,
    /// the user agent and the bound for headers stay.
    pub fn set_options(&self, options: ScannerOptions) {
        self.inner.registries.set_options(options);
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &TagStore {
        &self.inner.store
    }

    /// All budgets, by host and credential.
    #[must_use]
    pub fn budgets(&self) -> Vec<BudgetStatus> {
        self.inner.registries.budgets.status(self.now())
    }

    /// Lists a target's tags: all of them, or an error and nothing changed.
    ///
    /// Any number of calls for the same target and mode share one scan and its result: the first call's
    /// priority and tenant count.
    ///
    /// # Errors
    /// [`ScanError`], which says what to do; a listing that was interrupted goes on where it was at the next call.
    pub async fn scan(
        &self,
        target: &ScanTarget,
        request: impl Into<ScanRequest>,
    ) -> Result<Scan, ScanError> {
        let request = request.into();
        let key = target.key();
        let run = (key.clone(), request.mode.clone());
        let (scanner, target) = (self.clone(), target.clone());
        // In its place once and for all: it is too large to be passed on by value.
        let scan = move || Box::pin(async move { scanner.scan_now(key, &target, &request).await });
        self.inner.scans.run(run, scan).await
    }

    async fn scan_now(
        &self,
        key: TargetKey,
        target: &ScanTarget,
        request: &ScanRequest,
    ) -> Result<Scan, ScanError> {
        let known = self.known(&key).map_err(|error| stored(&error, target))?;
        let mut session = self.session(&target.image, &target.access, request).await?;
        let listed = self.list(&mut session, target, &key, &known, request).await;
        let now = self.now();
        let requests = session.counts;
        drop(session);
        let Listed {
            merged,
            outcome,
            dropped,
            memory,
            has_partial,
        } = match listed {
            Ok(listed) => listed,
            Err(interrupted) => {
                let mut batch = failed(&key, &interrupted, now);
                if interrupted.error.retry_after().is_some() {
                    batch = blocks::keep(batch, self.inner.registries.budgets.new_blocks(now));
                }
                self.write(batch)
                    .await
                    .map_err(|error| stored(&error, target))?;
                return Err(interrupted.error);
            }
        };
        let batch = if merged.is_changed() || known.is_new {
            Batch::new().complete(&key, now, &merged.tags, memory)
        } else if !has_partial && known.memory.differs_only_in_time(&memory) {
            Batch::new().confirmed(&key, now, memory.full_listing_at)
        } else {
            Batch::new().unchanged(&key, now, memory)
        };
        self.write(batch)
            .await
            .map_err(|error| stored(&error, target))?;
        Ok(Scan {
            target: key,
            outcome,
            tags: merged.tags,
            added: merged.added,
            removed: merged.removed,
            scanned_at: now,
            requests,
            dropped,
        })
    }

    /// Lists, and compares with what was known.
    async fn list(
        &self,
        session: &mut Session<'_>,
        target: &ScanTarget,
        key: &TargetKey,
        known: &Known,
        request: &ScanRequest,
    ) -> Result<Listed, Interrupted> {
        let mut start = known.start(&request.mode, self.now(), self.full_listing_every());
        let mut listing = listing::Request {
            repository: target.image.repository().as_str(),
            known: &known.tags,
            memory: known.memory.clone(),
            keeper: Keeper::new(&self.inner.store, key),
            now: self.now(),
            time: request.time_limit.unwrap_or(Duration::MAX),
        };
        let listed = |merged, outcome, dropped, memory, keeper: &Keeper<'_>| Listed {
            merged,
            outcome,
            dropped,
            memory,
            has_partial: known.partial.is_some() || keeper.has_kept(),
        };
        loop {
            let after = match &start {
                Start::After(tag) => Some(tag.clone()),
                _ => None,
            };
            match listing::list(session, &listing, start).await? {
                Listing::Unchanged(memory) => {
                    let merged = Merged {
                        tags: Arc::clone(&known.tags),
                        added: Arc::default(),
                        removed: Arc::default(),
                    };
                    let outcome = ScanOutcome::Unchanged;
                    return Ok(listed(merged, outcome, 0, memory, &listing.keeper));
                }
                Listing::All(Pages {
                    tags,
                    dropped,
                    memory,
                }) => {
                    let merged = tags.replace(&known.tags, self.now());
                    let outcome = ScanOutcome::Listed;
                    return Ok(listed(merged, outcome, dropped, memory, &listing.keeper));
                }
                Listing::Newer(Pages {
                    tags,
                    dropped,
                    mut memory,
                }) => {
                    let merged = match &after {
                        Some(after) => tags.replace_after(after.as_ref(), &known.tags, self.now()),
                        None => tags.replace(&known.tags, self.now()),
                    };
                    if merged.removed.is_empty() {
                        if merged.is_changed() {
                            // They were those of another list.
                            memory.etag = None;
                            memory.later_pages.clear();
                        }
                        let outcome = ScanOutcome::Extended;
                        return Ok(listed(merged, outcome, dropped, memory, &listing.keeper));
                    }
                    // What a policy chooses instead of a tag that is gone may be gone as well.
                    listing.memory = memory;
                    start = Start::Beginning { conditional: true };
                }
            }
        }
    }

    /// The last complete listing of a target; `None` before the first.
    ///
    /// # Errors
    /// [`StoreError`] when the disk fails.
    pub fn tags(&self, key: &TargetKey) -> Result<Option<Arc<StoredTags>>, StoreError> {
        self.inner.store.tags(key)
    }

    /// The manifest that a tag points to now, by one HEAD request.
    ///
    /// # Errors
    /// [`ScanError`]; [`Problem::NotFound`] when the tag is listed but has no manifest (yet).
    pub async fn manifest(
        &self,
        target: &ScanTarget,
        tag: TagRef<'_>,
    ) -> Result<Manifest, ScanError> {
        let request = ScanRequest::from(ScanMode::default()).with_priority(Priority::High);
        let mut session = self
            .session(&target.image, &target.access, &request)
            .await?;
        manifests::head(&mut session, target.image.repository().as_str(), tag).await
    }

    /// Creation time, labels and platforms of the manifest with this digest. They never change, so keep them.
    ///
    /// # Errors
    /// [`ScanError`].
    pub async fn details(
        &self,
        target: &ScanTarget,
        digest: &Digest,
    ) -> Result<ImageDetails, ScanError> {
        let request = ScanRequest::from(ScanMode::default()).with_priority(Priority::Low);
        let mut session = self
            .session(&target.image, &target.access, &request)
            .await?;
        manifests::details(&mut session, target.image.repository().as_str(), digest).await
    }

    /// The same of what a tag points to now. Waits behind everything else.
    ///
    /// # Errors
    /// [`ScanError`]; [`Problem::NotFound`] when the tag has no manifest.
    pub async fn details_of_tag(
        &self,
        target: &ScanTarget,
        tag: TagRef<'_>,
    ) -> Result<ImageDetails, ScanError> {
        let request = ScanRequest::from(ScanMode::default()).with_priority(Priority::Low);
        let mut session = self
            .session(&target.image, &target.access, &request)
            .await?;
        let repository = target.image.repository().as_str();
        let manifest = manifests::head(&mut session, repository, tag).await?;
        manifests::details(&mut session, repository, &manifest.digest).await
    }

    /// The names of all repositories of a registry (`/v2/_catalog`), where it tells them.
    ///
    /// # Errors
    /// [`ScanError`].
    pub async fn catalog(
        &self,
        registry: &Registry,
        access: &Access,
    ) -> Result<Vec<ImageName>, ScanError> {
        let request = ScanRequest::from(ScanMode::default());
        let mut session = Session::open(
            &self.inner.registries,
            registry,
            None,
            access,
            request.priority,
            &request.tenant,
        )
        .await?;
        let names = catalog::repositories(&mut session).await?;
        Ok(names
            .into_iter()
            .map(|name| ImageName::new(registry.clone(), name))
            .collect())
    }

    async fn session<'a>(
        &'a self,
        image: &'a ImageName,
        access: &'a Access,
        request: &'a ScanRequest,
    ) -> Result<Session<'a>, ScanError> {
        Session::open(
            &self.inner.registries,
            image.registry(),
            Some(image),
            access,
            request.priority,
            &request.tenant,
        )
        .await
    }

    fn known(&self, key: &TargetKey) -> Result<Known, StoreError> {
        let store = &self.inner.store;
        let tags = unless_damaged(key, store.tags(key))?;
        let is_new = tags.is_none();
        let record = unless_damaged(key, store.record(key))?;
        let mut memory = record.unwrap_or_default().memory;
        if is_new {
            // They were those of tags that are not known any more.
            memory.etag = None;
            memory.later_pages.clear();
        }
        Ok(Known {
            is_new,
            tags: tags
                .map(|stored| Arc::clone(&stored.tags))
                .unwrap_or_default(),
            memory,
            partial: unless_damaged(key, store.partial(key))?,
        })
    }

    async fn write(&self, batch: Batch) -> Result<(), StoreError> {
        self.inner.store.write(batch).await
    }

    fn now(&self) -> Timestamp {
        (self.inner.registries.options().clock)()
    }

    fn full_listing_every(&self) -> SignedDuration {
        self.inner.registries.options().full_listing_every
    }
}

impl From<ScanMode> for ScanRequest {
    fn from(mode: ScanMode) -> Self {
        Self {
            mode,
            priority: Priority::Normal,
            tenant: "".into(),
            time_limit: None,
        }
    }
}

impl ScanRequest {
    /// With another priority.
    #[must_use]
    pub fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// With a time limit.
    #[must_use]
    pub const fn within(mut self, time_limit: Duration) -> Self {
        self.time_limit = Some(time_limit);
        self
    }

    /// For a tenant.
    #[must_use]
    pub fn for_tenant(mut self, tenant: impl Into<Arc<str>>) -> Self {
        self.tenant = tenant.into();
        self
    }
}

/// A listing that has ended, compared with what was known.
struct Listed {
    merged: Merged,
    outcome: ScanOutcome,
    dropped: u64,
    memory: RegistryMemory,
    /// The store holds pages of this one, or of one before it.
    has_partial: bool,
}

/// What the store holds about a target before a scan.
struct Known {
    is_new: bool,
    tags: Arc<TagSet>,
    memory: RegistryMemory,
    partial: Option<PartialListing>,
}

impl Known {
    /// Where the listing begins: at the cheapest place that gives what is wanted.
    fn start(&self, mode: &ScanMode, now: Timestamp, full_every: SignedDuration) -> Start {
        if let Some(partial) = &self.partial
            && now.duration_since(partial.started_at) < RESUMED_FOR
        {
            return Start::Resume(partial.clone());
        }
        match mode {
            ScanMode::Full => Start::Beginning { conditional: false },
            ScanMode::Conditional => Start::Beginning { conditional: true },
            ScanMode::Newer(tag) => self
                .tags
                .before(tag.as_ref())
                .filter(|_| self.may_ask_for_newer(now, full_every))
                .map_or(Start::Beginning { conditional: true }, Start::After),
        }
    }

    /// Whether the registry gives only newer tags when asked for them, and that is worth it.
    fn may_ask_for_newer(&self, now: Timestamp, full_every: SignedDuration) -> bool {
        let memory = &self.memory;
        let whole_is_as_cheap = memory.pages == Some(1) && memory.etag.is_some();
        !whole_is_as_cheap
            && memory.order == Some(ListingOrder::Lexical)
            && memory.honours_last != Some(false)
            && memory
                .full_listing_at
                .is_some_and(|at| now.duration_since(at) < full_every)
    }
}

/// What is damaged can be asked for anew.
fn unless_damaged<T>(
    key: &TargetKey,
    stored: Result<Option<T>, StoreError>,
) -> Result<Option<T>, StoreError> {
    match stored {
        Err(error @ StoreError::Damaged { .. }) => {
            tracing::warn!(target = %key, %error, "what was stored is damaged; listing anew");
            Ok(None)
        }
        stored => stored,
    }
}

fn failed(key: &TargetKey, interrupted: &Interrupted, now: Timestamp) -> Batch {
    let batch = Batch::new().failed(
        key,
        LastError {
            at: now,
            reason: interrupted.error.reason().to_owned(),
            message: interrupted.error.to_string(),
        },
        interrupted.memory.clone(),
    );
    match &interrupted.partial {
        Some(partial) => batch.partial(key, partial),
        None if interrupted.error.is_retryable() => batch,
        None => batch.without_partial(key),
    }
}

fn stored(error: &StoreError, target: &ScanTarget) -> ScanError {
    Problem::Store(error.to_string()).during(Operation::Store, &target.image)
}
