//! GitLab: gitlab.com and self-managed, REST v4. Pull requests are "merge requests" there.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use super::http::{Call, Http};
use super::{
    Answer, CreatePullRequest, ForgeError, MergeMethod, Provider, PullRequest, PullRequestNumber,
    PullRequestState, PullRequests, RepositoryAddress, SetUp, Update,
};

/// At most 2,000 open ones are looked through.
const MAX_PAGES: u32 = 20;
const NEEDS: &str = "the scope \"api\" and the role Developer or higher in the project";
/// GitLab keeps "draft" in the title.
const DRAFT: &str = "Draft: ";

pub(super) struct GitLab {
    http: Http,
    repository: RepositoryAddress,
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
        let project = format!("{}/{}", repository.owner, repository.name);
        Self {
            http,
            repository,
            project,
        }
    }

    fn url(&self, segments: &[&str]) -> Url {
        self.repository.endpoint(
            ["projects", &self.project]
                .into_iter()
                .chain(segments.iter().copied()),
        )
    }

    fn one(&self, pull_request: &PullRequest, last: &[&str]) -> Url {
        let number = pull_request.number.0.to_string();
        let segments: Vec<&str> = ["merge_requests", number.as_str()]
            .into_iter()
            .chain(last.iter().copied())
            .collect();
        self.url(&segments)
    }

    async fn list(
        &self,
        filter: &[(&str, &str)],
        pages: u32,
    ) -> Result<Vec<PullRequest>, ForgeError> {
        let mut all = Vec::new();
        for page in 1..=pages {
            let call = Call::get("list merge requests", NEEDS, self.url(&["merge_requests"]))
                .query(filter.iter().copied())
                .query([("per_page", "100"), ("page", &page.to_string())]);
            let reply = self.http.send(call).await?;
            all.extend(
                reply
                    .json::<Vec<MergeRequest>>()?
                    .into_iter()
                    .filter_map(MergeRequest::into_pull_request),
            );
            if !reply.has_next_page() {
                break;
            }
        }
        Ok(all)
    }

    /// The API wants numbers where people use names.
    async fn user_ids(&self, names: &[String]) -> Result<Vec<u64>, ForgeError> {
        #[derive(Deserialize)]
        struct User {
            id: u64,
        }
        let mut ids = Vec::new();
        for name in names {
            let call = Call::get("look up a user", NEEDS, self.repository.endpoint(["users"]))
                .query([("username", name.as_str())]);
            let users: Vec<User> = self.http.json(call).await?;
            let user = users.first().ok_or_else(|| ForgeError::Unknown {
                provider: Provider::GitLab,
                what: "user",
                name: name.clone(),
            })?;
            ids.push(user.id);
        }
        Ok(ids)
    }

    async fn put(&self, operation: &'static str, url: Url, body: Value) -> Result<(), ForgeError> {
        self.http
            .send(Call::new(operation, NEEDS, Method::PUT, url).json(body))
            .await
            .map(drop)
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
            self.list(&[("state", "opened"), ("target_branch", base)], MAX_PAGES)
                .await
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
            self.list(&filter, 1).await
        })
    }

    fn create<'a>(&'a self, new: &'a CreatePullRequest) -> Answer<'a, PullRequest> {
        Box::pin(async move {
            let mut body = json!({
                "source_branch": new.branch,
                "target_branch": new.base,
                "title": if new.draft { format!("{DRAFT}{}", new.title) } else { new.title.clone() },
                "description": new.body,
                "remove_source_branch": new.set_up.delete_branch_after_merge,
            });
            let mut optional = Map::new();
            if !new.set_up.labels.is_empty() {
                optional.insert("labels".to_owned(), json!(new.set_up.labels));
            }
            if !new.set_up.assignees.is_empty() {
                optional.insert(
                    "assignee_ids".to_owned(),
                    json!(self.user_ids(&new.set_up.assignees).await?),
                );
            }
            if !new.set_up.reviewers.is_empty() {
                optional.insert(
                    "reviewer_ids".to_owned(),
                    json!(self.user_ids(&new.set_up.reviewers).await?),
                );
            }
            if let Some(fields) = body.as_object_mut() {
                fields.extend(optional);
            }
            let call = Call::new(
                "open the merge request",
                NEEDS,
                Method::POST,
                self.url(&["merge_requests"]),
            )
            .json(body);
            let made: MergeRequest =
                self.http
                    .json(call)
                    .await
                    .map_err(|error| match error.rejection() {
                        Some((409, text)) if text.contains("already exists") => {
                            ForgeError::AlreadyExists {
                                provider: Provider::GitLab,
                                branch: new.branch.clone(),
                            }
                        }
                        _ => error,
                    })?;
            Ok(PullRequest {
                number: PullRequestNumber(made.iid),
                url: made.web_url,
                branch: new.branch.clone(),
                base: new.base.clone(),
                commit: made.sha,
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
                    .map(|text| ("description".to_owned(), json!(text))),
            );
            self.put(
                "update the merge request",
                self.one(pull_request, &[]),
                Value::Object(body),
            )
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
            if let (Some(commit), Some(fields)) = (&pull_request.commit, body.as_object_mut()) {
                fields.insert("sha".to_owned(), json!(commit));
            }
            self.put("set auto-merge", self.one(pull_request, &["merge"]), body)
                .await
        })
    }

    fn comments<'a>(&'a self, pull_request: &'a PullRequest) -> Answer<'a, Vec<String>> {
        Box::pin(async move {
            #[derive(Deserialize)]
            struct Note {
                body: Option<String>,
            }
            let call = Call::get("list comments", NEEDS, self.one(pull_request, &["notes"]))
                .query([("sort", "desc"), ("per_page", "100")]);
            let notes: Vec<Note> = self.http.json(call).await?;
            Ok(notes.into_iter().filter_map(|note| note.body).collect())
        })
    }

    fn comment<'a>(&'a self, pull_request: &'a PullRequest, text: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let url = self.one(pull_request, &["notes"]);
            let call = Call::new("comment on the merge request", NEEDS, Method::POST, url);
            self.http
                .send(call.json(json!({ "body": text })))
                .await
                .map(drop)
        })
    }

    fn close<'a>(&'a self, pull_request: &'a PullRequest) -> Answer<'a, ()> {
        Box::pin(async move {
            let body = json!({ "state_event": "close" });
            self.put("close the merge request", self.one(pull_request, &[]), body)
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
            let call = Call::get(
                "read the branch",
                NEEDS,
                self.url(&["repository", "branches", branch]),
            );
            match self.http.send_if_there(call).await? {
                Some(reply) => Ok(Some(reply.json::<Branch>()?.commit.id)),
                None => Ok(None),
            }
        })
    }

    fn delete_branch<'a>(&'a self, branch: &'a str, _commit: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let url = self.url(&["repository", "branches", branch]);
            self.http
                .send_if_there(Call::new("delete the branch", NEEDS, Method::DELETE, url))
                .await
                .map(drop)
        })
    }
}
