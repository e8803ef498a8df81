//! Forges that exist only in memory: one state, six dialects, each held to the vendor's description.
//!
//! A fake keeps pull requests, branches, labels and comments as the real one does (deleting a branch closes its pull
//! request, a second one for a branch is refused), and can be made to die at any request, before or after doing it.

#![allow(
    clippy::match_bool,
    clippy::needless_pass_by_value,
    clippy::too_many_lines,
    reason = "a dialect is one long table from operation to effect"
)]

mod azure_devops;
mod bitbucket_cloud;
mod bitbucket_data_center;
mod gitea;
mod github;
mod gitlab;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Value, json};
use tagline_updater::forge::{
    ConnectOptions, Connection, Credentials, Provider, PullRequestState, PullRequests,
    RepositoryAddress, connect,
};

use super::openapi::{Description, decode};

/// The credential of all tests; it must show up nowhere.
pub(crate) const TOKEN: &str = "s3cr3t-t0ken-0123456789";
pub(crate) const OWNER: &str = "acme";
pub(crate) const NAME: &str = "apps";

/// A pull request of the fake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FakePull {
    pub(crate) number: u64,
    pub(crate) branch: String,
    pub(crate) base: String,
    pub(crate) commit: String,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) draft: bool,
    pub(crate) state: PullRequestState,
    pub(crate) labels: Vec<String>,
    pub(crate) reviewers: Vec<String>,
    pub(crate) assignees: Vec<String>,
    pub(crate) comments: Vec<String>,
    pub(crate) auto_merge: bool,
    pub(crate) version: u64,
    pub(crate) from_fork: bool,
}

/// Dies at a request: what comes later is not answered until it is revived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    BeforeDoing(usize),
    AfterDoing(usize),
}

/// Status, headers, body.
pub(crate) type Canned = (u16, Vec<(&'static str, String)>, String);

/// What the fake remembers.
#[derive(Debug, Default)]
pub(crate) struct Repo {
    pub(crate) pulls: Vec<FakePull>,
    pub(crate) branches: BTreeMap<String, String>,
    pub(crate) labels: Vec<String>,
    /// Changing requests that were done: `POST /…`.
    pub(crate) changes: Vec<String>,
    /// All requests.
    pub(crate) requests: usize,
    /// Departures from the description.
    pub(crate) faults: Vec<String>,
    pub(crate) death: Option<Death>,
    pub(crate) dead: bool,
    /// Somebody else opens the same pull request right before ours.
    pub(crate) race: bool,
    /// Answers given instead of the true ones, first come first served.
    pub(crate) canned: Vec<Canned>,
    /// This request, counted from 0, is answered with 429.
    pub(crate) limit_at: Option<usize>,
    /// The `Authorization` headers seen.
    pub(crate) authorizations: Vec<String>,
    /// The GitHub App's installation: `orgs/NAME` or `users/NAME`.
    pub(crate) installed_for: String,
    /// Installation tokens given out.
    pub(crate) tokens: usize,
}

impl Repo {
    pub(crate) fn set_branch(&mut self, name: &str, commit: &str) {
        self.branches.insert(name.to_owned(), commit.to_owned());
        for pull in self
            .pulls
            .iter_mut()
            .filter(|it| it.branch == name && it.state == PullRequestState::Open)
        {
            commit.clone_into(&mut pull.commit);
        }
    }

    pub(crate) fn pull(&mut self, number: u64) -> Option<&mut FakePull> {
        self.pulls.iter_mut().find(|it| it.number == number)
    }

    pub(crate) fn open_pulls(&self) -> Vec<&FakePull> {
        self.pulls
            .iter()
            .filter(|it| it.state == PullRequestState::Open && !it.from_fork)
            .collect()
    }

    /// Puts one there without any request.
    pub(crate) fn plant(&mut self, branch: &str, title: &str, body: &str) -> u64 {
        let number = self.pulls.len() as u64 + 1;
        let commit = self
            .branches
            .entry(branch.to_owned())
            .or_insert_with(|| "f".repeat(40))
            .clone();
        self.pulls.push(FakePull {
            number,
            branch: branch.to_owned(),
            base: "main".to_owned(),
            commit,
            title: title.to_owned(),
            body: body.to_owned(),
            draft: false,
            state: PullRequestState::Open,
            labels: Vec::new(),
            reviewers: Vec::new(),
            assignees: Vec::new(),
            comments: Vec::new(),
            auto_merge: false,
            version: 0,
            from_fork: false,
        });
        number
    }

    /// Opens one as a forge does; `Err` where the branch has one.
    fn open(
        &mut self,
        branch: &str,
        base: &str,
        title: &str,
        body: &str,
    ) -> Result<&mut FakePull, Refusal> {
        if !self.branches.contains_key(branch) {
            return Err(Refusal::NoBranch);
        }
        if self.branches.get(branch) == self.branches.get(base) {
            return Err(Refusal::NothingToMerge);
        }
        if std::mem::take(&mut self.race) {
            self.plant(branch, title, body);
        }
        if self
            .open_pulls()
            .iter()
            .any(|it| it.branch == branch && it.base == base)
        {
            return Err(Refusal::Exists);
        }
        self.plant(branch, title, body);
        let pull = self.pulls.last_mut().expect("planted");
        base.clone_into(&mut pull.base);
        Ok(pull)
    }

    fn delete_branch(&mut self, name: &str) -> bool {
        for pull in self
            .pulls
            .iter_mut()
            .filter(|it| it.branch == name && it.state == PullRequestState::Open)
        {
            pull.state = PullRequestState::Closed;
        }
        self.branches.remove(name).is_some()
    }

    /// The newest first.
    fn newest(&self, keep: impl Fn(&FakePull) -> bool) -> Vec<&FakePull> {
        let mut found: Vec<&FakePull> = self.pulls.iter().filter(|it| keep(it)).collect();
        found.sort_by_key(|it| std::cmp::Reverse(it.number));
        found
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Exists,
    NoBranch,
    NothingToMerge,
}

/// A request after the description has allowed it.
struct Request<'r> {
    operation: &'r str,
    path: &'r BTreeMap<String, String>,
    query: &'r [(String, String)],
    body: &'r Value,
}

impl Request<'_> {
    fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    fn all(&self, name: &str) -> Vec<&str> {
        self.query
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    fn number(&self, name: &str) -> u64 {
        self.path
            .get(name)
            .and_then(|text| text.parse().ok())
            .unwrap_or_default()
    }

    fn text(&self, pointer: &str) -> Option<String> {
        self.body
            .pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned)
    }

    fn list(&self, pointer: &str) -> Vec<String> {
        let items = self.body.pointer(pointer).and_then(Value::as_array);
        items
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    }

    /// One page, and whether another follows.
    fn page<'i, T>(
        &self,
        items: &'i [T],
        size: &str,
        default: usize,
        most: usize,
    ) -> (&'i [T], bool) {
        let size = self
            .query(size)
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
            .min(most);
        let page: usize = self
            .query("page")
            .and_then(|text| text.parse().ok())
            .unwrap_or(1);
        let start = ((page - 1) * size).min(items.len());
        let end = (start + size).min(items.len());
        (&items[start..end], end < items.len())
    }
}

