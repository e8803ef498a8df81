//! Requests to a forge's API: time-outs, size limits, rate limits, errors in the user's terms.
//!
//! * Redirects are not followed: the credential is for one host.
//! * After 429, or 403 with a limit's signs, nothing is sent before the time the forge named; also not after an
//!   answer that says the allowance is used up.
//! * Requests that change something are spaced, as GitHub asks for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::escape::foreign_message;
use super::rate_limit::limited_until;
use super::{Clock, ConnectOptions, Credentials, ForgeError, Provider};

/// A page of 100 pull requests with long descriptions is some 10 MB at GitHub.
const MAX_ANSWER: usize = 32 << 20;
/// One request.
pub(super) struct Call {
    /// What is to be done, for errors.
    pub operation: &'static str,
    /// The permission it needs, in the forge's terms.
    pub needs: &'static str,
    pub method: Method,
    pub url: Url,
    pub body: Option<Value>,
}

impl Call {
    pub(super) fn get(operation: &'static str, needs: &'static str, url: Url) -> Self {
        Self {
            operation,
            needs,
            method: Method::GET,
            url,
            body: None,
        }
    }

    pub(super) fn new(
        operation: &'static str,
        needs: &'static str,
        method: Method,
        url: Url,
    ) -> Self {
        Self {
            operation,
            needs,
            method,
            url,
            body: None,
        }
    }

    /// With another permission.
    pub(super) fn needing(mut self, needs: &'static str) -> Self {
        self.needs = needs;
        self
    }

    pub(super) fn json(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    pub(super) fn query<'q>(mut self, pairs: impl IntoIterator<Item = (&'q str, &'q str)>) -> Self {
        self.url.query_pairs_mut().extend_pairs(pairs);
        self
    }
}

/// A 2xx answer.
pub(super) struct Reply {
    pub headers: HeaderMap,
    body: Bytes,
    provider: Provider,
    operation: &'static str,
}

impl Reply {
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, ForgeError> {
        serde_json::from_slice(&self.body).map_err(|source| ForgeError::Malformed {
            provider: self.provider,
            operation: self.operation,
            source,
        })
    }

    /// Whether a `Link` header names a next page. The address in it is not used: we count pages ourselves.
    pub(super) fn has_next_page(&self) -> bool {
        self.headers
            .get_all("link")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| {
                value.split(';').any(|part| {
                    matches!(
                        part.split(',').next().map(str::trim),
                        Some("rel=\"next\"" | "rel=next")
                    )
                })
            })
    }
}

/// The connection to one forge's API, without a credential.
pub(super) struct Wire {
    client: reqwest::Client,
    provider: Provider,
    clock: Clock,
    write_interval: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    blocked_until: Option<Timestamp>,
    next_write: Option<tokio::time::Instant>,
}

