//! GitHub: github.com, Enterprise Cloud and Server. REST, and GraphQL for auto-merge, which REST lacks.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::api::{Api, Paging, Refusal, add_field, of_branch, users_and_teams};
use super::http::Http;
use super::{
    Answer, CreatePullRequest, ForgeError, MergeMethod, Provider, PullRequest, PullRequestNumber,
    PullRequestState, PullRequests, RepositoryAddress, SetUp, Update,
};

/// At most 2,000 open ones are looked through.
const MAX_PAGES: usize = 20;
const PAGING: Paging = Paging::Linked {
    size: ("per_page", "100"),
};
const PULL_REQUESTS: &str =
    "the permission \"Pull requests: read and write\" (classic token: scope repo)";
const CONTENTS: &str = "the permission \"Contents: read and write\" (classic token: scope repo)";

pub(super) struct GitHub(Api);

#[derive(Deserialize)]
struct Pull {
    number: u64,
    node_id: String,
    html_url: String,
    state: String,
    title: String,
    body: Option<String>,
    #[serde(default)]
    draft: bool,
    merged_at: Option<String>,
    head: Side,
    base: Side,
}

#[derive(Deserialize)]
struct Side {
    #[serde(rename = "ref")]
    name: String,
    sha: String,
    repo: Option<Repository>,
}

#[derive(Deserialize)]
struct Repository {
    id: u64,
}

impl Pull {
    /// `None` for one from a fork.
    fn into_pull_request(self) -> Option<PullRequest> {
        let (head, base) = (
            self.head.repo.map(|repo| repo.id),
            self.base.repo.map(|repo| repo.id),
        );
        // A deleted fork has no repository.
        if head.is_none() || head != base {
            return None;
        }
        Some(PullRequest {
            number: PullRequestNumber(self.number),
            url: self.html_url,
            branch: self.head.name,
            base: self.base.name,
            commit: Some(self.head.sha),
            state: match (self.state.as_str(), self.merged_at) {
                ("open", _) => PullRequestState::Open,
                (_, Some(_)) => PullRequestState::Merged,
                (_, None) => PullRequestState::Closed,
            },
            title: self.title,
            body: self.body.unwrap_or_default(),
            draft: self.draft,
            handle: self.node_id,
        })
    }
}

impl GitHub {
    pub(super) fn new(http: Http, repository: RepositoryAddress) -> Self {
        Self(Api::new(http, repository, PULL_REQUESTS))
    }

    fn url(&self, segments: &[&str]) -> Url {
        let RepositoryAddress { owner, name, .. } = &self.0.repository;
        self.0
            .repository
            .endpoint(["repos", owner, name].iter().chain(segments).copied())
    }

    fn one(&self, kind: &str, pull_request: &PullRequest, last: &[&str]) -> Url {
        let number = pull_request.number.0.to_string();
        self.url(&[&[kind, &number], last].concat())
    }

    async fn list(
        &self,
        filter: &[(&str, &str)],
        pages: usize,
    ) -> Result<Vec<PullRequest>, ForgeError> {
        let url = self.url(&["pulls"]);
        let all = self
            .0
            .list("list pull requests", url, filter, PAGING, pages);
        let all: Vec<Pull> = all.await?;
        Ok(all
            .into_iter()
            .filter_map(Pull::into_pull_request)
            .collect())
    }

    async fn post(&self, operation: &'static str, url: Url, body: Value) -> Result<(), ForgeError> {
        self.0.change(operation, Method::POST, url, body).await
    }

