//! The mirrors of a service: opened again for every run, without forgetting what the last run learnt.

use super::error::GitError;
use super::mirror::Mirror;
use super::remote::Remote;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// How many mirrors are remembered: an index takes memory by the number of marked files.
const MOST: usize = 64;

/// The mirrors below one storage path. Remembers marker indexes and open connections between runs; cheap to clone.
#[derive(Debug, Clone)]
pub struct Mirrors {
    storage: PathBuf,
    /// The one used last is last.
    known: Arc<Mutex<Vec<Mirror>>>,
}

impl Mirrors {
    /// The mirrors below a storage path. Nothing is opened.
    #[must_use]
    pub fn new(storage: &Path) -> Self {
        Self {
            storage: storage.to_owned(),
            known: Arc::default(),
        }
    }

    /// The mirror of a remote, made when it is not there.
    ///
    /// # Errors
    /// As [`Mirror::open`].
    pub fn open(&self, remote: &Remote) -> Result<Mirror, GitError> {
        // Its directory may have been deleted since, so it is looked at each time.
        let mut mirror = Mirror::open(&self.storage, remote)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |known: &Mirror| known.remote().url() == remote.url();
        if let Some(at) = known.iter().position(same) {
            mirror.remember(&known.remove(at));
        }
        if known.len() >= MOST {
            known.remove(0);
        }
        known.push(mirror.clone());
        Ok(mirror)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::{GitAuth, RemoteOptions};

    #[test]
    fn the_mirrors_used_last_are_remembered() {
        let storage = tempfile::tempdir().unwrap();
        let mirrors = Mirrors::new(storage.path());
        let open = |n: usize| {
            let url = format!("https://git.example.com/r{n}.git");
            let remote = Remote::new(&url, GitAuth::None, RemoteOptions::default()).unwrap();
            mirrors.open(&remote).unwrap()
        };
        let first = open(0);
        assert!(open(0).shares_memory_with(&first));
        for n in 1..MOST {
            assert!(!open(n).shares_memory_with(&first));
        }
        assert!(open(0).shares_memory_with(&first));
        for n in 1..=MOST {
            open(n);
        }
        assert!(!open(0).shares_memory_with(&first));
    }
}
