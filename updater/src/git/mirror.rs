//! A bare, incrementally fetched copy of a remote under the storage path. A cache: it can be deleted any time.
//!
//! One directory per remote, shared by all automations on it and by all processes on the storage path; whoever
//! works on it holds a lock. A mirror that turns out to be damaged is thrown away and fetched again.

use super::CancellationToken;
use super::error::GitError;
use super::reference::{Checkout, CommitId, GitReference};
use super::remote::Remote;
use super::transport::{self, Failure, FailureKind, Session, SessionError};
use super::url::GitUrl;
use git2::{AutotagOption, Direction, ErrorClass, ErrorCode, FetchOptions, Oid, Repository};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long to wait between two looks at a lock that somebody else holds.
const LOCK_POLL: Duration = Duration::from_millis(5);
/// What stands in the lock file while a mirror is worked on.
const HELD: &[u8] = b"held";

/// The place of one remote's copy. Cheap; nothing is opened before it is used.
#[derive(Debug, Clone)]
pub struct Mirror {
    remote: Remote,
    directory: PathBuf,
    keys: PathBuf,
}

impl Mirror {
    /// The mirror of `remote` below `storage`, made when it is not there yet.
    ///
    /// # Errors
    /// [`GitError::Storage`] when its directory cannot be made.
    pub fn open(storage: &Path, remote: &Remote) -> Result<Self, GitError> {
        let keys = storage.join("git-keys");
        if let Err(source) = transport::sweep_keys(&keys) {
            return Err(GitError::Storage {
                doing: "removing old ssh keys below",
                path: keys,
                source,
            });
        }
        let directory = storage.join("git").join(directory_name(remote.url()));
        fs::create_dir_all(&directory).map_err(|source| GitError::Storage {
            doing: "making the mirror's directory",
            path: directory.clone(),
            source,
        })?;
        Ok(Self {
            remote: remote.clone(),
            directory,
            keys,
        })
    }

    /// The remote.
    #[must_use]
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// Where the copy is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Waits until nobody else works on this mirror, then opens it.
    pub(crate) fn lock(&self, cancel: &CancellationToken) -> Result<LockedMirror, GitError> {
        let storage = |doing, path: PathBuf| {
            move |source| GitError::Storage {
                doing,
                path,
                source,
            }
        };
        let path = self.directory.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(storage("opening the lock", path.clone()))?;
        // Somebody else may fetch and push before it is our turn.
        let until = Instant::now() + self.remote.options().timeouts.operation * 4;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(source)) => {
                    return Err(storage("locking", path)(source));
                }
                Err(TryLockError::WouldBlock) => {}
            }
            if cancel.is_cancelled() {
                return Err(self.transport_error(
                    "waiting for the mirror of",
                    Failure::new(FailureKind::Cancelled, "cancelled"),
                ));
            }
            if Instant::now() > until {
                return Err(GitError::Busy {
                    remote: self.remote.url().to_string(),
                    path: self.directory.clone(),
                });
            }
            std::thread::sleep(LOCK_POLL);
        }
        let mut was = Vec::new();
        file.read_to_end(&mut was)
            .and_then(|_| file.rewind())
            .and_then(|()| file.write_all(HELD))
            .map_err(storage("writing the lock", path))?;
        transport::prepare().map_err(|e| self.mirror_error("setting up libgit2", &e))?;
        if !was.is_empty() {
            tracing::debug!(mirror = %self.directory.display(), "the last run on this mirror was killed; tidying up");
            self.tidy_up();
        }
        let repository = match self.open_repository() {
            Ok(repository) => repository,
            Err(e) => {
                tracing::warn!(mirror = %self.directory.display(), error = e.message(), "mirror cannot be opened; making it anew");
                self.remove_repository()?;
                self.open_repository()
                    .map_err(|e| self.mirror_error("making the mirror", &e))?
            }
        };
        Ok(LockedMirror {
            mirror: self.clone(),
            repository,
            lock: file,
        })
    }

    fn repository_path(&self) -> PathBuf {
        self.directory.join("repository.git")
    }

    fn open_repository(&self) -> Result<Repository, git2::Error> {
        let path = self.repository_path();
        if path.join("HEAD").exists() {
            return Repository::open_bare(path);
        }
        let mut options = git2::RepositoryInitOptions::new();
        options.bare(true).external_template(false).mkpath(true);
        Repository::init_opts(path, &options)
    }

    fn remove_repository(&self) -> Result<(), GitError> {
        let path = self.repository_path();
        match fs::remove_dir_all(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(GitError::Storage {
                doing: "removing the damaged mirror",
                path,
                source,
            }),
            _ => Ok(()),
        }
    }

    /// A process killed while it wrote leaves lock files, which would block every later run, and half a pack.
    /// Whoever holds the mirror's own lock is alone, so all of them are stale.
    fn tidy_up(&self) {
        fn sweep(directory: &Path, depth: u8) {
            let Ok(entries) = fs::read_dir(directory) else {
                return;
            };
            for entry in entries.flatten() {
                let path = entry.path();
                let name = entry.file_name();
                let name = name.to_string_lossy();
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() && depth > 0 => sweep(&path, depth - 1),
                    Ok(kind) if kind.is_file() => {
                        let stale = Path::new(&*name)
                            .extension()
                            .is_some_and(|e| e.eq_ignore_ascii_case("lock"))
                            || name.starts_with("tmp_")
                            || name.starts_with("pack_git2_")
                            || name.starts_with(".tmp");
                        if stale {
                            // What stays is found again next time.
                            let _ = fs::remove_file(path);
                        }
                    }
                    _ => {}
                }
            }
        }
        sweep(&self.repository_path(), 12);
    }

    pub(crate) fn transport_error(&self, doing: &'static str, failure: Failure) -> GitError {
        GitError::Transport {
            remote: self.remote.url().to_string(),
            doing,
            failure,
        }
    }

    pub(crate) fn mirror_error(&self, doing: &'static str, e: &git2::Error) -> GitError {
        let corrupt = matches!(
            e.class(),
            ErrorClass::Odb
                | ErrorClass::Zlib
                | ErrorClass::Object
                | ErrorClass::Tree
                | ErrorClass::Repository
                | ErrorClass::Reference
                | ErrorClass::Indexer
        ) && e.code() != ErrorCode::NotFastForward;
        GitError::Mirror {
            remote: self.remote.url().to_string(),
            path: self.directory.clone(),
            doing,
            message: Failure::from(e).to_string(),
            corrupt,
        }
    }
}

