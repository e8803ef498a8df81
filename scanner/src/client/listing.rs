//! Lists the tags of one repository: all pages or nothing, from where it was interrupted, with as few requests as
//! the registry lets us.

use super::error_body::{ErrorBody, is_html};
use super::exchange::{Answer, Ask, host_of};
use super::link::{LinkProblem, next_link, resolve};
use super::list_page::{ListPage, MalformedPage};
use super::session::{Session, too_many};
use crate::error::{Operation, Problem, ScanError, printable};
use crate::scan::RequestKind;
use crate::store::{ListingOrder, PartialListing, RegistryMemory};
use crate::tag_set::{TagSet, TagSetBuilder};
use http::{StatusCode, header};
use jiff::Timestamp;
use std::collections::HashSet;
use std::sync::Arc;
use tagline_policy::{Tag, TagRef};
use tokio::time::Instant;
use url::Url;

/// A page size that every registry takes.
const SMALL_PAGE: u32 = 100;
/// How much of a page is kept in case it turns out to be something else.
const BEGINNING: usize = 4096;

/// Where a listing begins.
#[derive(Debug, Clone)]
pub(crate) enum Start {
    /// At the first page; conditionally with an `ETag`.
    Beginning(Option<String>),
    /// After this tag.
    After(Tag),
    /// Where an earlier one was interrupted.
    Resume(PartialListing),
}

/// What a listing found.
#[derive(Debug)]
pub(crate) enum Listing {
    /// Nothing has changed.
    Unchanged,
    /// All tags.
    All(Pages),
    /// The tags after the greatest one known.
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

/// One listing under way.
struct Lister<'s, 'a> {
    session: &'s mut Session<'a>,
    tags: TagSetBuilder,
    /// The tags of pages read before an interruption.
    earlier: Option<Arc<TagSet>>,
    dropped: u64,
    bytes: u64,
    pages: u32,
    seen: HashSet<u64>,
    last: Option<Tag>,
    ascending: bool,
    /// The greatest tag known, where only those after it were asked for.
    after: Option<Tag>,
    /// A tag that is not greater was listed nevertheless.
    ignores_last: bool,
    started: Instant,
    started_at: Timestamp,
    memory: RegistryMemory,
}

/// What a page led to.
enum Step {
    Next(Url),
    End {
        etag: Option<String>,
    },
    NotModified,
    /// The page size was refused: the same again with another.
    Again,
}

/// Lists.
pub(crate) async fn list(
    session: &mut Session<'_>,
    repository: &str,
    start: Start,
    memory: RegistryMemory,
    now: Timestamp,
) -> Result<Listing, Interrupted> {
    let path = format!("{repository}/tags/list");
    let list = match session.url(&path).await {
        Ok(list) => list,
        Err(error) => {
            return Err(Interrupted {
                error,
                partial: match start {
                    Start::Resume(partial) => Some(partial),
                    _ => None,
                },
                memory,
            });
        }
    };
    let mut lister = Lister::new(session, memory, now);
    match start {
        Start::Beginning(etag) => lister.run(&list, etag).await,
        Start::After(tag) => {
            lister.after = Some(tag);
            match lister.run(&list, None).await {
                Ok(Listing::All(pages)) if pages.memory.honours_last == Some(false) => {
                    // The registry does not know `last`: what came may be anything, so all of it again.
                    let memory = pages.memory;
                    Lister::new(session, memory, now).run(&list, None).await
                }
                other => other,
            }
        }
        Start::Resume(partial) => {
            let Some(cursor) = resumed(&list, &partial.cursor) else {
                return lister.run(&list, None).await;
            };
            lister.resume(&partial);
            match lister.pages(cursor, None).await {
                Err(interrupted)
                    if !interrupted.error.is_retryable() && lister_is_stale(&interrupted.error) =>
                {
                    // A cursor that has expired over there.
                    let memory = interrupted.memory;
                    Lister::new(session, memory, now).run(&list, None).await
                }
                other => other,
            }
        }
    }
}

fn lister_is_stale(error: &ScanError) -> bool {
    matches!(
        error.problem,
        Problem::UnexpectedStatus { .. } | Problem::NotFound { .. } | Problem::Loop { .. }
    )
}

/// The address of a stored cursor, if it is one of this list.
fn resumed(list: &Url, cursor: &str) -> Option<Url> {
    resolve(cursor, list)
        .ok()
        .filter(|url| url.query().is_some())
}

impl<'s, 'a> Lister<'s, 'a> {
    fn new(session: &'s mut Session<'a>, mut memory: RegistryMemory, now: Timestamp) -> Self {
        memory.etag = None;
        Self {
            session,
            tags: TagSetBuilder::default(),
            earlier: None,
            dropped: 0,
            bytes: 0,
            pages: 0,
            seen: HashSet::new(),
            last: None,
            ascending: true,
            after: None,
            ignores_last: false,
            started: Instant::now(),
            started_at: now,
            memory,
        }
    }

