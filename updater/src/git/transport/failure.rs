//! Why a conversation with a remote failed. libgit2 passes on only text, so the kind is kept here.

use git2::{ErrorClass, ErrorCode};
use std::fmt;

/// What sort of failure it was: decides whether to try again, and what a user must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// The remote does not accept the credentials, or wants some.
    Authentication,
    /// The remote knows us and does not allow it.
    Forbidden,
    /// There is no such repository, or it is hidden from us.
    RepositoryNotFound,
    /// The remote failed by itself (HTTP 5xx).
    Server,
    /// The remote wants us to come back later (HTTP 429).
    TooManyRequests,
    /// The answer is not git's protocol.
    Protocol,
    /// The TLS connection: unknown authority, expired or wrong certificate.
    Tls,
    /// The ssh host key is unknown, changed or revoked.
    HostKey,
    /// No connection, or it broke.
    Network,
    /// The remote was silent too long, or the time for the operation is over.
    Timeout,
    /// The remote sent more than the limit.
    TooLarge,
    /// The caller ended the operation.
    Cancelled,
    /// A key, certificate or program on our side cannot be used.
    Local,
    /// Anything else that libgit2 says.
    Git,
}

impl FailureKind {
    /// Whether trying again with the same settings can help.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::Server | Self::TooManyRequests | Self::Network | Self::Timeout | Self::Git
        )
    }

    /// A machine word.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Authentication => "AuthenticationFailed",
            Self::Forbidden => "Forbidden",
            Self::RepositoryNotFound => "RepositoryNotFound",
            Self::Server => "RemoteFailed",
            Self::TooManyRequests => "TooManyRequests",
            Self::Protocol => "NotAGitRepository",
            Self::Tls => "TLSFailed",
            Self::HostKey => "HostKeyVerificationFailed",
            Self::Network => "ConnectionFailed",
            Self::Timeout => "TimedOut",
            Self::TooLarge => "TooLarge",
            Self::Cancelled => "Cancelled",
            Self::Local => "CredentialsUnusable",
            Self::Git => "GitOperationFailed",
        }
    }
}

/// A failure with its kind and a text that is safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What sort it is.
    pub kind: FailureKind,
    message: String,
}

impl Failure {
    /// `message` may hold text of the remote side. Control characters are replaced: a terminal must not obey
    /// them, and git2 aborts the process on a NUL in an error (`CString::new(..).unwrap()` in an `extern "C"` fn).
    pub(crate) fn new(kind: FailureKind, message: impl AsRef<str>) -> Self {
        Self {
            kind,
            message: shown(message.as_ref(), 2000),
        }
    }
}

/// Foreign text for a message: control characters but the line break become blanks, at most `limit` characters.
pub(crate) fn shown(text: &str, limit: usize) -> String {
    text.trim()
        .chars()
        .map(|c| match c {
            '\n' => c,
            c if c.is_control()
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                ' '
            }
            c => c,
        })
        .take(limit)
        .collect::<String>()
        .trim_end()
        .to_owned()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<Failure> for git2::Error {
    fn from(failure: Failure) -> Self {
        let code = match failure.kind {
            FailureKind::Authentication | FailureKind::Forbidden => ErrorCode::Auth,
            FailureKind::RepositoryNotFound => ErrorCode::NotFound,
            FailureKind::Tls | FailureKind::HostKey => ErrorCode::Certificate,
            FailureKind::Cancelled => ErrorCode::User,
            _ => ErrorCode::GenericError,
        };
        Self::new(code, ErrorClass::Net, failure.message)
    }
}

impl From<&git2::Error> for Failure {
    fn from(e: &git2::Error) -> Self {
        Self::new(FailureKind::Git, e.message())
    }
}

impl From<Failure> for std::io::Error {
    fn from(failure: Failure) -> Self {
        Self::other(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_steer_a_terminal_or_abort_the_process() {
        let failure = Failure::new(FailureKind::Git, "a\0b\u{1b}[31mc\r\nd\u{202e}e  ");
        assert_eq!(failure.to_string(), "a b [31mc \nd e");
        let _: git2::Error = failure.into();
    }
}
