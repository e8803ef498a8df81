//! One request and its answer: within the budget, with bounded time, headers and body, redirects followed by hand.

use super::connections::{ConnectionSettings, Connections};
use super::failure;
use super::guard::{Reach, check_redirect};
use crate::budget::headers::{allowance, retry_after};
use crate::budget::queue::{Budget, Permit, Priority};
use crate::budget::state::{Class, Verdict};
use crate::error::{Problem, printable};
use crate::scan::{RequestCounts, RequestKind};
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use url::Url;

/// Redirects of one request.
const MAX_REDIRECTS: u32 = 5;
/// Below this rate, in bytes per second, a body is not worth waiting for.
const SLOWEST: u64 = 1024;
/// Bodies that nobody reads are read up to here, so that the connection can be used again.
const DRAINED: u64 = 64 * 1024;

/// A request.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) kind: RequestKind,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    /// A form to post.
    pub(crate) form: Option<String>,
    /// The most bytes of the body that are read.
    pub(crate) body_limit: u64,
    /// Where the address may lead.
    pub(crate) reach: Reach,
}

/// What requests need from around them.
#[derive(Debug)]
pub(crate) struct Channel<'a> {
    pub(crate) connections: &'a Connections,
    pub(crate) settings: &'a ConnectionSettings,
    pub(crate) budget: Arc<Budget>,
    pub(crate) priority: Priority,
    pub(crate) tenant: &'a Arc<str>,
    pub(crate) timeout: Duration,
    pub(crate) header_bytes: u32,
}

/// An answer whose body has not been read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// Where the answer came from, after redirects.
    pub(crate) url: Url,
    /// Whether that is this machine or an inner network.
    pub(crate) is_from_inside: bool,
    body: reqwest::Response,
    permit: Permit,
    timeout: Duration,
    limit: u64,
    read: u64,
    started: Instant,
}

impl Ask {
    pub(crate) fn get(kind: RequestKind, url: Url, body_limit: u64) -> Self {
        Self {
            kind,
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            form: None,
            body_limit,
            reach: Reach::Anywhere,
        }
    }

    /// Adds a header; values that no header can have are left out.
    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    pub(crate) fn authorization(mut self, value: Option<HeaderValue>) -> Self {
        if let Some(mut value) = value {
            value.set_sensitive(true);
            self.headers.insert(header::AUTHORIZATION, value);
        }
        self
    }

    const fn class(&self) -> Class {
        match self.kind {
            RequestKind::Ping | RequestKind::Token | RequestKind::Tags | RequestKind::Catalog => {
                Class::List
            }
            RequestKind::ManifestHead | RequestKind::Manifest | RequestKind::Blob => Class::Pull,
        }
    }
}

impl Channel<'_> {
    /// Makes a request and follows redirects. Every step is counted and takes its turn in the budget.
    pub(crate) async fn send(
        &self,
        mut ask: Ask,
        counts: &mut RequestCounts,
    ) -> Result<Answer, Problem> {
        for _ in 0..=MAX_REDIRECTS {
            let client = self
                .connections
                .client(self.settings, &ask.url, ask.reach)?;
            let answer = self.send_once(&client, &ask, counts).await?;
            let Some(target) = answer.redirection()? else {
                return Ok(answer);
            };
            let host = host_of(&ask.url);
            check_redirect(&target, &ask.url).map_err(|reason| Problem::Refused {
                host,
                url: shown(&target),
                reason,
            })?;
            if target.origin() != ask.url.origin() {
                ask.headers.remove(header::AUTHORIZATION);
                ask.form = None;
            }
            if target.host() != ask.url.host() {
                ask.reach = Reach::of_led(&target, &ask.url, answer.is_from_inside);
            }
            answer.discard().await;
            ask.url = target;
        }
        Err(Problem::Loop {
            host: host_of(&ask.url),
            detail: format!("more than {MAX_REDIRECTS} redirects"),
        })
    }

    async fn send_once(
        &self,
        client: &reqwest::Client,
        ask: &Ask,
        counts: &mut RequestCounts,
    ) -> Result<Answer, Problem> {
        let host = host_of(&ask.url);
        let permit = self
            .budget
            .acquire(ask.class(), self.priority, self.tenant)
            .await
            .map_err(|blocked| Problem::RateLimited {
                host: host.clone(),
                retry_after: blocked.retry_after,
            })?;
        counts.add(ask.kind);
        let mut request = client
            .request(ask.method.clone(), ask.url.clone())
            .headers(ask.headers.clone());
        if let Some(form) = &ask.form {
            request = request
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form.clone());
        }
        let started = Instant::now();
        let sent = tokio::time::timeout(self.timeout, request.send()).await;
        let response = match sent {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                permit.judge(Verdict::Failed);
                return Err(failure::of_request(&host, error));
            }
            Err(_) => {
                permit.judge(Verdict::Failed);
                return Err(Problem::Timeout {
                    host,
                    detail: format!("no answer within {} s", self.timeout.as_secs_f64()),
                });
            }
        };
        let is_from_inside =
            self.connections
                .is_from_inside(self.settings, &ask.url, response.remote_addr());
        let headers = response.headers();
        let size: usize = headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 4)
            .sum();
        if size > self.header_bytes as usize {
            return Err(Problem::TooLarge {
                host,
                limit: self.header_bytes.into(),
                unit: "bytes of headers",
            });
        }
        let now = SystemTime::now();
        if let Some(allowance) = allowance(headers, now) {
            permit.learn(allowance);
        }
        let status = response.status();
        permit.judge(match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Verdict::Refused(retry_after(headers, now))
            }
            _ => Verdict::Served,
        });
        Ok(Answer {
            status,
            url: ask.url.clone(),
            is_from_inside,
            body: response,
            permit,
            timeout: self.timeout,
            limit: ask.body_limit,
            read: 0,
            started,
        })
    }
}

