//! Pushing: only if the remote is where we think it is, and with every reference's status read.

use super::CancellationToken;
use super::error::GitError;
use super::mirror::{LockedMirror, open_bare};
use super::transport::{Failure, FailureKind, SessionError, shown};
use git2::{ErrorCode, Oid, PushOptions, RemoteCallbacks};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// How much of what hooks print is kept.
const HOOK_TEXT: usize = 16 << 10;

/// How GitHub (branches and rulesets), GitLab, Gitea, Bitbucket and Azure DevOps say that a branch is protected.
const PROTECTED: [&str; 5] = [
    "protected branch",
    "repository rule violations",
    "protected by",
    "branch permissions",
    "tf402455",
];

/// One reference of the remote and where it is to go.
#[derive(Debug, Clone)]
pub(crate) struct RefUpdate {
    /// Full name at the remote.
    pub(crate) name: String,
    /// Where it must be now; none: it must not exist.
    pub(crate) expected: Option<Oid>,
    /// Where it goes.
    pub(crate) new: Oid,
    /// Whether it may go to a commit that does not follow `expected`.
    pub(crate) force: bool,
}

/// Why a reference was not pushed.
#[derive(Debug)]
pub(crate) enum PushFailure {
    /// Somebody else was there first: fetch, do it again.
    Outrun,
    /// No answer came; the push may have arrived or not.
    Unknown(GitError),
    /// It did not happen.
    Failed(GitError),
}

/// What became of each reference.
#[derive(Debug)]
pub(crate) struct PushResults(BTreeMap<String, Result<(), PushFailure>>);

impl PushResults {
    fn all(updates: &[RefUpdate], failure: impl Fn() -> PushFailure) -> Self {
        let failed = |update: &RefUpdate| (update.name.clone(), Err(failure()));
        Self(updates.iter().map(failed).collect())
    }

    /// What became of one reference; asked once.
    pub(crate) fn take(&mut self, name: &str) -> Result<(), PushFailure> {
        self.0.remove(name).unwrap_or(Err(PushFailure::Outrun))
    }
}

/// What the callbacks of one push saw.
#[derive(Default)]
struct Seen {
    lease_broken: Cell<bool>,
    statuses: RefCell<BTreeMap<String, Option<String>>>,
    said: RefCell<Vec<u8>>,
}

impl LockedMirror {
    /// Pushes these references, each only from where it is expected to be.
    pub(crate) fn push(
        &self,
        updates: &[RefUpdate],
        options: &[String],
        cancel: &CancellationToken,
    ) -> PushResults {
        if self.is_local() {
            let one = |update: &RefUpdate| (update.name.clone(), self.push_local(update));
            return PushResults(updates.iter().map(one).collect());
        }
        let seen = Seen::default();
        let (mut result, mut may_have_arrived) = self.push_once(updates, options, &seen, cancel);
        if let Err(PushError::Session(SessionError::Git(e))) = &result
            && !options.is_empty()
            && e.message().contains("push-options not supported")
        {
            tracing::warn!(remote = %self.mirror.remote().url(), "the remote takes no push options; pushing without them");
            (result, may_have_arrived) = self.push_once(updates, &[], &seen, cancel);
        }
        if seen.lease_broken.get() {
            return PushResults::all(updates, || PushFailure::Outrun);
        }
        let error = match result {
            Ok(()) => return self.statuses(updates, &seen),
            Err(PushError::Session(SessionError::Git(e)))
                if e.code() == ErrorCode::NotFastForward =>
            {
                return PushResults::all(updates, || PushFailure::Outrun);
            }
            Err(e) => e,
        };
        // Statuses that did arrive count, whatever broke afterwards.
        let mut results = self.statuses(updates, &seen);
        let mut error = Some(match error {
            PushError::Setup(e) => e,
            PushError::Session(e) => self.session_error("pushing to", e),
        });
        for update in updates {
            if seen.statuses.borrow().contains_key(&update.name) {
                continue;
            }
            let error = error.take().unwrap_or_else(|| self.no_report());
            results.0.insert(
                update.name.clone(),
                Err(if may_have_arrived {
                    PushFailure::Unknown(error)
                } else {
                    PushFailure::Failed(error)
                }),
            );
        }
        results
    }

