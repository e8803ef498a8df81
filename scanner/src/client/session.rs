//! A conversation with one registry about one repository: finds out how it wants to be asked, authenticates, and tries
//! one credential after the other.

use super::challenge::{self, Challenge};
use super::error_body::{ErrorBody, MAX_ERROR_BODY, is_html};
use super::exchange::{Answer, Ask, Channel, host_of};
use super::host::{Host, Reached};
use super::redaction::Redaction;
use super::token::{Fingerprint, Scope};
use super::{Registries, realm};
use crate::budget::queue::{BudgetName, Priority};
use crate::credentials::{Credential, Secret};
use crate::error::{Operation, Problem, ScanError, Unreachable};
use crate::scan::{RequestCounts, RequestKind};
use crate::settings::{EffectiveSettings, ScannerOptions};
use crate::target::Access;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::{self, HeaderValue};
use secrecy::ExposeSecret as _;
use std::sync::Arc;
use tagline_policy::{ImageName, Registry};
use url::Url;

/// How often one request is sent anew: a token that had expired, a connection that broke, another challenge.
const MAX_ATTEMPTS: u32 = 6;

/// See the module.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    pub(crate) client: &'a Registries,
    pub(crate) host: Arc<Host>,
    pub(crate) options: Arc<ScannerOptions>,
    reached: Arc<Reached>,
    pub(crate) counts: RequestCounts,
    pub(super) redaction: Redaction,
    subject: Subject<'a>,
    label: &'a str,
    credentials: Vec<Credential>,
    scope: Scope,
    priority: Priority,
    tenant: &'a Arc<str>,
    /// The proxy is the target's own, so its requests have a budget of their own.
    own_proxy: Option<String>,
}

/// What is talked about, for errors.
#[derive(Debug, Clone, Copy)]
struct Subject<'a> {
    registry: &'a Registry,
    image: Option<&'a ImageName>,
}

/// How the credential was shown.
struct Shown {
    header: Option<HeaderValue>,
    /// A token that several repositories share.
    shared: bool,
    /// A token that was not fresh.
    remembered: bool,
}

impl<'a> Session<'a> {
    /// Finds the credentials and the settings. Asks nothing yet.
    pub(crate) async fn open(
        client: &'a Registries,
        registry: &'a Registry,
        image: Option<&'a ImageName>,
        access: &'a Access,
        priority: Priority,
        tenant: &'a Arc<str>,
    ) -> Result<Self, ScanError> {
        let subject = Subject { registry, image };
        let repository = image.map(ImageName::repository);
        let scope = repository.map_or_else(Scope::catalog, |name| Scope::pull(name.as_str()));
        let credentials = access.credentials.candidates(registry, repository).await;
        let credentials = credentials.map_err(|error| {
            Problem::Credentials(error).during(Operation::FindCredentials, &subject)
        })?;
        let options = client.options();
        let reached = client.hosts.reached(registry, &options);
        let reached = reached.ok_or_else(|| {
            Problem::Unreachable {
                host: registry.to_string(),
                cause: Unreachable::UnknownHost,
                source: None,
            }
            .during(Operation::FindAuthentication, &subject)
        })?;
        Ok(Self {
            client,
            host: client.hosts.host(&reached, access),
            reached,
            options,
            counts: RequestCounts::default(),
            redaction: Redaction::default(),
            subject,
            label: access.credentials.label(),
            credentials,
            scope,
            priority,
            tenant,
            own_proxy: access.proxy.as_ref().map(crate::ProxySettings::redacted),
        })
    }

    /// What holds for the registry.
    pub(crate) fn settings(&self) -> &EffectiveSettings {
        &self.reached.settings
    }