impl Answer {
    /// The host that answered.
    pub(crate) fn host(&self) -> String {
        host_of(&self.url)
    }

    /// All headers.
    pub(crate) fn headers(&self) -> &HeaderMap {
        self.body.headers()
    }

    /// A header as text.
    pub(crate) fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.headers().get(name)?.to_str().ok()
    }

    /// The next part of the body; `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Problem> {
        let chunk = match tokio::time::timeout(self.timeout, self.body.chunk()).await {
            Ok(Ok(chunk)) => chunk,
            Ok(Err(error)) => return Err(failure::of_body(&self.host(), error)),
            Err(_) => {
                return Err(Problem::Timeout {
                    host: self.host(),
                    detail: format!(
                        "the answer stood still for {} s",
                        self.timeout.as_secs_f64()
                    ),
                });
            }
        };
        let Some(chunk) = chunk else { return Ok(None) };
        self.read += chunk.len() as u64;
        if self.read > self.limit {
            return Err(Problem::TooLarge {
                host: self.host(),
                limit: self.limit,
                unit: "bytes",
            });
        }
        let elapsed = self.started.elapsed();
        if elapsed > self.timeout && self.read < SLOWEST.saturating_mul(elapsed.as_secs().max(1)) {
            return Err(Problem::Timeout {
                host: self.host(),
                detail: format!(
                    "only {} bytes within {} s",
                    self.read,
                    elapsed.as_secs_f64().round()
                ),
            });
        }
        Ok(Some(chunk))
    }

    /// The whole body.
    pub(crate) async fn bytes(&mut self) -> Result<Vec<u8>, Problem> {
        let mut all = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            all.extend_from_slice(&chunk);
        }
        Ok(all)
    }

    /// Reads a small rest so that the connection can be used again; drops it with a large one.
    pub(crate) async fn discard(mut self) {
        self.limit = self.read + DRAINED;
        if self
            .body
            .content_length()
            .is_some_and(|length| length > DRAINED)
        {
            return;
        }
        while let Ok(Some(_)) = self.chunk().await {}
    }

    /// The registry refused for lack of allowance in its body, with a status that does not say so.
    pub(crate) fn refuse(&self) {
        self.permit.judge(Verdict::Refused(retry_after(
            self.headers(),
            SystemTime::now(),
        )));
    }

    /// How long the registry wants to be left alone, after a refusal.
    pub(crate) fn blocked_for(&self) -> Duration {
        self.permit.blocked_for().unwrap_or_default()
    }

    fn redirection(&self) -> Result<Option<Url>, Problem> {
        if !matches!(self.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Ok(None);
        }
        let malformed = |detail: &str| Problem::Malformed {
            host: self.host(),
            detail: detail.to_owned(),
        };
        let location = self
            .header(header::LOCATION)
            .ok_or_else(|| malformed("a redirect without a Location"))?;
        self.url
            .join(location)
            .map(Some)
            .map_err(|_| malformed(&format!("a redirect to {:?}", printable(location))))
    }
}

/// `host[:port]` of an address.
pub(crate) fn host_of(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => String::new(),
    }
}

/// An address for messages: without query, user name and password, which may be secret.
pub(crate) fn shown(url: &Url) -> String {
    printable(&format!(
        "{}://{}{}",
        url.scheme(),
        host_of(url),
        url.path()
    ))
}
