//! Pushing to a repository of this machine.
//!
//! libgit2's own local push moves the reference without looking where it was; here it moves under the reference's
//! lock, from the expected place only. Hooks do not run.

use super::error::GitError;
use super::mirror::LockedMirror;
use super::push::{PushFailure, RefUpdate};
use super::transport::SessionError;
use super::url::GitUrl;
use git2::{ErrorCode, Repository};
use std::io::Write as _;
use std::path::Path;

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

/// git's `receive.denyCurrentBranch`: the files of a work tree would no longer be those of its branch.
fn checked_out(target: &Repository, name: &str) -> Option<String> {
    let head = target.find_reference("HEAD").ok()?;
    let current = head.symbolic_target().ok().flatten()?;
    (!target.is_bare() && current == name)
        .then(|| "branch is currently checked out there".to_owned())
}
