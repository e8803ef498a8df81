//! Bitbucket Cloud (bitbucket.org): REST 2.0. It has no labels, no assignees, and no auto-merge by API.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::api::{Api, BitbucketPage, Paging, Refusal, add_field, of_branch};
use super::http::Http;
use super::{
    Answer, CreatePullRequest, ForgeError, Provider, PullRequest, PullRequestNumber,
    PullRequestState, PullRequests, RepositoryAddress, SetUp, Update,
};

/// 50 a page is the most: at most 2,000 open ones are looked through.
const MAX_PAGES: usize = 40;
const PAGING: Paging = Paging::Next {
    size: ("pagelen", "50"),
};
const NEEDS: &str = "the scopes pullrequest:write and repository:write";

pub(super) struct BitbucketCloud(Api);

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
        Self(Api::new(http, repository, NEEDS))
    }

    fn url(&self, segments: &[&str]) -> Url {
        let RepositoryAddress { owner, name, .. } = &self.0.repository;
        let repository = ["repositories", owner, name];
        self.0
            .repository
            .endpoint(repository.iter().chain(segments).copied())
    }

    fn one(&self, pull_request: &PullRequest, last: &[&str]) -> Url {
        let number = pull_request.number.0.to_string();
        self.url(&[&["pullrequests", &number], last].concat())
    }

    async fn list(
        &self,
        filter: &[(&str, &str)],
        pages: usize,
    ) -> Result<Vec<PullRequest>, ForgeError> {
        let url = self.url(&["pullrequests"]);
        let all = self
            .0
            .list("list pull requests", url, filter, PAGING, pages);
        let all: Vec<Pull> = all.await?;
        Ok(all
            .into_iter()
            .filter_map(Pull::into_pull_request)
            .collect())
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
            let filter = [("state", "OPEN"), ("q", query.as_str())];
            self.list(&filter, MAX_PAGES).await
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
            Ok(of_branch(self.list(&filter, 1).await?, branch))
        })
    }

    fn create<'a>(&'a self, new: &'a CreatePullRequest) -> Answer<'a, PullRequest> {
        Box::pin(async move {
            let reviewers = new.set_up.reviewers.iter().map(|id| {
                if id.starts_with('{') {
                    json!({ "uuid": id })
                } else {
                    json!({ "account_id": id })
                }
            });
            let body = json!({
                "title": new.title,
                "description": new.body,
                "source": { "branch": { "name": new.branch } },
                "destination": { "branch": { "name": new.base } },
                "close_source_branch": new.set_up.delete_branch_after_merge,
                "draft": new.draft,
                "reviewers": reviewers.collect::<Vec<Value>>(),
            });
            let refusal = |status, words: &str| match status {
                _ if words.contains("no changes to be pulled") => Some(Refusal::NothingToMerge),
                400 | 409 if words.contains("already exists") => Some(Refusal::Exists),
                _ => None,
            };
            let url = self.url(&["pullrequests"]);
            let made: Pull = self.0.create(url, body, new, refusal).await?;
            let commit = made.source.commit.map(|commit| commit.hash);
            Ok(new.made(made.id, made.links.html.href, commit, String::new()))
        })
    }

    fn update<'a>(&'a self, pull_request: &'a PullRequest, update: &'a Update) -> Answer<'a, ()> {
        Box::pin(async move {
            // What a PUT leaves out it takes away: the title is required, the reviewers must be named again.
            let url = self.one(pull_request, &[]);
            let now: Pull = self.0.read("read the pull request", url.clone()).await?;
            let reviewers = now
                .reviewers
                .iter()
                .map(|account| json!({ "uuid": account.uuid }));
            let mut body = json!({
                "title": update.title.as_ref().unwrap_or(&now.title),
                "reviewers": reviewers.collect::<Vec<Value>>(),
            });
            let text = update.body.as_ref();
            add_field(&mut body, "description", text.map(|text| json!(text)));
            self.0
                .change("update the pull request", Method::PUT, url, body)
                .await
        })
    }

    fn set_up<'a>(&'a self, _pull_request: &'a PullRequest, set_up: &'a SetUp) -> Answer<'a, ()> {
        let unsupported = |what| Err(self.0.unsupported(what));
        let result = if set_up.auto_merge.is_some() {
            unsupported("merge automatically by its API")
        } else if !set_up.labels.is_empty() {
            unsupported("label pull requests")
        } else if !set_up.assignees.is_empty() {
            unsupported("assign pull requests")
        } else {
            Ok(())
        };
        Box::pin(async move { result })
    }

    fn comments<'a>(&'a self, pull_request: &'a PullRequest) -> Answer<'a, Vec<String>> {
        Box::pin(async move {
            #[derive(Deserialize)]
            struct Comment {
                content: Option<Text>,
            }
            let call = self
                .0
                .get("list comments", self.one(pull_request, &["comments"]))
                .query([("pagelen", "100"), ("sort", "-created_on")]);
            let page: BitbucketPage<Comment> = self.0.ask(call).await?;
            let comments = page.values.into_iter();
            Ok(comments.filter_map(|it| it.content?.raw).collect())
        })
    }

    fn comment<'a>(&'a self, pull_request: &'a PullRequest, text: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let url = self.one(pull_request, &["comments"]);
            let body = json!({ "content": { "raw": text } });
            self.0
                .change("comment on the pull request", Method::POST, url, body)
                .await
        })
    }

    fn close<'a>(&'a self, pull_request: &'a PullRequest) -> Answer<'a, ()> {
        let url = self.one(pull_request, &["decline"]);
        let call = self.0.call("decline the pull request", Method::POST, url);
        Box::pin(self.0.send(call))
    }

    fn branch<'a>(&'a self, branch: &'a str) -> Answer<'a, Option<String>> {
        Box::pin(async move {
            let url = self.url(&["refs", "branches", branch]);
            let call = self.0.get("read the branch", url);
            let found: Option<Branch> = self.0.ask_if_there(call).await?;
            Ok(found.and_then(|it| Some(it.target?.hash)))
        })
    }

    fn delete_branch<'a>(&'a self, branch: &'a str, _commit: &'a str) -> Answer<'a, ()> {
        Box::pin(
            self.0
                .delete_branch(self.url(&["refs", "branches", branch])),
        )
    }
}
