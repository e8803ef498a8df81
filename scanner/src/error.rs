//! What can go wrong when a registry is asked, and what to do about it.
//!
//! A [`ScanError`] always names the operation and the image; its [`Problem`] is what callers decide by.

use crate::credentials::CredentialError;
use crate::proxy::InvalidProxy;
use crate::tls::InvalidTls;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How much of a registry's answer is quoted, in characters.
const QUOTED: usize = 200;

/// A failed request to a registry, or a refused answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{operation} of {subject}: {problem}")]
pub struct ScanError {
    /// What was being done.
    pub operation: Operation,
    /// The canonical image name, or the registry's host where no image is involved.
    pub subject: String,
    /// What went wrong.
    #[source]
    pub problem: Problem,
}

/// What was being done when it went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Reading `/v2/`, to learn how the registry wants to be asked.
    FindAuthentication,
    /// Finding the credentials.
    FindCredentials,
    /// Asking the token realm.
    GetToken,
    /// Reading the tag list.
    ListTags,
    /// Reading the registry's catalog.
    ListRepositories,
    /// Reading a manifest or its digest.
    ReadManifest,
    /// Reading an image's configuration.
    ReadConfiguration,
    /// Reading or writing what is known about it.
    Store,
}

/// What went wrong. Every text ends with what to do.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// No connection.
    #[error("cannot reach {host}: {cause}")]
    Unreachable {
        /// The host with its port.
        host: String,
        /// Why not, as far as it is known.
        cause: Unreachable,
        /// The error underneath.
        #[source]
        source: Option<Arc<dyn std::error::Error + Send + Sync>>,
    },
    /// The connection broke, or the other side does not speak HTTP.
    #[error(
        "the connection to {host} broke: {detail}; if this goes on, look at the registry and at proxies in between"
    )]
    Broken {
        /// The host with its port.
        host: String,
        /// What the HTTP library says.
        detail: String,
    },
    /// No answer in time, or a body that comes too slowly.
    #[error(
        "{host} did not answer in time ({detail}); the registry or the way to it is slow: raise the registry's timeout if it is always so"
    )]
    Timeout {
        /// The host with its port.
        host: String,
        /// Which time-out.
        detail: String,
    },
    /// 401 with the best credential, or a token that does not help.
    #[error("{host} refused {identity} (401){}: {}", quoted(.detail), if *.anonymous { "a private or missing repository; set credentials (spec.secretRef, or `docker login`), and check the name" } else { "check that the credentials are valid and may read this repository" })]
    Unauthorized {
        /// Who refused: the registry or its token realm.
        host: String,
        /// Whose credential was shown.
        identity: String,
        /// Whether there was no credential at all.
        anonymous: bool,
        /// What the answer said.
        detail: String,
    },
    /// 403.
    #[error("{host} denied access to {identity} (403){}: give it the right to read (pull) this repository", quoted(.detail))]
    Forbidden {
        /// Who refused.
        host: String,
        /// Whose credential was shown.
        identity: String,
        /// What the answer said.
        detail: String,
    },
    /// 404: no such repository, or no such manifest.
    #[error("{host} does not know it (404){}: check the name; a private repository may also look like this without credentials", quoted(.detail))]
    NotFound {
        /// The registry.
        host: String,
        /// What the answer said.
        detail: String,
    },
    /// Out of budget: 429, 503, or a `TOOMANYREQUESTS` body, now or for an earlier request to the same registry.
    #[error("{host} allows no more requests for now; trying again in {}: lower the registry's rate in Settings or use credentials with a higher limit if this happens often", seconds(.retry_after))]
    RateLimited {
        /// The registry.
        host: String,
        /// How long to leave it alone.
        retry_after: Duration,
    },
    /// 5xx, other than 503.
    #[error("{host} failed ({status}){}: the registry has a problem; it is asked again later", quoted(.detail))]
    ServerError {
        /// The registry.
        host: String,
        /// The HTTP status.
        status: u16,
        /// What the answer said.
        detail: String,
    },
    /// Any other status.
    #[error("{host} answered with an unexpected status ({status}){}: check that this host is an OCI registry", quoted(.detail))]
    UnexpectedStatus {
        /// The registry.
        host: String,
        /// The HTTP status.
        status: u16,
        /// What the answer said.
        detail: String,
    },
    /// A web page or another thing that is not the answer of a registry.
    #[error("{host} did not answer like a registry ({content_type}){}: check the host and port; a proxy or a log-in page may stand in between", quoted(.begins))]
    NotARegistry {
        /// The host.
        host: String,
        /// The answer's content type.
        content_type: String,
        /// How the answer begins.
        begins: String,
    },
    /// An answer that breaks the rules.
    #[error("{host} gave a broken answer: {detail}; tell the registry's operator")]
    Malformed {
        /// The registry.
        host: String,
        /// Where and how.
        detail: String,
    },
    /// An answer over a limit.
    #[error(
        "{host} sent more than {limit} {unit}; if this repository really has so many, raise the limit in Settings"
    )]
    TooLarge {
        /// The registry.
        host: String,
        /// The limit.
        limit: u64,
        /// What is counted.
        unit: &'static str,
    },
    /// A `Link` or a redirect, or a token realm, that may not be followed.
    #[error("{host} named {url}, which is not followed: {reason}")]
    Refused {
        /// The registry.
        host: String,
        /// Where it wanted to lead us, cut and without its query.
        url: String,
        /// Why not, and what to do.
        reason: &'static str,
    },
    /// Pages or redirects that go round in a circle.
    #[error("{host} leads in a circle: {detail}; tell the registry's operator")]
    Loop {
        /// The registry.
        host: String,
        /// What repeats.
        detail: String,
    },
    /// The credentials could not be had.
    #[error("{0}")]
    Credentials(#[source] CredentialError),
    /// CA or client certificate unusable.
    #[error("{0}")]
    Tls(#[source] InvalidTls),
    /// Proxy unusable.
    #[error("{0}")]
    Proxy(#[source] InvalidProxy),
    /// The store failed.
    #[error("{0}")]
    Store(String),
    /// The scanner is shutting down.
    #[error("stopped")]
    Stopped,
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreachable {
    /// Nothing listens there.
    Refused,
    /// The name does not resolve.
    UnknownHost,
    /// The certificate is signed by nobody this machine trusts.
    UnknownCa,
    /// Another problem with the certificate.
    Certificate(String),
    /// TLS failed in another way; often because the other side speaks plain http.
    Tls(String),
    /// The proxy did not let us through.
    Proxy(String),
    /// No connection in time.
    Timeout,
    /// Anything else.
    Other(String),
}

impl ScanError {
    /// Whether the same scan may succeed later without anybody changing anything.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match &self.problem {
            Problem::Unreachable { cause, .. } => !matches!(
                cause,
                Unreachable::UnknownCa | Unreachable::Certificate(_) | Unreachable::Tls(_)
            ),
            Problem::Broken { .. }
            | Problem::Timeout { .. }
            | Problem::RateLimited { .. }
            | Problem::ServerError { .. }
            | Problem::Store(_)
            | Problem::Stopped => true,
            Problem::Credentials(error) => error.is_retryable(),
            _ => false,
        }
    }

    /// A machine word for conditions, events and metrics.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match &self.problem {
            Problem::Unreachable { cause, .. } => match cause {
                Unreachable::UnknownHost => "UnknownHost",
                Unreachable::UnknownCa | Unreachable::Certificate(_) => "CertificateInvalid",
                Unreachable::Tls(_) => "TLSFailed",
                Unreachable::Proxy(_) => "ProxyFailed",
                Unreachable::Timeout => "Timeout",
                Unreachable::Refused | Unreachable::Other(_) => "Unreachable",
            },
            Problem::Broken { .. } => "ConnectionBroken",
            Problem::Timeout { .. } => "Timeout",
            Problem::Unauthorized { .. } => "Unauthorized",
            Problem::Forbidden { .. } => "Forbidden",
            Problem::NotFound { .. } => "NotFound",
            Problem::RateLimited { .. } => "RateLimited",
            Problem::ServerError { .. } => "ServerError",
            Problem::UnexpectedStatus { .. } => "UnexpectedStatus",
            Problem::NotARegistry { .. } => "NotARegistry",
            Problem::Malformed { .. } => "MalformedAnswer",
            Problem::TooLarge { .. } => "TooLarge",
            Problem::Refused { .. } => "RefusedLocation",
            Problem::Loop { .. } => "Loop",
            Problem::Credentials(_) => "AuthenticationFailed",
            Problem::Tls(_) => "InvalidTLS",
            Problem::Proxy(_) => "InvalidProxy",
            Problem::Store(_) => "StorageFailed",
            Problem::Stopped => "Stopped",
        }
    }

    /// How long the registry wants to be left alone, where that is known.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match &self.problem {
            Problem::RateLimited { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }
}

