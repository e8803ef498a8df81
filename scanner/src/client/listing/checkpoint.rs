//! Keeps the pages of a listing while it runs, so that a process that is killed goes on where it was.
//!
//! What is kept is the whole list so far, so keeping it again costs more with each page. Therefore the distance
//! between two times grows with the list: all of them together cost a few times the last, and at most an eighth of
//! the pages, or a few seconds' worth of them, is asked for again.

use crate::store::{Batch, PartialListing, RegistryMemory, TagStore};
use crate::target_key::TargetKey;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// So many new pages are kept at the soonest …
const PAGES: u32 = 16;
/// … and this part of all pages.
const PART: u32 = 8;
/// Fewer are kept after this time: a registry that allows one page a second is worth it.
const TIME: Duration = Duration::from_secs(5);

/// Where pages are kept.
#[derive(Debug)]
pub(crate) struct Keeper<'k> {
    store: &'k TagStore,
    key: &'k TargetKey,
    has_kept: AtomicBool,
}

/// When pages are kept next.
#[derive(Debug)]
pub(super) struct Pace {
    pages: u32,
    at: Instant,
}

impl<'k> Keeper<'k> {
    pub(crate) const fn new(store: &'k TagStore, key: &'k TargetKey) -> Self {
        Self {
            store,
            key,
            has_kept: AtomicBool::new(false),
        }
    }

    /// Whether there are pages in the store now, which are to go when the listing ends.
    pub(crate) fn has_kept(&self) -> bool {
        self.has_kept.load(Ordering::Relaxed)
    }

    /// Keeps pages. That this fails is no reason to give up a listing that goes well.
    pub(super) async fn keep(&self, partial: &PartialListing, memory: RegistryMemory) {
        self.has_kept.store(true, Ordering::Relaxed);
        let batch = Batch::new()
            .learned(self.key, memory)
            .partial(self.key, partial);
        match self.store.write(batch).await {
            Ok(()) => {
                tracing::debug!(target = %self.key, pages = partial.pages, "kept the pages so far");
            }
            Err(error) => {
                tracing::warn!(target = %self.key, %error, "the pages so far cannot be kept");
            }
        }
    }
}

impl Pace {
    /// `pages` are kept already.
    pub(super) const fn new(pages: u32, now: Instant) -> Self {
        Self { pages, at: now }
    }

    /// Whether it is time to keep what was read.
    pub(super) fn is_due(&self, pages: u32, now: Instant) -> bool {
        let new = pages.saturating_sub(self.pages);
        new > 0 && (new >= PAGES.max(pages / PART) || now.duration_since(self.at) >= TIME)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeping_stays_cheap_and_losses_small() {
        let start = Instant::now();
        let mut pace = Pace::new(0, start);
        let (mut kept, mut cost) = (0, 0);
        for pages in 1..=20_000 {
            if pace.is_due(pages, start) {
                pace = Pace::new(pages, start);
                kept += 1;
                cost += pages;
            }
            assert!(pages - pace.pages <= PAGES.max(pages / PART), "{pages}");
        }
        assert!(kept < 80, "{kept}");
        assert!(cost < 10 * 20_000, "{cost}");
    }

    #[test]
    fn a_slow_list_is_kept_by_time() {
        let start = Instant::now();
        let pace = Pace::new(3, start);
        assert!(!pace.is_due(4, start + TIME / 2));
        assert!(pace.is_due(4, start + TIME));
        assert!(!pace.is_due(3, start + TIME), "nothing new");
    }
}
