//! Updates a work directory without git: for CI jobs and for people.
//!
//! Every file is either as it was or as it should be, whenever the process is killed: new text goes to
//! a temporary file beside the old one, reaches the disk, and takes the old one's name.

mod replace;

use crate::edit::{self, Change, EditOptions, MARKER_MAP_NAME, MarkerMap, Skip, SkipReason};
use crate::{Choices, SourceIgnore, diff};
use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How a directory is updated.
#[derive(Debug, Clone, Default)]
pub struct DirectoryOptions {
    /// How files are edited.
    pub edit: EditOptions,
    /// Say what would change, write nothing.
    pub dry_run: bool,
    /// Paths that are not looked at.
    pub ignore: SourceIgnore,
}

/// What an update did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DirectoryUpdate {
    /// The files changed, sorted by path.
    pub files: Vec<UpdatedFile>,
    /// What was left alone: paths with the reason, sorted by path and line.
    pub skipped: Vec<(String, Skip)>,
    /// How many files were looked at.
    pub searched: usize,
}

/// One changed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdatedFile {
    /// Relative to the directory, with `/` between its parts.
    pub path: String,
    /// The values changed, in the file's order.
    pub changes: Vec<Change>,
    /// Old against new, as `git diff` writes it, without colour.
    pub diff: String,
}

/// Why a directory cannot be updated.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}", path.display())]
pub struct DirectoryError {
    /// The path.
    pub path: PathBuf,
    #[source]
    source: io::Error,
}

/// Sets every marked value below a directory (or in one file) to what its policy chose.
///
/// Files are visited in the order of their paths. Symbolic links below `root` are not followed, `.git`
/// and repositories inside the directory (submodules) are passed over. A file that cannot be read,
/// parsed or written is left as it is and listed.
///
/// # Errors
/// [`DirectoryError`] when `root` itself cannot be read.
pub fn update(
    root: &Path,
    choices: &Choices,
    options: &DirectoryOptions,
) -> Result<DirectoryUpdate, DirectoryError> {
    let cannot_read = |source| DirectoryError {
        path: root.to_owned(),
        source,
    };
    let mut outcome = DirectoryUpdate::default();
    let mut options = options.clone();
    let files = if fs::metadata(root).map_err(cannot_read)?.is_dir() {
        let mut walk = Walk {
            root,
            ignore: &options.ignore,
            dry_run: options.dry_run,
            files: Vec::new(),
            maps: Vec::new(),
            skipped: Vec::new(),
        };
        walk.below(root, "").map_err(cannot_read)?;
        outcome.skipped = walk.skipped;
        options.edit.maps.append(&mut walk.maps);
        walk.files.retain(|file| options.edit.look_at(&file.path));
        walk.files
    } else {
        let name = root.file_name().unwrap_or(root.as_os_str());
        vec![Candidate {
            path: name.to_string_lossy().into_owned(),
            location: fs::canonicalize(root).map_err(cannot_read)?,
        }]
    };
    outcome.searched = files.len();
    for (file, result) in files.iter().zip(edit_all(&files, choices, &options)) {
        let Edited { updated, skipped } = result;
        outcome.files.extend(updated);
        outcome
            .skipped
            .extend(skipped.into_iter().map(|skip| (file.path.clone(), skip)));
    }
    outcome.skipped.sort_by(|(a, left), (b, right)| {
        (a, left.line, left.column).cmp(&(b, right.line, right.column))
    });
    Ok(outcome)
}

struct Candidate {
    /// As reports name it.
    path: String,
    location: PathBuf,
}

struct Walk<'a> {
    root: &'a Path,
    ignore: &'a SourceIgnore,
    dry_run: bool,
    files: Vec<Candidate>,
    /// What the `.tagline.yaml` files say.
    maps: Vec<MarkerMap>,
    skipped: Vec<(String, Skip)>,
}