    /// Enables auto-merge; merges where nothing is left to wait for, which GitHub refuses to enable it for.
    async fn auto_merge(
        &self,
        pull_request: &PullRequest,
        method: MergeMethod,
    ) -> Result<(), ForgeError> {
        const OPERATION: &str = "enable auto-merge";
        let query = "mutation($input: EnablePullRequestAutoMergeInput!) \
                     { enablePullRequestAutoMerge(input: $input) { clientMutationId } }";
        let name = match method {
            MergeMethod::Merge => "MERGE",
            MergeMethod::Squash => "SQUASH",
            MergeMethod::Rebase => "REBASE",
        };
        let input = json!({
            "pullRequestId": pull_request.handle,
            "mergeMethod": name,
            "expectedHeadOid": pull_request.commit,
        });
        let call = self
            .0
            .call(OPERATION, Method::POST, self.graphql_url())
            .json(json!({ "query": query, "variables": { "input": input } }));
        let answer: GraphQl = self.0.ask(call).await?;
        let messages: Vec<String> = answer
            .errors
            .into_iter()
            .map(|error| error.message)
            .collect();
        let message = messages.join("; ");
        if message.is_empty() {
            return Ok(());
        }
        if message.contains("clean status") {
            return self.merge(pull_request, method).await;
        }
        Err(ForgeError::Rejected {
            provider: Provider::GitHub,
            operation: OPERATION,
            status: 200,
            message: super::escape::foreign_message(&message, &[]),
        })
    }

    async fn merge(
        &self,
        pull_request: &PullRequest,
        method: MergeMethod,
    ) -> Result<(), ForgeError> {
        let method = match method {
            MergeMethod::Merge => "merge",
            MergeMethod::Squash => "squash",
            MergeMethod::Rebase => "rebase",
        };
        let mut body = json!({ "merge_method": method });
        let commit = pull_request.commit.as_ref();
        add_field(&mut body, "sha", commit.map(|it| json!(it)));
        let url = self.one("pulls", pull_request, &["merge"]);
        let call = self.0.call("merge the pull request", Method::PUT, url);
        self.0.send(call.needing(CONTENTS).json(body)).await
    }

    /// `https://api.github.com/graphql`, but `https://HOST/api/graphql` beside `https://HOST/api/v3`.
    fn graphql_url(&self) -> Url {
        let mut url = self.0.repository.api.clone();
        if url.path() == "/api/v3" {
            url.set_path("/api/graphql");
            return url;
        }
        self.0.repository.endpoint(["graphql"])
    }
}

#[derive(Deserialize)]
struct GraphQl {
    #[serde(default)]
    errors: Vec<GraphQlError>,
}

#[derive(Deserialize)]
struct GraphQlError {
    message: String,
}

impl PullRequests for GitHub {
    fn provider(&self) -> Provider {
        Provider::GitHub
    }

    fn has_more_to_set_up(&self, set_up: &SetUp) -> bool {
        !(set_up.labels.is_empty() && set_up.reviewers.is_empty() && set_up.assignees.is_empty())
            || set_up.auto_merge.is_some()
    }

    fn open<'a>(&'a self, base: &'a str) -> Answer<'a, Vec<PullRequest>> {
        Box::pin(async move {
            let filter = [("state", "open"), ("base", base)];
            self.list(&filter, MAX_PAGES).await
        })
    }

    fn of_branch<'a>(&'a self, branch: &'a str) -> Answer<'a, Vec<PullRequest>> {
        Box::pin(async move {
            let head = format!("{}:{branch}", self.0.repository.owner);
            let filter = [
                ("state", "all"),
                ("head", &*head),
                ("sort", "created"),
                ("direction", "desc"),
            ];
            // The filter is by owner, not by repository.
            Ok(of_branch(self.list(&filter, 1).await?, branch))
        })
    }

    fn create<'a>(&'a self, new: &'a CreatePullRequest) -> Answer<'a, PullRequest> {
        Box::pin(async move {
            let body = json!({
                "head": new.branch,
                "base": new.base,
                "title": new.title,
                "body": new.body,
                "draft": new.draft,
            });
            let refusal = |status, words: &str| match status {
                422 if words.contains("already exists") => Some(Refusal::Exists),
                422 if words.contains("No commits between") => Some(Refusal::NothingToMerge),
                _ => None,
            };
            let url = self.url(&["pulls"]);
            let made: Pull = self.0.create(url, body, new, refusal).await?;
            Ok(new.made(
                made.number,
                made.html_url,
                Some(made.head.sha),
                made.node_id,
            ))
        })
    }

