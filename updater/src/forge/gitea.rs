//! Gitea and Forgejo (Codeberg): REST v1.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use super::http::{Call, Http};
use super::{
    Answer, CreatePullRequest, ForgeError, MergeMethod, Provider, PullRequest, PullRequestNumber,
    PullRequestState, PullRequests, RepositoryAddress, SetUp, Update,
};

/// Servers allow 50 a page by default: at most 2,000 open ones, and the 200 last changed closed ones.
const PAGE: &str = "50";
const MAX_OPEN_PAGES: u32 = 40;
const MAX_CLOSED_PAGES: u32 = 4;
const NEEDS: &str =
    "the scopes write:repository and write:issue, and write access to the repository";
/// Gitea keeps "draft" in the title.
const DRAFT: &str = "WIP: ";

pub(super) struct Gitea {
    http: Http,
    repository: RepositoryAddress,
}

#[derive(Deserialize)]
struct Pull {
    number: u64,
    html_url: String,
    state: String,
    #[serde(default)]
    merged: bool,
    title: String,
    body: Option<String>,
    #[serde(default)]
    draft: bool,
    head: Side,
    base: Side,
}

#[derive(Deserialize)]
struct Side {
    /// The branch's name, also after the branch is gone, when `ref` says `refs/pull/1/head`.
    label: String,
    sha: String,
    repo_id: i64,
}

impl Pull {
    /// `None` for one from a fork.
    fn into_pull_request(self) -> Option<PullRequest> {
        if self.head.repo_id != self.base.repo_id {
            return None;
        }
        Some(PullRequest {
            number: PullRequestNumber(self.number),
            url: self.html_url,
            branch: self.head.label,
            base: self.base.label,
            commit: Some(self.head.sha).filter(|sha| !sha.is_empty()),
            state: match (self.state.as_str(), self.merged) {
                ("open", _) => PullRequestState::Open,
                (_, true) => PullRequestState::Merged,
                (_, false) => PullRequestState::Closed,
            },
            draft: self.draft || self.title.starts_with(DRAFT),
            title: self
                .title
                .strip_prefix(DRAFT)
                .unwrap_or(&self.title)
                .to_owned(),
            body: self.body.unwrap_or_default(),
            handle: String::new(),
        })
    }
}

#[derive(Deserialize)]
struct Label {
    id: i64,
    name: String,
}

impl Gitea {
    pub(super) fn new(http: Http, repository: RepositoryAddress) -> Self {
        Self { http, repository }
    }

    fn url(&self, segments: &[&str]) -> Url {
        let repository = ["repos", &self.repository.owner, &self.repository.name];
        self.repository
            .endpoint(repository.into_iter().chain(segments.iter().copied()))
    }

    async fn list<T: serde::de::DeserializeOwned>(
        &self,
        operation: &'static str,
        url: Url,
        filter: &[(&str, &str)],
        pages: u32,
    ) -> Result<Vec<T>, ForgeError> {
        let mut all = Vec::new();
        for page in 1..=pages {
            let call = Call::get(operation, NEEDS, url.clone())
                .query(filter.iter().copied())
                .query([("limit", PAGE), ("page", &page.to_string())]);
            let reply = self.http.send(call).await?;
            all.extend(reply.json::<Vec<T>>()?);
            if !reply.has_next_page() {
                break;
            }
        }
        Ok(all)
    }

    async fn pulls(
        &self,
        filter: &[(&str, &str)],
        pages: u32,
    ) -> Result<Vec<PullRequest>, ForgeError> {
        let pulls: Vec<Pull> = self
            .list("list pull requests", self.url(&["pulls"]), filter, pages)
            .await?;
        Ok(pulls
            .into_iter()
            .filter_map(Pull::into_pull_request)
            .collect())
    }

    async fn send(
        &self,
        operation: &'static str,
        method: Method,
        url: Url,
        body: Value,
    ) -> Result<(), ForgeError> {
        self.http
            .send(Call::new(operation, NEEDS, method, url).json(body))
            .await
            .map(drop)
    }

