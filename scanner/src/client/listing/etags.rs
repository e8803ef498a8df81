//! Which pages have changed, where the registry gives each page an `ETag`.
//!
//! That the first page has not changed says nothing about the others. So all of them are asked conditionally, one
//! after the other: only when each has answered 304 is the list unchanged. Where a page has changed, the tags of the
//! pages before it are taken from the last list; which those are is known only where the registry lists in lexical
//! order, so elsewhere only lists of one page are asked conditionally.

use super::{cursor, cursor_of};
use crate::store::{LaterPage, RegistryMemory};
use std::collections::VecDeque;
use tagline_policy::Tag;
use url::Url;

/// Longer ones are not kept.
const LONGEST_ETAG: usize = 256;
/// Longer ones are not kept.
const LONGEST_CURSOR: usize = 1024;
/// Lists of more pages are always read: what is kept per page would be more than the tags.
const MOST_PAGES: usize = 64;

/// The `ETag`s of a listing: those of the one before, and those of this one.
#[derive(Debug, Default)]
pub(super) struct Etags {
    /// The pages that were not asked for yet.
    later: VecDeque<Later>,
    /// Of the page to be asked for next.
    next: Option<String>,
    /// Pages that have not changed.
    pub(super) unchanged: u32,
    /// Of the pages of this listing; `None` when one of them has none.
    first: Option<String>,
    rest: Option<Vec<LaterPage>>,
}

/// A page after the first, as the last listing saw it.
#[derive(Debug)]
pub(super) struct Later {
    pub(super) url: Url,
    etag: String,
    /// The last tag of the page before.
    pub(super) after: Tag,
}

impl Etags {
    /// Asks as if nothing was known.
    pub(super) fn unknown() -> Self {
        Self {
            rest: Some(Vec::new()),
            ..Self::default()
        }
    }

    /// Asks only for what has changed since the last list; `None` where what is known is about another list.
    pub(super) fn known(memory: &RegistryMemory, list: &Url) -> Option<Self> {
        let later = memory.later_pages.iter().map(|page| {
            Some(Later {
                url: cursor(list, &page.cursor)?,
                etag: page.etag.clone(),
                after: page.after.clone(),
            })
        });
        Some(Self {
            next: memory.etag.clone(),
            later: later.collect::<Option<_>>()?,
            ..Self::unknown()
        })
    }

    /// The `ETag` to ask the next page with.
    pub(super) fn ask(&self) -> Option<&str> {
        self.next.as_deref()
    }

    /// The page asked for, which comes after this tag, has not changed: the one after it, if there is one.
    pub(super) fn not_modified(&mut self, url: &Url, after: Option<&Tag>) -> Option<Later> {
        let etag = self.next.take();
        self.remember(url, etag.as_deref(), after);
        self.unchanged += 1;
        let page = self.later.pop_front()?;
        self.next = Some(page.etag.clone());
        Some(page)
    }

    /// The page asked for, which comes after this tag, was read; all that follow are to be read as well.
    pub(super) fn modified(&mut self, url: &Url, etag: Option<&str>, after: Option<&Tag>) {
        self.next = None;
        self.later.clear();
        self.remember(url, etag, after);
    }

    fn remember(&mut self, url: &Url, etag: Option<&str>, after: Option<&Tag>) {
        let Some(etag) = etag.filter(|etag| etag.len() <= LONGEST_ETAG) else {
            self.rest = None;
            return;
        };
        let Some(rest) = &mut self.rest else { return };
        if self.first.is_none() {
            self.first = Some(etag.to_owned());
            return;
        }
        let cursor = cursor_of(url);
        match after {
            Some(after) if cursor.len() <= LONGEST_CURSOR && rest.len() + 1 < MOST_PAGES => {
                rest.push(LaterPage {
                    cursor,
                    etag: etag.to_owned(),
                    after: after.clone(),
                });
            }
            _ => self.rest = None,
        }
    }

    /// Puts what the next listing needs into the memory.
    pub(super) fn into_memory(self, memory: &mut RegistryMemory, is_lexical: bool) {
        let kept = self.rest.filter(|rest| rest.is_empty() || is_lexical);
        (memory.etag, memory.later_pages) = match kept {
            Some(rest) => (self.first, rest),
            None => (None, Vec::new()),
        };
    }
}
