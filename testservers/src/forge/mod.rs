//! Forges that exist only in memory: one state, six dialects, each held to the vendor's description.
//!
//! A fake keeps pull requests, branches, labels and comments as the real one does (deleting a branch closes its pull
//! request, a second one for a branch is refused), and can be made to die at any request, before or after doing it.
//! Its branches can be those of a git repository.

#![allow(
    clippy::match_bool,
    clippy::needless_pass_by_value,
    clippy::too_many_lines,
    missing_docs,
    reason = "a dialect is one long table from operation to effect; fields say what they are"
)]

mod azure_devops;
mod bitbucket_cloud;
mod bitbucket_data_center;
mod gitea;
mod github;
mod gitlab;
mod openapi;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use crate::{BareRepository, HttpServer, Request as HttpRequest, Response, StartError};
use openapi::{Description, decode};

/// The credential of all tests; it must show up nowhere.
pub const TOKEN: &str = "s3cr3t-t0ken-0123456789";
/// Whose repository it is.
pub const OWNER: &str = "acme";
/// The repository.
pub const NAME: &str = "apps";

/// Which forge is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ForgeKind {
    GitHub,
    GitLab,
    Gitea,
    BitbucketCloud,
    BitbucketDataCenter,
    AzureDevOps,
}

/// Where a pull request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullRequestState {
    Open,
    Merged,
    Closed,
}

/// A pull request of the fake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakePull {
    pub number: u64,
    pub branch: String,
    pub base: String,
    pub commit: String,
    pub title: String,
    pub body: String,
    pub draft: bool,
    pub state: PullRequestState,
    pub labels: Vec<String>,
    pub reviewers: Vec<String>,
    pub assignees: Vec<String>,
    pub comments: Vec<String>,
    pub auto_merge: bool,
    pub version: u64,
    pub from_fork: bool,
}

/// Dies at a request: what comes later is not answered until it is revived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    BeforeDoing(usize),
    AfterDoing(usize),
}