impl Problem {
    /// Changes every text that may hold something a registry sent.
    pub(crate) fn map_texts(mut self, change: impl Fn(String) -> String) -> Self {
        let texts: &mut [&mut String] = match &mut self {
            Self::Unreachable {
                cause:
                    Unreachable::Certificate(text)
                    | Unreachable::Tls(text)
                    | Unreachable::Proxy(text)
                    | Unreachable::Other(text),
                ..
            } => &mut [text],
            Self::Broken { detail, .. }
            | Self::Timeout { detail, .. }
            | Self::Unauthorized { detail, .. }
            | Self::Forbidden { detail, .. }
            | Self::NotFound { detail, .. }
            | Self::ServerError { detail, .. }
            | Self::UnexpectedStatus { detail, .. }
            | Self::Malformed { detail, .. }
            | Self::Loop { detail, .. } => &mut [detail],
            Self::NotARegistry {
                content_type,
                begins,
                ..
            } => &mut [content_type, begins],
            Self::Refused { url, .. } => &mut [url],
            _ => &mut [],
        };
        for text in texts {
            **text = change(std::mem::take(*text));
        }
        self
    }

    /// Puts the operation and its subject in front.
    pub(crate) fn during(
        self,
        operation: Operation,
        subject: &(impl ToString + ?Sized),
    ) -> ScanError {
        ScanError {
            operation,
            subject: subject.to_string(),
            problem: self,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FindAuthentication => "finding the authentication",
            Self::FindCredentials => "finding the credentials",
            Self::GetToken => "getting a token",
            Self::ListTags => "listing the tags",
            Self::ListRepositories => "listing the repositories",
            Self::ReadManifest => "reading a manifest",
            Self::ReadConfiguration => "reading the image configuration",
            Self::Store => "keeping the tags",
        })
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str(
                "connection refused: nothing listens there; check host and port, and that the registry runs",
            ),
            Self::UnknownHost => f.write_str(
                "the name does not resolve: check its spelling and this machine's DNS",
            ),
            Self::UnknownCa => f.write_str(
                "its certificate is signed by an unknown authority: give the CA (spec.certSecretRef, or the registry's CA in Settings)",
            ),
            Self::Certificate(detail) => {
                write!(f, "its certificate is not valid ({detail}): renew it, or use the name it was made for")
            }
            Self::Tls(detail) => {
                write!(f, "TLS failed ({detail}): a registry that speaks plain http needs `insecure: true`; one that wants a client certificate needs spec.certSecretRef")
            }
            Self::Proxy(detail) => {
                write!(f, "the proxy does not let us through ({detail}): check the proxy's address and credentials")
            }
            Self::Timeout => f.write_str(
                "no connection in time: check host and port, and firewalls in between",
            ),
            Self::Other(detail) => write!(f, "{detail}; check host and port"),
        }
    }
}

/// A piece of a foreign answer that is safe to print: one line, no control characters, cut.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(QUOTED));
    let mut last_was_space = true;
    for (count, c) in text.chars().enumerate() {
        if count == QUOTED * 4 || out.len() >= QUOTED {
            out.push('…');
            break;
        }
        let c = if c.is_whitespace() { ' ' } else { c };
        if c == ' ' && last_was_space {
            continue;
        }
        last_was_space = c == ' ';
        if c.is_control() || is_format_character(c) {
            out.push('\u{fffd}');
        } else {
            out.push(c);
        }
    }
    out.trim_end().to_owned()
}

/// Characters that reorder or hide text on a terminal.
const fn is_format_character(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn quoted(detail: &str) -> String {
    if detail.is_empty() {
        String::new()
    } else {
        format!(", saying {detail:?}")
    }
}

fn seconds(duration: &Duration) -> String {
    format!("{} s", duration.as_secs_f64().ceil())
}
