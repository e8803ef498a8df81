//! Lists the tags of one repository: all pages or nothing, from where it was interrupted, with as few requests as
//! the registry lets us.
//!
//! [`walk`] goes from page to page, [`page`] reads one, [`next_page`] finds the one after it, [`checkpoint`] keeps
//! what was read for the case that we are interrupted, and [`etags`] asks only for pages that have changed.

use super::link::resolve;
use super::session::Session;
use crate::error::{Operation, Problem, ScanError};
use crate::store::{PartialListing, RegistryMemory};
use crate::tag_set::{TagSet, TagSetBuilder};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tagline_policy::Tag;
use tokio::time::Instant;
use url::Url;

mod checkpoint;
mod etags;
mod next_page;
mod page;
mod problem;
mod walk;

pub(crate) use checkpoint::Keeper;
pub(super) use next_page::hash;
pub(super) use problem::{malformed, refused};

use walk::{Walk, Walked};

/// Where a listing begins.
#[derive(Debug, Clone)]
pub(crate) enum Start {
    /// At the first page; conditionally, where the registry gave `ETag`s and that is wanted.
    Beginning {
        /// Whether an unchanged list need not be read.
        conditional: bool,
    },
    /// After this tag.
    After(Tag),
    /// Where an earlier one was interrupted.
    Resume(PartialListing),
}

/// What is to be listed.
#[derive(Debug)]
pub(crate) struct Request<'r> {
    /// The repository's name.
    pub(crate) repository: &'r str,
    /// Its last complete list.
    pub(crate) known: &'r Arc<TagSet>,
    /// What earlier listings learned.
    pub(crate) memory: RegistryMemory,
    /// Where pages are kept while the listing runs.
    pub(crate) keeper: Keeper<'r>,
    /// The time of day.
    pub(crate) now: Timestamp,
    /// The listing is interrupted after so long.
    pub(crate) time: Duration,
}

/// What a listing found.
#[derive(Debug)]
pub(crate) enum Listing {
    /// Nothing has changed.
    Unchanged(RegistryMemory),
    /// All tags.
    All(Pages),
    /// All tags after the one asked for.
    Newer(Pages),
}

/// The pages read.
#[derive(Debug)]
pub(crate) struct Pages {
    pub(crate) tags: TagSetBuilder,
    /// Texts that are no legal tags.
    pub(crate) dropped: u64,
    /// What was learned on the way.
    pub(crate) memory: RegistryMemory,
}

/// A listing that did not end.
#[derive(Debug)]
pub(crate) struct Interrupted {
    pub(crate) error: ScanError,
    /// Where to go on, if that makes sense.
    pub(crate) partial: Option<PartialListing>,
    /// What was learned on the way.
    pub(crate) memory: RegistryMemory,
}

/// Lists.
pub(crate) async fn list(
    session: &mut Session<'_>,
    request: &Request<'_>,
    start: Start,
) -> Result<Listing, Interrupted> {
    let started = Instant::now();
    let path = format!("{}/tags/list", request.repository);
    let list = match tokio::time::timeout(request.time, session.url(&path)).await {
        Ok(Ok(list)) => list,
        failed => {
            let host = super::exchange::host_of(&session.host.key.endpoint);
            return Err(Interrupted {
                error: match failed {
                    Ok(Err(error)) => error,
                    _ => session.fail(Operation::ListTags, problem::too_long(host, request.time)),
                },
                partial: match start {
                    Start::Resume(partial) => Some(partial),
                    _ => None,
                },
                memory: request.memory.clone(),
            });
        }
    };
    let mut listing = Attempts {
        session,
        request,
        list,
        started,
    };
    match start {
        Start::Beginning { conditional } => {
            listing.whole(request.memory.clone(), conditional).await
        }
        Start::After(tag) => Box::pin(listing.newer(tag)).await,
        Start::Resume(partial) => Box::pin(listing.resumed(&partial)).await,
    }
}

/// One listing, which may need several attempts.
struct Attempts<'l, 'a> {
    session: &'l mut Session<'a>,
    request: &'l Request<'l>,
    /// The address of the list, without query.
    list: Url,
    started: Instant,
}

impl<'a> Attempts<'_, 'a> {
    fn walk(&mut self, memory: RegistryMemory) -> Walk<'_, 'a> {
        Walk::new(
            self.session,
            self.request,
            self.list.clone(),
            memory,
            self.started,
        )
    }

    async fn whole(
        &mut self,
        memory: RegistryMemory,
        conditional: bool,
    ) -> Result<Listing, Interrupted> {
        let has_addresses = conditional && !memory.later_pages.is_empty();
        match self.walk(memory).whole(conditional).await {
            // The address of a later page was remembered, and is none any more.
            Err(interrupted) if has_addresses && is_stale(&interrupted.error) => {
                Box::pin(self.walk(interrupted.memory).whole(false)).await
            }
            walked => walked,
        }
    }

    async fn newer(&mut self, after: Tag) -> Result<Listing, Interrupted> {
        let memory = self.request.memory.clone();
        match self.walk(memory).newer(after).await? {
            Walked::All(listing) => Ok(listing),
            // The registry does not know `last`: what came may be anything, so all of it again.
            Walked::LastIgnored(memory) => self.whole(memory, true).await,
        }
    }

    async fn resumed(&mut self, partial: &PartialListing) -> Result<Listing, Interrupted> {
        let memory = self.request.memory.clone();
        let Some(cursor) = cursor(&self.list, &partial.cursor) else {
            return self.whole(memory, false).await;
        };
        match self.walk(memory).resumed(partial, cursor).await {
            // A cursor that has expired over there.
            Err(interrupted) if is_stale(&interrupted.error) => {
                self.whole(interrupted.memory, false).await
            }
            walked => walked,
        }
    }
}

/// Whether an address that was kept may be the reason.
const fn is_stale(error: &ScanError) -> bool {
    matches!(
        error.problem,
        Problem::UnexpectedStatus { .. } | Problem::NotFound { .. } | Problem::Loop { .. }
    )
}

/// The address of a kept cursor, if it is one of this list.
fn cursor(list: &Url, cursor: &str) -> Option<Url> {
    resolve(cursor, list)
        .ok()
        .filter(|url| url.query().is_some())
}

/// A cursor to be kept: path and query, as the registry may be asked under another name later.
fn cursor_of(url: &Url) -> String {
    format!("{}?{}", url.path(), url.query().unwrap_or_default())
}
