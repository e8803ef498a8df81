//! The registry's catalog: the names of all its repositories, where it tells them.

use super::exchange::{Ask, host_of};
use super::link::{next_link, resolve};
use super::list_page::ListPage;
use super::listing::{hash, malformed, refused};
use super::session::Session;
use crate::error::{Operation, Problem, ScanError};
use crate::scan::RequestKind;
use http::{StatusCode, header};
use std::collections::{BTreeSet, HashSet};
use tagline_policy::RepositoryName;
use url::Url;

/// Repositories of one registry.
const MAX_REPOSITORIES: usize = 1_000_000;
/// The page size most registries take; Azure's default is 100 without it.
const PAGE_SIZE: u32 = 1000;

/// Reads all pages. Names that are not legal are left out.
pub(crate) async fn repositories(
    session: &mut Session<'_>,
) -> Result<BTreeSet<RepositoryName>, ScanError> {
    let operation = Operation::ListRepositories;
    let mut url = session.url("_catalog").await?;
    url.query_pairs_mut()
        .append_pair("n", &PAGE_SIZE.to_string());
    let mut names = BTreeSet::new();
    let mut seen = HashSet::new();
    for _ in 0..session.options.limits.pages {
        match page(session, &url, &mut names).await? {
            None => return Ok(names),
            Some(next) => {
                if !seen.insert(hash(next.query().unwrap_or_default().as_bytes())) {
                    let problem = Problem::Loop {
                        host: host_of(&url),
                        detail: "a page of the catalog repeats an earlier one".to_owned(),
                    };
                    return Err(session.fail(operation, problem));
                }
                url = next;
            }
        }
    }
    let problem = Problem::TooLarge {
        host: host_of(&url),
        limit: session.options.limits.pages.into(),
        unit: "pages of repositories",
    };
    Err(session.fail(operation, problem))
}

async fn page(
    session: &mut Session<'_>,
    url: &Url,
    names: &mut BTreeSet<RepositoryName>,
) -> Result<Option<Url>, ScanError> {
    let operation = Operation::ListRepositories;
    let limit = session.options.limits.page_bytes;
    let mut answer = session
        .send(operation, || {
            Ask::get(RequestKind::Catalog, url.clone(), limit)
                .header(header::ACCEPT, "application/json")
        })
        .await?;
    if answer.status != StatusCode::OK {
        let problem = session.unexpected(answer).await;
        return Err(session.fail(operation, problem));
    }
    let host = answer.host();
    let content_type = answer
        .header(header::CONTENT_TYPE)
        .unwrap_or_default()
        .to_owned();
    let mut list = ListPage::new("repositories");
    let mut beginning = Vec::new();
    let fail = |problem| session.fail(operation, problem);
    while let Some(chunk) = answer.chunk().await.map_err(fail)? {
        if beginning.is_empty() {
            beginning.extend_from_slice(chunk.get(..4096).unwrap_or(&chunk));
        }
        list.push(&chunk, |name| {
            let name = std::str::from_utf8(name).ok();
            if let Some(name) = name.and_then(|name| RepositoryName::new(name).ok()) {
                names.insert(name);
            }
        })
        .map_err(|error| fail(malformed(&host, &content_type, &beginning, &error)))?;
        if names.len() > MAX_REPOSITORIES {
            return Err(fail(Problem::TooLarge {
                host,
                limit: MAX_REPOSITORIES as u64,
                unit: "repositories",
            }));
        }
    }
    let found = list
        .finish()
        .map_err(|error| fail(malformed(&host, &content_type, &beginning, &error)))?;
    if !found {
        return Err(fail(Problem::Malformed {
            host,
            detail: "there are no `repositories` in the answer".to_owned(),
        }));
    }
    let link = next_link(answer.headers()).map_err(|problem| fail(refused(problem, &host, "")))?;
    link.map(|link| resolve(&link, url).map_err(|problem| fail(refused(problem, &host, &link))))
        .transpose()
}