    fn resume(&mut self, partial: &PartialListing) {
        self.pages = partial.pages;
        self.started_at = partial.started_at;
        // Whether they were in order is not known any more.
        self.ascending = self.memory.order == Some(ListingOrder::Lexical);
        self.last = partial.tags.greatest().filter(|_| self.ascending);
        self.earlier = Some(Arc::clone(&partial.tags));
    }

    async fn run(&mut self, list: &Url, etag: Option<String>) -> Result<Listing, Interrupted> {
        let first = self.first_page(list);
        self.pages(first, etag).await
    }

    fn first_page(&self, list: &Url) -> Url {
        let mut url = list.clone();
        if self.page_size().is_some() || self.after.is_some() {
            let mut query = url.query_pairs_mut();
            if let Some(n) = self.page_size() {
                query.append_pair("n", &n.to_string());
            }
            if let Some(after) = &self.after {
                query.append_pair("last", after.as_str());
            }
        }
        url
    }

    /// The page size to ask for; `None` where the registry takes none.
    fn page_size(&self) -> Option<u32> {
        let wanted = self.session.settings.page_size.get();
        self.session.host.learned(|learned| {
            (!learned.refuses_page_size)
                .then(|| learned.page_size.map_or(wanted, |most| most.min(wanted)))
        })
    }

    async fn pages(
        &mut self,
        mut url: Url,
        mut etag: Option<String>,
    ) -> Result<Listing, Interrupted> {
        let limits = self.session.client.options.limits;
        loop {
            let left = limits.listing_time.saturating_sub(self.started.elapsed());
            let step = match tokio::time::timeout(left, self.page(&url, etag.take())).await {
                Ok(step) => step,
                Err(_) => Err(self.session.fail(
                    Operation::ListTags,
                    Problem::Timeout {
                        host: host_of(&url),
                        detail: format!(
                            "the whole list takes longer than {} s",
                            limits.listing_time.as_secs()
                        ),
                    },
                )),
            };
            match step {
                Ok(Step::Next(next)) => url = next,
                Ok(Step::Again) => {
                    let mut list = url.clone();
                    list.set_query(None);
                    url = self.first_page(&list);
                }
                Ok(Step::NotModified) => return Ok(Listing::Unchanged),
                Ok(Step::End { etag }) => return Ok(self.end(etag)),
                Err(error) => return Err(self.interrupted(error, &url)),
            }
        }
    }

    async fn page(&mut self, url: &Url, etag: Option<String>) -> Result<Step, ScanError> {
        let limits = self.session.client.options.limits;
        let limit = limits
            .page_bytes
            .min(limits.listing_bytes.saturating_sub(self.bytes));
        let mut answer = self
            .session
            .send(Operation::ListTags, || {
                let ask = Ask::get(RequestKind::Tags, url.clone(), limit)
                    .header(header::ACCEPT, "application/json");
                match &etag {
                    Some(etag) => ask.header(header::IF_NONE_MATCH, etag),
                    None => ask,
                }
            })
            .await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED if etag.is_some() => {
                answer.discard().await;
                return Ok(Step::NotModified);
            }
            _ => return self.other_status(answer).await,
        }
        match self.read(url, &mut answer).await {
            Ok(step) => Ok(step),
            Err(problem) => Err(self.session.fail(Operation::ListTags, problem)),
        }
    }

