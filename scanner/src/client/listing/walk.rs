//! From page to page, to the end or to an interruption.

use super::checkpoint::Pace;
use super::etags::Etags;
use super::page::Step;
use super::problem::too_long;
use super::{Interrupted, Listing, Pages, Request, cursor_of};
use crate::client::exchange::host_of;
use crate::client::session::Session;
use crate::error::{Operation, ScanError};
use crate::store::{ListingOrder, PartialListing, RegistryMemory};
use crate::tag_set::{TagSet, TagSetBuilder};
use jiff::Timestamp;
use std::collections::HashSet;
use std::sync::Arc;
use tagline_policy::{Tag, TagRef};
use tokio::time::Instant;
use url::Url;

/// One attempt to list.
pub(super) struct Walk<'w, 'a> {
    pub(super) session: &'w mut Session<'a>,
    pub(super) request: &'w Request<'w>,
    /// The address of the list, without query.
    list: Url,
    pub(super) tags: TagSetBuilder,
    pub(super) dropped: u64,
    pub(super) bytes: u64,
    /// Pages whose tags are in `tags`.
    pub(super) pages: u32,
    pub(super) seen: HashSet<u64>,
    pub(super) last: LastTag,
    /// The last tag of the last page that was read to its end.
    pub(super) page_end: Option<Tag>,
    pub(super) ascending: bool,
    pub(super) newer: Option<Newer>,
    pub(super) etags: Etags,
    started: Instant,
    /// When the first page was read.
    started_at: Timestamp,
    memory: RegistryMemory,
    pace: Pace,
}

/// The last tag that was listed, in a place of its own: it is another one for every tag.
#[derive(Debug, Default)]
pub(super) struct LastTag(String);

impl LastTag {
    pub(super) fn get(&self) -> Option<TagRef<'_>> {
        TagRef::new(&self.0).ok()
    }

    pub(super) fn set(&mut self, tag: TagRef<'_>) {
        self.0.clear();
        self.0.push_str(tag.as_str());
    }

    /// Whether the list is still in order with this one next.
    pub(super) fn is_before(&self, tag: TagRef<'_>) -> bool {
        self.0.as_str() < tag.as_str()
    }
}

impl From<Option<&Tag>> for LastTag {
    fn from(tag: Option<&Tag>) -> Self {
        Self(tag.map(|tag| tag.as_str().to_owned()).unwrap_or_default())
    }
}

/// Only tags after one are asked for.
pub(super) struct Newer {
    pub(super) after: Tag,
    /// A tag that is not greater was listed nevertheless.
    pub(super) ignored: bool,
}

/// How a walk from a tag onwards ended.
pub(super) enum Walked {
    All(Listing),
    /// It did not begin where it should.
    LastIgnored(RegistryMemory),
}

impl<'w, 'a> Walk<'w, 'a> {
    pub(super) fn new(
        session: &'w mut Session<'a>,
        request: &'w Request<'w>,
        list: Url,
        memory: RegistryMemory,
        started: Instant,
    ) -> Self {
        Self {
            session,
            request,
            list,
            tags: TagSetBuilder::default(),
            dropped: 0,
            bytes: 0,
            pages: 0,
            seen: HashSet::new(),
            last: LastTag::default(),
            page_end: None,
            ascending: true,
            newer: None,
            etags: Etags::unknown(),
            started,
            started_at: request.now,
            memory,
            pace: Pace::new(0, Instant::now()),
        }
    }

    /// From the first page to the last.
    pub(super) async fn whole(mut self, conditional: bool) -> Result<Listing, Interrupted> {
        if conditional {
            self.etags = Etags::known(&self.memory, &self.list).unwrap_or_else(Etags::unknown);
        }
        let first = self.first_page(&self.list);
        self.walk(first).await
    }

    /// From a tag onwards.
    pub(super) async fn newer(mut self, after: Tag) -> Result<Walked, Interrupted> {
        self.newer = Some(Newer {
            after,
            ignored: false,
        });
        let first = self.first_page(&self.list);
        let mut memory = self.memory.clone();
        match self.walk(first).await {
            Ok(Listing::All(pages)) => {
                memory.honours_last = Some(false);
                memory.page_size = pages.memory.page_size;
                Ok(Walked::LastIgnored(memory))
            }
            Ok(listing) => Ok(Walked::All(listing)),
            Err(interrupted) => Err(interrupted),
        }
    }

