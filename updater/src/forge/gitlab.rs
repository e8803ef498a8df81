//! GitLab: gitlab.com and self-managed, REST v4. Pull requests are "merge requests" there.

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::api::{Api, Paging, Refusal, add_field, draft_title, of_branch, unless_empty};
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
const NEEDS: &str = "the scope \"api\" and the role Developer or higher in the project";
const NEEDS_TO_MERGE: &str =
    "the scope \"api\" and the right to merge into the target branch for auto-merge";
/// GitLab keeps "draft" in the title.
const DRAFT: &str = "Draft: ";

pub(super) struct GitLab {
    api: Api,
    project: String,
}

#[derive(Deserialize)]
struct MergeRequest {
    iid: u64,
    web_url: String,
    source_branch: String,
    target_branch: String,
    source_project_id: Option<u64>,
    target_project_id: Option<u64>,
    sha: Option<String>,
    state: String,
    title: String,
    description: Option<String>,
    #[serde(default)]
    draft: bool,
}

impl MergeRequest {
    /// `None` for one from a fork.
    fn into_pull_request(self) -> Option<PullRequest> {
        if self.source_project_id != self.target_project_id {
            return None;
        }
        let title = self
            .title
            .strip_prefix(DRAFT)
            .filter(|_| self.draft)
            .unwrap_or(&self.title)
            .to_owned();
        Some(PullRequest {
            number: PullRequestNumber(self.iid),
            url: self.web_url,
            branch: self.source_branch,
            base: self.target_branch,
            commit: self.sha,
            state: match self.state.as_str() {
                "merged" => PullRequestState::Merged,
                "closed" => PullRequestState::Closed,
                // "locked" is the short time while it is being merged.
                _ => PullRequestState::Open,
            },
            title,
            body: self.description.unwrap_or_default(),
            draft: self.draft,
            handle: String::new(),
        })
    }
}

impl GitLab {
    pub(super) fn new(http: Http, repository: RepositoryAddress) -> Self {
        Self {
            project: format!("{}/{}", repository.owner, repository.name),
            api: Api::new(http, repository, NEEDS),
        }
    }

    fn url(&self, segments: &[&str]) -> Url {
        let project = ["projects", &self.project];
        self.api
            .repository
            .endpoint(project.iter().chain(segments).copied())
    }

    fn one(&self, pull_request: &PullRequest, last: &[&str]) -> Url {
        let number = pull_request.number.0.to_string();
        self.url(&[&["merge_requests", &number], last].concat())
    }

    async fn list(
        &self,
        filter: &[(&str, &str)],
        pages: usize,
    ) -> Result<Vec<PullRequest>, ForgeError> {
        let url = self.url(&["merge_requests"]);
        let all = self
            .api
            .list("list merge requests", url, filter, PAGING, pages);
        let all: Vec<MergeRequest> = all.await?;
        Ok(all
            .into_iter()
            .filter_map(MergeRequest::into_pull_request)
            .collect())
    }

    /// The API wants numbers where people use names.
    async fn user_ids(&self, names: &[String]) -> Result<Vec<u64>, ForgeError> {
        #[derive(Deserialize)]
        struct User {
            id: u64,
        }
        let mut ids = Vec::new();
        for name in names {
            let url = self.api.repository.endpoint(["users"]);
            let call = self.api.get("look up a user", url);
            let users: Vec<User> = self.api.ask(call.query([("username", &**name)])).await?;
            let user = users.first().ok_or_else(|| ForgeError::Unknown {
                provider: Provider::GitLab,
                what: "user",
                name: name.clone(),
            })?;
            ids.push(user.id);
        }
        Ok(ids)
    }
}

impl PullRequests for GitLab {
    fn provider(&self) -> Provider {
        Provider::GitLab
    }

    fn has_more_to_set_up(&self, set_up: &SetUp) -> bool {
        set_up.auto_merge.is_some()
    }

    fn open<'a>(&'a self, base: &'a str) -> Answer<'a, Vec<PullRequest>> {
        Box::pin(async move {
            let filter = [("state", "opened"), ("target_branch", base)];
            self.list(&filter, MAX_PAGES).await
        })
    }

    fn of_branch<'a>(&'a self, branch: &'a str) -> Answer<'a, Vec<PullRequest>> {
        Box::pin(async move {
            let filter = [
                ("state", "all"),
                ("source_branch", branch),
                ("order_by", "created_at"),
                ("sort", "desc"),
            ];
            Ok(of_branch(self.list(&filter, 1).await?, branch))
        })
    }