/// An answer of a dialect, before it is filled up and checked.
struct Reply {
    status: u16,
    body: Value,
    headers: Vec<(&'static str, String)>,
}

impl Reply {
    fn new(status: u16, body: Value) -> Self {
        Self {
            status,
            body,
            headers: Vec::new(),
        }
    }

    fn with_next(mut self, next: bool) -> Self {
        if next {
            // A host that must not be followed.
            self.headers.push((
                "link",
                "<http://elsewhere.invalid/?page=2>; rel=\"next\"".to_owned(),
            ));
        }
        self
    }

    fn not_found() -> Self {
        Self::new(404, json!({ "message": "Not Found" }))
    }
}

trait Dialect: Send + Sync {
    fn description(&self) -> Description;
    /// Below the server's address.
    fn prefix(&self) -> &'static str;
    fn handle(&self, repo: &mut Repo, request: &Request<'_>) -> Reply;
    /// Requests outside the description.
    fn special(
        &self,
        _repo: &mut Repo,
        _method: &Method,
        _path: &str,
        _body: &Value,
    ) -> Option<Reply> {
        None
    }
}

fn dialect(provider: Provider) -> Box<dyn Dialect> {
    match provider {
        Provider::GitHub => Box::new(github::Dialect),
        Provider::GitLab => Box::new(gitlab::Dialect),
        Provider::Gitea => Box::new(gitea::Dialect),
        Provider::BitbucketCloud => Box::new(bitbucket_cloud::Dialect),
        Provider::BitbucketDataCenter => Box::new(bitbucket_data_center::Dialect),
        Provider::AzureDevOps => Box::new(azure_devops::Dialect),
    }
}

struct Shared {
    dialect: Box<dyn Dialect>,
    description: Description,
    repo: Mutex<Repo>,
}

/// A running fake.
pub(crate) struct Fake {
    pub(crate) provider: Provider,
    pub(crate) address: String,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

impl Fake {
    pub(crate) async fn start(provider: Provider) -> Self {
        let dialect = dialect(provider);
        let shared = Arc::new(Shared {
            description: dialect.description(),
            dialect,
            repo: Mutex::new(Repo {
                branches: BTreeMap::from([("main".to_owned(), "0".repeat(40))]),
                ..Repo::default()
            }),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let app = axum::Router::new()
            .fallback(serve)
            .with_state(shared.clone());
        let server =
            tokio::spawn(async move { axum::serve(listener, app).await.expect("serving") });
        Self {
            provider,
            address,
            shared,
            server,
        }
    }

    pub(crate) fn repo(&self) -> MutexGuard<'_, Repo> {
        self.shared.repo.lock().expect("no panic in the fake")
    }

    /// Our client to it, with `credentials` and the clock at `now`.
    pub(crate) fn client_with(
        &self,
        credentials: Credentials,
        options: ConnectOptions,
    ) -> Box<dyn PullRequests> {
        let repository = RepositoryAddress {
            provider: self.provider,
            api: format!("{}{}", self.address, self.shared.dialect.prefix())
                .parse()
                .expect("an address"),
            owner: OWNER.to_owned(),
            name: NAME.to_owned(),
        };
        connect(Connection {
            repository,
            credentials,
            options,
        })
        .expect("a client")
    }

    pub(crate) fn client(&self) -> Box<dyn PullRequests> {
        self.client_with(Credentials::Token(SecretString::from(TOKEN)), options())
    }

    /// The faults found until now must be none.
    pub(crate) fn check(&self) {
        let faults = self.repo().faults.clone();
        assert!(
            faults.is_empty(),
            "departs from the description:\n{}",
            faults.join("\n")
        );
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Fast, and at a fixed time.
pub(crate) fn options() -> ConnectOptions {
    ConnectOptions {
        write_interval: Some(Duration::ZERO),
        timeout: Duration::from_secs(20),
        clock: Arc::new(now),
        ..ConnectOptions::default()
    }
}

pub(crate) fn now() -> Timestamp {
    "2026-11-21T06:00:00Z".parse().expect("a time")
}

async fn serve(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut repo = shared.repo.lock().expect("no panic in the fake");
    let at = repo.requests;
    repo.requests += 1;
    let authorization = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    repo.authorizations.push(authorization.to_owned());
    if !repo.canned.is_empty() {
        let (status, headers, body) = repo.canned.remove(0);
        return response(status, &headers, body);
    }
    if repo.limit_at == Some(at) {
        return response(429, &[("retry-after", "90".to_owned())], String::new());
    }
    if repo.dead || repo.death == Some(Death::BeforeDoing(at)) {
        repo.dead = true;
        return response(502, &[], String::new());
    }
    let reply = judge(&shared, &mut repo, &method, &uri, &body);
    if repo.death == Some(Death::AfterDoing(at)) {
        repo.dead = true;
        return response(502, &[], String::new());
    }
    response(
        reply.status,
        &reply.headers,
        if reply.body.is_null() {
            String::new()
        } else {
            reply.body.to_string()
        },
    )
}

fn judge(shared: &Shared, repo: &mut Repo, method: &Method, uri: &Uri, body: &Bytes) -> Reply {
    let changes = *method != Method::GET;
    let path = uri.path();
    let refuse = |repo: &mut Repo, faults: Vec<String>| {
        repo.faults.extend(faults);
        Reply::new(418, json!({ "message": "departs from the description" }))
    };
    let json: Option<Value> = if body.is_empty() {
        None
    } else {
        serde_json::from_slice(body).ok()
    };
    if let Some(reply) =
        shared
            .dialect
            .special(repo, method, path, json.as_ref().unwrap_or(&Value::Null))
    {
        repo.changes.push(format!("{method} {path}"));
        return reply;
    }
    let Some(below) = path.strip_prefix(shared.dialect.prefix()) else {
        return refuse(repo, vec![format!("{method} {path}: outside the API")]);
    };
    let Some(matched) = shared.description.find(method.as_str(), below) else {
        return refuse(repo, vec![format!("{method} {below}: not described")]);
    };
    let query: Vec<(String, String)> =
        url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
    let faults = shared
        .description
        .check_request(&matched, &query, json.as_ref());
    if !faults.is_empty() {
        return refuse(repo, faults);
    }
    let request = Request {
        operation: &matched.operation,
        path: &matched.path,
        query: &query,
        body: json.as_ref().unwrap_or(&Value::Null),
    };
    if changes {
        repo.changes.push(format!("{method} {}", decode(below)));
    }
    let mut reply = shared.dialect.handle(repo, &request);
    if reply.status < 300 {
        match shared
            .description
            .answer(&matched, reply.status, reply.body)
        {
            Ok(body) => reply.body = body,
            Err(faults) => return refuse(repo, faults),
        }
    }
    reply
}

fn response(status: u16, headers: &[(&'static str, String)], body: String) -> Response {
    let mut response = (StatusCode::from_u16(status).expect("a status"), body).into_response();
    for (name, value) in headers {
        response.headers_mut().append(
            HeaderName::from_static(name),
            HeaderValue::from_str(value).expect("a header"),
        );
    }
    response
}