/// `host-path-0123456789abcdef`: readable, and one per address.
fn directory_name(url: &GitUrl) -> String {
    let readable: String = format!("{}{}", url.host().unwrap_or("file"), url.path())
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '.' {
                c
            } else {
                '-'
            }
        })
        .take(80)
        .collect();
    let hash = Sha256::digest(url.to_string().as_bytes());
    let hash: String = hash[..8].iter().map(|b| format!("{b:02x}")).collect();
    format!("{}-{hash}", readable.trim_matches(['-', '.']))
}

/// A mirror that nobody else works on, open.
pub(crate) struct LockedMirror {
    pub(crate) mirror: Mirror,
    pub(crate) repository: Repository,
    lock: File,
}

impl Drop for LockedMirror {
    fn drop(&mut self) {
        // The lock itself goes with the file. An error here costs a needless tidy-up next time.
        let _ = self.lock.set_len(0);
    }
}

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
}

impl LockedMirror {
    pub(crate) fn session(
        &self,
        cancel: &CancellationToken,
    ) -> Result<std::sync::Arc<Session>, GitError> {
        Session::new(&self.mirror.remote, &self.mirror.keys, cancel)
    }

    /// Throws the copy away and makes an empty one.
    pub(crate) fn rebuild(&mut self) -> Result<(), GitError> {
        self.mirror.remove_repository()?;
        self.repository = self
            .mirror
            .open_repository()
            .map_err(|e| self.mirror.mirror_error("making the mirror", &e))?;
        Ok(())
    }

    /// Brings what `reference` names, and the tips of `branches` where they exist, into the mirror.
    pub(crate) fn fetch(
        &self,
        reference: &GitReference,
        branches: &[&str],
        cancel: &CancellationToken,
    ) -> Result<Fetched, GitError> {
        let session = self.session(cancel)?;
        let doing = "fetching from";
        let of_session = |e| match e {
            SessionError::Transport(failure) => self.mirror.transport_error(doing, failure),
            SessionError::Git(e) => self.network_error(doing, &e),
        };
        let mut remote = self
            .repository
            .remote_anonymous(&self.mirror.remote.url().for_transport())
            .map_err(|e| self.mirror.mirror_error("setting up the remote", &e))?;
        let heads = session
            .run(|| {
                remote.connect(Direction::Fetch)?;
                Ok(Heads::new(remote.list()?))
            })
            .map_err(of_session)?;
        let wanted = self.resolve(reference, &heads)?;
        let mut fetched = Fetched {
            checkout: wanted.id,
            checkout_name: wanted.name.clone(),
            default_branch: heads.default_branch.clone(),
            branches: BTreeMap::new(),
        };
        let mut wants = vec![(wanted.name, wanted.id)];
        for branch in branches {
            let name = format!("refs/heads/{branch}");
            if let Some(&id) = heads.ids.get(&name) {
                fetched.branches.insert((*branch).to_owned(), id);
                wants.push((Some(name), id));
            }
        }
        self.download(&session, &mut remote, &wants, doing)?;
        fetched.checkout = self
            .repository
            .find_object(wanted.id, None)
            .and_then(|o| o.peel_to_commit())
            .map_err(|e| self.mirror.mirror_error("reading the commit", &e))?
            .id();
        // A goodbye that fails changes nothing.
        let _ = session.run(|| remote.disconnect());
        Ok(fetched)
    }