    /// From where an earlier listing was interrupted.
    pub(super) async fn resumed(
        mut self,
        partial: &PartialListing,
        cursor: Url,
    ) -> Result<Listing, Interrupted> {
        self.pages = partial.pages;
        self.pace = Pace::new(partial.pages, Instant::now());
        self.started_at = partial.started_at;
        // Whether they were in order was remembered with them.
        self.ascending = self.memory.order == Some(ListingOrder::Lexical);
        self.page_end = partial.tags.greatest().filter(|_| self.ascending);
        self.last = LastTag::from(self.page_end.as_ref());
        self.tags.push_all(&partial.tags);
        // The first pages' are not known.
        self.etags = Etags::default();
        self.walk(cursor).await
    }

    async fn walk(mut self, mut url: Url) -> Result<Listing, Interrupted> {
        let limits = self.session.options.limits;
        let most = limits.listing_time.min(self.request.time);
        loop {
            let left = most.saturating_sub(self.started.elapsed());
            let step = match tokio::time::timeout(left, self.page(&url)).await {
                Ok(step) => step,
                Err(_) => Err(self
                    .session
                    .fail(Operation::ListTags, too_long(host_of(&url), most))),
            };
            match step {
                Ok(Step::Next(next)) => {
                    url = next;
                    Box::pin(self.keep(&url)).await;
                }
                Ok(Step::Again) => url = self.first_page(&self.list),
                Ok(Step::NotModified) => {
                    let Some(page) = self.etags.not_modified(&url, self.page_end.as_ref()) else {
                        return Ok(self.unchanged());
                    };
                    self.page_end = Some(page.after);
                    url = page.url;
                }
                Ok(Step::End) => return Ok(self.end()),
                Err(error) => return Err(self.interrupted(error, &url)),
            }
        }
    }

    /// Keeps the pages so far, if it is time to.
    async fn keep(&mut self, next: &Url) {
        let now = Instant::now();
        if self.newer.is_some() || !self.pace.is_due(self.pages, now) {
            return;
        }
        let tags = self.tags.take_out(self.started_at);
        let partial = self.partial(tags, next);
        let memory = self.memory_so_far();
        self.request.keeper.keep(&partial, memory).await;
        self.tags.put_back(Arc::unwrap_or_clone(partial.tags));
        self.pace = Pace::new(self.pages, now);
    }

    fn partial(&self, tags: TagSet, next: &Url) -> PartialListing {
        PartialListing {
            tags: tags.into(),
            cursor: cursor_of(next),
            pages: self.pages,
            started_at: self.started_at,
        }
    }

    fn memory_so_far(&self) -> RegistryMemory {
        let mut memory = self.memory.clone();
        if self.pages > 0 && self.newer.is_none() {
            memory.order = Some(self.order());
        }
        memory
    }

    const fn order(&self) -> ListingOrder {
        if self.ascending {
            ListingOrder::Lexical
        } else {
            ListingOrder::Other
        }
    }

    fn unchanged(self) -> Listing {
        let mut memory = self.memory;
        memory.full_listing_at = Some(self.started_at);
        memory.newer_only = false;
        Listing::Unchanged(memory)
    }

    fn end(self) -> Listing {
        let order = self.order();
        let mut memory = self.memory;
        memory.page_size = self.session.host.learned(|learned| learned.page_size);
        if let Some(newer) = self.newer {
            memory.newer_only = true;
            let pages = Pages {
                tags: self.tags,
                dropped: self.dropped,
                memory,
            };
            return if newer.ignored {
                Listing::All(pages)
            } else {
                Listing::Newer(pages)
            };
        }
        self.etags
            .into_memory(&mut memory, order == ListingOrder::Lexical);
        memory.order = Some(order);
        memory.pages = Some(self.pages);
        memory.full_listing_at = Some(self.started_at);
        memory.newer_only = false;
        Listing::All(Pages {
            tags: self.tags,
            dropped: self.dropped,
            memory,
        })
    }

    fn interrupted(mut self, error: ScanError, url: &Url) -> Interrupted {
        let mut memory = self.memory_so_far();
        let partial = if self.newer.is_some() {
            // There is no going on here; a whole list can be gone on with.
            memory.full_listing_at = memory.full_listing_at.filter(|_| self.pages == 0);
            None
        } else {
            (error.is_retryable() && self.pages > 0).then(|| {
                let mut tags = self.tags.take_out(self.started_at);
                if let Some(end) = self.page_end.as_ref().filter(|_| self.ascending) {
                    // Without those of a page that broke off: it will be read again.
                    tags = tags.up_to(end.as_ref());
                }
                self.partial(tags, url)
            })
        };
        Interrupted {
            error,
            partial,
            memory,
        }
    }
}
