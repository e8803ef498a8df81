//! Azure DevOps Services and Server 2022: REST 7.0. It has no assignees.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use super::http::{Call, Http};
use super::{
    Answer, CreatePullRequest, ForgeError, MergeMethod, Provider, PullRequest, PullRequestNumber,
    PullRequestState, PullRequests, RepositoryAddress, SetUp, Update,
};

const API_VERSION: (&str, &str) = ("api-version", "7.0");
const PAGE: usize = 100;
/// At most 2,000 open ones are looked through.
const MAX_PAGES: usize = 20;
/// Lists show only the beginning of a description.
const SHOWN_IN_LISTS: usize = 400;
const NEEDS: &str =
    "the scope \"Code (read & write)\" and the permission \"Contribute to pull requests\"";

pub(super) struct AzureDevOps {
    http: Http,
    repository: RepositoryAddress,
}

#[derive(Deserialize)]
struct List<T> {
    value: Vec<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pull {
    #[serde(rename = "pullRequestId")]
    number: u64,
    status: String,
    title: String,
    description: Option<String>,
    #[serde(default)]
    is_draft: bool,
    source_ref_name: String,
    target_ref_name: String,
    last_merge_source_commit: Option<Commit>,
    created_by: Option<Identity>,
    fork_source: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Commit {
    commit_id: String,
}

#[derive(Deserialize)]
struct Identity {
    id: String,
}

fn short(name: &str) -> &str {
    name.strip_prefix("refs/heads/").unwrap_or(name)
}

fn full(branch: &str) -> String {
    format!("refs/heads/{branch}")
}

impl AzureDevOps {
    pub(super) fn new(http: Http, repository: RepositoryAddress) -> Self {
        Self { http, repository }
    }

    fn url(&self, segments: &[&str]) -> Url {
        let RepositoryAddress { owner, name, .. } = &self.repository;
        let repository = [owner, "_apis", "git", "repositories", name];
        let mut url = self
            .repository
            .endpoint(repository.into_iter().chain(segments.iter().copied()));
        url.query_pairs_mut()
            .append_pair(API_VERSION.0, API_VERSION.1);
        url
    }

    fn one(&self, number: PullRequestNumber, last: &[&str]) -> Url {
        let number = number.0.to_string();
        let segments: Vec<&str> = ["pullRequests", number.as_str()]
            .into_iter()
            .chain(last.iter().copied())
            .collect();
        self.url(&segments)
    }

    fn page(&self, number: u64) -> String {
        let RepositoryAddress { owner, name, .. } = &self.repository;
        self.repository
            .endpoint([owner, "_git", name, "pullrequest", &number.to_string()])
            .into()
    }

    fn pull_request(&self, pull: Pull) -> PullRequest {
        PullRequest {
            number: PullRequestNumber(pull.number),
            url: self.page(pull.number),
            branch: short(&pull.source_ref_name).to_owned(),
            base: short(&pull.target_ref_name).to_owned(),
            commit: pull.last_merge_source_commit.map(|commit| commit.commit_id),
            state: match pull.status.as_str() {
                "completed" => PullRequestState::Merged,
                "abandoned" => PullRequestState::Closed,
                _ => PullRequestState::Open,
            },
            title: pull.title,
            body: pull.description.unwrap_or_default(),
            draft: pull.is_draft,
            handle: pull
                .created_by
                .map(|identity| identity.id)
                .unwrap_or_default(),
        }
    }

    async fn list(
        &self,
        filter: &[(&str, &str)],
        pages: usize,
    ) -> Result<Vec<PullRequest>, ForgeError> {
        let mut all = Vec::new();
        for page in 0..pages {
            let call = Call::get("list pull requests", NEEDS, self.url(&["pullRequests"]))
                .query(filter.iter().copied())
                .query([
                    ("$top", PAGE.to_string().as_str()),
                    ("$skip", &(page * PAGE).to_string()),
                ]);
            let answer: List<Pull> = self.http.json(call).await?;
            let count = answer.value.len();
            for pull in answer
                .value
                .into_iter()
                .filter(|pull| pull.fork_source.is_none())
            {
                let shown = pull.description.as_deref().unwrap_or_default();
                let is_cut =
                    shown.chars().count() >= SHOWN_IN_LISTS && shown.contains("tagline:begin");
                let pull = if is_cut {
                    self.read(PullRequestNumber(pull.number)).await?
                } else {
                    pull
                };
                all.push(self.pull_request(pull));
            }
            if count < PAGE {
                break;
            }
        }
        Ok(all)
    }

    async fn read(&self, number: PullRequestNumber) -> Result<Pull, ForgeError> {
        self.http
            .json(Call::get(
                "read the pull request",
                NEEDS,
                self.one(number, &[]),
            ))
            .await
    }

    async fn patch(
        &self,
        operation: &'static str,
        number: PullRequestNumber,
        body: Value,
    ) -> Result<(), ForgeError> {
        self.http
            .send(Call::new(operation, NEEDS, Method::PATCH, self.one(number, &[])).json(body))
            .await
            .map(drop)
    }
}

impl PullRequests for AzureDevOps {
    fn provider(&self) -> Provider {
        Provider::AzureDevOps
    }

    fn has_more_to_set_up(&self, set_up: &SetUp) -> bool {
        !set_up.assignees.is_empty() || set_up.auto_merge.is_some()
    }

    fn open<'a>(&'a self, base: &'a str) -> Answer<'a, Vec<PullRequest>> {
        Box::pin(async move {
            let target = full(base);
            let filter = [
                ("searchCriteria.status", "active"),
                ("searchCriteria.targetRefName", target.as_str()),
            ];
            self.list(&filter, MAX_PAGES).await
        })
    }

    fn of_branch<'a>(&'a self, branch: &'a str) -> Answer<'a, Vec<PullRequest>> {
        Box::pin(async move {
            let source = full(branch);
            let filter = [
                ("searchCriteria.status", "all"),
                ("searchCriteria.sourceRefName", source.as_str()),
            ];
            let mut all = self.list(&filter, 1).await?;
            all.sort_by_key(|it| std::cmp::Reverse(it.number));
            Ok(all)
        })
    }

    fn create<'a>(&'a self, new: &'a CreatePullRequest) -> Answer<'a, PullRequest> {
        Box::pin(async move {
            let labels: Vec<Value> = new
                .set_up
                .labels
                .iter()
                .map(|name| json!({ "name": name }))
                .collect();
            let reviewers: Vec<Value> = new
                .set_up
                .reviewers
                .iter()
                .map(|id| json!({ "id": id }))
                .collect();
            let body = json!({
                "sourceRefName": full(&new.branch),
                "targetRefName": full(&new.base),
                "title": new.title,
                "description": new.body,
                "isDraft": new.draft,
                "labels": labels,
                "reviewers": reviewers,
            });
            let call = Call::new(
                "open the pull request",
                NEEDS,
                Method::POST,
                self.url(&["pullRequests"]),
            )
            .json(body);
            let made: Pull =
                self.http
                    .json(call)
                    .await
                    .map_err(|error| match error.rejection() {
                        // TF401179: an active pull request for the source and target branch already exists.
                        Some((409, text))
                            if text.contains("TF401179") || text.contains("already exists") =>
                        {
                            ForgeError::AlreadyExists {
                                provider: Provider::AzureDevOps,
                                branch: new.branch.clone(),
                            }
                        }
                        _ => error,
                    })?;
            let made = self.pull_request(made);
            Ok(PullRequest {
                body: new.body.clone(),
                ..made
            })
        })
    }

    fn update<'a>(&'a self, pull_request: &'a PullRequest, update: &'a Update) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut body = Map::new();
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
                    .map(|text| ("description".to_owned(), json!(text))),
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
            if let Some(method) = set_up.auto_merge {
                let strategy = match method {
                    MergeMethod::Merge => "noFastForward",
                    MergeMethod::Squash => "squash",
                    MergeMethod::Rebase => "rebase",
                };
                let body = json!({
                    "autoCompleteSetBy": { "id": pull_request.handle },
                    "completionOptions": {
                        "deleteSourceBranch": set_up.delete_branch_after_merge,
                        "mergeStrategy": strategy,
                    },
                });
                self.patch("set auto-complete", pull_request.number, body)
                    .await?;
            }
            if set_up.assignees.is_empty() {
                Ok(())
            } else {
                Err(ForgeError::Unsupported {
                    provider: Provider::AzureDevOps,
                    what: "assign pull requests",
                })
            }
        })
    }

    fn comments<'a>(&'a self, pull_request: &'a PullRequest) -> Answer<'a, Vec<String>> {
        Box::pin(async move {
            #[derive(Deserialize)]
            struct Thread {
                #[serde(default)]
                comments: Vec<Comment>,
            }
            #[derive(Deserialize)]
            struct Comment {
                content: Option<String>,
            }
            let call = Call::get(
                "list comments",
                NEEDS,
                self.one(pull_request.number, &["threads"]),
            );
            let threads: List<Thread> = self.http.json(call).await?;
            let comments = threads.value.into_iter().flat_map(|thread| thread.comments);
            Ok(comments.filter_map(|comment| comment.content).collect())
        })
    }

    fn comment<'a>(&'a self, pull_request: &'a PullRequest, text: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            // An active thread can hold up a completion.
            let body = json!({
                "comments": [{ "parentCommentId": 0, "content": text, "commentType": "text" }],
                "status": "closed",
            });
            let url = self.one(pull_request.number, &["threads"]);
            self.http
                .send(Call::new("comment on the pull request", NEEDS, Method::POST, url).json(body))
                .await
                .map(drop)
        })
    }

    fn close<'a>(&'a self, pull_request: &'a PullRequest) -> Answer<'a, ()> {
        Box::pin(async move {
            self.patch(
                "abandon the pull request",
                pull_request.number,
                json!({ "status": "abandoned" }),
            )
            .await
        })
    }

    fn branch<'a>(&'a self, branch: &'a str) -> Answer<'a, Option<String>> {
        Box::pin(async move {
            #[derive(Deserialize)]
            #[serde(rename_all = "camelCase")]
            struct Ref {
                name: String,
                object_id: String,
            }
            // The filter is a prefix.
            let filter = format!("heads/{branch}");
            let call = Call::get("read the branch", NEEDS, self.url(&["refs"]))
                .query([("filter", filter.as_str())]);
            let refs: List<Ref> = self.http.json(call).await?;
            Ok(refs
                .value
                .into_iter()
                .find(|it| short(&it.name) == branch)
                .map(|it| it.object_id))
        })
    }

    fn delete_branch<'a>(&'a self, branch: &'a str, commit: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            #[derive(Deserialize)]
            #[serde(rename_all = "camelCase")]
            struct Updated {
                success: bool,
                #[serde(default)]
                update_status: String,
            }
            let body = json!([{ "name": full(branch), "oldObjectId": commit, "newObjectId": "0".repeat(40) }]);
            let call = Call::new(
                "delete the branch",
                NEEDS,
                Method::POST,
                self.url(&["refs"]),
            )
            .json(body);
            let updated: List<Updated> = self.http.json(call).await?;
            match updated.value.iter().find(|it| !it.success) {
                None => Ok(()),
                Some(refused) => Err(ForgeError::Rejected {
                    provider: Provider::AzureDevOps,
                    operation: "delete the branch",
                    status: 200,
                    message: super::escape::foreign_message(&refused.update_status, &[]),
                }),
            }
        })
    }
}
