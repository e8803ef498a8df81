//! Bitbucket Data Center: REST `latest`. It has no labels and no assignees; drafts and auto-merge only in newer servers.

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
const NEEDS: &str = "the permission \"Repository write\"";

pub(super) struct BitbucketDataCenter {
    http: Http,
    repository: RepositoryAddress,
}

#[derive(Deserialize)]
struct Page<T> {
    #[serde(default = "Vec::new")]
    values: Vec<T>,
    #[serde(rename = "isLastPage", default)]
    is_last: bool,
    #[serde(rename = "nextPageStart")]
    next_start: Option<u64>,
}

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
            url: self
                .links
                .own
                .into_iter()
                .next()
                .map(|link| link.href)
                .unwrap_or_default(),
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
        Self { http, repository }
    }

    fn url(&self, api: &str, segments: &[&str]) -> Url {
        let RepositoryAddress { owner, name, .. } = &self.repository;
        let repository = [api, "latest", "projects", owner, "repos", name];
        self.repository
            .endpoint(repository.into_iter().chain(segments.iter().copied()))
    }

    fn one(&self, pull_request: &PullRequest, last: &[&str]) -> Url {
        let number = pull_request.number.0.to_string();
        let segments: Vec<&str> = ["pull-requests", number.as_str()]
            .into_iter()
            .chain(last.iter().copied())
            .collect();
        self.url("api", &segments)
    }

    async fn list(
        &self,
        filter: &[(&str, &str)],
        pages: u32,
    ) -> Result<Vec<PullRequest>, ForgeError> {
        let mut all = Vec::new();
        let mut start = 0;
        for _ in 0..pages {
            let call = Call::get(
                "list pull requests",
                NEEDS,
                self.url("api", &["pull-requests"]),
            )
            .query(filter.iter().copied())
            .query([("limit", "100"), ("start", &start.to_string())]);
            let answer: Page<Pull> = self.http.json(call).await?;
            all.extend(
                answer
                    .values
                    .into_iter()
                    .filter_map(Pull::into_pull_request),
            );
            match answer.next_start {
                Some(next) if !answer.is_last && next > start => start = next,
                _ => break,
            }
        }
        Ok(all)
    }

    /// A change needs the present version number; ours may be old.
    async fn read(&self, pull_request: &PullRequest) -> Result<Pull, ForgeError> {
        self.http
            .json(Call::get(
                "read the pull request",
                NEEDS,
                self.one(pull_request, &[]),
            ))
            .await
    }

    fn reference(&self, branch: &str) -> Value {
        json!({
            "id": format!("refs/heads/{branch}"),
            "repository": { "slug": self.repository.name, "project": { "key": self.repository.owner } },
        })
    }
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
            self.list(
                &[("state", "OPEN"), ("direction", "INCOMING"), ("at", &at)],
                MAX_PAGES,
            )
            .await
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
            let mut all = self.list(&filter, 1).await?;
            all.sort_by_key(|it| std::cmp::Reverse(it.number));
            Ok(all)
        })
    }

    fn create<'a>(&'a self, new: &'a CreatePullRequest) -> Answer<'a, PullRequest> {
        Box::pin(async move {
            let reviewers: Vec<Value> = new
                .set_up
                .reviewers
                .iter()
                .map(|name| json!({ "user": { "name": name } }))
                .collect();
            let mut body = json!({
                "title": new.title,
                "description": new.body,
                "fromRef": self.reference(&new.branch),
                "toRef": self.reference(&new.base),
                "reviewers": reviewers,
            });
            // Older servers know no drafts and refuse the field.
            if let Some(fields) = body.as_object_mut().filter(|_| new.draft) {
                fields.insert("draft".to_owned(), json!(true));
            }
            let call = Call::new(
                "open the pull request",
                NEEDS,
                Method::POST,
                self.url("api", &["pull-requests"]),
            )
            .json(body);
            let made: Pull = self.http.json(call).await.map_err(|error| {
                let (provider, branch) = (Provider::BitbucketDataCenter, new.branch.clone());
                match error.rejection() {
                    Some((409, text))
                        if text.contains("DuplicatePullRequest")
                            || text.contains("already exists") =>
                    {
                        ForgeError::AlreadyExists { provider, branch }
                    }
                    Some((409, text))
                        if text.contains("EmptyPullRequest") || text.contains("up-to-date") =>
                    {
                        ForgeError::NothingToMerge { provider, branch }
                    }
                    _ => error,
                }
            })?;
            Ok(PullRequest {
                number: PullRequestNumber(made.id),
                url: made
                    .links
                    .own
                    .into_iter()
                    .next()
                    .map(|link| link.href)
                    .unwrap_or_default(),
                branch: new.branch.clone(),
                base: new.base.clone(),
                commit: made.from.latest_commit,
                state: PullRequestState::Open,
                title: made.title,
                body: new.body.clone(),
                draft: new.draft,
                handle: made.version.to_string(),
            })
        })
    }

    fn update<'a>(&'a self, pull_request: &'a PullRequest, update: &'a Update) -> Answer<'a, ()> {
        Box::pin(async move {
            // What a PUT leaves out it takes away.
            let now = self.read(pull_request).await?;
            let reviewers: Vec<Value> = now
                .reviewers
                .iter()
                .map(|reviewer| json!({ "user": { "name": reviewer.user.name } }))
                .collect();
            let body = json!({
                "version": now.version,
                "title": update.title.as_ref().unwrap_or(&now.title),
                "description": update.body.as_ref().or(now.description.as_ref()),
                "reviewers": reviewers,
            });
            let call = Call::new(
                "update the pull request",
                NEEDS,
                Method::PUT,
                self.one(pull_request, &[]),
            );
            self.http.send(call.json(body)).await.map(drop)
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
                let call = Call::new(
                    "set auto-merge",
                    NEEDS,
                    Method::POST,
                    self.one(pull_request, &["merge"]),
                );
                self.http
                    .send(
                        call.query([("version", version.to_string().as_str())])
                            .json(body),
                    )
                    .await?;
            }
            let unsupported = |what| {
                Err(ForgeError::Unsupported {
                    provider: Provider::BitbucketDataCenter,
                    what,
                })
            };
            if !set_up.labels.is_empty() {
                return unsupported("label pull requests");
            }
            if !set_up.assignees.is_empty() {
                return unsupported("assign pull requests");
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
            let call = Call::get(
                "list comments",
                NEEDS,
                self.one(pull_request, &["activities"]),
            )
            .query([("limit", "100")]);
            let page: Page<Activity> = self.http.json(call).await?;
            Ok(page
                .values
                .into_iter()
                .filter_map(|activity| activity.comment?.text)
                .collect())
        })
    }

    fn comment<'a>(&'a self, pull_request: &'a PullRequest, text: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let url = self.one(pull_request, &["comments"]);
            let call = Call::new("comment on the pull request", NEEDS, Method::POST, url);
            self.http
                .send(call.json(json!({ "text": text })))
                .await
                .map(drop)
        })
    }

    fn close<'a>(&'a self, pull_request: &'a PullRequest) -> Answer<'a, ()> {
        Box::pin(async move {
            let version = self.read(pull_request).await?.version;
            let call = Call::new(
                "decline the pull request",
                NEEDS,
                Method::POST,
                self.one(pull_request, &["decline"]),
            );
            let call = call
                .query([("version", version.to_string().as_str())])
                .json(json!({ "version": version }));
            self.http.send(call).await.map(drop)
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
            let call = Call::get("read the branch", NEEDS, self.url("api", &["branches"])).query([
                ("filterText", branch),
                ("boostMatches", "true"),
                ("limit", "100"),
            ]);
            let page: Page<Branch> = self.http.json(call).await?;
            let found = page.values.into_iter().find(|it| short(&it.id) == branch);
            Ok(found.and_then(|it| it.latest_commit))
        })
    }

    fn delete_branch<'a>(&'a self, branch: &'a str, commit: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let body = json!({ "name": format!("refs/heads/{branch}"), "endPoint": commit });
            let call = Call::new(
                "delete the branch",
                NEEDS,
                Method::DELETE,
                self.url("branch-utils", &["branches"]),
            );
            self.http.send_if_there(call.json(body)).await.map(drop)
        })
    }
}
