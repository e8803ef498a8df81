//! Where manifests come from: files, directories read recursively, standard input.

use crate::manifest::{Place, Problem};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Manifests are small; something larger is a mistake.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;
/// Directories deeper than this are taken for a loop.
const MAX_DEPTH: usize = 64;

/// What `-f` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A file or a directory.
    Path(PathBuf),
    /// Standard input, read once at start.
    Stdin(Arc<[u8]>),
}

/// One file's content.
pub(crate) struct ManifestFile {
    /// Its path as given, or `<stdin>`.
    pub(crate) path: Arc<Path>,
    /// Its bytes.
    pub(crate) bytes: Arc<[u8]>,
}

impl Source {
    /// Takes an argument of `-f`; `-` reads standard input to its end.
    ///
    /// # Errors
    /// When standard input cannot be read or is too long.
    pub(crate) fn from_argument(argument: &str) -> std::io::Result<Self> {
        if argument != "-" {
            return Ok(Self::Path(argument.into()));
        }
        let mut bytes = Vec::new();
        std::io::stdin()
            .lock()
            .take(MAX_FILE_BYTES + 1)
            .read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(std::io::Error::other(
                "standard input is longer than 64 MiB",
            ));
        }
        Ok(Self::Stdin(bytes.into()))
    }
}

/// Reads every file of every source, in the order of their names. What cannot be read is a problem and
/// stops nothing else.
pub(crate) fn read_files(sources: &[Source], problems: &mut Vec<Problem>) -> Vec<ManifestFile> {
    let mut files = Vec::new();
    for source in sources {
        match source {
            Source::Stdin(bytes) => files.push(ManifestFile {
                path: Path::new("<stdin>").into(),
                bytes: Arc::clone(bytes),
            }),
            Source::Path(path) => match std::fs::metadata(path) {
                Ok(metadata) if metadata.is_dir() => read_directory(path, 0, &mut files, problems),
                Ok(_) => read_file(path, &mut files, problems),
                Err(error) => problems.push(unreadable(path, &error)),
            },
        }
    }
    files
}

/// Files of a directory: `.yaml`, `.yml` and `.json`. Names that begin with a dot are not looked at: `.git`,
/// and the copies that Kubernetes keeps in mounted volumes.
fn read_directory(
    path: &Path,
    depth: usize,
    files: &mut Vec<ManifestFile>,
    problems: &mut Vec<Problem>,
) {
    if depth > MAX_DEPTH {
        problems.push(
            Problem::error(
                Place::file(path),
                "directories are nested more than 64 deep",
            )
            .help("name the directories with manifests one by one"),
        );
        return;
    }
    let listed = std::fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut entries = match listed {
        Ok(entries) => entries,
        Err(error) => {
            problems.push(unreadable(path, &error));
            return;
        }
    };
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        let child = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => read_directory(&child, depth + 1, files, problems),
            Ok(_) if is_manifest_name(&name) => match std::fs::metadata(&child) {
                Ok(metadata) if metadata.is_file() => read_file(&child, files, problems),
                Ok(_) => {}
                Err(error) => problems.push(unreadable(&child, &error)),
            },
            Ok(_) => {}
            Err(error) => problems.push(unreadable(&child, &error)),
        }
    }
}

/// Whether a file of a directory is read.
pub(crate) fn is_manifest_name(name: &str) -> bool {
    [".yaml", ".yml", ".json"]
        .iter()
        .any(|ending| name.ends_with(ending))
}

fn read_file(path: &Path, files: &mut Vec<ManifestFile>, problems: &mut Vec<Problem>) {
    let read = std::fs::File::open(path).and_then(|file| {
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    });
    match read {
        Ok(bytes) if bytes.len() as u64 > MAX_FILE_BYTES => problems.push(
            Problem::error(Place::file(path), "the file is longer than 64 MiB")
                .help("manifests are small; is this the right file?"),
        ),
        Ok(bytes) => files.push(ManifestFile {
            path: path.into(),
            bytes: bytes.into(),
        }),
        Err(error) => problems.push(unreadable(path, &error)),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    let help = match error.kind() {
        std::io::ErrorKind::NotFound => "check the path; a symbolic link may point nowhere",
        std::io::ErrorKind::PermissionDenied => "check the file's permissions",
        _ => "check the file and the disk it is on",
    };
    Problem::error(Place::file(path), format!("cannot be read: {error}")).help(help)
}
