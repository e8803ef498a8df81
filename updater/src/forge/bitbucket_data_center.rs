//! Bitbucket Data Center: REST `latest`. It has no labels and no assignees; drafts and auto-merge only in newer servers.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::api::{Api, BitbucketPage, Paging, Refusal, add_field, of_branch};
use super::http::Http;
use super::{
    Answer, CreatePullRequest, ForgeError, MergeMethod, Provider, PullRequest, PullRequestNumber,
    PullRequestState, PullRequests, RepositoryAddress, SetUp, Update,
};

/// At most 2,000 open ones are looked through.
const MAX_PAGES: usize = 20;
const PAGING: Paging = Paging::Start { limit: "100" };
const NEEDS: &str = "the permission \"Repository write\"";

pub(super) struct BitbucketDataCenter(Api);

#[derive(Deserialize)]
struct Pull {
    id: u64,
    version: u64,
    #[serde(default)]
    links: Links,
    state: String,
    title: String,
    description: Option<String>,
    #[serde(default)]
    draft: bool,
    #[serde(rename = "fromRef")]
    from: Ref,
    #[serde(rename = "toRef")]
    to: Ref,
    #[serde(default)]
    reviewers: Vec<Reviewer>,
}

#[derive(Deserialize, Default)]
struct Links {
    #[serde(rename = "self", default)]
    own: Vec<Link>,
}

impl Links {
    fn page(self) -> String {
        let first = self.own.into_iter().next();
        first.map(|link| link.href).unwrap_or_default()
    }
}

#[derive(Deserialize)]
struct Link {
    href: String,
}

#[derive(Deserialize)]
struct Ref {
    id: String,
    #[serde(rename = "latestCommit")]
    latest_commit: Option<String>,
    repository: Repository,
}

#[derive(Deserialize)]
struct Repository {
    slug: String,
    project: Project,
}

#[derive(Deserialize)]
struct Project {
    key: String,
}

#[derive(Deserialize)]
struct Reviewer {
    user: User,
}

#[derive(Deserialize)]
struct User {
    name: String,
}

impl Pull {
    /// `None` for one from a fork.
    fn into_pull_request(self) -> Option<PullRequest> {
        let (from, to) = (&self.from.repository, &self.to.repository);
        if from.slug != to.slug || from.project.key != to.project.key {
            return None;
        }
        Some(PullRequest {
            number: PullRequestNumber(self.id),
            url: self.links.page(),
            branch: short(&self.from.id).to_owned(),
            base: short(&self.to.id).to_owned(),
            commit: self.from.latest_commit,
            state: match self.state.as_str() {
                "OPEN" => PullRequestState::Open,
                "MERGED" => PullRequestState::Merged,
                _ => PullRequestState::Closed,
            },
            title: self.title,
            body: self.description.unwrap_or_default(),
            draft: self.draft,
            handle: self.version.to_string(),
        })
    }
}

fn short(name: &str) -> &str {
    name.strip_prefix("refs/heads/").unwrap_or(name)
}

impl BitbucketDataCenter {
    pub(super) fn new(http: Http, repository: RepositoryAddress) -> Self {
        Self(Api::new(http, repository, NEEDS))
    }

    fn url(&self, api: &str, segments: &[&str]) -> Url {
        let RepositoryAddress { owner, name, .. } = &self.0.repository;
        let repository = [api, "latest", "projects", owner, "repos", name];
        self.0
            .repository
            .endpoint(repository.iter().chain(segments).copied())
    }

    fn one(&self, pull_request: &PullRequest, last: &[&str]) -> Url {
        let number = pull_request.number.0.to_string();
        self.url("api", &[&["pull-requests", &number], last].concat())
    }

    async fn list(
        &self,
        filter: &[(&str, &str)],
        pages: usize,
    ) -> Result<Vec<PullRequest>, ForgeError> {
        let url = self.url("api", &["pull-requests"]);
        let all = self
            .0
            .list("list pull requests", url, filter, PAGING, pages);
        let all: Vec<Pull> = all.await?;
        Ok(all
            .into_iter()
            .filter_map(Pull::into_pull_request)
            .collect())
    }

    /// A change needs the present version number; ours may be old.
    async fn read(&self, pull_request: &PullRequest) -> Result<Pull, ForgeError> {
        self.0
            .read("read the pull request", self.one(pull_request, &[]))
            .await
    }

    fn reference(&self, branch: &str) -> Value {
        let RepositoryAddress { owner, name, .. } = &self.0.repository;
        json!({
            "id": format!("refs/heads/{branch}"),
            "repository": { "slug": name, "project": { "key": owner } },
        })
    }
}

fn reviewers<'n>(names: impl IntoIterator<Item = &'n String>) -> Vec<Value> {
    let names = names.into_iter();
    names
        .map(|name| json!({ "user": { "name": name } }))
        .collect()
}

impl PullRequests for BitbucketDataCenter {
    fn provider(&self) -> Provider {
        Provider::BitbucketDataCenter
    }

    fn has_more_to_set_up(&self, set_up: &SetUp) -> bool {
        !(set_up.labels.is_empty() && set_up.assignees.is_empty()) || set_up.auto_merge.is_some()
    }

    fn open<'a>(&'a self, base: &'a str) -> Answer<'a, Vec<PullRequest>> {
        Box::pin(async move {
            let at = format!("refs/heads/{base}");
            let filter = [("state", "OPEN"), ("direction", "INCOMING"), ("at", &*at)];
            self.list(&filter, MAX_PAGES).await
        })
    }

