//! git's smart protocol over http(s) ("stateless RPC"): one request per message, on reqwest.
//!
//! Follows `gitprotocol-http(5)` and git's own habits: bodies up to 1 MiB carry `Content-Length`, larger ones
//! are streamed; only the first request follows redirects (`http.followRedirects=initial`).

use super::failure::{Failure, FailureKind, shown};
use super::http_client::failure;
use super::session::{Session, no_session};
use crate::git::remote::GitAuth;
use bytes::{Buf as _, Bytes};
use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream};
use reqwest::{Body, Client, RequestBuilder, Response, StatusCode, Url, header};
use secrecy::ExposeSecret as _;
use std::future::Future;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Bodies up to this size go out with `Content-Length` (as git's `http.postBuffer`); larger ones are streamed.
const BUFFERED: usize = 1 << 20;
/// As git.
const REDIRECTS: usize = 20;
/// How much of a refusal's text is read.
const EXCERPT: usize = 400;

/// Where requests go after the redirects of the first one, and whether the credentials may go there.
#[derive(Clone)]
struct Target {
    base: Url,
    with_auth: bool,
}

/// libgit2's view of one http(s) remote.
pub(super) struct SmartHttp {
    session: Option<Arc<Session>>,
    target: Mutex<Option<Target>>,
}

impl SmartHttp {
    /// Takes no session as well: a transport factory's error would lose its message, one in `action` does not.
    pub(super) fn new(session: Option<Arc<Session>>) -> Self {
        Self {
            session,
            target: Mutex::new(None),
        }
    }

    fn target(&self) -> std::sync::MutexGuard<'_, Option<Target>> {
        self.target.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SmartSubtransport for SmartHttp {
    fn action(
        &self,
        url: &str,
        service: Service,
    ) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        let session = self.session.clone().ok_or_else(no_session)?;
        session.check_url(url)?;
        let client = session.http.clone().ok_or_else(no_session)?;
        let (service, state, target) = match service {
            Service::UploadPackLs | Service::ReceivePackLs => {
                let name = if service == Service::UploadPackLs {
                    "git-upload-pack"
                } else {
                    "git-receive-pack"
                };
                let (target, response) = session.wait(
                    "asking for the references",
                    list_references(&client, &session, url, name),
                )?;
                *self.target() = Some(target);
                (name, State::Listing(response, Bytes::new()), None)
            }
            Service::UploadPack => (
                "git-upload-pack",
                State::Collect(Vec::new()),
                self.target().clone(),
            ),
            Service::ReceivePack => (
                "git-receive-pack",
                State::Collect(Vec::new()),
                self.target().clone(),
            ),
        };
        Ok(Box::new(Rpc {
            session,
            client,
            service,
            target,
            state,
        }))
    }

    fn close(&self) -> Result<(), git2::Error> {
        *self.target() = None;
        Ok(())
    }
}

async fn list_references(
    client: &Client,
    session: &Session,
    url: &str,
    service: &str,
) -> Result<(Target, Response), Failure> {
    let protocol = |text: String| Failure::new(FailureKind::Protocol, text);
    let suffix = format!("/info/refs?service={service}");
    let mut at = Url::parse(&format!("{}{suffix}", url.trim_end_matches('/')))
        .map_err(|e| protocol(format!("bad repository address: {e}")))?;
    let mut with_auth = true;
    for _ in 0..=REDIRECTS {
        let request = client
            .get(at.clone())
            .header(header::PRAGMA, "no-cache")
            .header(header::ACCEPT, "*/*");
        let response = authorize(request, session.remote().auth(), with_auth)
            .send()
            .await
            .map_err(failure)?;
        if !response.status().is_redirection() {
            let response = check(response, service, "advertisement", session, with_auth).await?;
            let base = at
                .as_str()
                .strip_suffix(&suffix)
                .and_then(|base| Url::parse(base).ok())
                .ok_or_else(|| protocol("bad redirect".to_owned()))?;
            return Ok((Target { base, with_auth }, response));
        }
        let to = response
            .headers()
            .get(header::LOCATION)
            .and_then(|v| v.to_str().ok())
            .and_then(|v| at.join(v).ok())
            .ok_or_else(|| protocol(format!("{} redirects to nowhere", show(&at))))?;
        // As git does: only a redirect of the whole repository is followed, never one of a single request
        // (a login page), never from https to http, and never taking credentials to another origin.
        if !to.as_str().ends_with(&suffix) || !matches!(to.scheme(), "http" | "https") {
            return Err(Failure::new(
                FailureKind::Authentication,
                format!(
                    "{} redirects to {}, which is no git repository (a login page?)",
                    show(&at),
                    show(&to)
                ),
            ));
        }
        if at.scheme() == "https" && to.scheme() == "http" {
            return Err(protocol(format!(
                "{} redirects to plain http, which is not followed",
                show(&at)
            )));
        }
        with_auth &= at.origin() == to.origin();
        at = to;
    }
    Err(protocol(format!(
        "{} redirects more than {REDIRECTS} times",
        show(&at)
    )))
}

fn authorize(request: RequestBuilder, auth: &GitAuth, with_auth: bool) -> RequestBuilder {
    match auth {
        GitAuth::Basic { username, password } if with_auth => {
            request.basic_auth(username, Some(password.expose_secret()))
        }
        GitAuth::Bearer(token) if with_auth => request.bearer_auth(token.expose_secret()),
        _ => request,
    }
}

/// Origin and path only: user info or a query may hold a secret.
fn show(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

/// Lets only the expected content type pass; everything else becomes an error that says what to look at.
async fn check(
    response: Response,
    service: &str,
    what: &str,
    session: &Session,
    with_auth: bool,
) -> Result<Response, Failure> {
    let status = response.status();
    let content_type = response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or("nothing")
        .to_owned();
    if status == StatusCode::OK && content_type == format!("application/x-{service}-{what}") {
        return Ok(response);
    }
    let at = show(response.url());
    let anonymous = matches!(session.remote().auth(), GitAuth::None) || !with_auth;
    let wait = response
        .headers()
        .get(header::RETRY_AFTER)
        .and_then(|v| v.to_str().ok())
        .map(|v| format!(", retry after {}", shown(v, 40)))
        .unwrap_or_default();
    let said = if content_type.starts_with("text/plain") {
        excerpt(response).await
    } else {
        String::new()
    };
    let (kind, why) = match status {
        StatusCode::OK => (
            FailureKind::Protocol,
            format!(
                "answers {} where git data was expected: not a git repository, or a login page",
                shown(&content_type, 80)
            ),
        ),
        StatusCode::UNAUTHORIZED if anonymous => (
            FailureKind::Authentication,
            "wants credentials (401), and none were given".to_owned(),
        ),
        StatusCode::UNAUTHORIZED => (
            FailureKind::Authentication,
            "refused the credentials (401)".to_owned(),
        ),
        StatusCode::FORBIDDEN => (
            FailureKind::Forbidden,
            "forbids this access (403): the credentials lack the right for it".to_owned(),
        ),
        StatusCode::NOT_FOUND | StatusCode::GONE => (
            FailureKind::RepositoryNotFound,
            format!(
                "has no such repository, or hides it from these credentials ({})",
                status.as_u16()
            ),
        ),
        StatusCode::TOO_MANY_REQUESTS => (
            FailureKind::TooManyRequests,
            format!("wants fewer requests (429{wait})"),
        ),
        StatusCode::PAYLOAD_TOO_LARGE => (
            FailureKind::Forbidden,
            "refuses a push of this size (413)".to_owned(),
        ),
        status if status.is_server_error() => {
            (FailureKind::Server, format!("failed ({status}{wait})"))
        }
        status => (FailureKind::Protocol, format!("answers {status}")),
    };
    let colon = if said.is_empty() { "" } else { ": " };
    Err(Failure::new(kind, format!("{at} {why}{colon}{said}")))
}

async fn excerpt(mut response: Response) -> String {
    let mut said = Vec::new();
    while said.len() < EXCERPT {
        match response.chunk().await {
            Ok(Some(chunk)) => said.extend_from_slice(&chunk),
            _ => break,
        }
    }
    shown(&String::from_utf8_lossy(&said), EXCERPT)
}

enum State {
    /// The answer to the list of references: nothing is written before it.
    Listing(Response, Bytes),
    /// The body of a request, while it is small.
    Collect(Vec<u8>),
    /// The body of a request on its way, with the channel as the only buffer.
    Stream(
        mpsc::Sender<Result<Bytes, io::Error>>,
        JoinHandle<Result<Response, Failure>>,
    ),
    Receive(Response, Bytes),
    Broken,
}

/// One request: libgit2 writes the whole body, then reads the whole answer.
struct Rpc {
    session: Arc<Session>,
    client: Client,
    service: &'static str,
    target: Option<Target>,
    state: State,
}

impl Rpc {
    fn post(&self, body: Body) -> impl Future<Output = Result<Response, Failure>> + Send + 'static {
        let (session, client) = (Arc::clone(&self.session), self.client.clone());
        let (service, target) = (self.service, self.target.clone());
        async move {
            let target = target.ok_or_else(|| {
                Failure::new(
                    FailureKind::Protocol,
                    "request before the list of references",
                )
            })?;
            let url = format!("{}/{service}", target.base.as_str().trim_end_matches('/'));
            let request = client
                .post(url)
                .header(
                    header::CONTENT_TYPE,
                    format!("application/x-{service}-request"),
                )
                .header(header::ACCEPT, format!("application/x-{service}-result"))
                .body(body);
            if service == "git-receive-pack" {
                session.mark_sent();
            }
            let response = authorize(request, session.remote().auth(), target.with_auth)
                .send()
                .await
                .map_err(failure)?;
            check(response, service, "result", &session, target.with_auth).await
        }
    }

    /// The end of the request body: what comes back is the response.
    fn finish(&mut self) -> Result<(), Failure> {
        let response = match std::mem::replace(&mut self.state, State::Broken) {
            State::Collect(body) => self
                .session
                .wait("waiting for the answer", self.post(body.into()))?,
            State::Stream(sender, task) => {
                drop(sender);
                let mut task = AbortOnDrop(task);
                self.session.wait("waiting for the answer", async {
                    joined((&mut task.0).await)
                })?
            }
            other => {
                self.state = other;
                return Ok(());
            }
        };
        self.state = State::Receive(response, Bytes::new());
        Ok(())
    }

    fn send(&mut self, chunk: Bytes) -> Result<(), Failure> {
        let State::Stream(sender, task) = &mut self.state else {
            return Err(Failure::new(
                FailureKind::Protocol,
                "write after the request was sent",
            ));
        };
        self.session.wait("sending", async {
            if sender.send(Ok(chunk)).await.is_ok() {
                return Ok(());
            }
            // The request ended before its body did: its result says why.
            Err(joined(task.await).err().unwrap_or_else(|| {
                Failure::new(
                    FailureKind::Protocol,
                    "answer before the end of the request",
                )
            }))
        })
    }
}

struct AbortOnDrop(JoinHandle<Result<Response, Failure>>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn joined(
    result: Result<Result<Response, Failure>, tokio::task::JoinError>,
) -> Result<Response, Failure> {
    result.unwrap_or_else(|e| {
        Err(Failure::new(
            FailureKind::Network,
            format!("the request ended early: {e}"),
        ))
    })
}

impl Write for Rpc {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if let State::Collect(body) = &mut self.state {
            body.extend_from_slice(buf);
            if body.len() <= BUFFERED {
                return Ok(buf.len());
            }
            let first = Bytes::from(std::mem::take(body));
            let (sender, receiver) = mpsc::channel(4);
            let stream = futures_util::stream::unfold(receiver, |mut receiver| async {
                receiver.recv().await.map(|chunk| (chunk, receiver))
            });
            let task = self
                .session
                .runtime()
                .spawn(self.post(Body::wrap_stream(stream)));
            self.state = State::Stream(sender, task);
            self.send(first)?;
            return Ok(buf.len());
        }
        self.send(Bytes::copy_from_slice(buf))?;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Rpc {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.finish()?;
        let (response, rest, listing) = match &mut self.state {
            State::Listing(response, rest) => (response, rest, true),
            State::Receive(response, rest) => (response, rest, false),
            _ => return Err(io::Error::other("read after a failed request")),
        };
        while rest.is_empty() {
            let chunk = self.session.wait("receiving", async {
                response.chunk().await.map_err(failure)
            })?;
            match chunk {
                Some(chunk) => *rest = chunk,
                None => return Ok(0),
            }
            self.session.received(rest.len(), listing)?;
        }
        let n = rest.len().min(buf.len());
        rest.copy_to_slice(&mut buf[..n]);
        Ok(n)
    }
}

impl Drop for Rpc {
    fn drop(&mut self) {
        if let State::Stream(_, task) = &self.state {
            task.abort();
        }
    }
}
