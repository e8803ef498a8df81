//! The tables as the last commit left them, opened once for all who read until the next commit.
//!
//! Opening them costs several times what finding a row in them does. A view keeps the pages it shows from being used
//! again, so none outlives the next commit but in the hands of somebody who is just reading.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use redb::{ReadOnlyTable, ReadableDatabase};

use super::tables::{PARTIALS, TAG_PAGES, TAG_TAILS, TARGETS, TIMES, TimesRow};

/// What is known about targets, at one moment.
pub(super) struct View {
    pub(super) targets: ReadOnlyTable<u128, &'static [u8]>,
    pub(super) times: ReadOnlyTable<u128, TimesRow>,
    pub(super) partials: ReadOnlyTable<u128, &'static [u8]>,
    pub(super) tails: ReadOnlyTable<u128, &'static [u8]>,
    pub(super) pages: ReadOnlyTable<[u8; 18], &'static [u8]>,
}

/// The view of the last commit, once somebody has asked for it.
#[derive(Default)]
pub(super) struct LatestView {
    slot: RwLock<Option<Arc<View>>>,
    /// A view that was begun before a commit is not kept after it.
    commits: AtomicU64,
}

impl LatestView {
    pub(super) fn get(&self, file: &redb::Database) -> Result<Arc<View>, redb::Error> {
        let latest = self.slot.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(view) = &*latest {
            return Ok(Arc::clone(view));
        }
        drop(latest);
        let commits = self.commits.load(Ordering::Acquire);
        let transaction = file.begin_read()?;
        let view = Arc::new(View {
            targets: transaction.open_table(TARGETS)?,
            times: transaction.open_table(TIMES)?,
            partials: transaction.open_table(PARTIALS)?,
            tails: transaction.open_table(TAG_TAILS)?,
            pages: transaction.open_table(TAG_PAGES)?,
        });
        let mut latest = self.slot.write().unwrap_or_else(PoisonError::into_inner);
        if self.commits.load(Ordering::Acquire) == commits {
            *latest = Some(Arc::clone(&view));
        }
        Ok(view)
    }

    /// The file has changed, or is going to be closed.
    pub(super) fn forget(&self) {
        self.commits.fetch_add(1, Ordering::Release);
        *self.slot.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
