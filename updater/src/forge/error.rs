//! What can go wrong with a forge, in terms a user and a scheduler can act on.

use jiff::Timestamp;

use super::Provider;

/// An operation on a forge failed.
///
/// Texts of a forge are cut, stripped of control characters and of the credential before they get here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForgeError {
    /// `spec.git.pullRequest.provider` is none we know.
    #[error(
        "unknown provider {text:?}: use github, gitlab, gitea, bitbucket, bitbucket-data-center or azure-devops"
    )]
    UnknownProvider {
        /// What was given, cut.
        text: String,
    },
    /// The host of the remote does not tell which forge runs there.
    #[error("cannot tell which forge runs on {host}: set the provider of the pull requests")]
    UnknownForge {
        /// The remote's host.
        host: String,
    },
    /// The remote's URL is not one of that forge's, or the API's address is not usable.
    #[error("the remote's URL does not name a repository{}: {reason}", at(*provider))]
    InvalidRemote {
        /// The forge, when known.
        provider: Option<Provider>,
        /// What is wrong.
        reason: &'static str,
    },
    /// A credential that cannot be used: an unreadable key, a character that no header may hold.
    #[error("the credential for {provider} cannot be used: {reason}")]
    InvalidCredential {
        /// The forge.
        provider: Provider,
        /// What is wrong; never the credential.
        reason: &'static str,
    },
    /// The HTTP client could not be set up: a CA bundle that is none, no certificate store.
    #[error("the HTTP client for {provider} could not be made")]
    Client {
        /// The forge.
        provider: Provider,
        /// Why.
        source: reqwest::Error,
    },
    /// The forge asked to wait; nothing is sent to it before.
    #[error("{provider}: {operation}: rate limit reached, no request before {until}")]
    RateLimited {
        /// The forge.
        provider: Provider,
        /// What was to be done.
        operation: &'static str,
        /// When the forge may be asked again.
        until: Timestamp,
    },
    /// 401, or a sign-in page in place of an answer.
    #[error(
        "{provider}: {operation}: the credential was refused ({message}); it may be expired or revoked"
    )]
    Unauthorized {
        /// The forge.
        provider: Provider,
        /// What was to be done.
        operation: &'static str,
        /// The forge's words.
        message: String,
    },
    /// 403: the credential is known but may not do this.
    #[error("{provider}: {operation}: not permitted ({message}); the credential needs {needs}")]
    Forbidden {
        /// The forge.
        provider: Provider,
        /// What was to be done.
        operation: &'static str,
        /// The forge's words.
        message: String,
        /// The permission in the forge's own terms.
        needs: &'static str,
    },
    /// 404: forges also say so when the credential may not see the thing.
    #[error(
        "{provider}: {operation}: not found ({message}); check the address, and that the credential has {needs}"
    )]
    NotFound {
        /// The forge.
        provider: Provider,
        /// What was to be done.
        operation: &'static str,
        /// The forge's words.
        message: String,
        /// The permission in the forge's own terms.
        needs: &'static str,
    },
    /// The repository was renamed or moved. Redirects are not followed: the credential is for this host and path only.
    #[error(
        "{provider}: {operation}: the forge answers with a redirect (status {status}): the repository or the API has moved, correct the URL"
    )]
    Moved {
        /// The forge.
        provider: Provider,
        /// What was to be done.
        operation: &'static str,
        /// The status.
        status: u16,
    },
    /// Somebody, or an earlier run that was killed, has made it already.
    #[error("{provider}: branch {branch} already has an open pull request")]
    AlreadyExists {
        /// The forge.
        provider: Provider,
        /// The branch.
        branch: String,
    },
    /// The branch holds nothing that the base does not.
    #[error("{provider}: branch {branch} has no changes to merge")]
    NothingToMerge {
        /// The forge.
        provider: Provider,
        /// The branch.
        branch: String,
    },
    /// The forge does not offer this.
    #[error("{provider} cannot {what}")]
    Unsupported {
        /// The forge.
        provider: Provider,
        /// The operation, as a verb.
        what: &'static str,
    },
    /// Something named in the settings is not there: a user, a team.
    #[error("{provider}: no {what} {name:?}")]
    Unknown {
        /// The forge.
        provider: Provider,
        /// "user", "GitHub App installation for".
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Any other refusal.
    #[error("{provider}: {operation}: refused with status {status} ({message})")]
    Rejected {
        /// The forge.
        provider: Provider,
        /// What was to be done.
        operation: &'static str,
        /// The status.
        status: u16,
        /// The forge's words.
        message: String,
    },
    /// Status 5xx.
    #[error("{provider}: {operation}: the forge failed with status {status}")]
    Server {
        /// The forge.
        provider: Provider,
        /// What was to be done.
        operation: &'static str,
        /// The status.
        status: u16,
    },
    /// No connection, no answer in time, a broken answer.
    #[error("{provider}: {operation}: no answer")]
    Transport {
        /// The forge.
        provider: Provider,
        /// What was to be done.
        operation: &'static str,
        /// Why; without the address.
        source: reqwest::Error,
    },
    /// The answer is longer than any answer should be.
    #[error("{provider}: {operation}: the answer is longer than {limit} bytes")]
    TooLarge {
        /// The forge.
        provider: Provider,
        /// What was to be done.
        operation: &'static str,
        /// The limit in bytes.
        limit: usize,
    },
    /// The answer is not what the forge documents.
    #[error("{provider}: {operation}: the answer is not understood")]
    Malformed {
        /// The forge.
        provider: Provider,
        /// What was to be done.
        operation: &'static str,
        /// Where.
        source: serde_json::Error,
    },
}

fn at(provider: Option<Provider>) -> String {
    provider
        .map(|provider| format!(" on {provider}"))
        .unwrap_or_default()
}

impl ForgeError {
    /// Whether the same request may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::RateLimited { .. }
                | Self::Server { .. }
                | Self::Transport { .. }
                | Self::TooLarge { .. }
        )
    }

    /// Before when nothing should be tried, where the forge said so.
    #[must_use]
    pub fn retry_at(&self) -> Option<Timestamp> {
        match self {
            Self::RateLimited { until, .. } => Some(*until),
            _ => None,
        }
    }

    /// A machine word, in the manner of Kubernetes condition reasons.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::UnknownProvider { .. }
            | Self::UnknownForge { .. }
            | Self::InvalidRemote { .. } => "InvalidPullRequestConfiguration",
            Self::InvalidCredential { .. } | Self::Unauthorized { .. } => "AuthenticationFailed",
            Self::Client { .. } => "InvalidTLSConfiguration",
            Self::RateLimited { .. } => "RateLimited",
            Self::Forbidden { .. } => "AccessDenied",
            Self::NotFound { .. } | Self::Unknown { .. } => "NotFound",
            Self::Moved { .. } => "RepositoryMoved",
            Self::AlreadyExists { .. } => "AlreadyExists",
            Self::NothingToMerge { .. } => "NothingToMerge",
            Self::Unsupported { .. } => "Unsupported",
            Self::Rejected { .. } => "PullRequestRejected",
            Self::Server { .. } => "ForgeUnavailable",
            Self::Transport { .. } => "ConnectionFailed",
            Self::TooLarge { .. } | Self::Malformed { .. } => "InvalidAnswer",
        }
    }

    /// The forge's words in a refusal of the request itself, with its status.
    pub(super) fn rejection(&self) -> Option<(u16, &str)> {
        match self {
            Self::Rejected {
                status, message, ..
            } => Some((*status, message)),
            _ => None,
        }
    }
}