    /// Not a page. Some registries refuse the page size rather than give less.
    async fn other_status(&mut self, mut answer: Answer) -> Result<Step, ScanError> {
        let asked = self.page_size();
        let may_be_size = self.pages == 0
            && asked.is_some()
            && matches!(
                answer.status.as_u16(),
                400 | 405 | 406 | 413 | 414 | 416 | 422 | 500
            );
        if !may_be_size {
            let problem = self.session.unexpected(answer).await;
            return Err(self.session.fail(Operation::ListTags, problem));
        }
        let content_type = answer.header(header::CONTENT_TYPE).unwrap_or_default();
        if content_type.starts_with("text/html") {
            let problem = self.session.unexpected(answer).await;
            return Err(self.session.fail(Operation::ListTags, problem));
        }
        let (_, body) = self.session.read_error(&mut answer).await;
        if answer.status.is_server_error() && !body.is_page_size_refused() {
            let problem = Problem::ServerError {
                host: answer.host(),
                status: answer.status.as_u16(),
                detail: body.detail,
            };
            return Err(self.session.fail(Operation::ListTags, problem));
        }
        if body.is_too_many_requests() {
            return Err(self.session.fail(Operation::ListTags, too_many(&answer)));
        }
        tracing::debug!(host = %answer.host(), asked, status = answer.status.as_u16(), "page size refused");
        self.session.host.learned(|learned| {
            if asked.is_some_and(|asked| asked > SMALL_PAGE) {
                learned.page_size = Some(SMALL_PAGE);
            } else {
                learned.refuses_page_size = true;
            }
        });
        Ok(Step::Again)
    }

    async fn read(&mut self, url: &Url, answer: &mut Answer) -> Result<Step, Problem> {
        let before = self.tags.len();
        let mut page = ListPage::new("tags");
        let mut beginning = Vec::new();
        let mut first_of_page = None;
        let mut listed = 0_u64;
        let host = answer.host();
        let content_type = answer
            .header(header::CONTENT_TYPE)
            .unwrap_or_default()
            .to_owned();
        let max_tags = self.session.client.options.limits.tags;
        while let Some(chunk) = answer.chunk().await? {
            self.bytes += chunk.len() as u64;
            if beginning.len() < BEGINNING {
                let room = BEGINNING - beginning.len();
                beginning.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
            }
            let pushed = page.push(&chunk, |name| {
                listed += 1;
                if first_of_page.is_none() {
                    first_of_page = Some(hash(name));
                }
                self.take(name);
            });
            pushed.map_err(|error| malformed(&host, &content_type, &beginning, &error))?;
            if self.tags.len() > max_tags as usize {
                return Err(Problem::TooLarge {
                    host,
                    limit: max_tags.into(),
                    unit: "tags",
                });
            }
        }
        let found = page
            .finish()
            .map_err(|error| malformed(&host, &content_type, &beginning, &error))?;
        if !found {
            let body = ErrorBody::read(&content_type, &beginning);
            if body.is_too_many_requests() {
                return Err(too_many(answer));
            }
            return Err(Problem::Malformed {
                host,
                detail: if body.detail.is_empty() {
                    "there are no `tags` in the answer".to_owned()
                } else {
                    format!("there are no `tags` in the answer, but {:?}", body.detail)
                },
            });
        }
        self.pages += 1;
        let gained = (self.tags.len() - before) as u64;
        self.next(url, answer, listed, gained, first_of_page)
    }

    /// One name of a page.
    fn take(&mut self, name: &[u8]) {
        let Some(tag) = std::str::from_utf8(name)
            .ok()
            .and_then(|text| TagRef::new(text).ok())
        else {
            self.dropped += 1;
            return;
        };
        if let Some(after) = &self.after
            && tag <= after.as_ref()
        {
            self.ignores_last |= tag < after.as_ref();
            return;
        }
        if self.ascending {
            self.ascending = self.last.as_ref().is_none_or(|last| tag > last.as_ref());
            self.last = Some(tag.to_owned());
        }
        self.tags.push(tag);
    }

    /// Where to go on.
    fn next(
        &mut self,
        url: &Url,
        answer: &Answer,
        listed: u64,
        gained: u64,
        first_of_page: Option<u64>,
    ) -> Result<Step, Problem> {
        let host = answer.host();
        let limits = self.session.client.options.limits;
        if self.ignores_last {
            return Ok(Step::End { etag: None });
        }
        let link = next_link(&answer.headers).map_err(|problem| refused(problem, &host, ""))?;
        let next = match link {
            Some(link) => {
                self.session
                    .host
                    .learned(|learned| learned.gives_links = true);
                resolve(&link, url).map_err(|problem| refused(problem, &host, &link))?
            }
            None => {
                // Some registries cut the list and do not say so. A full page may be such a one.
                match self.probe(url, listed) {
                    Some(next) if gained > 0 => next,
                    _ => {
                        let etag = (self.pages == 1 && self.after.is_none())
                            .then(|| answer.header(header::ETAG))
                            .flatten()
                            .filter(|etag| etag.len() <= 256)
                            .map(str::to_owned);
                        return Ok(Step::End { etag });
                    }
                }
            }
        };
        let repeats = first_of_page.is_some_and(|first| !self.seen.insert(first))
            || !self
                .seen
                .insert(hash(next.query().unwrap_or_default().as_bytes()))
            || next.query() == url.query();
        if repeats {
            return Err(Problem::Loop {
                host,
                detail: format!("page {} of the tag list repeats an earlier one", self.pages),
            });
        }
        if self.pages >= limits.pages {
            return Err(Problem::TooLarge {
                host,
                limit: limits.pages.into(),
                unit: "pages of tags",
            });
        }
        Ok(Step::Next(next))
    }

