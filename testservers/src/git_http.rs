//! git over http: `git http-backend` behind a small server that can misbehave on request.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

use crate::bare_repository::git_command;
use crate::process::find_program;
use crate::{BareRepository, Body, HttpServer, Request, Response, StartError};

/// What the server does wrong, for the next requests whose path and query contain a text.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Answers this status with a short text.
    Status(u16),
    /// Waits before it answers.
    Delay(Duration),
    /// Breaks off after that many bytes of the body.
    CutAfter(usize),
    /// Falls silent after that many bytes of the body.
    StallAfter(usize),
    /// Closes the connection without an answer; git has not seen the request.
    Drop,
    /// Does what was asked, then closes the connection without an answer.
    DropAnswer,
}

type Action = Box<dyn FnMut() + Send>;

/// What happens when a request comes that contains a text.
struct Planned<T> {
    matching: String,
    remaining: usize,
    what: T,
}

#[derive(Default)]
struct Plans {
    faults: Vec<Planned<Fault>>,
    actions: Vec<Planned<Action>>,
}

/// How the server is set up.
#[derive(Debug, Clone, Default)]
pub struct GitHttpOptions {
    user: Option<(String, String)>,
    bearer: Option<String>,
    root: Option<PathBuf>,
}

impl GitHttpOptions {
    /// Asks for basic authentication.
    #[must_use]
    pub fn with_user(mut self, user: &str, password: &str) -> Self {
        self.user = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// Asks for a bearer token.
    #[must_use]
    pub fn with_bearer(mut self, token: &str) -> Self {
        self.bearer = Some(token.to_owned());
        self
    }

    /// Serves the repositories of that directory in place of a temporary one.
    #[must_use]
    pub fn with_root(mut self, root: &Path) -> Self {
        self.root = Some(root.to_owned());
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// [`StartError::Missing`] without git.
    pub fn start(self) -> Result<GitHttp, StartError> {
        find_program("git", "git")?;
        let directory = tempfile::tempdir().map_err(StartError::io("git", "make a directory"))?;
        let root = self.root.clone().unwrap_or(directory.path().to_owned());
        let plans = Arc::new(Mutex::new(Plans::default()));
        let planned = Arc::clone(&plans);
        let directory_served = root.clone();
        let user = Arc::new(Mutex::new(self.user.clone()));
        let expected = Arc::clone(&user);
        let server = HttpServer::start(move |request| {
            let fault = follow_plans(&planned, request);
            let options = Self {
                user: expected
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone(),
                ..self.clone()
            };
            answer(&options, &directory_served, request, fault.as_ref())
        })?;
        Ok(GitHttp {
            server,
            plans,
            user,
            root,
            _directory: directory,
        })
    }
}

/// A running server.
pub struct GitHttp {
    server: HttpServer,
    plans: Arc<Mutex<Plans>>,
    user: Arc<Mutex<Option<(String, String)>>>,
    root: PathBuf,
    _directory: TempDir,
}

impl std::fmt::Debug for GitHttp {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = formatter.debug_struct("GitHttp");
        debug.field("server", &self.server).finish_non_exhaustive()
    }
}

impl GitHttp {
    /// Serves without authentication.
    ///
    /// # Errors
    /// [`StartError::Missing`] without git.
    pub fn start() -> Result<Self, StartError> {
        Self::options().start()
    }

    /// Settings to change before the start.
    #[must_use]
    pub fn options() -> GitHttpOptions {
        GitHttpOptions::default()
    }

    /// Makes an empty repository `NAME.git`.
    pub fn create(&self, name: &str) -> BareRepository {
        let path = self.root.join(format!("{name}.git"));
        BareRepository::create(path).expect("git is installed")
    }

    /// `http://127.0.0.1:PORT/NAME.git`.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        format!("{}/{name}.git", self.server.url())
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn base_url(&self) -> String {
        self.server.url()
    }

    /// Misbehaves for the next `times` requests whose `path?query` contains `matching`.
    pub fn inject(&self, matching: &str, times: usize, fault: Fault) {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        plans.faults.push(Planned {
            matching: matching.to_owned(),
            remaining: times,
            what: fault,
        });
    }