    fn of_branch<'a>(&'a self, branch: &'a str) -> Answer<'a, Vec<PullRequest>> {
        Box::pin(async move {
            let at = format!("refs/heads/{branch}");
            let filter = [
                ("state", "ALL"),
                ("direction", "OUTGOING"),
                ("at", at.as_str()),
                ("order", "NEWEST"),
            ];
            Ok(of_branch(self.list(&filter, 1).await?, branch))
        })
    }

    fn create<'a>(&'a self, new: &'a CreatePullRequest) -> Answer<'a, PullRequest> {
        Box::pin(async move {
            let mut body = json!({
                "title": new.title,
                "description": new.body,
                "fromRef": self.reference(&new.branch),
                "toRef": self.reference(&new.base),
                "reviewers": reviewers(&new.set_up.reviewers),
            });
            // Older servers know no drafts and refuse the field.
            add_field(&mut body, "draft", new.draft.then_some(Value::Bool(true)));
            let refusal = |status, words: &str| {
                let has = |texts: [&str; 2]| texts.iter().any(|text| words.contains(text));
                match status {
                    409 if has(["DuplicatePullRequest", "already exists"]) => Some(Refusal::Exists),
                    409 if has(["EmptyPullRequest", "up-to-date"]) => Some(Refusal::NothingToMerge),
                    _ => None,
                }
            };
            let url = self.url("api", &["pull-requests"]);
            let made: Pull = self.0.create(url, body, new, refusal).await?;
            let version = made.version.to_string();
            Ok(new.made(made.id, made.links.page(), made.from.latest_commit, version))
        })
    }

    fn update<'a>(&'a self, pull_request: &'a PullRequest, update: &'a Update) -> Answer<'a, ()> {
        Box::pin(async move {
            // What a PUT leaves out it takes away.
            let now = self.read(pull_request).await?;
            let body = json!({
                "version": now.version,
                "title": update.title.as_ref().unwrap_or(&now.title),
                "description": update.body.as_ref().or(now.description.as_ref()),
                "reviewers": reviewers(now.reviewers.iter().map(|it| &it.user.name)),
            });
            let url = self.one(pull_request, &[]);
            self.0
                .change("update the pull request", Method::PUT, url, body)
                .await
        })
    }

    fn set_up<'a>(&'a self, pull_request: &'a PullRequest, set_up: &'a SetUp) -> Answer<'a, ()> {
        Box::pin(async move {
            if let Some(method) = set_up.auto_merge {
                let version = self.read(pull_request).await?.version;
                let strategy = match method {
                    MergeMethod::Merge => "no-ff",
                    MergeMethod::Squash => "squash",
                    MergeMethod::Rebase => "rebase-no-ff",
                };
                let body = json!({ "autoMerge": true, "strategyId": strategy, "version": version });
                let url = self.one(pull_request, &["merge"]);
                let call = self.0.call("set auto-merge", Method::POST, url);
                let call = call.query([("version", version.to_string().as_str())]);
                self.0.send(call.json(body)).await?;
            }
            if !set_up.labels.is_empty() {
                return Err(self.0.unsupported("label pull requests"));
            }
            if !set_up.assignees.is_empty() {
                return Err(self.0.unsupported("assign pull requests"));
            }
            Ok(())
        })
    }

    fn comments<'a>(&'a self, pull_request: &'a PullRequest) -> Answer<'a, Vec<String>> {
        Box::pin(async move {
            #[derive(Deserialize)]
            struct Activity {
                comment: Option<Comment>,
            }
            #[derive(Deserialize)]
            struct Comment {
                text: Option<String>,
            }
            // `comments` lists those of one file only; activities come newest first.
            let call = self
                .0
                .get("list comments", self.one(pull_request, &["activities"]))
                .query([("limit", "100")]);
            let page: BitbucketPage<Activity> = self.0.ask(call).await?;
            let activities = page.values.into_iter();
            Ok(activities.filter_map(|it| it.comment?.text).collect())
        })
    }

    fn comment<'a>(&'a self, pull_request: &'a PullRequest, text: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let url = self.one(pull_request, &["comments"]);
            let body = json!({ "text": text });
            self.0
                .change("comment on the pull request", Method::POST, url, body)
                .await
        })
    }

    fn close<'a>(&'a self, pull_request: &'a PullRequest) -> Answer<'a, ()> {
        Box::pin(async move {
            let version = self.read(pull_request).await?.version;
            let url = self.one(pull_request, &["decline"]);
            let call = self.0.call("decline the pull request", Method::POST, url);
            let call = call
                .query([("version", version.to_string().as_str())])
                .json(json!({ "version": version }));
            self.0.send(call).await
        })
    }

    fn branch<'a>(&'a self, branch: &'a str) -> Answer<'a, Option<String>> {
        Box::pin(async move {
            #[derive(Deserialize)]
            struct Branch {
                id: String,
                #[serde(rename = "latestCommit")]
                latest_commit: Option<String>,
            }
            let call = self
                .0
                .get("read the branch", self.url("api", &["branches"]))
                .query([
                    ("filterText", branch),
                    ("boostMatches", "true"),
                    ("limit", "100"),
                ]);
            let page: BitbucketPage<Branch> = self.0.ask(call).await?;
            let found = page.values.into_iter().find(|it| short(&it.id) == branch);
            Ok(found.and_then(|it| it.latest_commit))
        })
    }

    fn delete_branch<'a>(&'a self, branch: &'a str, commit: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let url = self.url("branch-utils", &["branches"]);
            let body = json!({ "name": format!("refs/heads/{branch}"), "endPoint": commit });
            self.0.delete_branch_by(url, body).await
        })
    }
}
