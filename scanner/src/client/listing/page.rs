//! Asks for one page and reads it.

use super::next_page::{PageContent, hash};
use super::problem::malformed;
use super::walk::{LastTag, Walk};
use crate::client::error_body::ErrorBody;
use crate::client::exchange::{Answer, Ask};
use crate::client::list_page::ListPage;
use crate::client::session::too_many;
use crate::error::{Operation, Problem, ScanError};
use crate::scan::RequestKind;
use http::{StatusCode, header};
use tagline_policy::TagRef;
use url::Url;

/// A page size that every registry takes.
const SMALL_PAGE: u32 = 100;
/// How much of a page is kept in case it turns out to be something else.
const BEGINNING: usize = 4096;

/// What a page led to.
pub(super) enum Step {
    Next(Url),
    End,
    NotModified,
    /// The page size was refused: the same again with another.
    Again,
}

impl Walk<'_, '_> {
    /// Asks for a page.
    pub(super) async fn page(&mut self, url: &Url) -> Result<Step, ScanError> {
        let limits = self.session.options.limits;
        let limit = limits
            .page_bytes
            .min(limits.listing_bytes.saturating_sub(self.bytes));
        let etag = self.etags.ask().map(str::to_owned);
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
            _ => return Box::pin(self.other_status(answer)).await,
        }
        self.take_unchanged_pages();
        match self.read(url, &mut answer).await {
            Ok(step) => Ok(step),
            Err(problem) => Err(self.session.fail(Operation::ListTags, problem)),
        }
    }

    /// Before the first page that has changed: the tags of those that have not.
    fn take_unchanged_pages(&mut self) {
        if self.pages > 0 || self.etags.unchanged == 0 {
            return;
        }
        let Some(greatest) = &self.page_end else {
            return;
        };
        self.tags.push_up_to(self.request.known, greatest.as_ref());
        self.pages = self.etags.unchanged;
        self.last = LastTag::from(self.page_end.as_ref());
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
        let mut content = PageContent::default();
        let host = answer.host();
        let content_type = answer
            .header(header::CONTENT_TYPE)
            .unwrap_or_default()
            .to_owned();
        let max_tags = self.session.options.limits.tags;
        while let Some(chunk) = answer.chunk().await? {
            self.bytes += chunk.len() as u64;
            if beginning.len() < BEGINNING {
                let room = BEGINNING - beginning.len();
                beginning.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
            }
            let pushed = page.push(&chunk, |name| {
                content.listed += 1;
                if content.first.is_none() {
                    content.first = Some(hash(name));
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
        self.etags
            .modified(url, answer.header(header::ETAG), self.page_end.as_ref());
        self.page_end = self.last.get().map(TagRef::to_owned);
        content.gained = (self.tags.len() - before) as u64;
        self.next(url, answer, &content)
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
        if let Some(newer) = &mut self.newer
            && tag <= newer.after.as_ref()
        {
            newer.ignored |= tag < newer.after.as_ref();
            return;
        }
        if self.ascending {
            self.ascending = self.last.is_before(tag);
            self.last.set(tag);
        }
        self.tags.push(tag);
    }
}
