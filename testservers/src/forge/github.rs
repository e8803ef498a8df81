//! GitHub's dialect.

use super::PullRequestState;
use serde_json::{Value, json};

use super::{Description, FakePull, OWNER, Refusal, Reply, Repo, Request, TOKEN};

pub(super) struct Dialect;

fn pull(it: &FakePull) -> Value {
    let head_repo = if it.from_fork { 8 } else { 7 };
    json!({
        "number": it.number,
        "node_id": format!("PR_{}", it.number),
        "html_url": format!("https://github.example/acme/apps/pull/{}", it.number),
        "state": if it.state == PullRequestState::Open { "open" } else { "closed" },
        "merged_at": (it.state == PullRequestState::Merged).then_some("2026-11-21T00:00:00Z"),
        "title": it.title,
        "body": it.body,
        "draft": it.draft,
        "head": { "ref": it.branch, "sha": it.commit, "repo": { "id": head_repo } },
        "base": { "ref": it.base, "sha": "0".repeat(40), "repo": { "id": 7 } },
    })
}

impl super::Dialect for Dialect {
    fn description(&self) -> Description {
        Description::new("github", include_str!("descriptions/github.json"))
    }

    fn prefix(&self) -> &'static str {
        "/api/v3"
    }

    fn handle(&self, repo: &mut Repo, request: &Request<'_>) -> Reply {
        let number = request
            .number("pull_number")
            .max(request.number("issue_number"));
        let (method, template) = request.operation.split_once(' ').expect("an operation");
        let template = template
            .strip_prefix("/repos/{owner}/{repo}")
            .unwrap_or(template);
        match (method, template) {
            ("get", "/pulls") => {
                let head = request.query("head").map(|head| {
                    head.strip_prefix(&format!("{OWNER}:"))
                        .expect("the head names its owner")
                        .to_owned()
                });
                let found = repo.newest(|it| {
                    let open = it.state == PullRequestState::Open;
                    let state = match request.query("state").unwrap_or("open") {
                        "open" => open,
                        "closed" => !open,
                        _ => true,
                    };
                    state
                        && head
                            .as_deref()
                            .is_none_or(|head| it.branch == head && !it.from_fork)
                        && request.query("base").is_none_or(|base| it.base == base)
                });
                let (page, next) = request.page(&found, "per_page", 30, 100);
                Reply::new(200, page.iter().map(|it| pull(it)).collect()).with_next(next)
            }
            ("post", "/pulls") => {
                let text = |name: &str| request.text(name).unwrap_or_default();
                let draft = request.body["draft"] == true;
                let (head, base) = (text("/head"), text("/base"));
                let error = |message: String| {
                    json!({
                        "message": "Validation Failed",
                        "errors": [{ "resource": "PullRequest", "code": "custom", "message": message }],
                        "status": "422",
                    })
                };
                match repo.open(&head, &base, &text("/title"), &text("/body")) {
                    Ok(made) => {
                        made.draft = draft;
                        Reply::new(201, pull(made))
                    }
                    Err(Refusal::Exists) => Reply::new(
                        422,
                        error(format!("A pull request already exists for {OWNER}:{head}.")),
                    ),
                    Err(Refusal::NothingToMerge) => {
                        Reply::new(422, error(format!("No commits between {base} and {head}")))
                    }
                    Err(Refusal::NoBranch) => Reply::new(422, error("head is invalid".to_owned())),
                }
            }
            ("get", "/branches/{branch}") => match repo.branches.get(&request.path["branch"]) {
                Some(commit) => Reply::new(
                    200,
                    json!({ "name": request.path["branch"], "commit": { "sha": commit } }),
                ),
                None => Reply::not_found(),
            },
            ("delete", "/git/refs/{ref}") => {
                let name = request.path["ref"]
                    .strip_prefix("heads/")
                    .expect("a branch")
                    .to_owned();
                match repo.delete_branch(&name) {
                    true => Reply::new(204, Value::Null),
                    false => Reply::new(422, json!({ "message": "Reference does not exist" })),
                }
            }
            ("get", "/orgs/{org}/installation" | "/users/{username}/installation") => {
                let owner = request.path.get("org").map(|org| format!("orgs/{org}"));
                let owner = owner.unwrap_or_else(|| format!("users/{}", request.path["username"]));
                match repo.installed_for == owner {
                    true => Reply::new(200, json!({ "id": 4711 })),
                    false => Reply::not_found(),
                }
            }
            ("post", "/app/installations/{installation_id}/access_tokens") => {
                assert_eq!(request.path["installation_id"], "4711");
                repo.tokens += 1;
                let now = if repo.at_real_time {
                    jiff::Timestamp::now()
                } else {
                    super::now()
                };
                let expires_at = (now + jiff::SignedDuration::from_hours(1)).to_string();
                Reply::new(
                    201,
                    json!({ "token": format!("{TOKEN}-{}", repo.tokens), "expires_at": expires_at }),
                )
            }
            (_, _) => {
                let Some(it) = repo.pull(number) else {
                    return Reply::not_found();
                };
                match (method, template) {
                    ("patch", "/pulls/{pull_number}") => {
                        if let Some(title) = request.text("/title") {
                            it.title = title;
                        }
                        if let Some(body) = request.text("/body") {
                            it.body = body;
                        }
                        if request.body["state"] == "closed" {
                            it.state = PullRequestState::Closed;
                        }
                        Reply::new(200, pull(it))
                    }
                    ("put", "/pulls/{pull_number}/merge") => {
                        assert_eq!(request.body["sha"], it.commit.as_str());
                        it.state = PullRequestState::Merged;
                        Reply::new(200, json!({ "merged": true }))
                    }
                    ("post", "/pulls/{pull_number}/requested_reviewers") => {
                        it.reviewers = request.list("/reviewers");
                        it.reviewers.extend(
                            request
                                .list("/team_reviewers")
                                .iter()
                                .map(|team| format!("{OWNER}/{team}")),
                        );
                        Reply::new(201, pull(it))
                    }
                    ("post", "/issues/{issue_number}/labels") => {
                        it.labels = request.list("/labels");
                        Reply::new(
                            200,
                            it.labels
                                .iter()
                                .map(|name| json!({ "name": name }))
                                .collect(),
                        )
                    }
                    ("post", "/issues/{issue_number}/assignees") => {
                        it.assignees = request.list("/assignees");
                        Reply::new(201, json!({}))
                    }
                    ("post", "/issues/{issue_number}/comments") => {
                        it.comments.push(request.text("/body").unwrap_or_default());
                        Reply::new(201, json!({}))
                    }
                    ("get", "/issues/{issue_number}/comments") => Reply::new(
                        200,
                        it.comments
                            .iter()
                            .map(|text| json!({ "body": text }))
                            .collect(),
                    ),
                    other => panic!("the fake does not know {other:?}"),
                }
            }
        }
    }

    /// GraphQL, which the REST description leaves out: held to the mutation's input in the published schema.
    fn special(&self, repo: &mut Repo, method: &str, path: &str, body: &Value) -> Option<Reply> {
        if path != "/api/graphql" || method != "POST" {
            return None;
        }
        let schema: Value =
            serde_json::from_str(include_str!("descriptions/github-graphql.json")).expect("JSON");
        let query = body["query"].as_str().unwrap_or_default();
        let input = &body["variables"]["input"];
        let (name, mutation) = schema["mutations"]
            .as_object()
            .and_then(|all| all.iter().next())
            .expect("a mutation");
        let kind = mutation["input"].as_str().expect("its input");
        let allowed = &schema["inputs"][kind]["properties"];
        let mut faults = Vec::new();
        if !query.contains(&format!("{name}(input: $input)"))
            || !query.contains(&format!("$input: {kind}!"))
        {
            faults.push(format!("graphql: {query} is not {name} with {kind}"));
        }
        for (field, value) in input.as_object().into_iter().flatten() {
            let known = &allowed[field];
            let in_enum = known["enum"]
                .as_array()
                .is_none_or(|values| values.contains(value));
            if !known.is_object() || !in_enum {
                faults.push(format!("graphql: {field}: {value}"));
            }
        }
        if !input["pullRequestId"].is_string() {
            faults.push("graphql: pullRequestId is missing".to_owned());
        }
        repo.faults.extend(faults);
        let number = input["pullRequestId"]
            .as_str()
            .and_then(|id| id.strip_prefix("PR_")?.parse().ok())
            .unwrap_or(0);
        let Some(it) = repo.pull(number) else {
            return Some(Reply::new(
                200,
                json!({ "data": null, "errors": [{ "message": "Could not resolve to a node" }] }),
            ));
        };
        if input["expectedHeadOid"] != it.commit.as_str() {
            return Some(Reply::new(
                200,
                json!({ "errors": [{ "message": "head has changed" }] }),
            ));
        }
        it.auto_merge = true;
        Some(Reply::new(
            200,
            json!({ "data": { name: { "clientMutationId": null } } }),
        ))
    }
}