    /// The address of a path below `/v2/`. Asks `/v2/` first, once per registry.
    pub(crate) async fn url(&mut self, path: &str) -> Result<Url, ScanError> {
        if let Some(base) = self.host.learned(|learned| learned.base.clone()) {
            return Ok(below(&base, path));
        }
        // What is rare is apart: every scan under way would take its room otherwise.
        match Box::pin(self.base()).await {
            Ok(base) => Ok(below(&base, path)),
            Err(problem) => Err(self.fail(Operation::FindAuthentication, problem)),
        }
    }

    /// Makes an error of a problem, without any secret that was shown.
    pub(crate) fn fail(&self, operation: Operation, problem: Problem) -> ScanError {
        problem
            .map_texts(|text| self.redaction.clean(text))
            .during(operation, &self.subject)
    }

    /// Sends a request, authenticated as the registry wants it.
    ///
    /// Gives answers with any status other than 401, 403, 429 and 503, which are errors here already.
    pub(crate) async fn send(
        &mut self,
        operation: Operation,
        ask: impl Fn() -> Ask + Send + Sync,
    ) -> Result<Answer, ScanError> {
        let count = self.credentials.len();
        let first = self.host.preferred(self.label) % count.max(1);
        let mut refused = None;
        for index in (0..count).map(|offset| (first + offset) % count) {
            match self.send_as(operation, index, &ask).await {
                Ok(answer) => {
                    if index != first {
                        self.host.prefer(self.label, index);
                    }
                    return Ok(answer);
                }
                Err(error) => match error.problem {
                    // The refusal that counts is the one of the best credential.
                    Problem::Unauthorized { .. } | Problem::Forbidden { .. } => {
                        refused.get_or_insert(error);
                    }
                    _ => return Err(error),
                },
            }
        }
        Err(refused.unwrap_or_else(|| Problem::Stopped.during(operation, &self.subject)))
    }

    async fn send_as(
        &mut self,
        operation: Operation,
        index: usize,
        ask: &(impl Fn() -> Ask + Send + Sync),
    ) -> Result<Answer, ScanError> {
        let Some(credential) = self.credentials.get(index).cloned() else {
            return Err(Problem::Stopped.during(operation, &self.subject));
        };
        let fingerprint = Fingerprint::of(&credential);
        let mut broken = false;
        for _ in 0..MAX_ATTEMPTS {
            let challenge = self.host.learned(|learned| learned.challenge.clone());
            let shown = self
                .authorization(challenge.as_ref(), &credential, fingerprint)
                .await;
            let shown = match shown {
                Ok(shown) => shown,
                Err(problem) => return Err(self.fail(Operation::GetToken, problem)),
            };
            let request = ask().authorization(shown.header.clone());
            let mut counts = self.counts;
            let sent = self.channel(&credential).send(request, &mut counts).await;
            self.counts = counts;
            let answer = match sent {
                Ok(answer) => answer,
                // A kept connection may have been closed at the other end just now.
                Err(Problem::Broken { .. }) if !std::mem::replace(&mut broken, true) => continue,
                Err(problem) => {
                    if matches!(problem, Problem::Unreachable { .. }) {
                        self.host.forget_base();
                    }
                    return Err(self.fail(operation, problem));
                }
            };
            if answer.status != StatusCode::UNAUTHORIZED {
                let is_refused = matches!(
                    answer.status,
                    StatusCode::TOO_MANY_REQUESTS
                        | StatusCode::SERVICE_UNAVAILABLE
                        | StatusCode::FORBIDDEN
                );
                if !is_refused {
                    return Ok(answer);
                }
                return match Box::pin(self.judge(answer, &credential)).await {
                    Ok(answer) => Ok(answer),
                    Err(problem) => Err(self.fail(operation, problem)),
                };
            }
            let asked_for = challenge_of(&answer);
            let again = self.learn_from_refusal(asked_for, challenge.as_ref(), &shown, fingerprint);
            if again {
                answer.discard().await;
                continue;
            }
            let problem = Box::pin(self.unauthorized(answer, &credential)).await;
            return Err(self.fail(operation, problem));
        }
        Err(Problem::Loop {
            host: host_of(&self.host.key.endpoint),
            detail: "it asks for another authentication again and again".to_owned(),
        }
        .during(operation, &self.subject))
    }

