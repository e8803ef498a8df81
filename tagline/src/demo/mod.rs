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

use anyhow::{Context as _, anyhow, bail};
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
use git_remote::GitRemote;
use narration::Narration;
use registry::DemoRegistry;

/// How long to wait for a commit. It takes a second or two; a machine may be busy.
const COMMIT_LIMIT: Duration = Duration::from_mins(1);
/// How long what still runs may take to end.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(10);
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
    let runtime = tokio::runtime::Runtime::new().context("start the runtime")?;
    let (place, result) = runtime.block_on(async {
        // Before there is anything to leave behind.
        let stop = shutdown::on_signal().context("listen for signals")?;
        let place = Place::new(args.keep.as_deref())?;
        let demo = Demo {
            place: &place,
            global,
            output,
            narration: Narration::new(output),
            stop,
        };
        let result = demo.show().await;
        anyhow::Ok((place, result))
    })?;
    // Nothing writes into a temporary directory any more when it is removed.
    runtime.shutdown_timeout(SHUTDOWN_LIMIT);
    drop(place);
    result.map(|()| Exit::Done)
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
        self.serve(&manifests, &registry, &remote).await?;

        self.narration
            .step("Once more: there is nothing left to do")?;
        self.narration
            .command(&format!("tagline run -f {} --once", manifests.display()))?;
        let mut service = self.open_service(&manifests, self.stop.clone())?;
        service
            .run_once(|total| self.output.progress().bar("scanning", total))
            .await?;
        if self.stop.is_cancelled() {
            return Err(interrupted());
        }
        let report = service.report();
        self.output
            .print(&report, |out, _output| commands::run::table(&report, out))?;
        if report.has_failures() {
            bail!("an object failed");
        }
        self.narration.end(self.place, &remote)?;
        Ok(())
    }

    /// Runs the service until the commits that are to follow have arrived.
    async fn serve(
        &self,
        manifests: &Path,
        registry: &DemoRegistry,
        remote: &GitRemote,
    ) -> anyhow::Result<()> {
        let cancel = self.stop.child_token();
        let started = Instant::now();
        let mut service = self.open_service(manifests, cancel.clone())?;
        let follow = async {
            let result = tokio::select! {
                result = self.follow(registry, remote, started) => result,
                () = cancel.cancelled() => Err(interrupted()),
            };
            cancel.cancel();
            result
        };
        // When the story is told, the service is asked to end and ends by itself.
        let (served, followed) = tokio::join!(service.run(), follow);
        served.and(followed)
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
        let store = commands::ad_hoc::open_store(&settings.storage_path)?;
        Service::open(settings, store, sources, options, resources, cancel)
    }

    /// Tells about the commits that bring the first tags, then about those that follow a push.
    async fn follow(
        &self,
        registry: &DemoRegistry,
        remote: &GitRemote,
        started: Instant,
    ) -> anyhow::Result<()> {
        let mut told = remote.commits()?.len();
        self.tell_commits(
            remote,
            &images::WANTED_FIRST,
            &mut told,
            started,
            "its start",
        )
        .await?;
        self.narration.step("Somebody pushes new images")?;
        let pushed_at = Instant::now();
        self.narration
            .images(&images::push_later(registry, Timestamp::now())?)?;
        self.tell_commits(
            remote,
            &images::WANTED_LATER,
            &mut told,
            pushed_at,
            "the push",
        )
        .await
    }

    /// Tells about each commit as it arrives, until the branch has all wanted tags.
    ///
    /// Usually one: what is due at the same time goes out together. An image whose scan ended later has
    /// its own.
    async fn tell_commits(
        &self,
        remote: &GitRemote,
        wanted: &[&str],
        told: &mut usize,
        since: Instant,
        event: &str,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + COMMIT_LIMIT;
        loop {
            let commits = remote.commits()?;
            let took = since.elapsed();
            let new = commits.len().saturating_sub(*told);
            for commit in commits.iter().take(new).rev() {
                let files = remote.changed_files(&commit.id)?;
                self.narration.commit(commit, &files, took, event)?;
            }
            *told = commits.len();
            if new > 0 && remote.names_all(wanted)? {
                return Ok(());
            }
            if Instant::now() > deadline {
                let limit = COMMIT_LIMIT.as_secs();
                bail!("the wanted tags did not arrive in git within {limit} s");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

fn interrupted() -> anyhow::Error {
    anyhow!("interrupted before the demo was over")
}