    fn update<'a>(&'a self, pull_request: &'a PullRequest, update: &'a Update) -> Answer<'a, ()> {
        Box::pin(async move {
            let url = self.one("pulls", pull_request, &[]);
            let body = update.fields("title", "body");
            self.0
                .change("update the pull request", Method::PATCH, url, body)
                .await
        })
    }

    fn set_up<'a>(&'a self, pull_request: &'a PullRequest, set_up: &'a SetUp) -> Answer<'a, ()> {
        Box::pin(async move {
            if !set_up.labels.is_empty() {
                let url = self.one("issues", pull_request, &["labels"]);
                let body = json!({ "labels": set_up.labels });
                self.post("label the pull request", url, body).await?;
            }
            if !set_up.assignees.is_empty() {
                let url = self.one("issues", pull_request, &["assignees"]);
                let body = json!({ "assignees": set_up.assignees });
                self.post("assign the pull request", url, body).await?;
            }
            if !set_up.reviewers.is_empty() {
                let (users, teams) = users_and_teams(&set_up.reviewers);
                let url = self.one("pulls", pull_request, &["requested_reviewers"]);
                let body = json!({ "reviewers": users, "team_reviewers": teams });
                self.post("ask for reviews", url, body).await?;
            }
            match set_up.auto_merge {
                Some(method) => self.auto_merge(pull_request, method).await,
                None => Ok(()),
            }
        })
    }

    fn comments<'a>(&'a self, pull_request: &'a PullRequest) -> Answer<'a, Vec<String>> {
        Box::pin(async move {
            #[derive(Deserialize)]
            struct Comment {
                body: Option<String>,
            }
            let url = self.one("issues", pull_request, &["comments"]);
            let all = self.0.list("list comments", url, &[], PAGING, MAX_PAGES);
            let all: Vec<Comment> = all.await?;
            Ok(all.into_iter().filter_map(|it| it.body).collect())
        })
    }

    fn comment<'a>(&'a self, pull_request: &'a PullRequest, text: &'a str) -> Answer<'a, ()> {
        let url = self.one("issues", pull_request, &["comments"]);
        let body = json!({ "body": text });
        Box::pin(self.post("comment on the pull request", url, body))
    }

    fn close<'a>(&'a self, pull_request: &'a PullRequest) -> Answer<'a, ()> {
        Box::pin(async move {
            let url = self.one("pulls", pull_request, &[]);
            let body = json!({ "state": "closed" });
            self.0
                .change("close the pull request", Method::PATCH, url, body)
                .await
        })
    }

    fn branch<'a>(&'a self, branch: &'a str) -> Answer<'a, Option<String>> {
        Box::pin(async move {
            #[derive(Deserialize)]
            struct Branch {
                commit: Commit,
            }
            #[derive(Deserialize)]
            struct Commit {
                sha: String,
            }
            let call = self
                .0
                .get("read the branch", self.url(&["branches", branch]));
            let found: Option<Branch> = self.0.ask_if_there(call.needing(CONTENTS)).await?;
            Ok(found.map(|it| it.commit.sha))
        })
    }

    fn delete_branch<'a>(&'a self, branch: &'a str, _commit: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let segments: Vec<&str> = ["git", "refs", "heads"]
                .into_iter()
                .chain(branch.split('/'))
                .collect();
            let url = self.url(&segments);
            let call = self.0.call("delete the branch", Method::DELETE, url);
            match self.0.send(call.needing(CONTENTS)).await {
                Err(ForgeError::NotFound { .. }) => Ok(()),
                // "Reference does not exist"
                Err(error)
                    if error
                        .rejection()
                        .is_some_and(|(_, text)| text.contains("does not exist")) =>
                {
                    Ok(())
                }
                other => other,
            }
        })
    }
}
