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

use crate::cli::GlobalArgs;
use crate::commands;
use crate::exit::{BadInput, Exit};
use crate::output::Output;
use crate::resources::{DEFAULT_NAMESPACE, LoadOptions, Source, load};
use crate::service::Service;
use crate::settings::{RegistryArgs, ServiceArgs, Settings};
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
pub(crate) fn run(args: &DemoArgs, global: &GlobalArgs, output: &Output) -> anyhow::Result<Exit> {
    let place = Place::new(args.keep.as_deref())?;
    let runtime = tokio::runtime::Runtime::new().context("start the runtime")?;
    runtime.block_on(async {
        let stop = shutdown::on_signal().context("listen for signals")?;
        let demo = Demo {
            place: &place,
            global,
            output,
            narration: Narration::new(output),
            stop: stop.clone(),
        };
        tokio::select! {
            biased;
            // Dropping what was started ends it; a temporary directory goes with its `Place`.
            () = stop.cancelled() => bail!("interrupted before the demo was over"),
            result = demo.show() => result,
        }
    })?;
    Ok(Exit::Done)
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
            return Ok(Self::Temporary(
                directory.context("make a temporary directory")?,
            ));
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
        Ok(Self::Kept(
            directory.with_context(|| format!("find {shown}"))?,
        ))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Temporary(directory) => directory.path(),
            Self::Kept(directory) => directory,
        }
    }
}

/// One demo.
struct Demo<'a> {
    place: &'a Place,
    global: &'a GlobalArgs,
    output: &'a Output,
    narration: Narration<'a>,
    stop: CancellationToken,
}

impl Demo<'_> {
    /// The demo from its start to its end.
    async fn show(&self) -> anyhow::Result<()> {
        let path = self.place.path();
        let registry = self.start_registry().await?;
        let address = registry.address().to_string();
        let remote = self.start_remote(&address).await?;
        let manifests = path.join("manifests");
        manifests::write_manifests(&manifests, &address, remote.url(), remote.is_http())
            .context("write the manifests")?;

        let title = "Tagline on manifests that name the images, the policies and the remote";
        self.narration.step(title)?;
        self.narration
            .command(&format!("tagline run -f {}", manifests.display()))?;
        let cancel = self.stop.child_token();
        let started = Instant::now();
        let mut service = self.open_service(&manifests, cancel.clone())?;
        let follow = async {
            let result = self.follow(&registry, &remote, started).await;
            cancel.cancel();
            result
        };
        // When the story is told, the service is asked to end and ends by itself.
        let (served, followed) = tokio::join!(service.run(), follow);
        served?;
        followed?;

        self.narration.step("Where everything stands")?;
        commands::run::print_table(&service.report(), self.output)?;
        self.narration.end(self.place, &remote)?;
        Ok(())
    }

    async fn start_registry(&self) -> anyhow::Result<DemoRegistry> {
        let registry = DemoRegistry::start(&self.stop)
            .await
            .context("start the registry")?;
        let pushed = images::push_first(&registry, Timestamp::now())?;
        self.narration.step("A registry with three images")?;
        let address = registry.address();
        self.narration
            .line(&format!("http://{address}, in this process"))?;
        self.narration.images(&pushed)?;
        Ok(registry)
    }

    async fn start_remote(&self, registry: &str) -> anyhow::Result<GitRemote> {
        let path = self.place.path();
        let content = path.join("fleet");
        manifests::write_fleet(&content, registry).context("write the repository's files")?;
        let login = manifests::login();
        let remote = GitRemote::start(path, "fleet", &content, &login, &self.stop).await?;
        self.narration.step("A git remote whose files name them")?;
        self.narration.line(remote.url())?;
        self.narration
            .line("The comment at the end of a line binds its value to a policy:")?;
        self.narration.markers(&content)?;
        Ok(remote)
    }

    fn open_service(&self, manifests: &Path, cancel: CancellationToken) -> anyhow::Result<Service> {
        let sources = vec![Source::Path(manifests.to_owned())];
        let options = LoadOptions {
            default_namespace: DEFAULT_NAMESPACE.to_owned(),
        };
        let resources = load(&sources, &options);
        let global = GlobalArgs {
            storage_path: Some(self.place.path().join("storage")),
            ..self.global.clone()
        };
        let flags = (ServiceArgs::default(), RegistryArgs::default());
        let settings = Settings::resolve(&global, &flags.0, &flags.1, &resources)?;
        Service::open(settings, sources, options, resources, cancel)
    }

    /// Waits for the two commits and tells about them.
    async fn follow(
        &self,
        registry: &DemoRegistry,
        remote: &GitRemote,
        started: Instant,
    ) -> anyhow::Result<()> {
        let first = next_commit(remote, 1).await?;
        let took = started.elapsed();
        self.narration
            .commit(&first, &remote.changed_files(&first.id)?, took, "its start")?;

        self.narration.step("Somebody pushes new images")?;
        let pushed_at = Instant::now();
        let pushed = images::push_later(registry, Timestamp::now())?;
        let second = next_commit(remote, 2).await?;
        let took = pushed_at.elapsed();
        self.narration.images(&pushed)?;
        self.narration.commit(
            &second,
            &remote.changed_files(&second.id)?,
            took,
            "the push",
        )?;
        Ok(())
    }
}

/// Waits until the branch has `count` commits on top of its first one; the newest.
async fn next_commit(remote: &GitRemote, count: usize) -> anyhow::Result<Commit> {
    let deadline = Instant::now() + COMMIT_LIMIT;
    loop {
        let mut commits = remote.commits()?;
        if commits.len() > count {
            return Ok(commits.swap_remove(0));
        }
        if Instant::now() > deadline {
            bail!("no commit arrived within {} s", COMMIT_LIMIT.as_secs());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
