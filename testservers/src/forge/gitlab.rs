//! GitLab's dialect.

use super::PullRequestState;
use serde_json::{Value, json};

use super::{Description, FakePull, Refusal, Reply, Repo, Request};

pub(super) struct Dialect;

/// Users are numbers there.
fn user_id(name: &str) -> u64 {
    name.bytes().map(u64::from).sum()
}

fn merge_request(it: &FakePull) -> Value {
    json!({
        "id": it.number + 1000,
        "iid": it.number,
        "web_url": format!("https://gitlab.example/acme/apps/-/merge_requests/{}", it.number),
        "source_branch": it.branch,
        "target_branch": it.base,
        "source_project_id": if it.from_fork { 8 } else { 7 },
        "target_project_id": 7,
        "sha": it.commit,
        "state": match it.state {
            PullRequestState::Open => "opened",
            PullRequestState::Merged => "merged",
            PullRequestState::Closed => "closed",
        },
        "title": it.title,
        "description": it.body,
        "draft": it.title.starts_with("Draft: "),
        "labels": it.labels,
    })
}

impl super::Dialect for Dialect {
    fn description(&self) -> Description {
        Description::new("gitlab", include_str!("descriptions/gitlab.json"))
    }

    fn prefix(&self) -> &'static str {
        "/api/v4"
    }

    fn handle(&self, repo: &mut Repo, request: &Request<'_>) -> Reply {
        let (method, template) = request.operation.split_once(' ').expect("an operation");
        let template = template.strip_prefix("/projects/{id}").unwrap_or(template);
        if let Some(project) = request.path.get("id") {
            assert_eq!(project, "acme/apps");
        }
        let ids = |pointer: &str| -> Vec<String> {
            let items = request.body.pointer(pointer).and_then(Value::as_array);
            items.into_iter().flatten().map(Value::to_string).collect()
        };
        match (method, template) {
            ("get", "/users") => {
                let name = request.query("username").expect("a name");
                let found = if name == "nobody" {
                    json!([])
                } else {
                    json!([{ "id": user_id(name), "username": name }])
                };
                Reply::new(200, found)
            }
            ("get", "/merge_requests") => {
                let found = repo.newest(|it| {
                    let state = match request.query("state").unwrap_or("all") {
                        "opened" => it.state == PullRequestState::Open,
                        "all" => true,
                        other => panic!("state {other}"),
                    };
                    state
                        && request
                            .query("source_branch")
                            .is_none_or(|branch| it.branch == branch)
                        && request
                            .query("target_branch")
                            .is_none_or(|base| it.base == base)
                });
                let (page, next) = request.page(&found, "per_page", 20, 100);
                Reply::new(200, page.iter().map(|it| merge_request(it)).collect()).with_next(next)
            }
            ("post", "/merge_requests") => {
                let text = |name: &str| request.text(name).unwrap_or_default();
                let (labels, assignees, reviewers) = (
                    request.list("/labels"),
                    ids("/assignee_ids"),
                    ids("/reviewer_ids"),
                );
                let (branch, base) = (text("/source_branch"), text("/target_branch"));
                match repo.open(&branch, &base, &text("/title"), &text("/description")) {
                    Ok(made) => {
                        (made.labels, made.assignees, made.reviewers) =
                            (labels, assignees, reviewers);
                        Reply::new(201, merge_request(made))
                    }
                    Err(Refusal::Exists) => Reply::new(
                        409,
                        json!({ "message": ["Another open merge request already exists for this source branch: !5"] }),
                    ),
                    Err(_) => Reply::new(422, json!({ "message": { "base": ["is not usable"] } })),
                }
            }
            ("get", "/repository/branches/{branch}") => {
                match repo.branches.get(&request.path["branch"]) {
                    Some(commit) => Reply::new(
                        200,
                        json!({ "name": request.path["branch"], "commit": { "id": commit } }),
                    ),
                    None => Reply::not_found(),
                }
            }
            ("delete", "/repository/branches/{branch}") => {
                match repo.delete_branch(&request.path["branch"]) {
                    true => Reply::new(204, Value::Null),
                    false => Reply::not_found(),
                }
            }
            _ => {
                let number = request
                    .number("merge_request_iid")
                    .max(request.number("noteable_id"));
                let Some(it) = repo.pull(number) else {
                    return Reply::not_found();
                };
                match (method, template) {
                    ("put", "/merge_requests/{merge_request_iid}") => {
                        if let Some(title) = request.text("/title") {
                            it.title = title;
                        }
                        if let Some(body) = request.text("/description") {
                            it.body = body;
                        }
                        if request.body["state_event"] == "close" {
                            it.state = PullRequestState::Closed;
                        }
                        Reply::new(200, merge_request(it))
                    }
                    ("put", "/merge_requests/{merge_request_iid}/merge") => {
                        if request.body["sha"] != it.commit.as_str() {
                            return Reply::new(
                                409,
                                json!({ "message": "SHA does not match HEAD of source branch" }),
                            );
                        }
                        assert!(
                            request.body["auto_merge"] == true
                                && request.body["merge_when_pipeline_succeeds"] == true
                        );
                        it.auto_merge = true;
                        Reply::new(200, merge_request(it))
                    }
                    ("get", "/merge_requests/{noteable_id}/notes") => {
                        let notes = it.comments.iter().rev();
                        Reply::new(
                            200,
                            notes
                                .map(|text| json!({ "body": text, "system": false }))
                                .collect(),
                        )
                    }
                    ("post", "/merge_requests/{noteable_id}/notes") => {
                        it.comments.push(request.text("/body").unwrap_or_default());
                        Reply::new(201, json!({}))
                    }
                    other => panic!("the fake does not know {other:?}"),
                }
            }
        }
    }
}
