//! Bitbucket Cloud (bitbucket.org): REST 2.0. It has no labels, no assignees, and no auto-merge by API.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use super::http::{Call, Http};
use super::{
    Answer, CreatePullRequest, ForgeError, Provider, PullRequest, PullRequestNumber,
    PullRequestState, PullRequests, RepositoryAddress, SetUp, Update,
};

/// 50 a page is the most: at most 2,000 open ones are looked through.
const MAX_PAGES: u32 = 40;
const NEEDS: &str = "the scopes pullrequest:write and repository:write";

pub(super) struct BitbucketCloud {
    http: Http,
    repository: RepositoryAddress,
}

#[derive(Deserialize)]
struct Page<T> {
    #[serde(default = "Vec::new")]
    values: Vec<T>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Pull {
    id: u64,
    links: Links,
    state: String,
    title: String,
    summary: Option<Text>,
    description: Option<String>,
    #[serde(default)]
    draft: bool,
    source: Endpoint,
    destination: Endpoint,
    #[serde(default)]
    reviewers: Vec<Account>,
}

#[derive(Deserialize)]
struct Links {
    html: Link,
}

#[derive(Deserialize)]
struct Link {
    href: String,
}

#[derive(Deserialize)]
struct Text {
    raw: Option<String>,
}

#[derive(Deserialize)]
struct Endpoint {
    branch: Option<Branch>,
    commit: Option<Commit>,
    repository: Option<Repository>,
}

#[derive(Deserialize)]
struct Branch {
    name: String,
    target: Option<Commit>,
}

#[derive(Deserialize)]
struct Commit {
    /// In a pull request only the first twelve digits.
    hash: String,
}

#[derive(Deserialize, PartialEq)]
struct Repository {
    uuid: String,
}

#[derive(Deserialize)]
struct Account {
    uuid: String,
}

impl Pull {
    /// `None` for one from a fork.
    fn into_pull_request(self) -> Option<PullRequest> {
        if self.source.repository.is_none() || self.source.repository != self.destination.repository
        {
            return None;
        }
        let raw = self.summary.and_then(|summary| summary.raw);
        Some(PullRequest {
            number: PullRequestNumber(self.id),
            url: self.links.html.href,
            branch: self.source.branch?.name,
            base: self.destination.branch?.name,
            commit: self.source.commit.map(|commit| commit.hash),
            state: match self.state.as_str() {
                "OPEN" => PullRequestState::Open,
                "MERGED" => PullRequestState::Merged,
                _ => PullRequestState::Closed,
            },
            title: self.title,
            body: raw.or(self.description).unwrap_or_default(),
            draft: self.draft,
            handle: String::new(),
        })
    }
}

impl BitbucketCloud {
    pub(super) fn new(http: Http, repository: RepositoryAddress) -> Self {
        Self { http, repository }
    }

    fn url(&self, segments: &[&str]) -> Url {
        let repository = [
            "repositories",
            &self.repository.owner,
            &self.repository.name,
        ];
        self.repository
            .endpoint(repository.into_iter().chain(segments.iter().copied()))
    }

    fn one(&self, pull_request: &PullRequest, last: &[&str]) -> Url {
        let number = pull_request.number.0.to_string();
        let segments: Vec<&str> = ["pullrequests", number.as_str()]
            .into_iter()
            .chain(last.iter().copied())
            .collect();
        self.url(&segments)
    }

    async fn list(
        &self,
        filter: &[(&str, &str)],
        pages: u32,
    ) -> Result<Vec<PullRequest>, ForgeError> {
        let mut all = Vec::new();
        for page in 1..=pages {
            let call = Call::get("list pull requests", NEEDS, self.url(&["pullrequests"]))
                .query(filter.iter().copied())
                .query([("pagelen", "50"), ("page", &page.to_string())]);
            let answer: Page<Pull> = self.http.json(call).await?;
            all.extend(
                answer
                    .values
                    .into_iter()
                    .filter_map(Pull::into_pull_request),
            );
            // The address in `next` is not used: we count pages ourselves.
            if answer.next.is_none() {
                break;
            }
        }
        Ok(all)
    }
}

/// A string in the query language of `q`.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

impl PullRequests for BitbucketCloud {
    fn provider(&self) -> Provider {
        Provider::BitbucketCloud
    }

    fn has_more_to_set_up(&self, set_up: &SetUp) -> bool {
        !(set_up.labels.is_empty() && set_up.assignees.is_empty()) || set_up.auto_merge.is_some()
    }

    fn open<'a>(&'a self, base: &'a str) -> Answer<'a, Vec<PullRequest>> {
        Box::pin(async move {
            let query = format!("destination.branch.name = {}", quoted(base));
            self.list(&[("state", "OPEN"), ("q", &query)], MAX_PAGES)
                .await
        })
    }

    fn of_branch<'a>(&'a self, branch: &'a str) -> Answer<'a, Vec<PullRequest>> {
        Box::pin(async move {
            let query = format!("source.branch.name = {}", quoted(branch));
            let states = ["OPEN", "MERGED", "DECLINED", "SUPERSEDED"].map(|state| ("state", state));
            let filter: Vec<_> = states
                .into_iter()
                .chain([("q", query.as_str()), ("sort", "-id")])
                .collect();
            self.list(&filter, 1).await
        })
    }