    /// Whether a 401 taught something that makes another attempt worth while.
    fn learn_from_refusal(
        &mut self,
        asked_for: Option<Challenge>,
        before: Option<&Challenge>,
        shown: &Shown,
        fingerprint: Fingerprint,
    ) -> bool {
        if shown.shared {
            // The token was said to be good for this repository, and is not: ask for one repository at a time.
            self.host.learned(|learned| learned.single_scope = true);
        }
        if shown.header.is_some() {
            self.host.tokens.remove(fingerprint, &self.scope);
        }
        let is_same = match (&asked_for, before) {
            (Some(Challenge::Bearer(new)), Some(Challenge::Bearer(old))) => {
                new.realm == old.realm
                    && new.service == old.service
                    && new.is_from_inside == old.is_from_inside
            }
            (new, old) => new.as_ref() == old,
        };
        if !is_same && asked_for.is_some() {
            self.host.learned(|learned| learned.challenge = asked_for);
            return true;
        }
        if shown.shared || shown.remembered {
            return true;
        }
        // A registry that knows this repository under another name asks for that name.
        if let Some(Challenge::Bearer(bearer)) = asked_for
            && let Some(scope) = bearer.scope.as_deref().and_then(Scope::challenged)
            && scope != self.scope
            && shown.header.is_some()
        {
            self.scope = scope;
            return true;
        }
        false
    }

    /// Errors that are the same for all requests.
    async fn judge(&self, mut answer: Answer, credential: &Credential) -> Result<Answer, Problem> {
        match answer.status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                let problem = Problem::RateLimited {
                    host: answer.host(),
                    retry_after: answer.blocked_for(),
                };
                answer.discard().await;
                Err(problem)
            }
            StatusCode::FORBIDDEN => {
                let body = self.read_error(&mut answer).await.1;
                if body.is_too_many_requests() {
                    return Err(too_many(&answer));
                }
                Err(Problem::Forbidden {
                    host: answer.host(),
                    identity: credential.identity().to_string(),
                    detail: body.detail,
                })
            }
            _ => Ok(answer),
        }
    }

    /// Makes an error of an answer that was expected to be another.
    pub(crate) async fn unexpected(&self, mut answer: Answer) -> Problem {
        let content_type = answer
            .header(header::CONTENT_TYPE)
            .unwrap_or_default()
            .to_owned();
        let (raw, body) = self.read_error(&mut answer).await;
        if body.is_too_many_requests() {
            return too_many(&answer);
        }
        let host = answer.host();
        let status = answer.status;
        let detail = body.detail;
        if status.is_server_error() {
            return Problem::ServerError {
                host,
                status: status.as_u16(),
                detail,
            };
        }
        if is_html(&content_type, &raw) {
            return Problem::NotARegistry {
                host,
                content_type: if content_type.is_empty() {
                    "no content type".to_owned()
                } else {
                    crate::error::printable(&content_type)
                },
                begins: detail,
            };
        }
        match status {
            StatusCode::NOT_FOUND => Problem::NotFound { host, detail },
            status => Problem::UnexpectedStatus {
                host,
                status: status.as_u16(),
                detail,
            },
        }
    }

    async fn unauthorized(&self, mut answer: Answer, credential: &Credential) -> Problem {
        let body = self.read_error(&mut answer).await.1;
        if body.is_too_many_requests() {
            return too_many(&answer);
        }
        Problem::Unauthorized {
            host: answer.host(),
            identity: credential.identity().to_string(),
            anonymous: credential.is_anonymous(),
            detail: body.detail,
        }
    }

    /// The body of an error, without secrets: a registry may send back what it was sent.
    pub(crate) async fn read_error(&self, answer: &mut Answer) -> (Vec<u8>, ErrorBody) {
        let mut raw = Vec::new();
        while let Ok(Some(chunk)) = answer.chunk().await {
            raw.extend_from_slice(&chunk);
            if raw.len() as u64 >= MAX_ERROR_BODY {
                raw.truncate(64 * 1024);
                break;
            }
        }
        // Before it is cut: half a secret would not be recognised.
        let text = String::from_utf8_lossy(&raw).into_owned();
        let raw = self.redaction.clean(text).into_bytes();
        let content_type = answer.header(header::CONTENT_TYPE).unwrap_or_default();
        let body = ErrorBody::read(content_type, &raw);
        (raw, body)
    }
}

