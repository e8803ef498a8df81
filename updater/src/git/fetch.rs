//! Bringing commits of the remote into its mirror: as few as possible, and more history only when it is needed.

use super::CancellationToken;
use super::error::GitError;
use super::listing::{Listing, Wanted};
use super::mirror::LockedMirror;
use super::reference::GitReference;
use super::transport::{Failure, FailureKind, Session, SessionError};
use super::url::GitUrl;
use git2::{AutotagOption, Direction, ErrorClass, ErrorCode, FetchOptions, Oid, Remote};
use std::collections::BTreeMap;
use std::sync::Arc;

const DOING: &str = "fetching from";
/// libgit2's `GIT_FETCH_DEPTH_UNSHALLOW`.
const WHOLE_HISTORY: i32 = i32::MAX;

/// What the remote had when it was asked.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// The commit that is checked out.
    pub(crate) checkout: Oid,
    /// Full name of what is checked out, where it has one.
    pub(crate) checkout_name: Option<String>,
    /// The remote's default branch, short.
    pub(crate) default_branch: Option<String>,
    /// Tips of the branches asked for; those the remote lacks are missing.
    pub(crate) branches: BTreeMap<String, Oid>,
    /// Everything the remote has, by full name.
    pub(crate) listing: Listing,
}

impl LockedMirror {
    /// Brings what `reference` names, and the tips of `branches` where they exist, into the mirror.
    pub(crate) fn fetch(
        &self,
        reference: &GitReference,
        branches: &[&str],
        cancel: &CancellationToken,
    ) -> Result<Fetched, GitError> {
        let session = self.session(cancel)?;
        let mut remote = self.anonymous_remote()?;
        let listing = self.list(&session, &mut remote)?;
        let wanted = listing.resolve(reference, &self.mirror.remote().url().to_string())?;
        let mut wants = vec![wanted.clone()];
        let mut tips = BTreeMap::new();
        for branch in branches {
            let name = format!("refs/heads/{branch}");
            if let Some(id) = listing.id(&name) {
                tips.insert((*branch).to_owned(), id);
                wants.push(Wanted {
                    id,
                    name: Some(name),
                });
            }
        }
        self.download(&session, remote, &wants, cancel)?;
        let checkout = self
            .repository
            .find_object(wanted.id, None)
            .and_then(|object| object.peel_to_commit())
            .map_err(|e| self.mirror.mirror_error("reading the fetched commit", &e))?
            .id();
        Ok(Fetched {
            checkout,
            checkout_name: wanted.name,
            default_branch: listing.default_branch().map(str::to_owned),
            branches: tips,
            listing,
        })
    }

    /// Fetches `depth` commits of history of these references, where the mirror has less.
    pub(crate) fn deepen(
        &self,
        names: &[String],
        depth: i32,
        cancel: &CancellationToken,
    ) -> Result<(), GitError> {
        let session = self.session(cancel)?;
        let mut remote = self.anonymous_remote()?;
        let listing = self.list(&session, &mut remote)?;
        let specs: Vec<String> = names
            .iter()
            .filter(|name| listing.id(name).is_some())
            .map(|name| format!("+{name}:{}", tracking(name)))
            .collect();
        if specs.is_empty() {
            return Ok(());
        }
        self.run_fetch(&session, &mut remote, &specs, depth)
    }