    /// The API of older versions wants numbers; labels of the repository, then of its organization, then made.
    async fn label_ids(&self, names: &[String]) -> Result<Vec<i64>, ForgeError> {
        let mut known: Vec<Label> = self
            .list("list labels", self.url(&["labels"]), &[], MAX_OPEN_PAGES)
            .await?;
        if names
            .iter()
            .any(|name| known.iter().all(|label| label.name != *name))
        {
            let url = self
                .repository
                .endpoint(["orgs", self.repository.owner.as_str(), "labels"]);
            match self
                .list("list labels of the organization", url, &[], MAX_OPEN_PAGES)
                .await
            {
                Ok(labels) => known.extend::<Vec<Label>>(labels),
                // The owner is a user, or the token does not read organizations.
                Err(ForgeError::NotFound { .. } | ForgeError::Forbidden { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let mut ids = Vec::new();
        for name in names {
            if let Some(label) = known.iter().find(|label| label.name == *name) {
                ids.push(label.id);
                continue;
            }
            let call = Call::new("make a label", NEEDS, Method::POST, self.url(&["labels"]))
                .json(json!({ "name": name, "color": "#ededed" }));
            let made: Label = self.http.json(call).await?;
            ids.push(made.id);
        }
        Ok(ids)
    }

    async fn auto_merge(
        &self,
        pull_request: &PullRequest,
        method: MergeMethod,
        delete_branch: bool,
    ) -> Result<(), ForgeError> {
        let number = pull_request.number.0.to_string();
        let mut body = json!({
            "Do": match method {
                MergeMethod::Merge => "merge",
                MergeMethod::Squash => "squash",
                MergeMethod::Rebase => "rebase",
            },
            "merge_when_checks_succeed": true,
            "delete_branch_after_merge": delete_branch,
        });
        if let (Some(commit), Some(fields)) = (&pull_request.commit, body.as_object_mut()) {
            fields.insert("head_commit_id".to_owned(), json!(commit));
        }
        match self
            .send(
                "schedule the merge",
                Method::POST,
                self.url(&["pulls", &number, "merge"]),
                body,
            )
            .await
        {
            // It is scheduled already.
            Err(error) if error.rejection().is_some_and(|(status, _)| status == 409) => Ok(()),
            other => other,
        }
    }
}

impl PullRequests for Gitea {
    fn provider(&self) -> Provider {
        Provider::Gitea
    }

    fn has_more_to_set_up(&self, set_up: &SetUp) -> bool {
        !(set_up.labels.is_empty() && set_up.reviewers.is_empty()) || set_up.auto_merge.is_some()
    }

    fn open<'a>(&'a self, base: &'a str) -> Answer<'a, Vec<PullRequest>> {
        Box::pin(async move {
            let mut all = self
                .pulls(&[("state", "open"), ("base", base)], MAX_OPEN_PAGES)
                .await?;
            // An older server ignores the filter.
            all.retain(|it| it.base == base);
            Ok(all)
        })
    }

    fn of_branch<'a>(&'a self, branch: &'a str) -> Answer<'a, Vec<PullRequest>> {
        Box::pin(async move {
            // Filters by branch are younger than many servers, which ignore them.
            let open = [("state", "open"), ("head", branch)];
            let closed = [
                ("state", "closed"),
                ("head", branch),
                ("sort", "recentupdate"),
            ];
            let mut all = self.pulls(&open, MAX_OPEN_PAGES).await?;
            all.extend(self.pulls(&closed, MAX_CLOSED_PAGES).await?);
            all.retain(|it| it.branch == branch);
            all.sort_by_key(|it| std::cmp::Reverse(it.number));
            Ok(all)
        })
    }

    fn create<'a>(&'a self, new: &'a CreatePullRequest) -> Answer<'a, PullRequest> {
        Box::pin(async move {
            let mut body = json!({
                "head": new.branch,
                "base": new.base,
                "title": if new.draft { format!("{DRAFT}{}", new.title) } else { new.title.clone() },
                "body": new.body,
            });
            if let Some(fields) = body
                .as_object_mut()
                .filter(|_| !new.set_up.assignees.is_empty())
            {
                fields.insert("assignees".to_owned(), json!(new.set_up.assignees));
            }
            let call = Call::new(
                "open the pull request",
                NEEDS,
                Method::POST,
                self.url(&["pulls"]),
            )
            .json(body);
            let made: Pull =
                self.http
                    .json(call)
                    .await
                    .map_err(|error| match error.rejection() {
                        Some((409, _)) => ForgeError::AlreadyExists {
                            provider: Provider::Gitea,
                            branch: new.branch.clone(),
                        },
                        _ => error,
                    })?;
            Ok(PullRequest {
                number: PullRequestNumber(made.number),
                url: made.html_url,
                branch: new.branch.clone(),
                base: new.base.clone(),
                commit: Some(made.head.sha).filter(|sha| !sha.is_empty()),
                state: PullRequestState::Open,
                title: new.title.clone(),
                body: new.body.clone(),
                draft: new.draft,
                handle: String::new(),
            })
        })
    }

    fn update<'a>(&'a self, pull_request: &'a PullRequest, update: &'a Update) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut body = Map::new();
            if let Some(title) = &update.title {
                let title = if pull_request.draft {
                    format!("{DRAFT}{title}")
                } else {
                    title.clone()
                };
                body.insert("title".to_owned(), json!(title));
            }
            body.extend(
                update
                    .body
                    .as_ref()
                    .map(|text| ("body".to_owned(), json!(text))),
            );
            let url = self.url(&["pulls", &pull_request.number.0.to_string()]);
            self.send(
                "update the pull request",
                Method::PATCH,
                url,
                Value::Object(body),
            )
            .await
        })
    }