    /// Does something before git sees the next request whose `path?query` contains `matching`.
    pub fn before(&self, matching: &str, action: impl FnMut() + Send + 'static) {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        plans.actions.push(Planned {
            matching: matching.to_owned(),
            remaining: 1,
            what: Box::new(action),
        });
    }

    /// Asks for another user and password from now on.
    pub fn expect_user(&self, user: &str, password: &str) {
        let mut expected = self.user.lock().unwrap_or_else(PoisonError::into_inner);
        *expected = Some((user.to_owned(), password.to_owned()));
    }

    /// Every request so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.server.requests()
    }
}

fn follow_plans(plans: &Mutex<Plans>, request: &Request) -> Option<Fault> {
    let target = format!("{}?{}", request.path, request.query);
    let mut plans = plans.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(action) = next(&mut plans.actions, &target) {
        action();
    }
    next(&mut plans.faults, &target).cloned()
}

fn next<'a, T>(planned: &'a mut [Planned<T>], target: &str) -> Option<&'a mut T> {
    let found = planned
        .iter_mut()
        .find(|planned| planned.remaining > 0 && target.contains(&planned.matching))?;
    found.remaining -= 1;
    Some(&mut found.what)
}

fn answer(
    options: &GitHttpOptions,
    root: &Path,
    request: &Request,
    fault: Option<&Fault>,
) -> Response {
    match fault {
        Some(Fault::Status(status)) => return Response::new(*status, "a fault on request\n"),
        Some(Fault::Drop) => return Response::dropped(),
        _ => {}
    }
    if let Some(refusal) = refuse(options, request) {
        return refusal;
    }
    let mut response = run_backend(root, request, options.user.as_ref().map(|(user, _)| user));
    match fault {
        Some(Fault::Delay(delay)) => response.delay = *delay,
        Some(Fault::DropAnswer) => response = Response::dropped(),
        Some(Fault::CutAfter(limit)) => {
            if let Body::Whole(bytes) = response.body {
                response.body = Body::CutAfter(bytes, *limit);
            }
        }
        Some(Fault::StallAfter(limit)) => {
            if let Body::Whole(bytes) = response.body {
                response.body = Body::StallAfter(bytes, *limit);
            }
        }
        Some(Fault::Status(_) | Fault::Drop) | None => {}
    }
    response
}

fn refuse(options: &GitHttpOptions, request: &Request) -> Option<Response> {
    if let Some(token) = &options.bearer
        && request.header("authorization") != Some(&format!("Bearer {token}"))
    {
        let response = Response::new(401, "a token is needed\n");
        return Some(response.with_header("WWW-Authenticate", "Bearer realm=\"git\""));
    }
    if options.user.is_some() && request.basic_credentials() != options.user {
        let response = Response::new(401, "user and password are needed\n");
        return Some(response.with_header("WWW-Authenticate", "Basic realm=\"git\""));
    }
    None
}

/// Runs `git http-backend` as a CGI program (RFC 3875).
fn run_backend(root: &Path, request: &Request, user: Option<&String>) -> Response {
    let mut command = git_command();
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", &request.path)
        .env("QUERY_STRING", &request.query)
        .env("REQUEST_METHOD", &request.method)
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    for (header, variable) in [
        ("content-type", "CONTENT_TYPE"),
        ("content-encoding", "HTTP_CONTENT_ENCODING"),
        ("git-protocol", "GIT_PROTOCOL"),
    ] {
        if let Some(value) = request.header(header) {
            command.env(variable, value);
        }
    }
    if let Some(user) = user {
        command.env("REMOTE_USER", user);
    }
    let mut child = command.spawn().expect("git is installed");
    let mut stdin = child.stdin.take().expect("a pipe");
    let output = std::thread::scope(|scope| {
        // The backend answers while it reads: both pipes must be served.
        scope.spawn(move || stdin.write_all(&request.body));
        child.wait_with_output()
    });
    parse_cgi(&output.expect("git http-backend ends").stdout)
}

fn parse_cgi(output: &[u8]) -> Response {
    let Some(end) = output.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return Response::new(500, "git http-backend gave no headers\n");
    };
    let mut response = Response::new(200, &output[end + 4..]);
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        match line.split_once(": ") {
            Some(("Status", status)) => {
                let code = status.split(' ').next().unwrap_or_default();
                response.status = code.parse().unwrap_or(500);
            }
            Some((name, value)) => response = response.with_header(name, value),
            None => {}
        }
    }
    response
}
