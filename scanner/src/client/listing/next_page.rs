//! Which page is asked for, and which one comes after it.

use super::page::Step;
use super::problem::refused;
use super::walk::Walk;
use crate::client::exchange::Answer;
use crate::client::link::{next_link, resolve};
use crate::error::Problem;
use url::Url;

/// What was in a page, apart from its tags.
#[derive(Debug, Default)]
pub(super) struct PageContent {
    /// Names listed, legal or not.
    pub(super) listed: u64,
    /// Tags that count.
    pub(super) gained: u64,
    /// The first name.
    pub(super) first: Option<u64>,
}

impl Walk<'_, '_> {
    pub(super) fn first_page(&self, list: &Url) -> Url {
        let mut url = list.clone();
        if self.page_size().is_some() || self.newer.is_some() {
            let mut query = url.query_pairs_mut();
            if let Some(n) = self.page_size() {
                query.append_pair("n", &n.to_string());
            }
            if let Some(newer) = &self.newer {
                query.append_pair("last", newer.after.as_str());
            }
        }
        url
    }

    /// The page size to ask for; `None` where the registry takes none.
    pub(super) fn page_size(&self) -> Option<u32> {
        let wanted = self.session.settings().page_size.get();
        self.session.host.learned(|learned| {
            (!learned.refuses_page_size)
                .then(|| learned.page_size.map_or(wanted, |most| most.min(wanted)))
        })
    }

    /// Where to go on after a page.
    pub(super) fn next(
        &mut self,
        url: &Url,
        answer: &Answer,
        content: &PageContent,
    ) -> Result<Step, Problem> {
        let host = answer.host();
        let limits = self.session.options.limits;
        if self.newer.as_ref().is_some_and(|newer| newer.ignored) {
            return Ok(Step::End);
        }
        let link = next_link(answer.headers()).map_err(|problem| refused(problem, &host, ""))?;
        let next = match link {
            Some(link) => {
                self.session
                    .host
                    .learned(|learned| learned.gives_links = true);
                resolve(&link, url).map_err(|problem| refused(problem, &host, &link))?
            }
            // Some registries cut the list and do not say so. A full page may be such a one.
            None => match self.probe(url, content.listed) {
                Some(next) if content.gained > 0 => next,
                _ => return Ok(Step::End),
            },
        };
        let repeats = content.first.is_some_and(|first| !self.seen.insert(first))
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
        let last = self.last.get()?;
        let mut next = url.clone();
        next.query_pairs_mut()
            .clear()
            .append_pair("n", &size.to_string())
            .append_pair("last", last.as_str());
        Some(next)
    }
}

pub(in crate::client) fn hash(bytes: &[u8]) -> u64 {
    use std::hash::Hasher as _;
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}