    fn anonymous_remote(&self) -> Result<Remote<'_>, GitError> {
        self.repository
            .remote_anonymous(&self.mirror.remote().url().for_transport())
            .map_err(|e| self.mirror.mirror_error("setting up the remote", &e))
    }

    #[expect(clippy::disallowed_methods, reason = "inside a session")]
    fn list(&self, session: &Arc<Session>, remote: &mut Remote<'_>) -> Result<Listing, GitError> {
        session
            .run(|| {
                remote.connect(Direction::Fetch)?;
                Ok(Listing::new(remote.list()?))
            })
            .map_err(|e| self.session_error(DOING, e))
    }

    /// Objects the mirror has are not asked for again. The first fetch takes one commit, later ones what came since;
    /// a reference that is new to a mirror with history takes one commit as well, or all of its past would come.
    fn download<'s>(
        &'s self,
        session: &Arc<Session>,
        mut remote: Remote<'s>,
        wants: &[Wanted],
        cancel: &CancellationToken,
    ) -> Result<(), GitError> {
        let odb = self
            .repository
            .odb()
            .map_err(|e| self.mirror.mirror_error("opening the objects", &e))?;
        let (mut moved, mut new) = (Vec::new(), Vec::new());
        for want in wants.iter().filter(|want| !odb.exists(want.id)) {
            match &want.name {
                Some(name) => {
                    let local = tracking(name);
                    let spec = format!("+{name}:{local}");
                    if self.repository.refname_to_id(&local).is_ok() {
                        moved.push(spec);
                    } else {
                        new.push(spec);
                    }
                }
                None => self.fetch_commit(want.id, cancel)?,
            }
        }
        if self.is_local() {
            moved.append(&mut new);
        }
        let mut first = true;
        for (specs, depth) in [(moved, 0), (new, 1)] {
            if specs.is_empty() {
                continue;
            }
            if !std::mem::take(&mut first) {
                // One negotiation per connection.
                remote = self.anonymous_remote()?;
                self.list(session, &mut remote)?;
            }
            let fetched = self.run_fetch(session, &mut remote, &specs, depth);
            if let Err(GitError::Transport { failure, .. }) = &fetched
                && depth == 0
                && matches!(failure.kind, FailureKind::Timeout | FailureKind::TooLarge)
            {
                self.mirror.start_over();
            }
            fetched?;
        }
        for want in wants {
            let Some(name) = &want.name else { continue };
            let local = tracking(name);
            if self.repository.refname_to_id(&local).ok() != Some(want.id) {
                self.repository
                    .reference(&local, want.id, true, "fetch")
                    .map_err(|e| self.mirror.mirror_error("recording what was fetched", &e))?;
            }
        }
        Ok(())
    }

    /// A commit that no reference names. Many servers give one by its id; from others, all branches are fetched with
    /// their whole history, as Flux does.
    fn fetch_commit(&self, id: Oid, cancel: &CancellationToken) -> Result<(), GitError> {
        let by_id = || {
            let session = self.session(cancel)?;
            let mut remote = self.anonymous_remote()?;
            self.list(&session, &mut remote)?;
            let spec = format!("+{id}:refs/tagline/commits/{id}");
            self.run_fetch(&session, &mut remote, &[spec], 1)
        };
        match by_id() {
            Err(GitError::Transport { failure, .. })
                if matches!(
                    failure.kind,
                    FailureKind::Git | FailureKind::Server | FailureKind::Network
                ) =>
            {
                tracing::debug!(%id, %failure, "the remote does not give this commit by its id; fetching all branches");
            }
            Err(GitError::Mirror { message, .. }) => {
                tracing::debug!(%id, message, "the remote does not give this commit by its id; fetching all branches");
            }
            other => return other,
        }
        let session = self.session(cancel)?;
        let mut remote = self.anonymous_remote()?;
        let listing = self.list(&session, &mut remote)?;
        let all = ["+refs/heads/*:refs/remotes/origin/*".to_owned()];
        self.run_fetch(&session, &mut remote, &all, WHOLE_HISTORY)?;
        if self.repository.odb().is_ok_and(|odb| odb.exists(id)) {
            return Ok(());
        }
        Err(GitError::ReferenceNotFound {
            remote: self.mirror.remote().url().to_string(),
            wanted: format!("commit {id} on any branch"),
            existing: listing.names("refs/heads/"),
        })
    }

    #[expect(clippy::disallowed_methods, reason = "inside a session")]
    fn run_fetch(
        &self,
        session: &Arc<Session>,
        remote: &mut Remote<'_>,
        specs: &[String],
        depth: i32,
    ) -> Result<(), GitError> {
        let mut options = FetchOptions::new();
        options
            .depth(if self.is_local() { 0 } else { depth })
            .download_tags(AutotagOption::None)
            .update_fetchhead(false);
        session
            .run(|| remote.fetch(specs, Some(&mut options), Some("fetch")))
            .map_err(|e| self.session_error(DOING, e))
    }

    /// Whether the remote is a directory of this machine: its fetches are never shallow.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self.mirror.remote().url(), GitUrl::File(_))
    }

    /// What a failed conversation means: the transport's own failure, or what libgit2 says.
    pub(crate) fn session_error(&self, doing: &'static str, e: SessionError) -> GitError {
        let e = match e {
            SessionError::Transport(failure) => {
                return self.mirror.transport_error(doing, failure);
            }
            SessionError::Git(e) => e,
        };
        if self.is_local() {
            let missing =
                matches!(self.mirror.remote().url(), GitUrl::File(path) if !path.exists());
            let gone =
                missing || e.code() == ErrorCode::NotFound || e.class() == ErrorClass::Repository;
            let kind = if gone {
                FailureKind::RepositoryNotFound
            } else {
                FailureKind::Git
            };
            return self
                .mirror
                .transport_error(doing, Failure::new(kind, e.message()));
        }
        if matches!(
            e.class(),
            ErrorClass::Net | ErrorClass::Callback | ErrorClass::None | ErrorClass::Invalid
        ) {
            // `ERR` lines of the protocol: some hosts say there what others say by status.
            let said = e.message().to_ascii_lowercase();
            let kind = match () {
                () if !said.contains("remote error") => FailureKind::Git,
                () if said.contains("not found") => FailureKind::RepositoryNotFound,
                () if said.contains("denied") || said.contains("not allowed") => {
                    FailureKind::Forbidden
                }
                () => FailureKind::Git,
            };
            return self
                .mirror
                .transport_error(doing, Failure::new(kind, e.message()));
        }
        self.mirror.mirror_error(doing, &e)
    }
}

/// Where the mirror keeps a reference of the remote.
pub(super) fn tracking(name: &str) -> String {
    match name.strip_prefix("refs/heads/") {
        Some(branch) => format!("refs/remotes/origin/{branch}"),
        None => format!("refs/tagline/{}", name.trim_start_matches("refs/")),
    }
}
