//! Azure DevOps Services and Server 2022: REST 7.0. It has no assignees.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::api::{Api, AzureList, Paging, Refusal, of_branch};
use super::http::Http;
use super::{
    Answer, CreatePullRequest, ForgeError, MergeMethod, Provider, PullRequest, PullRequestNumber,
    PullRequestState, PullRequests, RepositoryAddress, SetUp, Update,
};

const API_VERSION: (&str, &str) = ("api-version", "7.0");
/// At most 2,000 open ones are looked through.
const MAX_PAGES: usize = 20;
const PAGING: Paging = Paging::Skip { top: 100 };
/// Lists show only the beginning of a description.
const SHOWN_IN_LISTS: usize = 400;
const NEEDS: &str =
    "the scope \"Code (read & write)\" and the permission \"Contribute to pull requests\"";

pub(super) struct AzureDevOps(Api);

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
        Self(Api::new(http, repository, NEEDS))
    }

    fn url(&self, segments: &[&str]) -> Url {
        let RepositoryAddress { owner, name, .. } = &self.0.repository;
        let repository = [owner, "_apis", "git", "repositories", name];
        let mut url = self
            .0
            .repository
            .endpoint(repository.iter().chain(segments).copied());
        url.query_pairs_mut()
            .append_pair(API_VERSION.0, API_VERSION.1);
        url
    }

    fn one(&self, number: PullRequestNumber, last: &[&str]) -> Url {
        let number = number.0.to_string();
        self.url(&[&["pullRequests", &number], last].concat())
    }

    fn page(&self, number: u64) -> String {
        let RepositoryAddress { owner, name, .. } = &self.0.repository;
        self.0
            .repository
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
        let url = self.url(&["pullRequests"]);
        let pulls = self
            .0
            .list("list pull requests", url, filter, PAGING, pages);
        let pulls: Vec<Pull> = pulls.await?;
        let mut all = Vec::new();
        for pull in pulls.into_iter().filter(|pull| pull.fork_source.is_none()) {
            let shown = pull.description.as_deref().unwrap_or_default();
            let is_cut = shown.chars().count() >= SHOWN_IN_LISTS && shown.contains("tagline:begin");
            let pull = if is_cut {
                let url = self.one(PullRequestNumber(pull.number), &[]);
                self.0.read("read the pull request", url).await?
            } else {
                pull
            };
            all.push(self.pull_request(pull));
        }
        Ok(all)
    }

    async fn patch(
        &self,
        operation: &'static str,
        number: PullRequestNumber,
        body: Value,
    ) -> Result<(), ForgeError> {
        let url = self.one(number, &[]);
        self.0.change(operation, Method::PATCH, url, body).await
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
            Ok(of_branch(self.list(&filter, 1).await?, branch))
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
            // TF401179: an active pull request for the source and target branch already exists.
            let refusal = |status, words: &str| {
                let exists = words.contains("TF401179") || words.contains("already exists");
                (status == 409 && exists).then_some(Refusal::Exists)
            };
            let url = self.url(&["pullRequests"]);
            let made: Pull = self.0.create(url, body, new, refusal).await?;
            let made = self.pull_request(made);
            Ok(PullRequest {
                body: new.body.clone(),
                ..made
            })
        })
    }

    fn update<'a>(&'a self, pull_request: &'a PullRequest, update: &'a Update) -> Answer<'a, ()> {
        let body = update.fields("title", "description");
        Box::pin(self.patch("update the pull request", pull_request.number, body))
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
                Err(self.0.unsupported("assign pull requests"))
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
            let url = self.one(pull_request.number, &["threads"]);
            let threads: AzureList<Thread> = self.0.read("list comments", url).await?;
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
            self.0
                .change("comment on the pull request", Method::POST, url, body)
                .await
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
            let call = self.0.get("read the branch", self.url(&["refs"]));
            let refs: AzureList<Ref> = self.0.ask(call.query([("filter", &*filter)])).await?;
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
            let url = self.url(&["refs"]);
            let call = self.0.call("delete the branch", Method::POST, url);
            let updated: AzureList<Updated> = self.0.ask(call.json(body)).await?;
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
