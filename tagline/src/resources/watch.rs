//! Notices changes of manifest files while the service runs.

use super::source::Source;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Editors and `git pull` write many files: changes that come this close together are one change.
const QUIET: Duration = Duration::from_millis(300);
/// Somebody who never stops writing is read after this time all the same.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Watches the files and directories given with `-f`.
pub(crate) struct FileWatch {
    changes: mpsc::Receiver<()>,
    /// A change that has been noticed and not been told yet.
    burst: Option<Burst>,
    _watcher: RecommendedWatcher,
}

/// Writing that may still go on.
#[derive(Debug, Clone, Copy)]
struct Burst {
    quiet_at: Instant,
    read_at_latest: Instant,
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
            let (place, mode) = if path.is_dir() {
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
                .watch(place, mode)
                .map_err(|error| failed(place, error))?;
        }
        Ok(Self {
            changes,
            burst: None,
            _watcher: watcher,
        })
    }

    /// Waits for the next change, and until the writing has ended.
    ///
    /// May be dropped and called again at any time: a change that was noticed is not forgotten.
    pub(crate) async fn changed(&mut self) {
        loop {
            let Some(burst) = self.burst else {
                if self.changes.recv().await.is_none() {
                    std::future::pending::<()>().await;
                }
                let now = Instant::now();
                self.burst = Some(Burst {
                    quiet_at: now + QUIET,
                    read_at_latest: now + LONGEST_WAIT,
                });
                continue;
            };
            let until = burst.quiet_at.min(burst.read_at_latest);
            match tokio::time::timeout_at(until, self.changes.recv()).await {
                Ok(Some(())) if Instant::now() < burst.read_at_latest => {
                    self.burst = Some(Burst {
                        quiet_at: Instant::now() + QUIET,
                        ..burst
                    });
                }
                Ok(_) | Err(_) => {
                    self.burst = None;
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_is_not_forgotten_while_something_else_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let sources = [Source::Path(directory.path().to_owned())];
        let mut watch = FileWatch::start(&sources).unwrap();
        std::fs::write(directory.path().join("a.yaml"), "a").unwrap();
        let told = async {
            // As in the service's loop, which drops this future whenever a task ends.
            while tokio::time::timeout(QUIET / 10, watch.changed())
                .await
                .is_err()
            {}
        };
        let limit = Duration::from_mins(1);
        tokio::time::timeout(limit, told).await.unwrap();
    }
}