/// The rest: how a session gets its base address, tokens and channel.
impl Session<'_> {
    async fn base(&mut self) -> Result<Url, Problem> {
        if let Some(base) = self.host.learned(|learned| learned.base.clone()) {
            return Ok(base);
        }
        let host = Arc::clone(&self.host);
        let _asking = host.discovery.lock().await;
        if let Some(base) = host.learned(|learned| learned.base.clone()) {
            return Ok(base);
        }
        let endpoint = host.key.endpoint.clone();
        if endpoint.scheme() == "http" && !host.key.insecure && !is_loopback(&endpoint) {
            return Err(Problem::Refused {
                host: host_of(&endpoint),
                url: super::exchange::shown(&endpoint),
                reason: "plain http needs `insecure: true`",
            });
        }
        let first = match self.ping(&endpoint).await {
            Ok(challenge) => Ok((endpoint.clone(), challenge)),
            Err(problem) if self.may_use_http(&endpoint) && is_worth_http(&problem) => {
                let mut http = endpoint.clone();
                // Both are special schemes, so this cannot fail.
                let _ = http.set_scheme("http");
                if endpoint.port().is_none() {
                    let _ = http.set_port(None);
                }
                match self.ping(&http).await {
                    Ok(challenge) => Ok((http, challenge)),
                    // What was wrong with https is more likely to be what has to be corrected, unless nothing
                    // answered there at all.
                    Err(second) => Err(if is_unreachable(&second) {
                        problem
                    } else {
                        second
                    }),
                }
            }
            Err(problem) => Err(problem),
        };
        let (base, challenge) = first?;
        host.learned(|learned| {
            learned.base = Some(base.clone());
            learned.challenge = challenge;
        });
        Ok(base)
    }

    fn may_use_http(&self, endpoint: &Url) -> bool {
        endpoint.scheme() == "https" && (self.host.key.insecure || is_loopback(endpoint))
    }

    /// Asks `/v2/` how to authenticate. Anything but 401 means: not at all, or we shall see.
    async fn ping(&mut self, base: &Url) -> Result<Option<Challenge>, Problem> {
        let anonymous = Credential::anonymous();
        let ask = Ask::get(RequestKind::Ping, below(base, ""), MAX_ERROR_BODY);
        let mut counts = self.counts;
        let sent = self.channel(&anonymous).send(ask, &mut counts).await;
        self.counts = counts;
        let answer = sent?;
        let status = answer.status;
        let asked_for = challenge_of(&answer);
        match status {
            StatusCode::UNAUTHORIZED => {
                answer.discard().await;
                Ok(asked_for)
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                self.judge(answer, &anonymous).await.map(|_| None)
            }
            status if status.is_server_error() => Err(self.unexpected(answer).await),
            _ => {
                answer.discard().await;
                Ok(None)
            }
        }
    }

    async fn authorization(
        &mut self,
        challenge: Option<&Challenge>,
        credential: &Credential,
        fingerprint: Fingerprint,
    ) -> Result<Shown, Problem> {
        let plain = |header| Shown {
            header,
            shared: false,
            remembered: false,
        };
        if challenge.is_none() {
            return Ok(plain(None));
        }
        let base = self.host.learned(|learned| learned.base.clone());
        let is_http = base.as_ref().is_some_and(|base| base.scheme() == "http");
        let may_show = !is_http || self.host.key.insecure || base.as_ref().is_some_and(is_loopback);
        match (challenge, credential.secret()) {
            (None, _) | (Some(Challenge::Basic), Secret::Anonymous | Secret::IdentityToken(_)) => {
                Ok(plain(None))
            }
            _ if !may_show => Ok(plain(None)),
            (Some(Challenge::Basic), Secret::Basic { username, password }) => {
                self.redaction.add_credential(credential);
                Ok(plain(basic(username, password.expose_secret())))
            }
            (Some(_), Secret::RegistryToken(token)) => {
                self.redaction.add_credential(credential);
                Ok(plain(bearer(token.expose_secret())))
            }
            (Some(Challenge::Bearer(bearer_challenge)), _) => {
                if let Some(token) = self.host.tokens.get(fingerprint, &self.scope) {
                    self.redaction.add(token.value.expose_secret());
                    return Ok(Shown {
                        header: bearer(token.value.expose_secret()),
                        shared: token.shared,
                        remembered: true,
                    });
                }
                let (token, is_new) = Box::pin(realm::token(
                    self,
                    bearer_challenge,
                    credential,
                    fingerprint,
                ))
                .await?;
                self.redaction.add(token.value.expose_secret());
                Ok(Shown {
                    header: bearer(token.value.expose_secret()),
                    shared: token.shared,
                    remembered: !is_new,
                })
            }
        }
    }

    pub(super) fn channel(&self, credential: &Credential) -> Channel<'_> {
        let name = BudgetName {
            host: host_of(&self.host.key.endpoint),
            identity: credential.identity().clone(),
            proxy: self.own_proxy.clone(),
        };
        let options = &self.options;
        Channel {
            connections: &self.client.connections,
            settings: &self.host.key.connection,
            budget: self
                .client
                .budgets
                .get(&name, self.settings().limits, options.longest_wait),
            priority: self.priority,
            tenant: self.tenant,
            timeout: self.settings().timeout,
            header_bytes: options.limits.header_bytes,
        }
    }

    pub(super) const fn scope(&self) -> &Scope {
        &self.scope
    }
}