impl Wire {
    pub(super) fn new(provider: Provider, options: &ConnectOptions) -> Result<Self, ForgeError> {
        // An error says that a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = |source| ForgeError::Client { provider, source };
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("tagline/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(options.timeout.min(Duration::from_secs(15)))
            .timeout(options.timeout);
        if let Some(bundle) = &options.ca_bundle {
            let certificates = reqwest::Certificate::from_pem_bundle(bundle).map_err(client)?;
            builder = builder.tls_certs_merge(certificates);
        }
        if let Some(proxy) = &options.proxy {
            builder = builder.proxy(reqwest::Proxy::all(proxy.as_str()).map_err(client)?);
        }
        Ok(Self {
            client: builder.build().map_err(client)?,
            provider,
            clock: options.clock.clone(),
            write_interval: options
                .write_interval
                .unwrap_or_else(|| provider.write_interval()),
            state: Mutex::default(),
        })
    }

    pub(super) fn provider(&self) -> Provider {
        self.provider
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Sends, once. `secrets` are blotted out of the forge's words.
    pub(super) async fn send(
        &self,
        call: Call,
        authorization: HeaderValue,
        secrets: &[&str],
    ) -> Result<Reply, ForgeError> {
        let (provider, operation, needs) = (self.provider, call.operation, call.needs);
        if let Some(until) = self.blocked_until() {
            return Err(ForgeError::RateLimited {
                provider,
                operation,
                until,
            });
        }
        if call.method != Method::GET {
            let turn = self.reserve_write();
            tokio::time::sleep_until(turn).await;
        }
        // Tokens that were fetched on the way are in nobody's list.
        let shown = authorization.clone();
        let token = shown
            .to_str()
            .unwrap_or_default()
            .rsplit(' ')
            .next()
            .unwrap_or_default();
        let secrets: Vec<&str> = secrets.iter().copied().chain([token]).collect();
        let transport = |source: reqwest::Error| ForgeError::Transport {
            provider,
            operation,
            source: source.without_url(),
        };
        let mut request = self
            .client
            .request(call.method, call.url)
            .header(AUTHORIZATION, authorization);
        for (name, value) in media_types(provider) {
            request = request.header(name, value);
        }
        if let Some(body) = &call.body {
            request = request
                .header(CONTENT_TYPE, "application/json")
                .body(body.to_string());
        }
        let mut response = request.send().await.map_err(transport)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(transport)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(ForgeError::TooLarge {
                    provider,
                    operation,
                    limit: MAX_ANSWER,
                });
            }
            body.extend_from_slice(&chunk);
        }
        tracing::debug!(forge = %provider, operation, status = status.as_u16(), "request");
        if let Some(until) = limited_until(status, &headers, &words(&body), self.now()) {
            self.block(until);
            if !status.is_success() {
                return Err(ForgeError::RateLimited {
                    provider,
                    operation,
                    until,
                });
            }
        }
        if status.is_success() && status.as_u16() != 203 {
            return Ok(Reply {
                headers,
                body: Bytes::from(body),
                provider,
                operation,
            });
        }
        let message = foreign_message(&words(&body), &secrets);
        Err(refusal(
            status.as_u16(),
            provider,
            operation,
            needs,
            message,
        ))
    }

    /// Before when nothing is sent.
    pub(super) fn blocked_until(&self) -> Option<Timestamp> {
        let now = self.now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.blocked_until = state.blocked_until.filter(|until| *until > now);
        state.blocked_until
    }

    fn block(&self, until: Timestamp) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.blocked_until = state.blocked_until.max(Some(until));
    }

    /// The moment at which the next changing request may go out.
    fn reserve_write(&self) -> tokio::time::Instant {
        let now = tokio::time::Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = state.next_write.map_or(now, |next| next.max(now));
        state.next_write = Some(turn + self.write_interval);
        turn
    }
}

/// The connection with the credential.
pub(super) struct Http {
    wire: Arc<Wire>,
    credentials: Credentials,
}

impl Http {
    pub(super) fn new(wire: Arc<Wire>, credentials: Credentials) -> Self {
        Self { wire, credentials }
    }

    pub(super) async fn send(&self, call: Call) -> Result<Reply, ForgeError> {
        let authorization = self.credentials.authorization(self.wire.provider()).await?;
        self.wire
            .send(call, authorization, &self.credentials.secrets())
            .await
    }

    pub(super) async fn json<T: DeserializeOwned>(&self, call: Call) -> Result<T, ForgeError> {
        self.send(call).await?.json()
    }