/// Status, headers, body.
pub type Canned = (u16, Vec<(&'static str, String)>, String);

/// What the fake remembers.
#[derive(Debug, Default)]
pub struct Repo {
    pub pulls: Vec<FakePull>,
    pub branches: BTreeMap<String, String>,
    pub labels: Vec<String>,
    /// Changing requests that were done: `POST /…`.
    pub changes: Vec<String>,
    /// All requests.
    pub requests: usize,
    /// Departures from the description.
    pub faults: Vec<String>,
    pub death: Option<Death>,
    pub dead: bool,
    /// Somebody else opens the same pull request right before ours.
    pub race: bool,
    /// Answers given instead of the true ones, first come first served.
    pub canned: Vec<Canned>,
    /// This request, counted from 0, is answered with 429.
    pub limit_at: Option<usize>,
    /// The `Authorization` headers seen.
    pub authorizations: Vec<String>,
    /// The GitHub App's installation: `orgs/NAME` or `users/NAME`.
    pub installed_for: String,
    /// Installation tokens given out.
    pub tokens: usize,
    /// Lives at the machine's time in place of [`now()`].
    pub at_real_time: bool,
}

impl Repo {
    pub fn set_branch(&mut self, name: &str, commit: &str) {
        self.branches.insert(name.to_owned(), commit.to_owned());
        for pull in self
            .pulls
            .iter_mut()
            .filter(|it| it.branch == name && it.state == PullRequestState::Open)
        {
            commit.clone_into(&mut pull.commit);
        }
    }

    pub fn pull(&mut self, number: u64) -> Option<&mut FakePull> {
        self.pulls.iter_mut().find(|it| it.number == number)
    }

    pub fn open_pulls(&self) -> Vec<&FakePull> {
        self.pulls
            .iter()
            .filter(|it| it.state == PullRequestState::Open && !it.from_fork)
            .collect()
    }

    /// Puts one there without any request.
    pub fn plant(&mut self, branch: &str, title: &str, body: &str) -> u64 {
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
    /// A second description that requests must keep to: of a forge that speaks the same dialect.
    fn relative(&self) -> Option<Description> {
        None
    }
    /// Below the server's address.
    fn prefix(&self) -> &'static str;
    fn handle(&self, repo: &mut Repo, request: &Request<'_>) -> Reply;
    /// Requests outside the description.
    fn special(
        &self,
        _repo: &mut Repo,
        _method: &str,
        _path: &str,
        _body: &Value,
    ) -> Option<Reply> {
        None
    }
}

fn dialect(kind: ForgeKind) -> Box<dyn Dialect> {
    match kind {
        ForgeKind::GitHub => Box::new(github::Dialect),
        ForgeKind::GitLab => Box::new(gitlab::Dialect),
        ForgeKind::Gitea => Box::new(gitea::Dialect),
        ForgeKind::BitbucketCloud => Box::new(bitbucket_cloud::Dialect),
        ForgeKind::BitbucketDataCenter => Box::new(bitbucket_data_center::Dialect),
        ForgeKind::AzureDevOps => Box::new(azure_devops::Dialect),
    }
}

struct Shared {
    dialect: Box<dyn Dialect>,
    description: Description,
    relative: Option<Description>,
    repo: Mutex<Repo>,
    git: Mutex<Option<BareRepository>>,
}

/// A running fake.
pub struct ForgeServer {
    kind: ForgeKind,
    shared: Arc<Shared>,
    server: HttpServer,
}

impl std::fmt::Debug for ForgeServer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = formatter.debug_struct("ForgeServer");
        debug
            .field("kind", &self.kind)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl ForgeServer {
    /// Starts one with a branch `main` and nothing else.
    ///
    /// # Errors
    /// When no loopback port is free.
    pub fn start(kind: ForgeKind) -> Result<Self, StartError> {
        let dialect = dialect(kind);
        let shared = Arc::new(Shared {
            description: dialect.description(),
            relative: dialect.relative(),
            dialect,
            repo: Mutex::new(Repo {
                branches: BTreeMap::from([("main".to_owned(), "0".repeat(40))]),
                ..Repo::default()
            }),
            git: Mutex::default(),
        });
        let answering = Arc::clone(&shared);
        let server = HttpServer::start(move |request| serve(&answering, request))?;
        Ok(Self {
            kind,
            shared,
            server,
        })
    }

    /// Takes its branches from a repository from now on, and deletes them there.
    pub fn use_repository(&self, repository: &BareRepository) {
        let mut git = self.shared.git.lock().expect("no panic in the fake");
        *git = Some(repository.clone());
    }

    /// Which forge is played.
    pub fn kind(&self) -> ForgeKind {
        self.kind
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Where the API is.
    pub fn api(&self) -> String {
        format!("{}{}", self.server.url(), self.shared.dialect.prefix())
    }

    /// What it remembers.
    pub fn repo(&self) -> MutexGuard<'_, Repo> {
        self.shared.repo.lock().expect("no panic in the fake")
    }

    /// The faults found until now must be none.
    pub fn check(&self) {
        let faults = self.repo().faults.clone();
        assert!(
            faults.is_empty(),
            "departs from the description:\n{}",
            faults.join("\n")
        );
    }
}

fn serve(shared: &Shared, request: &HttpRequest) -> Response {
    let mut repo = shared.repo.lock().expect("no panic in the fake");
    let at = repo.requests;
    repo.requests += 1;
    let authorization = request.header("authorization").unwrap_or_default();
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
    let git = shared.git.lock().expect("no panic in the fake").clone();
    if let Some(git) = &git {
        repo.read_branches(git);
    }
    let before: Vec<String> = repo.branches.keys().cloned().collect();
    let reply = judge(shared, &mut repo, request);
    if let Some(git) = &git {
        for branch in before
            .iter()
            .filter(|name| !repo.branches.contains_key(*name))
        {
            git.git(&["update-ref", "-d", &format!("refs/heads/{branch}")]);
        }
    }
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

impl Repo {
    /// As a forge sees a push: open pull requests are at their branch's newest commit, and closed with it.
    fn read_branches(&mut self, git: &BareRepository) {
        let listed = git.git(&[
            "for-each-ref",
            "--format=%(objectname) %(refname:strip=2)",
            "refs/heads",
        ]);
        let now: BTreeMap<String, String> = listed
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(commit, name)| (name.to_owned(), commit.to_owned()))
            .collect();
        let gone: Vec<String> = self
            .branches
            .keys()
            .filter(|name| !now.contains_key(*name))
            .cloned()
            .collect();
        for name in gone {
            self.delete_branch(&name);
        }
        for (name, commit) in now {
            self.set_branch(&name, &commit);
        }
    }
}

fn judge(shared: &Shared, repo: &mut Repo, request: &HttpRequest) -> Reply {
    let HttpRequest {
        method, path, body, ..
    } = request;
    let changes = method != "GET";
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
    let Some(matched) = shared.description.find(method, below) else {
        return refuse(repo, vec![format!("{method} {below}: not described")]);
    };
    let query: Vec<(String, String)> = request
        .query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| {
            (
                decode(&name.replace('+', " ")),
                decode(&value.replace('+', " ")),
            )
        })
        .collect();
    let mut faults = shared
        .description
        .check_request(&matched, &query, json.as_ref());
    if let Some(relative) = &shared.relative {
        match relative.find(method, below) {
            Some(matched) => {
                faults.extend(relative.check_request(&matched, &query, json.as_ref()));
            }
            None => faults.push(format!("{method} {below}: not described by the relative")),
        }
    }
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
    let mut response = Response::new(status, body);
    for (name, value) in headers {
        response = response.with_header(name, value.as_str());
    }
    response
}

/// The moment at which a fake lives: what it gives out is good for an hour from then.
pub fn now() -> jiff::Timestamp {
    "2026-11-21T06:00:00Z".parse().expect("a time")
}
