//! Notices changes of manifest files while the service runs.

use super::source::Source;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;

/// Editors and `git pull` write many files: changes that come this close together are one change.
const QUIET: Duration = Duration::from_millis(300);
/// Somebody who never stops writing is read after this time all the same.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Watches the files and directories given with `-f`.
pub(crate) struct FileWatch {
    changes: mpsc::Receiver<()>,
    _watcher: RecommendedWatcher,
}

/// A path that cannot be watched.
#[derive(Debug, thiserror::Error)]
#[error("changes of {path} cannot be noticed: {source}; Tagline runs on with what it has read (inotify limits: sysctl fs.inotify.max_user_watches)", path = path.display())]
pub(crate) struct CannotWatch {
    path: PathBuf,
    source: notify::Error,
}

impl FileWatch {
    /// Begins to watch. Standard input is read once and cannot change.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub(crate) fn start(sources: &[Source]) -> Result<Self, CannotWatch> {
        let (report, changes) = mpsc::channel(1);
        let handler = move |event: notify::Result<notify::Event>| {
            let relevant = event.map_or(true, |event| {
                !matches!(event.kind, notify::EventKind::Access(_))
            });
            if relevant {
                // A full channel means that a change is already waiting to be read.
                let _ = report.try_send(());
            }
        };
        let failed = |path: &Path, source| CannotWatch {
            path: path.to_owned(),
            source,
        };
        let mut watcher = notify::recommended_watcher(handler)
            .map_err(|error| failed(Path::new("files"), error))?;
        for source in sources {
            let Source::Path(path) = source else {
                continue;
            };
            // A file is replaced by renaming another over it, so its directory is watched.
            let (watched, mode) = if path.is_dir() {
                (path.as_path(), RecursiveMode::Recursive)
            } else {
                let parent = path
                    .parent()
                    .filter(|parent| !parent.as_os_str().is_empty());
                (
                    parent.unwrap_or(Path::new(".")),
                    RecursiveMode::NonRecursive,
                )
            };
            watcher
                .watch(watched, mode)
                .map_err(|error| failed(watched, error))?;
        }
        Ok(Self {
            changes,
            _watcher: watcher,
        })
    }

    /// Waits for the next change, and until the writing has ended.
    pub(crate) async fn changed(&mut self) {
        if self.changes.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        let deadline = tokio::time::Instant::now() + LONGEST_WAIT;
        while tokio::time::Instant::now() < deadline
            && tokio::time::timeout(QUIET, self.changes.recv())
                .await
                .is_ok()
        {}
    }
}
