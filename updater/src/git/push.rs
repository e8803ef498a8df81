//! Pushing: only if the remote is where we think it is, and with every reference's status read.

use super::CancellationToken;
use super::error::GitError;
use super::mirror::LockedMirror;
use super::transport::{SessionError, shown};
use super::url::GitUrl;
use git2::{ErrorCode, Oid, PushOptions, RemoteCallbacks};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

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

/// Why a push did not happen.
#[derive(Debug)]
pub(crate) enum PushFailure {
    /// Somebody else was there first: fetch, do it again.
    Outrun,
    /// No answer came; the push may have arrived or not.
    Unknown(GitError),
    /// It did not happen.
    Failed(GitError),
}

impl LockedMirror {
    /// Pushes one reference.
    pub(crate) fn push(
        &self,
        update: &RefUpdate,
        options: &[String],
        cancel: &CancellationToken,
    ) -> Result<(), PushFailure> {
        if matches!(self.mirror.remote().url(), GitUrl::File(_)) {
            return self.push_local(update);
        }
        let session = self.session(cancel).map_err(PushFailure::Failed)?;
        let url = self.mirror.remote().url().for_transport();
        let lease_broken = Cell::new(false);
        let statuses: RefCell<BTreeMap<String, Option<String>>> = RefCell::new(BTreeMap::new());
        let said = RefCell::new(Vec::new());
        let pushed = session.run(|| {
            let mut callbacks = RemoteCallbacks::new();
            callbacks.push_negotiation(|updates| {
                let stale = updates.iter().any(|u| {
                    u.dst_refname().ok() != Some(update.name.as_str())
                        || u.src() != update.expected.unwrap_or_else(|| Oid::ZERO_SHA1)
                });
                if stale {
                    lease_broken.set(true);
                    return Err(git2::Error::from_str("the remote moved"));
                }
                Ok(())
            });
            callbacks.push_update_reference(|name, status| {
                statuses
                    .borrow_mut()
                    .insert(name.to_owned(), status.map(str::to_owned));
                Ok(())
            });
            callbacks.sideband_progress(|text| {
                let mut said = said.borrow_mut();
                if said.len() < 16 << 10 {
                    said.extend_from_slice(text);
                }
                true
            });
            let mut push = PushOptions::new();
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            push.remote_callbacks(callbacks)
                .remote_push_options(&options);
            let plus = if update.force { "+" } else { "" };
            self.repository.remote_anonymous(&url)?.push(
                &[format!("{plus}{}:{}", update.new, update.name)],
                Some(&mut push),
            )
        });
        if lease_broken.get() {
            return Err(PushFailure::Outrun);
        }
        match pushed {
            Ok(()) => match statuses.borrow().get(&update.name) {
                Some(None) => Ok(()),
                Some(Some(status)) => Err(self.refused(update, status, &said.borrow())),
                None => Err(PushFailure::Unknown(self.mirror.transport_error(
                    "pushing to",
                    super::Failure::new(
                        super::FailureKind::Protocol,
                        "the remote did not report on the push",
                    ),
                ))),
            },
            Err(SessionError::Git(e)) if e.code() == ErrorCode::NotFastForward => {
                Err(PushFailure::Outrun)
            }
            Err(e) => {
                let error = match e {
                    SessionError::Transport(failure) => {
                        self.mirror.transport_error("pushing to", failure)
                    }
                    SessionError::Git(e) => self.network_error("pushing to", &e),
                };
                Err(if session.may_have_arrived() {
                    PushFailure::Unknown(error)
                } else {
                    PushFailure::Failed(error)
                })
            }
        }
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
        PushFailure::Failed(GitError::Refused {
            remote: self.mirror.remote().url().to_string(),
            reference: update.name.clone(),
            status: shown(status, 300),
            said,
            protected: all.contains("protected branch") || all.contains("protected by"),
        })
    }

    /// libgit2's own local push forces the reference without looking; ours goes through its lock.
    fn push_local(&self, update: &RefUpdate) -> Result<(), PushFailure> {
        let url = self.mirror.remote().url().clone();
        let GitUrl::File(path) = &url else {
            return Err(PushFailure::Outrun);
        };
        let failed = |e: git2::Error| PushFailure::Failed(self.network_error("pushing to", &e));
        let target = git2::Repository::open(path).map_err(failed)?;
        let mut pack = self.repository.packbuilder().map_err(failed)?;
        let mut walk = self.repository.revwalk().map_err(failed)?;
        walk.push(update.new).map_err(failed)?;
        for reference in target.references().map_err(failed)?.flatten() {
            if let Some(id) = reference.target() {
                // What the mirror does not know cannot be left out.
                let _ = walk.hide(id);
            }
        }
        pack.insert_walk(&mut walk).map_err(failed)?;
        let odb = target.odb().map_err(failed)?;
        let mut writer = odb.packwriter().map_err(failed)?;
        pack.foreach(|chunk| std::io::Write::write_all(&mut writer, chunk).is_ok())
            .map_err(failed)?;
        writer.commit().map_err(failed)?;
        let moved = match update.expected {
            Some(expected) => {
                target.reference_matching(&update.name, update.new, true, expected, "push")
            }
            None => target.reference(&update.name, update.new, false, "push"),
        };
        match moved {
            Ok(_) => Ok(()),
            Err(e)
                if matches!(
                    e.code(),
                    ErrorCode::Modified
                        | ErrorCode::Exists
                        | ErrorCode::Locked
                        | ErrorCode::NotFound
                ) =>
            {
                Err(PushFailure::Outrun)
            }
            Err(e) => Err(failed(e)),
        }
    }
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