    fn create<'a>(&'a self, new: &'a CreatePullRequest) -> Answer<'a, PullRequest> {
        Box::pin(async move {
            let mut body = json!({
                "source_branch": new.branch,
                "target_branch": new.base,
                "title": draft_title(DRAFT, new.draft, &new.title),
                "description": new.body,
                "remove_source_branch": new.set_up.delete_branch_after_merge,
            });
            let assignees = self.user_ids(&new.set_up.assignees).await?;
            let reviewers = self.user_ids(&new.set_up.reviewers).await?;
            add_field(&mut body, "labels", unless_empty(&new.set_up.labels));
            add_field(&mut body, "assignee_ids", unless_empty(&assignees));
            add_field(&mut body, "reviewer_ids", unless_empty(&reviewers));
            let refusal = |status, words: &str| {
                (status == 409 && words.contains("already exists")).then_some(Refusal::Exists)
            };
            let url = self.url(&["merge_requests"]);
            let made: MergeRequest = self.api.create(url, body, new, refusal).await?;
            Ok(new.made(made.iid, made.web_url, made.sha, String::new()))
        })
    }

    fn update<'a>(&'a self, pull_request: &'a PullRequest, update: &'a Update) -> Answer<'a, ()> {
        Box::pin(async move {
            let update = update.with_draft_prefix(DRAFT, pull_request.draft);
            let (url, body) = (
                self.one(pull_request, &[]),
                update.fields("title", "description"),
            );
            self.api
                .change("update the merge request", Method::PUT, url, body)
                .await
        })
    }

    fn set_up<'a>(&'a self, pull_request: &'a PullRequest, set_up: &'a SetUp) -> Answer<'a, ()> {
        Box::pin(async move {
            let Some(method) = set_up.auto_merge else {
                return Ok(());
            };
            let mut body = json!({
                // The old name for old servers: one that knew neither would merge at once.
                "auto_merge": true,
                "merge_when_pipeline_succeeds": true,
                "should_remove_source_branch": set_up.delete_branch_after_merge,
                // Whether a merge makes a merge commit or rebases is the project's setting.
                "squash": method == MergeMethod::Squash,
            });
            let commit = pull_request.commit.as_ref();
            add_field(&mut body, "sha", commit.map(|it| json!(it)));
            let url = self.one(pull_request, &["merge"]);
            let set = self.api.change("set auto-merge", Method::PUT, url, body);
            // Here 401 is GitLab's word for "may not merge": the token itself has just been of use.
            set.await.map_err(|error| match error {
                ForgeError::Unauthorized {
                    provider,
                    operation,
                    message,
                } => ForgeError::Forbidden {
                    provider,
                    operation,
                    message,
                    needs: NEEDS_TO_MERGE,
                },
                other => other,
            })
        })
    }

    fn comments<'a>(&'a self, pull_request: &'a PullRequest) -> Answer<'a, Vec<String>> {
        Box::pin(async move {
            #[derive(Deserialize)]
            struct Note {
                body: Option<String>,
            }
            let call = self
                .api
                .get("list comments", self.one(pull_request, &["notes"]))
                .query([("sort", "desc"), ("per_page", "100")]);
            let notes: Vec<Note> = self.api.ask(call).await?;
            Ok(notes.into_iter().filter_map(|note| note.body).collect())
        })
    }

    fn comment<'a>(&'a self, pull_request: &'a PullRequest, text: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let url = self.one(pull_request, &["notes"]);
            let body = json!({ "body": text });
            self.api
                .change("comment on the merge request", Method::POST, url, body)
                .await
        })
    }

    fn close<'a>(&'a self, pull_request: &'a PullRequest) -> Answer<'a, ()> {
        Box::pin(async move {
            let url = self.one(pull_request, &[]);
            let body = json!({ "state_event": "close" });
            self.api
                .change("close the merge request", Method::PUT, url, body)
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
            let url = self.url(&["repository", "branches", branch]);
            let call = self.api.get("read the branch", url);
            let found: Option<Branch> = self.api.ask_if_there(call).await?;
            Ok(found.map(|it| it.commit.id))
        })
    }

    fn delete_branch<'a>(&'a self, branch: &'a str, _commit: &'a str) -> Answer<'a, ()> {
        let url = self.url(&["repository", "branches", branch]);
        Box::pin(self.api.delete_branch(url))
    }
}