    /// The page after a full one that names no next: only where it can be asked for by `last`, and only for
    /// registries that have never given a `Link`.
    fn probe(&self, url: &Url, listed: u64) -> Option<Url> {
        let size = self.page_size()?;
        let gives_links = self.session.host.learned(|learned| learned.gives_links);
        if gives_links || listed != u64::from(size) || !self.ascending {
            return None;
        }
        let last = self.last.as_ref()?;
        let mut next = url.clone();
        next.query_pairs_mut()
            .clear()
            .append_pair("n", &size.to_string())
            .append_pair("last", last.as_str());
        Some(next)
    }

    fn end(&mut self, etag: Option<String>) -> Listing {
        let mut tags = std::mem::take(&mut self.tags);
        let mut memory = self.memory.clone();
        memory.page_size = self.session.host.learned(|learned| learned.page_size);
        if self.after.is_some() {
            memory.honours_last = Some(!self.ignores_last);
            let pages = Pages {
                tags,
                dropped: self.dropped,
                memory,
            };
            return if self.ignores_last {
                Listing::All(pages)
            } else {
                Listing::Newer(pages)
            };
        }
        if let Some(earlier) = &self.earlier {
            let mut cursor = earlier.cursor();
            while let Some((tag, _)) = cursor.next() {
                tags.push(tag);
            }
        }
        memory.etag = etag;
        memory.order = Some(if self.ascending {
            ListingOrder::Lexical
        } else {
            ListingOrder::Other
        });
        memory.full_listing_at = Some(self.started_at);
        Listing::All(Pages {
            tags,
            dropped: self.dropped,
            memory,
        })
    }

    fn interrupted(&mut self, error: ScanError, url: &Url) -> Interrupted {
        let resumable = error.is_retryable() && self.after.is_none() && self.pages > 0;
        let partial = resumable.then(|| {
            let tags = std::mem::take(&mut self.tags);
            let now = self.started_at;
            let tags = match &self.earlier {
                Some(earlier) => tags.extend(earlier, now).tags,
                None => Arc::new(tags.finish(now)),
            };
            PartialListing {
                tags,
                cursor: format!("{}?{}", url.path(), url.query().unwrap_or_default()),
                pages: self.pages,
                started_at: self.started_at,
            }
        });
        let mut memory = self.memory.clone();
        memory.order = Some(ListingOrder::Lexical)
            .filter(|_| self.ascending)
            .or(memory.order);
        Interrupted {
            error,
            partial,
            memory,
        }
    }
}

pub(super) fn malformed(
    host: &str,
    content_type: &str,
    beginning: &[u8],
    error: &MalformedPage,
) -> Problem {
    if is_html(content_type, beginning) {
        let body = ErrorBody::read("text/html", beginning);
        return Problem::NotARegistry {
            host: host.to_owned(),
            content_type: if content_type.is_empty() {
                "no content type".to_owned()
            } else {
                printable(content_type)
            },
            begins: body.detail,
        };
    }
    Problem::Malformed {
        host: host.to_owned(),
        detail: format!(
            "the list is broken at byte {}: {}",
            error.offset, error.what
        ),
    }
}

pub(super) fn refused(problem: LinkProblem, host: &str, link: &str) -> Problem {
    let host = host.to_owned();
    match problem {
        LinkProblem::Malformed => Problem::Malformed {
            host,
            detail: "its Link header is not `<address>; rel=\"next\"`".to_owned(),
        },
        LinkProblem::OtherHost => Problem::Refused {
            host,
            url: without_query(link),
            reason: "the next page must be on the same host; correct the registry's external address",
        },
        LinkProblem::OtherResource => Problem::Refused {
            host,
            url: without_query(link),
            reason: "the next page must be of the same list; tell the registry's operator",
        },
    }
}

fn without_query(link: &str) -> String {
    printable(link.split(['?', '#']).next().unwrap_or_default())
}

pub(super) fn hash(bytes: &[u8]) -> u64 {
    use std::hash::Hasher as _;
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}
