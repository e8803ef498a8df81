//! What one network operation may use, and how libgit2 finds it on the calling thread.

use super::failure::{Failure, FailureKind};
use super::{keys::KeyFiles, smart_http::SmartHttp, ssh::Ssh};
use crate::git::remote::{GitAuth, Limits, Remote};
use crate::git::url::GitUrl;
use crate::git::{CancellationToken, GitError};
use git2::transport::Transport;
use git2::{ConfigLevel, ErrorClass, ErrorCode};
use std::cell::RefCell;
use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::Instant;

/// One per network operation; cheap. Connections and trust settings live in the [`Remote`].
pub(crate) struct Session {
    runtime: Handle,
    remote: Remote,
    pub(super) http: Option<reqwest::Client>,
    pub(super) keys: Option<KeyFiles>,
    deadline: Instant,
    idle: Duration,
    cancel: CancellationToken,
    received: AtomicU64,
    /// Set once bytes of a request that changes the remote may have left this machine.
    sent: AtomicBool,
    failure: Mutex<Option<Failure>>,
}

thread_local!(static CURRENT: RefCell<Option<Arc<Session>>> = const { RefCell::new(None) });

impl Session {
    /// Prepares one operation: writes the ssh key into `key_directory`, starts the clock.
    ///
    /// Call on a thread where blocking is allowed (`spawn_blocking`, a plain thread).
    pub(crate) fn new(
        remote: &Remote,
        key_directory: &Path,
        cancel: &CancellationToken,
    ) -> Result<Arc<Self>, GitError> {
        let of_remote = |failure| GitError::Transport {
            remote: remote.url().to_string(),
            doing: "setting up the connection to",
            failure,
        };
        prepare_libgit2().map_err(|e| of_remote(Failure::from(&e)))?;
        let keys = match remote.auth() {
            GitAuth::SshKey {
                identity,
                known_hosts,
                passphrase,
            } => Some(
                KeyFiles::write(key_directory, identity, known_hosts, passphrase.as_ref())
                    .map_err(of_remote)?,
            ),
            _ => None,
        };
        let http = match remote.url() {
            GitUrl::Http(_) => Some(remote.http_client()?),
            _ => None,
        };
        let timeouts = remote.options().timeouts;
        Ok(Arc::new(Self {
            runtime: runtime().map_err(of_remote)?,
            remote: remote.clone(),
            http,
            keys,
            deadline: Instant::now() + timeouts.operation,
            idle: timeouts.idle,
            cancel: cancel.clone(),
            received: AtomicU64::new(0),
            sent: AtomicBool::new(false),
            failure: Mutex::new(None),
        }))
    }

    /// Runs libgit2 calls with this session. The first failure of the transport is returned in full:
    /// libgit2 keeps only a message, and sometimes replaces even that.
    pub(crate) fn run<T>(
        self: &Arc<Self>,
        f: impl FnOnce() -> Result<T, git2::Error>,
    ) -> Result<T, SessionError> {
        struct Restore(Option<Arc<Session>>);
        impl Drop for Restore {
            fn drop(&mut self) {
                CURRENT.set(self.0.take());
            }
        }
        let _restore = Restore(CURRENT.replace(Some(Arc::clone(self))));
        if self.cancel.is_cancelled() {
            return Err(SessionError::Transport(Failure::new(
                FailureKind::Cancelled,
                "cancelled",
            )));
        }
        f().map_err(|e| match self.lock_failure().take() {
            Some(failure) => SessionError::Transport(failure),
            None => SessionError::Git(e),
        })
    }

    /// Whether a change may have reached the remote although no answer did.
    pub(crate) fn may_have_arrived(&self) -> bool {
        self.sent.load(Ordering::Relaxed)
    }

    pub(super) fn mark_sent(&self) {
        self.sent.store(true, Ordering::Relaxed);
    }

    pub(super) fn remote(&self) -> &Remote {
        &self.remote
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    fn limits(&self) -> Limits {
        self.remote.options().limits
    }

    /// Counts what the remote sent.
    pub(super) fn received(&self, bytes: usize, listing: bool) -> Result<(), Failure> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let total = self.received.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let (limit, what) = if listing {
            (self.limits().references, "list of references")
        } else {
            (self.limits().pack, "answer")
        };
        if total <= limit {
            return Ok(());
        }
        Err(self.keep(Failure::new(
            FailureKind::TooLarge,
            format!("the {what} of the remote is longer than {limit} bytes"),
        )))
    }

    /// Remembers the first failure.
    pub(super) fn keep(&self, failure: Failure) -> Failure {
        self.lock_failure().get_or_insert_with(|| failure.clone());
        failure
    }

