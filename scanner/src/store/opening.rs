//! Opening the store's file, and what is done with one that cannot be opened.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::ReadableTable;

use super::error::StoreError;
use super::tables::{
    FORMAT, FORMAT_ROW, MANIFESTS, META, PARTIALS, STATE, TAG_DIGESTS, TAG_PAGES, TAG_TAILS,
    TARGETS, TIMES,
};

/// Where the store is, and how to open it again after the disk failed.
#[derive(Debug)]
pub(super) enum Location {
    /// A file; with the bytes of its pages to keep in memory.
    File { path: PathBuf, cache: usize },
    /// Memory.
    Memory,
    /// A disk that fails when the test wants it to.
    #[cfg(test)]
    Failing(super::failing_disk::FailingDisk),
}

/// Why a file did not open.
#[derive(Debug)]
enum Problem {
    InUse,
    /// Setting the file aside and beginning a new one helps.
    Broken(redb::Error),
    Other(redb::Error),
}

impl Location {
    /// Opens what is there, or begins anew where there is nothing or nothing that can be used.
    pub(super) fn open(&self) -> Result<redb::Database, StoreError> {
        let Self::File { path, .. } = self else {
            return self.try_open().map_err(|problem| self.failed(problem));
        };
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(|error| StoreError::Directory {
                path: directory.to_owned(),
                source: Arc::new(error),
            })?;
        }
        match self.try_open() {
            Err(Problem::Broken(why)) => {
                let aside = set_aside(path)?;
                tracing::warn!(
                    store = %path.display(),
                    aside = %aside.display(),
                    why = %why,
                    "the store cannot be used: it is set aside, and everything will be scanned anew",
                );
                self.try_open()
            }
            other => other,
        }
        .map_err(|problem| self.failed(problem))
    }

    /// Opens what is there and touches nothing else: after a failure of the disk, the file is as good as
    /// it was.
    pub(super) fn reopen(&self) -> Result<redb::Database, StoreError> {
        self.try_open().map_err(|problem| self.failed(problem))
    }

    fn try_open(&self) -> Result<redb::Database, Problem> {
        let database = match self {
            Self::File { path, cache } => {
                redb::Builder::new().set_cache_size(*cache).create(path)?
            }
            Self::Memory => redb::Builder::new()
                .set_cache_size(0)
                .create_with_backend(redb::backends::InMemoryBackend::new())?,
            #[cfg(test)]
            Self::Failing(disk) => redb::Builder::new().create_with_backend(disk.clone())?,
        };
        initialise(&database)?;
        Ok(database)
    }

    fn failed(&self, problem: Problem) -> StoreError {
        let path = if let Self::File { path, .. } = self {
            path.clone()
        } else {
            PathBuf::new()
        };
        match problem {
            Problem::InUse => StoreError::InUse { path },
            Problem::Broken(why) | Problem::Other(why) => StoreError::Open {
                path,
                source: Arc::new(why),
            },
        }
    }
}

/// Checks the format, or writes it into a new file together with the empty tables.
fn initialise(database: &redb::Database) -> Result<(), Problem> {
    let transaction = begin(database, true).map_err(Problem::Other)?;
    {
        let mut meta = transaction.open_table(META)?;
        let format = meta.get(FORMAT_ROW)?.map(|row| row.value());
        match format {
            Some(FORMAT) => {}
            Some(other) => {
                return Err(Problem::Broken(redb::Error::Corrupted(format!(
                    "it has format {other}; this version reads format {FORMAT}"
                ))));
            }
            None => {
                meta.insert(FORMAT_ROW, FORMAT)?;
            }
        }
        transaction.open_table(TARGETS)?;
        transaction.open_table(TIMES)?;
        transaction.open_table(TAG_PAGES)?;
        transaction.open_table(TAG_TAILS)?;
        transaction.open_table(PARTIALS)?;
        transaction.open_table(TAG_DIGESTS)?;
        transaction.open_table(MANIFESTS)?;
        transaction.open_table(STATE)?;
    }
    transaction
        .commit()
        .map_err(|error| Problem::Other(error.into()))
}

/// Begins to write. With `record`, the commit also records the allocator's state: a start after `kill -9` is as fast as
/// any then, where otherwise the whole file is read.
pub(super) fn begin(
    database: &redb::Database,
    record: bool,
) -> Result<redb::WriteTransaction, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(record);
    Ok(transaction)
}

impl From<redb::DatabaseError> for Problem {
    fn from(error: redb::DatabaseError) -> Self {
        match error {
            redb::DatabaseError::DatabaseAlreadyOpen => Self::InUse,
            other => redb::Error::from(other).into(),
        }
    }
}

impl From<redb::TableError> for Problem {
    fn from(error: redb::TableError) -> Self {
        match error {
            redb::TableError::Storage(error) => error.into(),
            // A table of another type is another program's, or a later version's.
            other => Self::Broken(other.into()),
        }
    }
}

impl From<redb::StorageError> for Problem {
    fn from(error: redb::StorageError) -> Self {
        redb::Error::from(error).into()
    }
}

impl From<redb::Error> for Problem {
    fn from(error: redb::Error) -> Self {
        match &error {
            redb::Error::Io(io)
                if !matches!(
                    io.kind(),
                    io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
                ) =>
            {
                Self::Other(error)
            }
            redb::Error::Io(_)
            | redb::Error::Corrupted(_)
            | redb::Error::UpgradeRequired(_)
            | redb::Error::RepairAborted => Self::Broken(error),
            _ => Self::Other(error),
        }
    }
}

/// Renames the file to `….broken-<time>`.
fn set_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let now = jiff::Timestamp::now()
        .strftime("%Y%m%dT%H%M%SZ")
        .to_string();
    let mut aside = path.to_owned();
    for number in 0..100 {
        let mut name = path.to_owned().into_os_string();
        name.push(format!(".broken-{now}"));
        if number > 0 {
            name.push(format!("-{number}"));
        }
        aside = PathBuf::from(name);
        if !aside.exists() {
            break;
        }
    }
    fs::rename(path, &aside).map_err(|error| StoreError::Directory {
        path: path.to_owned(),
        source: Arc::new(error),
    })?;
    Ok(aside)
}
