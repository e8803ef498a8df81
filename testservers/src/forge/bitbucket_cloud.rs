//! Bitbucket Cloud's dialect.

use super::PullRequestState;
use serde_json::{Value, json};

use super::{Description, FakePull, Refusal, Reply, Repo, Request};

pub(super) struct Dialect;

fn state(it: &FakePull) -> &'static str {
    match it.state {
        PullRequestState::Open => "OPEN",
        PullRequestState::Merged => "MERGED",
        PullRequestState::Closed => "DECLINED",
    }
}

fn pull(it: &FakePull) -> Value {
    let repository = |uuid: &str| json!({ "uuid": uuid });
    json!({
        "id": it.number,
        "links": { "html": { "href": format!("https://bitbucket.example/acme/apps/pull-requests/{}", it.number) } },
        "state": state(it),
        "title": it.title,
        "summary": { "raw": it.body },
        "draft": it.draft,
        "source": {
            "branch": { "name": it.branch },
            // Twelve digits, as the real one.
            "commit": { "hash": it.commit[..12] },
            "repository": repository(if it.from_fork { "{fork}" } else { "{own}" }),
        },
        "destination": { "branch": { "name": it.base }, "repository": repository("{own}") },
        "reviewers": it.reviewers.iter().map(|id| json!({ "uuid": id })).collect::<Vec<_>>(),
    })
}

impl super::Dialect for Dialect {
    fn description(&self) -> Description {
        Description::new(
            "bitbucket-cloud",
            include_str!("descriptions/bitbucket-cloud.json"),
        )
    }

    fn prefix(&self) -> &'static str {
        "/2.0"
    }

    fn handle(&self, repo: &mut Repo, request: &Request<'_>) -> Reply {
        let (method, template) = request.operation.split_once(' ').expect("an operation");
        let template = template
            .strip_prefix("/repositories/{workspace}/{repo_slug}")
            .expect("of a repository");
        let error = |status, message: &str| {
            Reply::new(
                status,
                json!({ "type": "error", "error": { "message": message } }),
            )
        };
        match (method, template) {
            ("get", "/pullrequests") => {
                let states = request.all("state");
                let query = request.query("q").expect("a filter");
                let (field, value) = query.split_once(" = ").expect("a comparison");
                let value: String = serde_json::from_str(value).expect("a quoted string");
                let found = repo.newest(|it| {
                    states.contains(&state(it))
                        && match field {
                            "source.branch.name" => it.branch == value,
                            "destination.branch.name" => it.base == value,
                            other => panic!("field {other}"),
                        }
                });
                let (page, next) = request.page(&found, "pagelen", 10, 50);
                let mut answer =
                    json!({ "values": page.iter().map(|it| pull(it)).collect::<Vec<_>>() });
                if next {
                    answer["next"] = json!("http://elsewhere.invalid/");
                }
                Reply::new(200, answer)
            }
            ("post", "/pullrequests") => {
                let text = |name: &str| request.text(name).unwrap_or_default();
                let reviewers: Vec<String> = request.body["reviewers"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|it| it["uuid"].as_str().or(it["account_id"].as_str()))
                    .map(str::to_owned)
                    .collect();
                let draft = request.body["draft"] == true;
                let (branch, base) = (
                    text("/source/branch/name"),
                    text("/destination/branch/name"),
                );
                match repo.open(&branch, &base, &text("/title"), &text("/description")) {
                    Ok(made) => {
                        (made.draft, made.reviewers) = (draft, reviewers);
                        Reply::new(201, pull(made))
                    }
                    // What the real one does is not documented. The hardest case: it changes the one there is, and answers with it.
                    Err(Refusal::Exists) => {
                        let it = repo
                            .pulls
                            .iter_mut()
                            .find(|it| it.branch == branch && it.state == PullRequestState::Open)
                            .expect("it exists");
                        (it.title, it.body, it.reviewers) =
                            (text("/title"), text("/description"), reviewers);
                        Reply::new(201, pull(it))
                    }
                    Err(Refusal::NothingToMerge) => error(400, "There are no changes to be pulled"),
                    Err(Refusal::NoBranch) => error(400, "source branch does not exist"),
                }
            }
            ("get", "/refs/branches/{name}") => match repo.branches.get(&request.path["name"]) {
                Some(commit) => Reply::new(
                    200,
                    json!({ "name": request.path["name"], "target": { "hash": commit } }),
                ),
                None => error(404, "Branch not found"),
            },
            ("delete", "/refs/branches/{name}") => {
                match repo.delete_branch(&request.path["name"]) {
                    true => Reply::new(204, Value::Null),
                    false => error(404, "Branch not found"),
                }
            }
            _ => {
                let Some(it) = repo.pull(request.number("pull_request_id")) else {
                    return Reply::not_found();
                };
                match (method, template) {
                    ("get", "/pullrequests/{pull_request_id}") => Reply::new(200, pull(it)),
                    ("put", "/pullrequests/{pull_request_id}") => {
                        if it.state != PullRequestState::Open {
                            return error(400, "only open pull requests can be changed");
                        }
                        let Some(title) = request.text("/title") else {
                            return error(400, "title is required");
                        };
                        it.title = title;
                        if let Some(body) = request.text("/description") {
                            it.body = body;
                        }
                        let reviewers = request.body["reviewers"]
                            .as_array()
                            .cloned()
                            .unwrap_or_default();
                        it.reviewers = reviewers
                            .iter()
                            .filter_map(|it| it["uuid"].as_str())
                            .map(str::to_owned)
                            .collect();
                        Reply::new(200, pull(it))
                    }
                    ("post", "/pullrequests/{pull_request_id}/decline") => {
                        it.state = PullRequestState::Closed;
                        Reply::new(200, pull(it))
                    }
                    ("get", "/pullrequests/{pull_request_id}/comments") => {
                        let comments = it
                            .comments
                            .iter()
                            .map(|text| json!({ "content": { "raw": text } }));
                        Reply::new(200, json!({ "values": comments.collect::<Vec<_>>() }))
                    }
                    ("post", "/pullrequests/{pull_request_id}/comments") => {
                        it.comments
                            .push(request.text("/content/raw").unwrap_or_default());
                        Reply::new(201, json!({}))
                    }
                    other => panic!("the fake does not know {other:?}"),
                }
            }
        }
    }
}
