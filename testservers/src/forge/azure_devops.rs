//! Azure DevOps' dialect.

use super::PullRequestState;
use serde_json::{Value, json};

use super::{Description, FakePull, Refusal, Reply, Repo, Request};

pub(super) struct Dialect;

fn pull(it: &FakePull, is_list: bool) -> Value {
    // Lists show the first 400 characters.
    let shown: String = if is_list {
        it.body.chars().take(400).collect()
    } else {
        it.body.clone()
    };
    let mut pull = json!({
        "pullRequestId": it.number,
        "status": match it.state {
            PullRequestState::Open => "active",
            PullRequestState::Merged => "completed",
            PullRequestState::Closed => "abandoned",
        },
        "title": it.title,
        "description": shown,
        "isDraft": it.draft,
        "sourceRefName": format!("refs/heads/{}", it.branch),
        "targetRefName": format!("refs/heads/{}", it.base),
        "lastMergeSourceCommit": { "commitId": it.commit },
        "createdBy": { "id": "0000-me" },
    });
    if it.from_fork {
        pull["forkSource"] = json!({ "name": "refs/heads/x" });
    }
    pull
}

fn list(value: Vec<Value>) -> Reply {
    Reply::new(200, json!({ "count": value.len(), "value": value }))
}

impl super::Dialect for Dialect {
    fn description(&self) -> Description {
        Description::new(
            "azure-devops",
            include_str!("descriptions/azure-devops.json"),
        )
    }

    fn prefix(&self) -> &'static str {
        "/collection"
    }

    fn handle(&self, repo: &mut Repo, request: &Request<'_>) -> Reply {
        let (method, template) = request.operation.split_once(' ').expect("an operation");
        let (_, template) = template
            .split_once("/repositories/{repositoryId}")
            .expect("of a repository");
        assert_eq!(request.query("api-version"), Some("7.0"));
        let branch_at = |text: &str| {
            text.strip_prefix("refs/heads/")
                .expect("a full name")
                .to_owned()
        };
        match (method, template) {
            ("get", "/pullRequests") => {
                let branch = |name: &str| request.query(name).map(branch_at);
                let (source, target) = (
                    branch("searchCriteria.sourceRefName"),
                    branch("searchCriteria.targetRefName"),
                );
                let found = repo.newest(|it| {
                    let state = match request.query("searchCriteria.status").unwrap_or("active") {
                        "active" => it.state == PullRequestState::Open,
                        "all" => true,
                        other => panic!("status {other}"),
                    };
                    state
                        && source.as_ref().is_none_or(|name| it.branch == *name)
                        && target.as_ref().is_none_or(|name| it.base == *name)
                });
                let number = |name: &str, default| {
                    request
                        .query(name)
                        .and_then(|text| text.parse().ok())
                        .unwrap_or(default)
                };
                let page = found
                    .into_iter()
                    .skip(number("$skip", 0))
                    .take(number("$top", 101));
                list(page.map(|it| pull(it, true)).collect())
            }
            ("post", "/pullRequests") => {
                let text = |name: &str| request.text(name).unwrap_or_default();
                let names = |list: &str, name: &str| -> Vec<String> {
                    let items = request.body[list].as_array().cloned().unwrap_or_default();
                    items
                        .iter()
                        .filter_map(|it| it[name].as_str())
                        .map(str::to_owned)
                        .collect()
                };
                let (labels, reviewers) = (names("labels", "name"), names("reviewers", "id"));
                if text("/description").chars().count() > 4000 {
                    return Reply::new(
                        400,
                        json!({ "message": "Invalid argument value. Parameter name: description" }),
                    );
                }
                let (source, target) = (
                    branch_at(&text("/sourceRefName")),
                    branch_at(&text("/targetRefName")),
                );
                let draft = request.body["isDraft"] == true;
                match repo.open(&source, &target, &text("/title"), &text("/description")) {
                    Ok(made) => {
                        (made.draft, made.labels, made.reviewers) = (draft, labels, reviewers);
                        Reply::new(201, pull(made, false))
                    }
                    Err(Refusal::Exists) => Reply::new(
                        409,
                        json!({
                            "message": "TF401179: An active pull request for the source and target branch already exists.",
                            "typeKey": "GitPullRequestExistsException",
                        }),
                    ),
                    Err(_) => Reply::new(
                        400,
                        json!({ "message": "TF401398: the source or target branch is gone" }),
                    ),
                }
            }
            ("get", "/refs") => {
                let filter = format!("refs/{}", request.query("filter").unwrap_or_default());
                let found = repo
                    .branches
                    .iter()
                    .map(|(name, commit)| (format!("refs/heads/{name}"), commit));
                list(
                    found
                        .filter(|(name, _)| name.starts_with(&filter))
                        .map(|(name, commit)| json!({ "name": name, "objectId": commit }))
                        .collect(),
                )
            }
            ("post", "/refs") => {
                let update = &request.body[0];
                let name = branch_at(update["name"].as_str().unwrap_or_default());
                assert_eq!(update["newObjectId"], "0".repeat(40).as_str());
                let stands =
                    repo.branches.get(&name).map(String::as_str) == update["oldObjectId"].as_str();
                if stands {
                    repo.delete_branch(&name);
                }
                let status = if stands {
                    "succeeded"
                } else {
                    "staleOldObjectId"
                };
                list(vec![json!({ "success": stands, "updateStatus": status })])
            }
            _ => {
                let Some(it) = repo.pull(request.number("pullRequestId")) else {
                    return Reply::not_found();
                };
                match (method, template) {
                    ("get", "/pullRequests/{pullRequestId}") => Reply::new(200, pull(it, false)),
                    ("patch", "/pullRequests/{pullRequestId}") => {
                        if let Some(title) = request.text("/title") {
                            it.title = title;
                        }
                        if let Some(body) = request.text("/description") {
                            it.body = body;
                        }
                        if request.body["status"] == "abandoned" {
                            it.state = PullRequestState::Closed;
                        }
                        if request.body["autoCompleteSetBy"]["id"] == "0000-me" {
                            it.auto_merge = true;
                        }
                        Reply::new(200, pull(it, false))
                    }
                    ("get", "/pullRequests/{pullRequestId}/threads") => list(
                        it.comments
                            .iter()
                            .map(|text| json!({ "comments": [{ "content": text }] }))
                            .collect(),
                    ),
                    ("post", "/pullRequests/{pullRequestId}/threads") => {
                        it.comments
                            .push(request.text("/comments/0/content").unwrap_or_default());
                        Reply::new(200, json!({}))
                    }
                    other => panic!("the fake does not know {other:?}"),
                }
            }
        }
    }
}
