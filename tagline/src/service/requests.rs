//! What other processes ask of the service: files in `requests/` below the storage path.
//!
//! A request is written whole or not at all, waits when no service runs, and is removed when what it asks for is in
//! the store: none is lost or forgotten whatever is killed, and one that is done twice does no harm. Who may write
//! there may steer the service; nobody else can.

use crate::resources::{Kind, ObjectName};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tagline_updater::ReleaseHolds;

const DIRECTORY: &str = "requests";
const REQUEST: &str = "json";
const ANSWER: &str = "answer";
/// Longer files are no requests.
const LONGEST: u64 = 64 << 10;
/// Nobody waits for an answer this long.
const ANSWER_LIFE: Duration = Duration::from_hours(1);

/// Do something now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Request {
    /// What sort of object.
    pub(crate) kind: Steered,
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
    /// Reverts by a person that are no longer respected.
    #[serde(default)]
    pub(crate) release_holds: ReleaseHolds,
}

/// The kinds that can be asked for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub(crate) enum Steered {
    /// Scan it
    #[value(aliases = ["imagerepository", "image-repository", "repositories"])]
    Repository,
    /// Choose again
    #[value(aliases = ["imagepolicy", "image-policy", "policies"])]
    Policy,
    /// Write into git what is due
    #[value(aliases = ["imageupdateautomation", "image-update-automation", "updates"])]
    Update,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// It is being done.
    Taken,
    /// It cannot be done.
    Refused(String),
}

/// A request that was handed in.
#[derive(Debug)]
pub(crate) struct Submitted {
    path: PathBuf,
}

impl Request {
    /// The object that it is about.
    pub(crate) fn object(&self) -> ObjectName {
        ObjectName::new(self.namespace.as_str(), self.name.as_str())
    }
}

impl Steered {
    /// The kind of these objects.
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Repository => Kind::ImageRepository,
            Self::Policy => Kind::ImagePolicy,
            Self::Update => Kind::ImageUpdateAutomation,
        }
    }
}

impl Submitted {
    /// The answer, once there is one; it is taken away.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn answer(&self) -> io::Result<Option<Answer>> {
        let path = self.path.with_extension(ANSWER);
        match read(&path) {
            Ok(text) => {
                fs::remove_file(path)?;
                serde_json::from_slice(&text).map(Some).map_err(Into::into)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Where requests are, made when it is missing.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn directory(storage: &Path) -> io::Result<PathBuf> {
    let directory = storage.join(DIRECTORY);
    fs::create_dir_all(&directory)?;
    Ok(directory)
}

/// Hands a request in to the service of a storage path, which need not be running.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn submit(storage: &Path, request: &Request) -> io::Result<Submitted> {
    let directory = directory(storage)?;
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(&directory)?;
    serde_json::to_writer(&mut file, request)?;
    file.as_file_mut().flush()?;
    file.as_file().sync_all()?;
    // Names are in the order of time, and no two processes take the same.
    let name = format!("{:020}-{}.{REQUEST}", since.as_nanos(), std::process::id());
    let path = directory.join(name);
    file.persist_noclobber(&path)?;
    Ok(Submitted { path })
}

/// The requests that wait, oldest first. A file that is none is told and removed.
///
/// # Errors
/// When the directory cannot be read.
pub(super) fn pending(storage: &Path) -> io::Result<Vec<(PathBuf, Request)>> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(directory(storage)?)? {
        let path = entry?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some(REQUEST) => paths.push(path),
            Some(ANSWER) if is_old(&path) => fs::remove_file(path)?,
            _ => {}
        }
    }
    paths.sort();
    let mut requests = Vec::new();
    for path in paths {
        let request = read(&path).and_then(|text| Ok(serde_json::from_slice(&text)?));
        match request {
            Ok(request) => requests.push((path, request)),
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "this is no request; removing it");
                fs::remove_file(path)?;
            }
        }
    }
    Ok(requests)
}

/// Ends a request: whoever waits for it finds the answer.
pub(super) fn finish(path: &Path, answer: &Answer) {
    let write = || -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
        serde_json::to_writer(&mut file, answer)?;
        file.persist(path.with_extension(ANSWER))?;
        fs::remove_file(path)
    };
    if let Err(error) = write() {
        tracing::warn!(file = %path.display(), %error, "a request cannot be answered");
    }
}

fn is_old(path: &Path) -> bool {
    let age = fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .map(|modified| modified.elapsed().unwrap_or_default());
    age.is_ok_and(|age| age > ANSWER_LIFE)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(LONGEST).read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(name: &str) -> Request {
        Request {
            kind: Steered::Update,
            namespace: "fleet".to_owned(),
            name: name.to_owned(),
            release_holds: ReleaseHolds::All,
        }
    }

    #[test]
    fn requests_wait_in_their_order_until_they_are_answered() {
        let storage = tempfile::tempdir().unwrap();
        let first = submit(storage.path(), &request("a")).unwrap();
        submit(storage.path(), &request("b")).unwrap();
        fs::write(storage.path().join("requests/0-broken.json"), "{").unwrap();
        fs::write(storage.path().join("requests/.new-half"), "{").unwrap();
        for _ in 0..2 {
            let waiting = pending(storage.path()).unwrap();
            let names: Vec<&str> = waiting.iter().map(|(_, r)| r.name.as_str()).collect();
            assert_eq!(names, ["a", "b"]);
        }
        assert_eq!(first.answer().unwrap(), None);
        let answer = Answer::Refused("no".to_owned());
        finish(&first.path, &answer);
        assert_eq!(first.answer().unwrap(), Some(answer));
        assert_eq!(first.answer().unwrap(), None);
        assert_eq!(pending(storage.path()).unwrap().len(), 1);
    }
}
