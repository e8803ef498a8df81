//! GitHub: github.com, Enterprise Cloud and Server. REST, and GraphQL for auto-merge, which REST lacks.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::http::{Call, Http};
use super::{
    Answer, CreatePullRequest, ForgeError, MergeMethod, Provider, PullRequest, PullRequestNumber,
    PullRequestState, PullRequests, RepositoryAddress, SetUp, Update,
};

/// At most 2,000 open ones are looked through.
const MAX_PAGES: u32 = 20;
const PULL_REQUESTS: &str =
    "the permission \"Pull requests: read and write\" (classic token: scope repo)";
const CONTENTS: &str = "the permission \"Contents: read and write\" (classic token: scope repo)";

pub(super) struct GitHub {
    http: Http,
    repository: RepositoryAddress,
}

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
        Self { http, repository }
    }

    fn url(&self, segments: &[&str]) -> Url {
        let repository = ["repos", &self.repository.owner, &self.repository.name];
        self.repository
            .endpoint(repository.into_iter().chain(segments.iter().copied()))
    }

    async fn list(
        &self,
        filter: &[(&str, &str)],
        pages: u32,
    ) -> Result<Vec<PullRequest>, ForgeError> {
        let mut all = Vec::new();
        for page in 1..=pages {
            let call = Call::get("list pull requests", PULL_REQUESTS, self.url(&["pulls"]))
                .query(filter.iter().copied())
                .query([("per_page", "100"), ("page", &page.to_string())]);
            let reply = self.http.send(call).await?;
            all.extend(
                reply
                    .json::<Vec<Pull>>()?
                    .into_iter()
                    .filter_map(Pull::into_pull_request),
            );
            if !reply.has_next_page() {
                break;
            }
        }
        Ok(all)
    }

    async fn post(
        &self,
        operation: &'static str,
        segments: &[&str],
        body: Value,
    ) -> Result<(), ForgeError> {
        let call = Call::new(operation, PULL_REQUESTS, Method::POST, self.url(segments)).json(body);
        self.http.send(call).await.map(drop)
    }

    async fn patch(
        &self,
        operation: &'static str,
        number: PullRequestNumber,
        body: Value,
    ) -> Result<(), ForgeError> {
        let url = self.url(&["pulls", &number.0.to_string()]);
        self.http
            .send(Call::new(operation, PULL_REQUESTS, Method::PATCH, url).json(body))
            .await
            .map(drop)
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
        let call = Call::new(OPERATION, PULL_REQUESTS, Method::POST, self.graphql_url())
            .json(json!({ "query": query, "variables": { "input": input } }));
        let answer: GraphQl = self.http.json(call).await?;
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
        let url = self.url(&["pulls", &pull_request.number.0.to_string(), "merge"]);
        let method = match method {
            MergeMethod::Merge => "merge",
            MergeMethod::Squash => "squash",
            MergeMethod::Rebase => "rebase",
        };
        let mut body = json!({ "merge_method": method });
        if let (Some(commit), Some(fields)) = (&pull_request.commit, body.as_object_mut()) {
            fields.insert("sha".to_owned(), json!(commit));
        }
        self.http
            .send(Call::new("merge the pull request", CONTENTS, Method::PUT, url).json(body))
            .await
            .map(drop)
    }

    /// `https://api.github.com/graphql`, but `https://HOST/api/graphql` beside `https://HOST/api/v3`.
    fn graphql_url(&self) -> Url {
        let mut url = self.repository.api.clone();
        if url.path() == "/api/v3" {
            url.set_path("/api/graphql");
            return url;
        }
        self.repository.endpoint(["graphql"])
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
            self.list(&[("state", "open"), ("base", base)], MAX_PAGES)
                .await
        })
    }

    fn of_branch<'a>(&'a self, branch: &'a str) -> Answer<'a, Vec<PullRequest>> {
        Box::pin(async move {
            let head = format!("{}:{branch}", self.repository.owner);
            let filter = [
                ("state", "all"),
                ("head", &head),
                ("sort", "created"),
                ("direction", "desc"),
            ];
            let mut all = self.list(&filter, 1).await?;
            // The filter is by owner, not by repository.
            all.retain(|it| it.branch == branch);
            Ok(all)
        })
    }

    fn create<'a>(&'a self, new: &'a CreatePullRequest) -> Answer<'a, PullRequest> {
        Box::pin(async move {
            let call = Call::new(
                "open the pull request",
                PULL_REQUESTS,
                Method::POST,
                self.url(&["pulls"]),
            )
            .json(json!({
                "head": new.branch,
                "base": new.base,
                "title": new.title,
                "body": new.body,
                "draft": new.draft,
            }));
            let pull: Pull = self.http.json(call).await.map_err(|error| {
                let (provider, branch) = (Provider::GitHub, new.branch.clone());
                match error.rejection() {
                    Some((422, text)) if text.contains("already exists") => {
                        ForgeError::AlreadyExists { provider, branch }
                    }
                    Some((422, text)) if text.contains("No commits between") => {
                        ForgeError::NothingToMerge { provider, branch }
                    }
                    _ => error,
                }
            })?;
            let handle = pull.node_id.clone();
            Ok(PullRequest {
                number: PullRequestNumber(pull.number),
                url: pull.html_url,
                branch: new.branch.clone(),
                base: new.base.clone(),
                commit: Some(pull.head.sha),
                state: PullRequestState::Open,
                title: pull.title,
                body: new.body.clone(),
                draft: pull.draft,
                handle,
            })
        })
    }

    fn update<'a>(&'a self, pull_request: &'a PullRequest, update: &'a Update) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut body = serde_json::Map::new();
            body.extend(
                update
                    .title
                    .as_ref()
                    .map(|title| ("title".to_owned(), json!(title))),
            );
            body.extend(
                update
                    .body
                    .as_ref()
                    .map(|text| ("body".to_owned(), json!(text))),
            );
            self.patch(
                "update the pull request",
                pull_request.number,
                Value::Object(body),
            )
            .await
        })
    }

    fn set_up<'a>(&'a self, pull_request: &'a PullRequest, set_up: &'a SetUp) -> Answer<'a, ()> {
        Box::pin(async move {
            let number = pull_request.number.0.to_string();
            if !set_up.labels.is_empty() {
                let body = json!({ "labels": set_up.labels });
                self.post(
                    "label the pull request",
                    &["issues", &number, "labels"],
                    body,
                )
                .await?;
            }
            if !set_up.assignees.is_empty() {
                let body = json!({ "assignees": set_up.assignees });
                self.post(
                    "assign the pull request",
                    &["issues", &number, "assignees"],
                    body,
                )
                .await?;
            }
            if !set_up.reviewers.is_empty() {
                // `organisation/team` is a team of the repository's owner, which the API wants by its short name.
                let (teams, users): (Vec<&str>, Vec<&str>) = set_up
                    .reviewers
                    .iter()
                    .map(String::as_str)
                    .partition(|name| name.contains('/'));
                let teams: Vec<&str> = teams
                    .into_iter()
                    .filter_map(|team| team.rsplit('/').next())
                    .collect();
                let body = json!({ "reviewers": users, "team_reviewers": teams });
                self.post(
                    "ask for reviews",
                    &["pulls", &number, "requested_reviewers"],
                    body,
                )
                .await?;
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
            let mut last = Vec::new();
            let number = pull_request.number.0.to_string();
            for page in 1..=MAX_PAGES {
                let url = self.url(&["issues", &number, "comments"]);
                let call = Call::get("list comments", PULL_REQUESTS, url)
                    .query([("per_page", "100"), ("page", &page.to_string())]);
                let reply = self.http.send(call).await?;
                last.extend(
                    reply
                        .json::<Vec<Comment>>()?
                        .into_iter()
                        .filter_map(|comment| comment.body),
                );
                if !reply.has_next_page() {
                    break;
                }
            }
            Ok(last)
        })
    }

    fn comment<'a>(&'a self, pull_request: &'a PullRequest, text: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let number = pull_request.number.0.to_string();
            self.post(
                "comment on the pull request",
                &["issues", &number, "comments"],
                json!({ "body": text }),
            )
            .await
        })
    }

    fn close<'a>(&'a self, pull_request: &'a PullRequest) -> Answer<'a, ()> {
        Box::pin(async move {
            self.patch(
                "close the pull request",
                pull_request.number,
                json!({ "state": "closed" }),
            )
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
            let call = Call::get("read the branch", CONTENTS, self.url(&["branches", branch]));
            match self.http.send_if_there(call).await? {
                Some(reply) => Ok(Some(reply.json::<Branch>()?.commit.sha)),
                None => Ok(None),
            }
        })
    }

    fn delete_branch<'a>(&'a self, branch: &'a str, _commit: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let segments: Vec<&str> = ["git", "refs", "heads"]
                .into_iter()
                .chain(branch.split('/'))
                .collect();
            let call = Call::new(
                "delete the branch",
                CONTENTS,
                Method::DELETE,
                self.url(&segments),
            );
            match self.http.send(call).await {
                Err(ForgeError::NotFound { .. }) => Ok(()),
                // "Reference does not exist"
                Err(error)
                    if error
                        .rejection()
                        .is_some_and(|(_, text)| text.contains("does not exist")) =>
                {
                    Ok(())
                }
                other => other.map(drop),
            }
        })
    }
}