impl Walk<'_> {
    /// Collects the candidates of one directory and of those below it.
    fn below(&mut self, directory: &Path, path: &str) -> io::Result<()> {
        let mut entries = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        if directory != self.root && entries.iter().any(|entry| entry.file_name() == ".git") {
            return Ok(());
        }
        for entry in entries {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let path = if path.is_empty() {
                name.clone().into_owned()
            } else {
                format!("{path}/{name}")
            };
            let kind = entry.file_type()?;
            if name == ".git" || self.ignore.is_ignored(&path, kind.is_dir()) {
                continue;
            }
            if kind.is_file() && replace::is_ours(&entry.file_name()) {
                if !self.dry_run {
                    replace::remove_left_behind(&entry.path());
                }
            } else if kind.is_dir() {
                if let Err(error) = self.below(&entry.path(), &path) {
                    self.skipped.push((path, unreadable(&error)));
                }
            } else if kind.is_file() && name == MARKER_MAP_NAME {
                self.map(&entry.path(), path);
            } else if kind.is_file() {
                self.files.push(Candidate {
                    path,
                    location: entry.path(),
                });
            }
        }
        Ok(())
    }

    fn map(&mut self, location: &Path, path: String) {
        let text = match fs::read(location) {
            Ok(text) => text,
            Err(error) => return self.skipped.push((path, unreadable(&error))),
        };
        match MarkerMap::parse(&path, &String::from_utf8_lossy(&text)) {
            Ok(map) => self.maps.push(map),
            Err(error) => self.skipped.push((path, error.to_skip())),
        }
    }
}

/// What happened to one file.
#[derive(Default)]
struct Edited {
    updated: Option<UpdatedFile>,
    skipped: Vec<Skip>,
}

/// Edits the files on all cores; results in the order of the files.
fn edit_all(files: &[Candidate], choices: &Choices, options: &DirectoryOptions) -> Vec<Edited> {
    /// Too few files to be worth a thread.
    const PER_THREAD: usize = 64;
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = cores.min(files.len() / PER_THREAD).max(1);
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    let work = || {
        let mut done = Vec::new();
        while let Some((index, file)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            files.get(index).map(|file| (index, file))
        } {
            let edited = edit_one(file, choices, options);
            if edited.updated.is_some() || !edited.skipped.is_empty() {
                done.push((index, edited));
            }
        }
        if let Ok(mut results) = results.lock() {
            results.append(&mut done);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    let mut edited: Vec<Edited> = files.iter().map(|_| Edited::default()).collect();
    for (index, result) in results.into_inner().unwrap_or_default() {
        edited[index] = result;
    }
    edited
}

fn edit_one(file: &Candidate, choices: &Choices, options: &DirectoryOptions) -> Edited {
    let left_alone = |skip| Edited {
        skipped: vec![skip],
        ..Edited::default()
    };
    let old = match fs::read(&file.location) {
        Ok(old) => old,
        Err(error) => return left_alone(unreadable(&error)),
    };
    let edit = match edit::edit(&file.path, &old, choices, &options.edit) {
        Ok(edit) => edit,
        Err(error) => return left_alone(error.to_skip()),
    };
    let mut edited = Edited {
        skipped: edit.skipped,
        ..Edited::default()
    };
    let Some(new) = edit.text else {
        return edited;
    };
    if !options.dry_run
        && let Err(error) = replace::replace(&file.location, &new)
    {
        edited.skipped.push(whole_file(
            SkipReason::Unwritable,
            format!("cannot be written: {error}"),
        ));
        return edited;
    }
    edited.updated = Some(UpdatedFile {
        diff: diff::unified(&file.path, &old, &new),
        path: file.path.clone(),
        changes: edit.changes,
    });
    edited
}

fn unreadable(error: &io::Error) -> Skip {
    whole_file(SkipReason::Unreadable, format!("cannot be read: {error}"))
}

fn whole_file(reason: SkipReason, detail: String) -> Skip {
    Skip {
        line: 1,
        column: 1,
        reason,
        setter: None,
        detail,
    }
}