fn challenge_of(answer: &Answer) -> Option<Challenge> {
    challenge::challenge(answer.headers(), answer.is_from_inside)
}

impl std::fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.image {
            Some(image) => image.fmt(f),
            None => self.registry.fmt(f),
        }
    }
}

/// A path below the registry's `/v2/`.
fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/v2/{path}", base.path().trim_end_matches('/')));
    url
}

pub(super) fn basic(username: &str, password: &str) -> Option<HeaderValue> {
    let encoded = STANDARD.encode(format!("{username}:{password}"));
    HeaderValue::from_str(&format!("Basic {encoded}")).ok()
}

fn bearer(token: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("Bearer {token}")).ok()
}

/// Traffic to this machine does not leave it: `localhost:5000` works without `insecure`, as in Flux.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// Whether plain http may be what the other side speaks. Never after a certificate was refused: then it speaks TLS, and
/// somebody in between must not be able to talk us out of it.
fn is_worth_http(problem: &Problem) -> bool {
    match problem {
        Problem::Unreachable { cause, .. } => !matches!(
            cause,
            Unreachable::UnknownHost | Unreachable::UnknownCa | Unreachable::Certificate(_)
        ),
        Problem::Broken { .. } => true,
        _ => false,
    }
}

const fn is_unreachable(problem: &Problem) -> bool {
    matches!(problem, Problem::Unreachable { .. })
}

pub(super) fn too_many(answer: &Answer) -> Problem {
    answer.refuse();
    Problem::RateLimited {
        host: answer.host(),
        retry_after: answer.blocked_for(),
    }
}