    #[expect(clippy::disallowed_methods, reason = "inside a session")]
    fn push_once(
        &self,
        updates: &[RefUpdate],
        options: &[String],
        seen: &Seen,
        cancel: &CancellationToken,
    ) -> (Result<(), PushError>, bool) {
        let session = match self.session(cancel) {
            Ok(session) => session,
            Err(e) => return (Err(PushError::Setup(e)), false),
        };
        let url = self.mirror.remote().url().for_transport();
        let specs: Vec<String> = updates
            .iter()
            .map(|update| {
                let plus = if update.force { "+" } else { "" };
                format!("{plus}{}:{}", update.new, update.name)
            })
            .collect();
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let pushed = session.run(|| {
            let mut callbacks = RemoteCallbacks::new();
            callbacks.push_negotiation(|negotiated| {
                let fits = negotiated.iter().all(|pair| {
                    let name = pair.dst_refname().unwrap_or_default();
                    updates.iter().any(|update| {
                        update.name == name
                            && pair.src() == update.expected.unwrap_or(Oid::ZERO_SHA1)
                    })
                });
                if fits {
                    return Ok(());
                }
                seen.lease_broken.set(true);
                Err(git2::Error::from_str("the remote moved"))
            });
            callbacks.push_update_reference(|name, status| {
                seen.statuses
                    .borrow_mut()
                    .insert(name.to_owned(), status.map(str::to_owned));
                Ok(())
            });
            callbacks.sideband_progress(|text| {
                let mut said = seen.said.borrow_mut();
                let room = HOOK_TEXT.saturating_sub(said.len()).min(text.len());
                said.extend_from_slice(&text[..room]);
                true
            });
            let mut push = PushOptions::new();
            push.remote_callbacks(callbacks)
                .remote_push_options(&options)
                .packbuilder_parallelism(1);
            // A handle of its own: this one may remember less history than the mirror has by now.
            open_bare(self.repository.path())?
                .remote_anonymous(&url)?
                .push(&specs, Some(&mut push))
        });
        (
            pushed.map_err(PushError::Session),
            session.may_have_arrived(),
        )
    }

    fn statuses(&self, updates: &[RefUpdate], seen: &Seen) -> PushResults {
        let statuses = seen.statuses.borrow();
        let said = seen.said.borrow();
        let one = |update: &RefUpdate| {
            let result = match statuses.get(&update.name) {
                Some(None) => Ok(()),
                Some(Some(status)) => Err(self.refused(update, status, &said)),
                None => Err(PushFailure::Unknown(self.no_report())),
            };
            (update.name.clone(), result)
        };
        PushResults(updates.iter().map(one).collect())
    }

    fn no_report(&self) -> GitError {
        self.mirror.transport_error(
            "pushing to",
            Failure::new(
                FailureKind::Network,
                "the remote did not say whether it took the push",
            ),
        )
    }

    fn refused(&self, update: &RefUpdate, status: &str, said: &[u8]) -> PushFailure {
        let lower = status.to_ascii_lowercase();
        let outrun = [
            "non-fast-forward",
            "fetch first",
            "stale info",
            "failed to update ref",
            "cannot lock ref",
            "failed to lock",
            "reference already exists",
            "incorrect old value",
        ];
        if outrun.iter().any(|text| lower.contains(text)) {
            return PushFailure::Outrun;
        }
        let said = hook_text(said);
        let all = format!("{lower} {}", said.to_ascii_lowercase());
        if lower.contains("unpack") {
            // Nobody decided anything: what we sent did not get there whole, or there is no room for it.
            let text = format!(
                "it could not take the commits in: {} {said}",
                shown(status, 300)
            );
            let failure = Failure::new(FailureKind::Server, text.trim());
            let error = self.mirror.transport_error("pushing to", failure);
            return if all.contains("early eof") {
                PushFailure::Unknown(error)
            } else {
                PushFailure::Failed(error)
            };
        }
        PushFailure::Failed(GitError::Refused {
            remote: self.mirror.remote().url().to_string(),
            reference: update.name.clone(),
            status: shown(status, 300),
            said,
            protected: PROTECTED.iter().any(|words| all.contains(words)),
        })
    }
}

/// Why a push as a whole failed.
enum PushError {
    Setup(GitError),
    Session(SessionError),
}

/// What hooks printed, without control characters and git's `remote:` prefixes.
fn hook_text(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let lines: Vec<&str> = text
        .split(['\n', '\r'])
        .map(|line| line.trim().trim_start_matches("remote:").trim())
        .filter(|line| !line.is_empty())
        .collect();
    shown(&lines.join("\n"), 2000)
}