    /// Like [`Self::send`], where "not found" means that there is none.
    pub(super) async fn send_if_there(&self, call: Call) -> Result<Option<Reply>, ForgeError> {
        match self.send(call).await {
            Ok(reply) => Ok(Some(reply)),
            Err(ForgeError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn media_types(provider: Provider) -> Vec<(HeaderName, HeaderValue)> {
    match provider {
        Provider::GitHub => vec![
            (
                ACCEPT,
                HeaderValue::from_static("application/vnd.github+json"),
            ),
            (
                HeaderName::from_static("x-github-api-version"),
                HeaderValue::from_static("2022-11-28"),
            ),
        ],
        // Else Azure DevOps answers a bad token with a redirect to a page.
        Provider::AzureDevOps => vec![
            (ACCEPT, HeaderValue::from_static("application/json")),
            (
                HeaderName::from_static("x-tfs-fedauthredirect"),
                HeaderValue::from_static("Suppress"),
            ),
        ],
        _ => vec![(ACCEPT, HeaderValue::from_static("application/json"))],
    }
}

/// The error for an answer that is no success.
fn refusal(
    status: u16,
    provider: Provider,
    operation: &'static str,
    needs: &'static str,
    message: String,
) -> ForgeError {
    match status {
        // Azure DevOps answers a bad token with a sign-in page and 203.
        203 | 401 => ForgeError::Unauthorized {
            provider,
            operation,
            message,
        },
        300..=399 => ForgeError::Moved {
            provider,
            operation,
            status,
        },
        403 => ForgeError::Forbidden {
            provider,
            operation,
            message,
            needs,
        },
        404 => ForgeError::NotFound {
            provider,
            operation,
            message,
            needs,
        },
        500.. => ForgeError::Server {
            provider,
            operation,
            status,
        },
        status => ForgeError::Rejected {
            provider,
            operation,
            status,
            message,
        },
    }
}

/// What an error's body says: the texts under the names the forges use, joined.
fn words(body: &[u8]) -> String {
    const NAMES: [&str; 8] = [
        "message",
        "error",
        "errors",
        "error_description",
        "detail",
        "exceptionName",
        "typeKey",
        "fields",
    ];
    fn collect(value: &Value, depth: usize, inside: bool, out: &mut Vec<String>) {
        if depth > 6 || out.len() > 20 {
            return;
        }
        match value {
            Value::String(text) if inside => out.push(text.chars().take(500).collect()),
            Value::Array(items) => items
                .iter()
                .for_each(|item| collect(item, depth + 1, inside, out)),
            Value::Object(fields) => {
                for (name, field) in fields {
                    let known = NAMES.contains(&name.as_str());
                    // GitLab's `message` is an object from field to complaints.
                    if known || (inside && !field.is_string()) {
                        collect(field, depth + 1, true, out);
                    }
                }
            }
            _ => {}
        }
    }
    let mut out = Vec::new();
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        collect(&value, 0, false, &mut out);
        out.dedup();
        return out.join("; ");
    }
    // A short plain text says something; a web page does not.
    let text =
        String::from_utf8_lossy(body.get(..300.min(body.len())).unwrap_or_default()).into_owned();
    if text.contains('<') {
        String::new()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect()
    }

    #[test]
    fn words_of_each_forge() {
        for (body, text) in [
            (
                r#"{"message":"Validation Failed","errors":[{"resource":"PullRequest","code":"custom","message":"A pull request already exists for a:b."}]}"#,
                "A pull request already exists for a:b.; Validation Failed",
            ),
            (
                r#"{"message":["Another open merge request already exists for this source branch: !5"]}"#,
                "Another open merge request already exists for this source branch: !5",
            ),
            (r#"{"message":{"base":["is bad"]}}"#, "is bad"),
            (
                r#"{"type":"error","error":{"message":"There are no changes to be pulled"}}"#,
                "There are no changes to be pulled",
            ),
            (
                r#"{"errors":[{"context":null,"message":"Only one.","exceptionName":"com.x.DuplicatePullRequestException"}]}"#,
                "com.x.DuplicatePullRequestException; Only one.",
            ),
            ("<html>sign in</html>", ""),
            ("plain", "plain"),
        ] {
            assert_eq!(words(body.as_bytes()), text, "{body}");
        }
    }

    #[test]
    fn the_next_page_is_told_by_the_link_header() {
        let reply = |link: &str| Reply {
            headers: headers(&[("link", link)]),
            body: Bytes::new(),
            provider: Provider::GitHub,
            operation: "list",
        };
        assert!(
            reply("<https://x/?page=1>; rel=\"prev\", <https://x/?page=3>; rel=\"next\"")
                .has_next_page()
        );
        assert!(
            !reply("<https://x/?page=1>; rel=\"prev\", <https://x/?page=9>; rel=\"last\"")
                .has_next_page()
        );
    }

    proptest! {
        #[test]
        fn foreign_bodies_do_no_harm(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = words(&body);
        }
    }
}
