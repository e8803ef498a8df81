//! Bitbucket Data Center's dialect.

use super::PullRequestState;
use serde_json::{Value, json};

use super::{Description, FakePull, NAME, OWNER, Refusal, Reply, Repo, Request};

pub(super) struct Dialect;

fn state(it: &FakePull) -> &'static str {
    match it.state {
        PullRequestState::Open => "OPEN",
        PullRequestState::Merged => "MERGED",
        PullRequestState::Closed => "DECLINED",
    }
}

fn pull(it: &FakePull) -> Value {
    let repository = |project: &str| json!({ "slug": NAME, "project": { "key": project } });
    json!({
        "id": it.number,
        "version": it.version,
        "links": { "self": [{ "href": format!("https://bitbucket.example/projects/acme/repos/apps/pull-requests/{}", it.number) }] },
        "state": state(it),
        "title": it.title,
        "description": it.body,
        "draft": it.draft,
        "fromRef": {
            "id": format!("refs/heads/{}", it.branch),
            "latestCommit": it.commit,
            "repository": repository(if it.from_fork { "~somebody" } else { OWNER }),
        },
        "toRef": { "id": format!("refs/heads/{}", it.base), "repository": repository(OWNER) },
        "reviewers": it.reviewers.iter().map(|name| json!({ "user": { "name": name } })).collect::<Vec<_>>(),
    })
}

fn page(values: Vec<Value>, start: usize, limit: usize) -> Reply {
    let end = (start + limit).min(values.len());
    let last = end == values.len();
    let mut answer = json!({ "values": values[start.min(end)..end], "isLastPage": last, "start": start, "limit": limit });
    if !last {
        answer["nextPageStart"] = json!(end);
    }
    Reply::new(200, answer)
}

fn conflict(exception: &str, message: &str) -> Reply {
    let name = format!("com.atlassian.bitbucket.pull.{exception}");
    Reply::new(
        409,
        json!({ "errors": [{ "context": null, "message": message, "exceptionName": name }] }),
    )
}

impl super::Dialect for Dialect {
    fn description(&self) -> Description {
        Description::new(
            "bitbucket-data-center",
            include_str!("descriptions/bitbucket-data-center.json"),
        )
    }

    fn prefix(&self) -> &'static str {
        "/rest"
    }

    fn handle(&self, repo: &mut Repo, request: &Request<'_>) -> Reply {
        let (method, template) = request.operation.split_once(' ').expect("an operation");
        let (_, template) = template
            .split_once("/repos/{repositorySlug}")
            .expect("of a repository");
        let number = |name: &str, default| {
            request
                .query(name)
                .and_then(|text| text.parse().ok())
                .unwrap_or(default)
        };
        let (start, limit) = (number("start", 0), number("limit", 25).min(100));
        let branch_at = |pointer: &str| {
            request
                .text(pointer)
                .and_then(|id| id.strip_prefix("refs/heads/").map(str::to_owned))
                .expect("a full name")
        };
        match (method, template) {
            ("get", "/pull-requests") => {
                let at = request
                    .query("at")
                    .and_then(|at| at.strip_prefix("refs/heads/"))
                    .expect("a full name");
                let wanted = request.query("state").unwrap_or("OPEN");
                let found = repo.newest(|it| {
                    (wanted == "ALL" || wanted == state(it))
                        && match request.query("direction").unwrap_or("INCOMING") {
                            "INCOMING" => it.base == at,
                            _ => it.branch == at,
                        }
                });
                page(found.into_iter().map(pull).collect(), start, limit)
            }
            ("post", "/pull-requests") => {
                let text = |name: &str| request.text(name).unwrap_or_default();
                assert_eq!(request.body["toRef"]["repository"]["project"]["key"], OWNER);
                let names = request.body["reviewers"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default();
                let reviewers = names
                    .iter()
                    .filter_map(|it| it["user"]["name"].as_str())
                    .map(str::to_owned)
                    .collect();
                let draft = request.body["draft"] == true;
                match repo.open(
                    &branch_at("/fromRef/id"),
                    &branch_at("/toRef/id"),
                    &text("/title"),
                    &text("/description"),
                ) {
                    Ok(made) => {
                        (made.draft, made.reviewers) = (draft, reviewers);
                        Reply::new(201, pull(made))
                    }
                    Err(Refusal::Exists) => conflict(
                        "DuplicatePullRequestException",
                        "Only one pull request may be open for a given source and target branch",
                    ),
                    Err(Refusal::NothingToMerge) => conflict(
                        "EmptyPullRequestException",
                        "main is already up-to-date with branch",
                    ),
                    Err(Refusal::NoBranch) => Reply::not_found(),
                }
            }
            ("get", "/branches") => {
                let text = request.query("filterText").unwrap_or_default();
                let found = repo.branches.iter().filter(|(name, _)| name.contains(text)).map(|(name, commit)| {
                    json!({ "id": format!("refs/heads/{name}"), "displayId": name, "latestCommit": commit })
                });
                page(found.collect(), start, limit)
            }
            ("delete", "/branches") => {
                let name = branch_at("/name");
                if repo.branches.get(&name).map(String::as_str) != request.body["endPoint"].as_str()
                {
                    return conflict("BranchMovedException", "the branch has moved");
                }
                repo.delete_branch(&name);
                Reply::new(204, Value::Null)
            }
            _ => {
                let Some(it) = repo.pull(request.number("pullRequestId")) else {
                    return Reply::not_found();
                };
                let out_of_date = || {
                    conflict(
                        "PullRequestOutOfDateException",
                        "attempt to modify an out-of-date pull request",
                    )
                };
                let body_version = request.body["version"].as_u64();
                match (method, template) {
                    ("get", "/pull-requests/{pullRequestId}") => Reply::new(200, pull(it)),
                    ("put", "/pull-requests/{pullRequestId}") => {
                        if body_version != Some(it.version) || it.state != PullRequestState::Open {
                            return out_of_date();
                        }
                        it.version += 1;
                        it.title = request.text("/title").expect("a title");
                        it.body = request.text("/description").unwrap_or_default();
                        let names = request.body["reviewers"]
                            .as_array()
                            .cloned()
                            .unwrap_or_default();
                        it.reviewers = names
                            .iter()
                            .filter_map(|it| it["user"]["name"].as_str())
                            .map(str::to_owned)
                            .collect();
                        Reply::new(200, pull(it))
                    }
                    ("post", "/pull-requests/{pullRequestId}/decline") => {
                        if request.query("version") != Some(it.version.to_string().as_str()) {
                            return out_of_date();
                        }
                        it.version += 1;
                        it.state = PullRequestState::Closed;
                        Reply::new(200, pull(it))
                    }
                    ("post", "/pull-requests/{pullRequestId}/merge") => {
                        assert_eq!(request.body["autoMerge"], true);
                        if body_version != Some(it.version) {
                            return out_of_date();
                        }
                        it.auto_merge = true;
                        Reply::new(200, pull(it))
                    }
                    ("get", "/pull-requests/{pullRequestId}/activities") => {
                        let comments = it.comments.iter().rev().map(
                            |text| json!({ "action": "COMMENTED", "comment": { "text": text } }),
                        );
                        page(comments.collect(), start, limit)
                    }
                    ("post", "/pull-requests/{pullRequestId}/comments") => {
                        it.comments.push(request.text("/text").unwrap_or_default());
                        Reply::new(201, json!({}))
                    }
                    other => panic!("the fake does not know {other:?}"),
                }
            }
        }
    }
}
