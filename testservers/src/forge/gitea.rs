//! Gitea's and Forgejo's dialect.

use super::PullRequestState;
use serde_json::{Value, json};

use super::{Description, FakePull, OWNER, Refusal, Reply, Repo, Request};

pub(super) struct Dialect;

fn pull(it: &FakePull, has_branch: bool) -> Value {
    let gone = format!("refs/pull/{}/head", it.number);
    json!({
        "number": it.number,
        "html_url": format!("https://gitea.example/acme/apps/pulls/{}", it.number),
        "state": if it.state == PullRequestState::Open { "open" } else { "closed" },
        "merged": it.state == PullRequestState::Merged,
        "title": it.title,
        "body": it.body,
        "draft": it.title.starts_with("WIP: "),
        "head": {
            "label": it.branch,
            "ref": if has_branch { &it.branch } else { &gone },
            "sha": it.commit,
            "repo_id": if it.from_fork { 8 } else { 7 },
        },
        "base": { "label": it.base, "ref": it.base, "sha": "0", "repo_id": 7 },
    })
}

impl super::Dialect for Dialect {
    fn description(&self) -> Description {
        Description::new("forgejo", include_str!("descriptions/forgejo.json"))
    }

    fn relative(&self) -> Option<Description> {
        Some(Description::new(
            "gitea",
            include_str!("descriptions/gitea.json"),
        ))
    }

    fn prefix(&self) -> &'static str {
        "/api/v1"
    }

    fn handle(&self, repo: &mut Repo, request: &Request<'_>) -> Reply {
        let (method, template) = request.operation.split_once(' ').expect("an operation");
        let template = template
            .strip_prefix("/repos/{owner}/{repo}")
            .unwrap_or(template);
        match (method, template) {
            ("get", "/pulls") => {
                // As an older server: the filters by branch are not known, and not heeded.
                let found = repo.newest(|it| match request.query("state").unwrap_or("open") {
                    "open" => it.state == PullRequestState::Open,
                    "closed" => it.state != PullRequestState::Open,
                    _ => true,
                });
                let (page, next) = request.page(&found, "limit", 30, 50);
                let answer = page
                    .iter()
                    .map(|it| pull(it, repo.branches.contains_key(&it.branch)))
                    .collect();
                Reply::new(200, answer).with_next(next)
            }
            ("post", "/pulls") => {
                let text = |name: &str| request.text(name).unwrap_or_default();
                let assignees = request.list("/assignees");
                match repo.open(
                    &text("/head"),
                    &text("/base"),
                    &text("/title"),
                    &text("/body"),
                ) {
                    Ok(made) => {
                        made.assignees = assignees;
                        Reply::new(201, pull(made, true))
                    }
                    Err(Refusal::Exists) => Reply::new(
                        409,
                        json!({ "message": "pull request already exists for these targets" }),
                    ),
                    Err(_) => Reply::not_found(),
                }
            }
            ("get", "/labels") => {
                let labels: Vec<Value> = repo
                    .labels
                    .iter()
                    .enumerate()
                    .map(|(id, name)| json!({ "id": id + 1, "name": name }))
                    .collect();
                Reply::new(200, Value::Array(labels))
            }
            ("get", "/orgs/{org}/labels") => {
                Reply::new(200, json!([{ "id": 900, "name": "from-the-organization" }]))
            }
            ("post", "/labels") => {
                repo.labels.push(request.text("/name").unwrap_or_default());
                Reply::new(
                    201,
                    json!({ "id": repo.labels.len(), "name": request.text("/name") }),
                )
            }
            ("get", "/branches/{branch}") => match repo.branches.get(&request.path["branch"]) {
                Some(commit) => Reply::new(
                    200,
                    json!({ "name": request.path["branch"], "commit": { "id": commit } }),
                ),
                None => Reply::not_found(),
            },
            ("delete", "/branches/{branch}") => match repo.delete_branch(&request.path["branch"]) {
                true => Reply::new(204, Value::Null),
                false => Reply::not_found(),
            },
            _ => {
                let labels = repo.labels.clone();
                let Some(it) = repo.pull(request.number("index")) else {
                    return Reply::not_found();
                };
                match (method, template) {
                    ("patch", "/pulls/{index}") => {
                        if let Some(title) = request.text("/title") {
                            it.title = title;
                        }
                        if let Some(body) = request.text("/body") {
                            it.body = body;
                        }
                        if request.body["state"] == "closed" {
                            it.state = PullRequestState::Closed;
                        }
                        Reply::new(201, pull(it, true))
                    }
                    ("post", "/pulls/{index}/merge") => {
                        assert_eq!(request.body["merge_when_checks_succeed"], true);
                        assert_eq!(request.body["head_commit_id"], it.commit.as_str());
                        if it.auto_merge {
                            return Reply::new(
                                409,
                                json!({ "message": "The scheduled auto merge already exists" }),
                            );
                        }
                        it.auto_merge = true;
                        Reply::new(200, Value::Null)
                    }
                    ("post", "/pulls/{index}/requested_reviewers") => {
                        it.reviewers = request.list("/reviewers");
                        it.reviewers.extend(
                            request
                                .list("/team_reviewers")
                                .iter()
                                .map(|team| format!("{OWNER}/{team}")),
                        );
                        Reply::new(201, json!([]))
                    }
                    ("post", "/issues/{index}/labels") => {
                        let ids = request.body["labels"].as_array().expect("ids");
                        let name = |id: &Value| match id.as_u64() {
                            Some(900) => "from-the-organization".to_owned(),
                            Some(id) => labels[usize::try_from(id - 1).expect("small")].clone(),
                            None => panic!("{id} is no number"),
                        };
                        it.labels = ids.iter().map(name).collect();
                        Reply::new(200, json!([]))
                    }
                    ("get", "/issues/{index}/comments") => Reply::new(
                        200,
                        it.comments
                            .iter()
                            .map(|text| json!({ "body": text }))
                            .collect(),
                    ),
                    ("post", "/issues/{index}/comments") => {
                        it.comments.push(request.text("/body").unwrap_or_default());
                        Reply::new(201, json!({}))
                    }
                    other => panic!("the fake does not know {other:?}"),
                }
            }
        }
    }
}