    fn set_up<'a>(&'a self, pull_request: &'a PullRequest, set_up: &'a SetUp) -> Answer<'a, ()> {
        Box::pin(async move {
            let number = pull_request.number.0.to_string();
            if !set_up.labels.is_empty() {
                let body = json!({ "labels": self.label_ids(&set_up.labels).await? });
                let url = self.url(&["issues", &number, "labels"]);
                self.send("label the pull request", Method::POST, url, body)
                    .await?;
            }
            if !set_up.reviewers.is_empty() {
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
                let url = self.url(&["pulls", &number, "requested_reviewers"]);
                self.send("ask for reviews", Method::POST, url, body)
                    .await?;
            }
            match set_up.auto_merge {
                Some(method) => {
                    self.auto_merge(pull_request, method, set_up.delete_branch_after_merge)
                        .await
                }
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
            // The whole list comes at once.
            let url = self.url(&["issues", &pull_request.number.0.to_string(), "comments"]);
            let comments: Vec<Comment> = self
                .http
                .json(Call::get("list comments", NEEDS, url))
                .await?;
            Ok(comments
                .into_iter()
                .filter_map(|comment| comment.body)
                .collect())
        })
    }

    fn comment<'a>(&'a self, pull_request: &'a PullRequest, text: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let url = self.url(&["issues", &pull_request.number.0.to_string(), "comments"]);
            self.send(
                "comment on the pull request",
                Method::POST,
                url,
                json!({ "body": text }),
            )
            .await
        })
    }

    fn close<'a>(&'a self, pull_request: &'a PullRequest) -> Answer<'a, ()> {
        Box::pin(async move {
            let url = self.url(&["pulls", &pull_request.number.0.to_string()]);
            self.send(
                "close the pull request",
                Method::PATCH,
                url,
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
                id: String,
            }
            let call = Call::get("read the branch", NEEDS, self.url(&["branches", branch]));
            match self.http.send_if_there(call).await? {
                Some(reply) => Ok(Some(reply.json::<Branch>()?.commit.id)),
                None => Ok(None),
            }
        })
    }

    fn delete_branch<'a>(&'a self, branch: &'a str, _commit: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let url = self.url(&["branches", branch]);
            self.http
                .send_if_there(Call::new("delete the branch", NEEDS, Method::DELETE, url))
                .await
                .map(drop)
        })
    }
}