    fn lock_failure(&self) -> std::sync::MutexGuard<'_, Option<Failure>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks on `future`, with cancellation, silence limit and deadline.
    pub(super) fn wait<T>(
        &self,
        what: &str,
        future: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let limit = self.deadline.min(Instant::now() + self.idle);
        self.runtime
            .block_on(async {
                tokio::select! {
                    biased;
                    () = self.cancel.cancelled() => {
                        Err(Failure::new(FailureKind::Cancelled, format!("cancelled while {what}")))
                    }
                    result = future => result,
                    () = tokio::time::sleep_until(limit) => Err(Failure::new(FailureKind::Timeout, self.too_late(limit, what))),
                }
            })
            .map_err(|failure| self.keep(failure))
    }

    fn too_late(&self, limit: Instant, what: &str) -> String {
        if limit == self.deadline {
            let total = self.remote.options().timeouts.operation;
            format!("time is up ({total:?}) while {what}")
        } else {
            format!("nothing came for {:?} while {what}", self.idle)
        }
    }

    /// libgit2 asks for a URL; only that of this session's remote is served.
    pub(super) fn check_url(&self, url: &str) -> Result<(), Failure> {
        if url == self.remote.url().for_transport() {
            return Ok(());
        }
        Err(self.keep(Failure::new(
            FailureKind::Local,
            "git asked for another address than that of the remote",
        )))
    }
}

/// What a call of libgit2 inside [`Session::run`] failed with.
#[derive(Debug)]
pub(crate) enum SessionError {
    /// The conversation with the remote.
    Transport(Failure),
    /// libgit2 itself: its own checks, or files of the mirror.
    Git(git2::Error),
}

/// The session of the libgit2 call on this thread.
fn current() -> Option<Arc<Session>> {
    CURRENT.with_borrow(Clone::clone)
}

/// The runtime that connections live on: the caller's, or one of our own where there is none.
fn runtime() -> Result<Handle, Failure> {
    static OWN: OnceLock<Runtime> = OnceLock::new();
    if let Ok(handle) = Handle::try_current() {
        return Ok(handle);
    }
    if let Some(own) = OWN.get() {
        return Ok(own.handle().clone());
    }
    let own = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("git-transport")
        .enable_all()
        .build()
        .map_err(|e| {
            Failure::new(
                FailureKind::Local,
                format!("no runtime for network access: {e}"),
            )
        })?;
    Ok(OWN.get_or_init(|| own).handle().clone())
}

/// Replaces libgit2's http(s) and ssh for the whole process and empties its configuration search path, once.
/// A user's gitconfig could otherwise send credentials elsewhere (`url.*.insteadOf`).
pub(crate) fn prepare_libgit2() -> Result<(), git2::Error> {
    static DONE: OnceLock<Result<(), (ErrorCode, ErrorClass, String)>> = OnceLock::new();
    DONE.get_or_init(|| set_up().map_err(|e| (e.code(), e.class(), e.message().to_owned())))
        .clone()
        .map_err(|(code, class, message)| git2::Error::new(code, class, message))
}

#[expect(
    unsafe_code,
    reason = "libgit2's global settings: an unlocked list of transports and the search paths"
)]
fn set_up() -> Result<(), git2::Error> {
    for level in [
        ConfigLevel::ProgramData,
        ConfigLevel::System,
        ConfigLevel::XDG,
        ConfigLevel::Global,
    ] {
        // SAFETY: written only here, once, before any repository is opened by this crate.
        unsafe { git2::opts::set_search_path(level, "")? };
    }
    for (scheme, stateless) in [("http", true), ("https", true), ("ssh", false)] {
        let factory = move |remote: &git2::Remote<'_>| {
            let session = current();
            if stateless {
                Transport::smart(remote, true, SmartHttp::new(session))
            } else {
                Transport::smart(remote, false, Ssh::new(session))
            }
        };
        // SAFETY: git_transport_register changes an unlocked global list, read when a remote connects. It is
        // written only here, once, and before the first `Session` exists; clippy's disallowed-methods keeps
        // libgit2's network calls inside this crate's git module, where all of them go through a `Session`.
        unsafe { git2::transport::register(scheme, factory)? };
    }
    // Objects that libgit2 writes itself are taken from fetched packs, whose checksums were verified.
    git2::opts::strict_hash_verification(true);
    Ok(())
}

pub(super) fn no_session() -> git2::Error {
    git2::Error::new(
        ErrorCode::GenericError,
        ErrorClass::Net,
        "git network access outside of a session",
    )
}