    fn create<'a>(&'a self, new: &'a CreatePullRequest) -> Answer<'a, PullRequest> {
        Box::pin(async move {
            let reviewers: Vec<Value> = new
                .set_up
                .reviewers
                .iter()
                .map(|id| {
                    if id.starts_with('{') {
                        json!({ "uuid": id })
                    } else {
                        json!({ "account_id": id })
                    }
                })
                .collect();
            let body = json!({
                "title": new.title,
                "description": new.body,
                "source": { "branch": { "name": new.branch } },
                "destination": { "branch": { "name": new.base } },
                "close_source_branch": new.set_up.delete_branch_after_merge,
                "draft": new.draft,
                "reviewers": reviewers,
            });
            let call = Call::new(
                "open the pull request",
                NEEDS,
                Method::POST,
                self.url(&["pullrequests"]),
            )
            .json(body);
            let made: Pull = self.http.json(call).await.map_err(|error| {
                let (provider, branch) = (Provider::BitbucketCloud, new.branch.clone());
                match error.rejection() {
                    Some((_, text)) if text.contains("no changes to be pulled") => {
                        ForgeError::NothingToMerge { provider, branch }
                    }
                    Some((400 | 409, text)) if text.contains("already exists") => {
                        ForgeError::AlreadyExists { provider, branch }
                    }
                    _ => error,
                }
            })?;
            Ok(PullRequest {
                number: PullRequestNumber(made.id),
                url: made.links.html.href,
                branch: new.branch.clone(),
                base: new.base.clone(),
                commit: made.source.commit.map(|commit| commit.hash),
                state: PullRequestState::Open,
                title: made.title,
                body: new.body.clone(),
                draft: new.draft,
                handle: String::new(),
            })
        })
    }

    fn update<'a>(&'a self, pull_request: &'a PullRequest, update: &'a Update) -> Answer<'a, ()> {
        Box::pin(async move {
            // What a PUT leaves out it takes away: the title is required, the reviewers must be named again.
            let now: Pull = self
                .http
                .json(Call::get(
                    "read the pull request",
                    NEEDS,
                    self.one(pull_request, &[]),
                ))
                .await?;
            let reviewers: Vec<Value> = now
                .reviewers
                .iter()
                .map(|account| json!({ "uuid": account.uuid }))
                .collect();
            let mut body = Map::new();
            body.insert(
                "title".to_owned(),
                json!(update.title.as_ref().unwrap_or(&now.title)),
            );
            body.insert("reviewers".to_owned(), json!(reviewers));
            body.extend(
                update
                    .body
                    .as_ref()
                    .map(|text| ("description".to_owned(), json!(text))),
            );
            let call = Call::new(
                "update the pull request",
                NEEDS,
                Method::PUT,
                self.one(pull_request, &[]),
            );
            self.http
                .send(call.json(Value::Object(body)))
                .await
                .map(drop)
        })
    }

    fn set_up<'a>(&'a self, _pull_request: &'a PullRequest, set_up: &'a SetUp) -> Answer<'a, ()> {
        let unsupported = |what| {
            Err(ForgeError::Unsupported {
                provider: Provider::BitbucketCloud,
                what,
            })
        };
        let result = match set_up {
            SetUp {
                auto_merge: Some(_),
                ..
            } => unsupported("merge automatically by its API"),
            SetUp { labels, .. } if !labels.is_empty() => unsupported("label pull requests"),
            SetUp { assignees, .. } if !assignees.is_empty() => unsupported("assign pull requests"),
            _ => Ok(()),
        };
        Box::pin(async move { result })
    }

    fn comments<'a>(&'a self, pull_request: &'a PullRequest) -> Answer<'a, Vec<String>> {
        Box::pin(async move {
            #[derive(Deserialize)]
            struct Comment {
                content: Option<Text>,
            }
            let call = Call::get(
                "list comments",
                NEEDS,
                self.one(pull_request, &["comments"]),
            )
            .query([("pagelen", "100"), ("sort", "-created_on")]);
            let page: Page<Comment> = self.http.json(call).await?;
            Ok(page
                .values
                .into_iter()
                .filter_map(|comment| comment.content?.raw)
                .collect())
        })
    }

    fn comment<'a>(&'a self, pull_request: &'a PullRequest, text: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let url = self.one(pull_request, &["comments"]);
            let call = Call::new("comment on the pull request", NEEDS, Method::POST, url);
            self.http
                .send(call.json(json!({ "content": { "raw": text } })))
                .await
                .map(drop)
        })
    }

    fn close<'a>(&'a self, pull_request: &'a PullRequest) -> Answer<'a, ()> {
        Box::pin(async move {
            let url = self.one(pull_request, &["decline"]);
            self.http
                .send(Call::new(
                    "decline the pull request",
                    NEEDS,
                    Method::POST,
                    url,
                ))
                .await
                .map(drop)
        })
    }

    fn branch<'a>(&'a self, branch: &'a str) -> Answer<'a, Option<String>> {
        Box::pin(async move {
            let call = Call::get(
                "read the branch",
                NEEDS,
                self.url(&["refs", "branches", branch]),
            );
            match self.http.send_if_there(call).await? {
                Some(reply) => Ok(reply.json::<Branch>()?.target.map(|target| target.hash)),
                None => Ok(None),
            }
        })
    }

    fn delete_branch<'a>(&'a self, branch: &'a str, _commit: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let url = self.url(&["refs", "branches", branch]);
            self.http
                .send_if_there(Call::new("delete the branch", NEEDS, Method::DELETE, url))
                .await
                .map(drop)
        })
    }
}
