//! A file gets new content in one step: it goes to a file beside it, reaches the disk, and takes the name.
//!
//! Permissions and, where we may, the owner stay. The file has a new modification time, and of several names that
//! were linked to it only this one has the new content, as when git checks a file out.
//!
//! A process killed in between leaves its file behind. Such files are locked as long as somebody works on them, so
//! that the next run can tell and remove what is left.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::Path;

const PREFIX: &str = ".tagline-";
const SUFFIX: &str = ".tmp";
/// Somebody may take a file for left behind in the moment before it is locked.
const TRIES: usize = 3;

/// Whether a file of this name is one of those.
pub(super) fn is_ours(name: &OsStr) -> bool {
    name.to_str()
        .is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX))
}

/// Removes such a file if nobody works on it any more.
pub(super) fn remove_left_behind(path: &Path) {
    let free = File::open(path).is_ok_and(|file| file.try_lock().is_ok());
    if free {
        tracing::info!(file = %path.display(), "removing what a killed run left behind");
        // What cannot be removed is tried again next time.
        let _ = fs::remove_file(path);
    }
}

/// Gives a file new content.
pub(super) fn replace(location: &Path, text: &[u8]) -> io::Result<()> {
    let mut tries = 0;
    loop {
        tries += 1;
        match replace_once(location, text) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && tries < TRIES => {}
            result => return result,
        }
    }
}

fn replace_once(location: &Path, text: &[u8]) -> io::Result<()> {
    let directory = location.parent().unwrap_or(Path::new("."));
    let metadata = fs::metadata(location)?;
    let mut file = tempfile::Builder::new()
        .prefix(PREFIX)
        .suffix(SUFFIX)
        .tempfile_in(directory)?;
    // A file system without locks has files left behind until somebody removes them.
    let _ = file.as_file().lock();
    file.write_all(text)?;
    let own = file.as_file().metadata()?;
    if (own.uid(), own.gid()) != (metadata.uid(), metadata.gid()) {
        // Only root may give files away; for others the file becomes theirs, as with any editor.
        let _ = fchown(file.as_file(), Some(metadata.uid()), Some(metadata.gid()));
    }
    file.as_file().set_permissions(metadata.permissions())?;
    file.as_file().sync_all()?;
    file.persist(location)?;
    Ok(())
}
