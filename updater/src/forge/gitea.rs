//! Gitea and Forgejo (Codeberg): REST v1.

use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use url::Url;

use super::api::{
    Api, Paging, Refusal, add_field, draft_title, of_branch, unless_empty, users_and_teams,
};
use super::http::Http;
use super::{
    Answer, CreatePullRequest, ForgeError, MergeMethod, Provider, PullRequest, PullRequestNumber,
    PullRequestState, PullRequests, RepositoryAddress, SetUp, Update,
};

/// Servers allow 50 a page by default: at most 2,000 open ones, and the 200 last changed closed ones.
const PAGING: Paging = Paging::Linked {
    size: ("limit", "50"),
};
const MAX_OPEN_PAGES: usize = 40;
const MAX_CLOSED_PAGES: usize = 4;
const NEEDS: &str =
    "the scopes write:repository and write:issue, and write access to the repository";
/// Gitea keeps "draft" in the title.
const DRAFT: &str = "WIP: ";

pub(super) struct Gitea(Api);

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
        Self(Api::new(http, repository, NEEDS))
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

    async fn list<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        url: Url,
    ) -> Result<Vec<T>, ForgeError> {
        self.0
            .list(operation, url, &[], PAGING, MAX_OPEN_PAGES)
            .await
    }

    async fn pulls(
        &self,
        filter: &[(&str, &str)],
        pages: usize,
    ) -> Result<Vec<PullRequest>, ForgeError> {
        let url = self.url(&["pulls"]);
        let pulls = self
            .0
            .list("list pull requests", url, filter, PAGING, pages);
        let pulls: Vec<Pull> = pulls.await?;
        Ok(pulls
            .into_iter()
            .filter_map(Pull::into_pull_request)
            .collect())
    }

    /// The API of older versions wants numbers; labels of the repository, then of its organization, then made.
    async fn label_ids(&self, names: &[String]) -> Result<Vec<i64>, ForgeError> {
        let mut known: Vec<Label> = self.list("list labels", self.url(&["labels"])).await?;
        if names
            .iter()
            .any(|name| known.iter().all(|label| label.name != *name))
        {
            let repository = &self.0.repository;
            let url = repository.endpoint(["orgs", repository.owner.as_str(), "labels"]);
            match self.list("list labels of the organization", url).await {
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
            let call = self
                .0
                .call("make a label", Method::POST, self.url(&["labels"]))
                .json(json!({ "name": name, "color": "#ededed" }));
            ids.push(self.0.ask::<Label>(call).await?.id);
        }
        Ok(ids)
    }

    async fn auto_merge(
        &self,
        pull_request: &PullRequest,
        method: MergeMethod,
        delete_branch: bool,
    ) -> Result<(), ForgeError> {
        let mut body = json!({
            "Do": match method {
                MergeMethod::Merge => "merge",
                MergeMethod::Squash => "squash",
                MergeMethod::Rebase => "rebase",
            },
            "merge_when_checks_succeed": true,
            "delete_branch_after_merge": delete_branch,
        });
        let commit = pull_request.commit.as_ref();
        add_field(&mut body, "head_commit_id", commit.map(|it| json!(it)));
        let url = self.one("pulls", pull_request, &["merge"]);
        let scheduled = self.0.change("schedule the merge", Method::POST, url, body);
        match scheduled.await {
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
            let filter = [("state", "open"), ("base", base)];
            let mut all = self.pulls(&filter, MAX_OPEN_PAGES).await?;
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
            Ok(of_branch(all, branch))
        })
    }

    fn create<'a>(&'a self, new: &'a CreatePullRequest) -> Answer<'a, PullRequest> {
        Box::pin(async move {
            let mut body = json!({
                "head": new.branch,
                "base": new.base,
                "title": draft_title(DRAFT, new.draft, &new.title),
                "body": new.body,
            });
            add_field(&mut body, "assignees", unless_empty(&new.set_up.assignees));
            let refusal = |status, _: &str| (status == 409).then_some(Refusal::Exists);
            let url = self.url(&["pulls"]);
            let made: Pull = self.0.create(url, body, new, refusal).await?;
            let commit = Some(made.head.sha).filter(|sha| !sha.is_empty());
            Ok(new.made(made.number, made.html_url, commit, String::new()))
        })
    }

    fn update<'a>(&'a self, pull_request: &'a PullRequest, update: &'a Update) -> Answer<'a, ()> {
        Box::pin(async move {
            let update = update.with_draft_prefix(DRAFT, pull_request.draft);
            let (url, body) = (
                self.one("pulls", pull_request, &[]),
                update.fields("title", "body"),
            );
            self.0
                .change("update the pull request", Method::PATCH, url, body)
                .await
        })
    }

    fn set_up<'a>(&'a self, pull_request: &'a PullRequest, set_up: &'a SetUp) -> Answer<'a, ()> {
        Box::pin(async move {
            if !set_up.labels.is_empty() {
                let body = json!({ "labels": self.label_ids(&set_up.labels).await? });
                let url = self.one("issues", pull_request, &["labels"]);
                self.0
                    .change("label the pull request", Method::POST, url, body)
                    .await?;
            }
            if !set_up.reviewers.is_empty() {
                let (users, teams) = users_and_teams(&set_up.reviewers);
                let body = json!({ "reviewers": users, "team_reviewers": teams });
                let url = self.one("pulls", pull_request, &["requested_reviewers"]);
                self.0
                    .change("ask for reviews", Method::POST, url, body)
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
            let url = self.one("issues", pull_request, &["comments"]);
            let comments: Vec<Comment> = self.0.read("list comments", url).await?;
            Ok(comments.into_iter().filter_map(|it| it.body).collect())
        })
    }

    fn comment<'a>(&'a self, pull_request: &'a PullRequest, text: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let url = self.one("issues", pull_request, &["comments"]);
            let body = json!({ "body": text });
            self.0
                .change("comment on the pull request", Method::POST, url, body)
                .await
        })
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
                id: String,
            }
            let call = self
                .0
                .get("read the branch", self.url(&["branches", branch]));
            let found: Option<Branch> = self.0.ask_if_there(call).await?;
            Ok(found.map(|it| it.commit.id))
        })
    }

    fn delete_branch<'a>(&'a self, branch: &'a str, _commit: &'a str) -> Answer<'a, ()> {
        Box::pin(self.0.delete_branch(self.url(&["branches", branch])))
    }
}