    fn download(
        &self,
        session: &std::sync::Arc<Session>,
        remote: &mut git2::Remote<'_>,
        wants: &[(Option<String>, Oid)],
        doing: &'static str,
    ) -> Result<(), GitError> {
        let known = |id: Oid| self.repository.odb().is_ok_and(|odb| odb.exists(id));
        let empty = self
            .repository
            .references()
            .map_or(true, |mut all| all.next().is_none());
        let local = matches!(self.mirror.remote.url(), GitUrl::File(_));
        let specs: Vec<String> = wants
            .iter()
            .filter(|(_, id)| !known(*id))
            .map(|(name, id)| match name {
                Some(name) => format!("+{name}:{}", tracking(name)),
                None => format!("+{id}:refs/tagline/commits/{id}"),
            })
            .collect();
        if !specs.is_empty() {
            let depth = if empty && !local { 1 } else { 0 };
            let mut options = FetchOptions::new();
            options
                .depth(depth)
                .download_tags(AutotagOption::None)
                .update_fetchhead(false);
            session
                .run(|| remote.fetch(&specs, Some(&mut options), Some("fetch")))
                .map_err(|e| match e {
                    SessionError::Transport(failure) => self.mirror.transport_error(doing, failure),
                    SessionError::Git(e) => self.network_error(doing, &e),
                })?;
        }
        for (name, id) in wants {
            let Some(name) = name else { continue };
            self.repository
                .reference(&tracking(name), *id, true, "fetch")
                .map_err(|e| self.mirror.mirror_error("recording what was fetched", &e))?;
        }
        Ok(())
    }

    fn resolve(&self, reference: &GitReference, heads: &Heads) -> Result<Wanted, GitError> {
        let remote = || self.mirror.remote.url().to_string();
        let named = |name: String, prefix: &str| {
            heads.ids.get(&name).map_or_else(
                || {
                    Err(if heads.ids.is_empty() {
                        GitError::EmptyRepository { remote: remote() }
                    } else {
                        GitError::ReferenceNotFound {
                            remote: remote(),
                            wanted: reference.to_string(),
                            existing: heads.existing(prefix),
                        }
                    })
                },
                |&id| {
                    Ok(Wanted {
                        id,
                        name: Some(name.clone()),
                    })
                },
            )
        };
        match reference.checkout() {
            Checkout::Branch(branch) => named(format!("refs/heads/{branch}"), "refs/heads/"),
            Checkout::Tag(tag) => named(format!("refs/tags/{tag}"), "refs/tags/"),
            Checkout::Name(name) => named(name.clone(), "refs/"),
            Checkout::Commit(id) => Ok(Wanted {
                id: id.oid(),
                name: None,
            }),
            Checkout::Semver(range) => Err(GitError::InvalidArgument {
                what: "semver range",
                given: range.clone(),
                reason: "not supported yet".to_owned(),
            }),
        }
    }

    /// An error of libgit2 during a conversation: its own checks, or files of the mirror.
    pub(crate) fn network_error(&self, doing: &'static str, e: &git2::Error) -> GitError {
        if matches!(self.mirror.remote.url(), GitUrl::File(_)) {
            let gone = e.code() == ErrorCode::NotFound || e.class() == ErrorClass::Repository;
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
            ErrorClass::Net | ErrorClass::Callback | ErrorClass::None
        ) {
            return self.mirror.transport_error(doing, Failure::from(e));
        }
        self.mirror.mirror_error(doing, e)
    }

    /// What the mirror remembers of a branch of the remote.
    pub(crate) fn record_branch(&self, branch: &str, id: CommitId) {
        let name = tracking(&format!("refs/heads/{branch}"));
        if let Err(e) = self.repository.reference(&name, id.oid(), true, "push") {
            tracing::debug!(
                branch,
                error = e.message(),
                "the pushed branch is not recorded; the next fetch does it"
            );
        }
    }
}

struct Wanted {
    id: Oid,
    name: Option<String>,
}

/// Where the mirror keeps a reference of the remote.
fn tracking(name: &str) -> String {
    match name.strip_prefix("refs/heads/") {
        Some(branch) => format!("refs/remotes/origin/{branch}"),
        None => format!("refs/tagline/{}", name.trim_start_matches("refs/")),
    }
}

/// The references the remote listed.
struct Heads {
    ids: BTreeMap<String, Oid>,
    default_branch: Option<String>,
}

impl Heads {
    fn new(list: &[git2::RemoteHead<'_>]) -> Self {
        let mut heads = Self {
            ids: BTreeMap::new(),
            default_branch: None,
        };
        for head in list {
            if head.name() == "HEAD" {
                heads.default_branch = head
                    .symref_target()
                    .and_then(|t| t.strip_prefix("refs/heads/"))
                    .map(str::to_owned);
            } else if !head.name().ends_with("^{}") {
                heads.ids.insert(head.name().to_owned(), head.oid());
            }
        }
        heads
    }

    fn existing(&self, prefix: &str) -> Vec<String> {
        self.ids
            .keys()
            .filter_map(|name| name.strip_prefix(prefix))
            .map(|name| transport::shown(name, 100))
            .take(20)
            .collect()
    }
}
