//! How git's protocol reaches a remote: http(s) on reqwest, ssh through OpenSSH's client.
//!
//! libgit2 creates and drives a transport on the thread that called it, so the [`Session`] (credentials,
//! limits, cancellation) travels in a thread-local that is set only inside [`Session::run`]. URLs stay as the
//! user wrote them; no secret gets into a URL, a config file, a reflog or an error. Without a session every
//! connection is refused, and a session connects only to its own remote.

mod failure;
pub(crate) mod http_client;
mod keys;
mod session;
mod smart_http;
mod ssh;

pub(crate) use failure::shown;
pub use failure::{Failure, FailureKind};
pub(crate) use keys::sweep as sweep_keys;
pub(crate) use session::prepare_libgit2 as prepare;
pub(crate) use session::{Session, SessionError};
