//! Pushing to a repository of this machine.
//!
//! libgit2's own local push moves the reference without looking where it was; here it moves under the reference's
//! lock, from the expected place only. Hooks do not run.

use super::error::GitError;
use super::mirror::LockedMirror;
use super::push::{PushFailure, RefUpdate};
use super::reference::check_reference;
use super::transport::SessionError;
use super::url::GitUrl;
use git2::{ErrorCode, Repository};
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;
use std::sync::Arc;

impl LockedMirror {
    pub(super) fn push_local(&self, update: &RefUpdate) -> Result<(), PushFailure> {
        let GitUrl::File(path) = self.mirror.remote().url() else {
            return Err(PushFailure::Outrun);
        };
        let failed =
            |e| PushFailure::Failed(self.session_error("pushing to", SessionError::Git(e)));
        let target = Repository::open(path).map_err(failed)?;
        if let Some(reason) = checked_out(&target, &update.name) {
            return Err(PushFailure::Failed(GitError::Refused {
                remote: self.mirror.remote().url().to_string(),
                reference: update.name.clone(),
                status: reason,
                said: String::new(),
                protected: false,
            }));
        }
        self.copy_objects(&target, path, update).map_err(failed)?;
        let journal = Journal::open(&target, update).map_err(|source| {
            PushFailure::Failed(GitError::Storage {
                doing: "locking",
                path: target.commondir().to_owned(),
                source: Arc::new(source),
            })
        })?;
        let moved = match update.expected {
            Some(expected) => {
                target.reference_matching(&update.name, update.new, true, expected, "push")
            }
            None => target.reference(&update.name, update.new, false, "push"),
        };
        journal.close();
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

    fn copy_objects(
        &self,
        target: &Repository,
        _path: &Path,
        update: &RefUpdate,
    ) -> Result<(), git2::Error> {
        let mut pack = self.repository.packbuilder()?;
        let mut walk = self.repository.revwalk()?;
        walk.push(update.new)?;
        for reference in target.references()?.flatten() {
            if let Some(id) = reference.target()
                && self.repository.find_commit(id).is_ok()
            {
                walk.hide(id)?;
            }
        }
        pack.insert_walk(&mut walk)?;
        let odb = target.odb()?;
        let mut writer = odb.packwriter()?;
        let mut wrong = None;
        pack.foreach(|chunk| match writer.write_all(chunk) {
            Ok(()) => true,
            Err(e) => {
                wrong = Some(e);
                false
            }
        })?;
        if let Some(e) = wrong {
            return Err(git2::Error::from_str(&e.to_string()));
        }
        writer.commit()?;
        Ok(())
    }
}

/// What says, while a reference is moved, that it is we who hold its lock. A process killed at that moment leaves the
/// lock, as git does, and nobody could push there again; with the journal, the next of us takes it away.
struct Journal(File);

impl Journal {
    fn open(target: &Repository, update: &RefUpdate) -> io::Result<Self> {
        let path = target.commondir().join("tagline-push");
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        file.lock()?;
        let mut left = String::new();
        (&file).take(LONGEST_JOURNAL).read_to_string(&mut left)?;
        if let Some((id, name)) = left.trim_end().split_once(' ')
            && check_reference("journal", name).is_ok()
        {
            remove_lock(&target.commondir().join(format!("{name}.lock")), id);
        }
        file.rewind()?;
        file.set_len(0)?;
        writeln!(file, "{} {}", update.new, update.name)?;
        Ok(Self(file))
    }

    fn close(self) {
        // What stays is looked at again next time, and finds no lock then.
        let _ = self.0.set_len(0);
    }
}

const LONGEST_JOURNAL: u64 = 64 << 10;

/// Takes a lock away if it is the one that was left: it holds what we were about to write, or nothing yet.
fn remove_lock(lock: &Path, id: &str) {
    let ours = fs::read_to_string(lock)
        .is_ok_and(|text| text.trim_end().is_empty() || text.trim_end() == id);
    if ours {
        tracing::info!(lock = %lock.display(), "a push was killed here; removing its lock");
        // Whoever is faster has done it.
        let _ = fs::remove_file(lock);
    }
}

/// git's `receive.denyCurrentBranch`: the files of a work tree would no longer be those of its branch.
fn checked_out(target: &Repository, name: &str) -> Option<String> {
    let head = target.find_reference("HEAD").ok()?;
    let current = head.symbolic_target().ok().flatten()?;
    (!target.is_bare() && current == name)
        .then(|| "branch is currently checked out there".to_owned())
}
