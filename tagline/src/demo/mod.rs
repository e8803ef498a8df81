//! `tagline demo`: the main job on this machine, with nothing to install and no network beyond loopback.
//!
//! A registry in memory, a git remote in a temporary directory, and the service on manifests as a user writes
//! them. It ends by itself and leaves nothing behind, unless it is told to keep its files.

mod git_backend;
mod git_remote;
mod images;
mod manifests;
mod narration;
mod registry;
mod server;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::exit::{BadInput, Exit};
use crate::output::Output;
use crate::shutdown;
use git_remote::{Commit, GitRemote};
use narration::Narration;
use registry::DemoRegistry;

/// How long to wait for a commit. It takes a second or two; a machine may be busy.
const COMMIT_LIMIT: Duration = Duration::from_secs(60);
/// How often to look whether a commit has arrived.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Flags of `tagline demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Keep everything in this directory, which must be new or empty, and say how to look at it
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// Runs it.
pub(crate) fn run(args: &DemoArgs, output: &Output) -> anyhow::Result<Exit> {
    let place = Place::new(args.keep.as_deref())?;
    let runtime = tokio::runtime::Runtime::new().context("start the runtime")?;
    runtime.block_on(async {
        let stop = shutdown::on_signal().context("listen for signals")?;
        let narration = Narration::new(output);
        tokio::select! {
            result = show(&place, &narration, &stop) => result,
            // Dropping what was started ends it; the temporary directory goes with it.
            () = stop.cancelled() => Ok(Exit::Failed),
        }
    })
}

/// Where the demo keeps its files.
enum Place {
    Temporary(tempfile::TempDir),
    Kept(PathBuf),
}

impl Place {
    fn new(keep: Option<&Path>) -> anyhow::Result<Self> {
        let Some(directory) = keep else {
            let directory = tempfile::Builder::new().prefix("tagline-demo-").tempdir();
            return Ok(Self::Temporary(directory.context("make a temporary directory")?));
        };
        let shown = directory.display();
        std::fs::create_dir_all(directory).with_context(|| format!("make {shown}"))?;
        let mut entries = std::fs::read_dir(directory).with_context(|| format!("read {shown}"))?;
        if entries.next().is_some() {
            return Err(BadInput::error(format!(
                "--keep {shown}: the directory is not empty; name a new one"
            )));
        }
        let directory = directory.canonicalize();
        Ok(Self::Kept(directory.with_context(|| format!("find {shown}"))?))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Temporary(directory) => directory.path(),
            Self::Kept(directory) => directory,
        }
    }
}
