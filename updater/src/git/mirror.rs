//! A bare, incrementally fetched copy of a remote under the storage path. A cache: it can be deleted any time.
//!
//! One directory per remote, shared by all automations on it and by all processes on the storage path; whoever
//! works on it holds a lock. A mirror that turns out to be damaged is thrown away and fetched again.

use super::CancellationToken;
use super::error::GitError;
use super::fetch::tracking;
use super::file_index::FileIndex;
use super::remote::Remote;
use super::transport::{self, Failure, FailureKind, Session};
use super::url::GitUrl;
use git2::{ErrorClass, ErrorCode, Oid, Repository, RepositoryOpenFlags};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long to wait between two looks at a lock that somebody else holds.
const LOCK_POLL: Duration = Duration::from_millis(5);
/// Beyond this many packs a mirror is made anew: each fetch adds one, and each look-up asks all of them.
const MOST_PACKS: usize = 300;
/// git's own measure: this many loose objects in one of 256 directories.
const MOST_LOOSE: usize = 27;
/// A file that says: begin with an empty mirror next time.
const START_OVER: &str = "start-over";
/// What stands in the lock file while a mirror is worked on.
const HELD: &[u8] = b"held";

/// The place of one remote's copy. Cheap; nothing is opened before it is used.
#[derive(Debug, Clone)]
pub struct Mirror {
    remote: Remote,
    directory: PathBuf,
    keys: PathBuf,
    /// The marker index as this handle's last run left it.
    index: Arc<Mutex<Option<KeptIndex>>>,
}

#[derive(Debug)]
struct KeptIndex {
    index: FileIndex,
    /// The index file then: another process may have written it since.
    file: Option<FileState>,
}

type FileState = (u64, std::time::SystemTime);

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
                source: Arc::new(source),
            });
        }
        let directory = storage.join("git").join(directory_name(remote.url()));
        fs::create_dir_all(&directory).map_err(|source| GitError::Storage {
            doing: "making the mirror's directory",
            path: directory.clone(),
            source: Arc::new(source),
        })?;
        Ok(Self {
            remote: remote.clone(),
            directory,
            keys,
            index: Arc::default(),
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

    /// Takes over what another handle on the same mirror knows: the index, and connections where they serve.
    pub(super) fn remember(&mut self, other: &Self) {
        self.index = Arc::clone(&other.index);
        if other.remote.is_same(&self.remote) {
            self.remote = other.remote.clone();
        }
    }

    /// Whether two handles share what they remember.
    #[cfg(test)]
    pub(super) fn shares_memory_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.index, &other.index)
    }

    /// Waits until nobody else works on this mirror, then opens it.
    pub(crate) fn lock(&self, cancel: &CancellationToken) -> Result<LockedMirror, GitError> {
        let storage = |doing, path: PathBuf| {
            move |source| GitError::Storage {
                doing,
                path,
                source: Arc::new(source),
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
        if self.is_worn() {
            tracing::info!(mirror = %self.directory.display(), "making the mirror anew, from one commit");
            self.remove_repository()?;
            // What cannot be removed is tried again next time.
            let _ = fs::remove_file(self.directory.join(START_OVER));
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

    /// The index of this handle's last run, unless another process wrote a newer one.
    pub(super) fn take_index(&self) -> Option<FileIndex> {
        let kept = self.kept().take()?;
        (kept.file == FileIndex::file_state(&self.directory)).then_some(kept.index)
    }

    pub(super) fn keep_index(&self, index: FileIndex) {
        let file = FileIndex::file_state(&self.directory);
        *self.kept() = Some(KeptIndex { index, file });
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<KeptIndex>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn repository_path(&self) -> PathBuf {
        self.directory.join("repository.git")
    }

    fn open_repository(&self) -> Result<Repository, git2::Error> {
        let path = self.repository_path();
        if path.join("HEAD").exists() {
            return open_bare(&path);
        }
        let mut options = git2::RepositoryInitOptions::new();
        options.bare(true).external_template(false).mkpath(true);
        Repository::init_opts(path, &options)
    }

    /// The next run begins with an empty mirror: catching up took too long, one commit is fetched faster.
    pub(super) fn start_over(&self) {
        if let Err(e) = File::create(self.directory.join(START_OVER)) {
            tracing::debug!(mirror = %self.directory.display(), error = %e, "cannot ask for a new mirror");
        }
    }

    fn is_worn(&self) -> bool {
        let count = |directory: &str, suffix: &str| {
            fs::read_dir(self.repository_path().join("objects").join(directory)).map_or(0, |all| {
                all.flatten()
                    .filter(|entry| entry.file_name().to_string_lossy().ends_with(suffix))
                    .count()
            })
        };
        self.directory.join(START_OVER).exists()
            || count("pack", ".pack") > MOST_PACKS
            || count("17", "") > MOST_LOOSE
    }

    fn remove_repository(&self) -> Result<(), GitError> {
        let path = self.repository_path();
        match fs::remove_dir_all(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(GitError::Storage {
                doing: "removing the damaged mirror",
                path,
                source: Arc::new(source),
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
        // libgit2 passes on the system's text only.
        let kind = match e.message() {
            m if m.contains("No space left on device") => Some(io::ErrorKind::StorageFull),
            m if m.contains("Disk quota exceeded") => Some(io::ErrorKind::QuotaExceeded),
            m if m.contains("Read-only file system") => Some(io::ErrorKind::ReadOnlyFilesystem),
            _ => None,
        };
        if let Some(kind) = kind {
            return GitError::Storage {
                doing,
                path: self.directory.clone(),
                source: Arc::new(io::Error::new(kind, Failure::from(e))),
            };
        }
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

/// Opens a mirror. `Repository::open_bare` would not read which commits are shallow.
pub(super) fn open_bare(path: &Path) -> Result<Repository, git2::Error> {
    let flags = RepositoryOpenFlags::BARE | RepositoryOpenFlags::NO_SEARCH;
    Repository::open_ext(path, flags, [] as [&Path; 0])
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
    let mut name = format!("{}-", readable.trim_matches(['-', '.']));
    for byte in &hash[..8] {
        // Writing to a String cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
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

impl LockedMirror {
    pub(crate) fn session(&self, cancel: &CancellationToken) -> Result<Arc<Session>, GitError> {
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

    /// Records where a push moved a branch; the next fetch would see it as well.
    pub(crate) fn record_branch(&self, branch: &str, id: Oid) {
        let name = tracking(&format!("refs/heads/{branch}"));
        if let Err(e) = self.repository.reference(&name, id, true, "push") {
            tracing::debug!(
                branch,
                error = e.message(),
                "the pushed branch is not recorded"
            );
        }
    }
}
