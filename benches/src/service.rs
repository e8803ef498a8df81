//! The service as a whole: the real program on manifest files, beside a registry on loopback. How much memory many
//! targets take, how long a start takes, and whether a start asks for anything that is not due.

use crate::process;
use crate::registry::RegistryOptions;
use crate::registry_process::RegistryProcess;
use anyhow::Context as _;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// What the program says once it serves.
const SERVING: &str = "running;";
/// How long nothing may be asked after a start.
const QUIET: Duration = Duration::from_secs(5);

/// How to load.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Repositories, each with an `ImageRepository` of its own.
    #[arg(long, default_value_t = 10_000)]
    repositories: u64,
    /// The program; by default `tagline` beside this one.
    #[arg(long)]
    tagline: Option<PathBuf>,
    /// Give up when the first scans take longer, in seconds.
    #[arg(long, default_value_t = 300)]
    patience: u64,
    #[command(flatten)]
    registry: RegistryOptions,
}

/// The program while it runs; ends with this value.
struct Running {
    child: Child,
    lines: Receiver<String>,
    started: Instant,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let program = match &options.tagline {
        Some(program) => program.clone(),
        None => std::env::current_exe()
            .context("find this program")?
            .with_file_name("tagline"),
    };
    let registry = RegistryProcess::start(&options.registry)?;
    let directory = tempfile::tempdir().context("make a directory")?;
    let manifests = directory.path().join("objects.yaml");
    std::fs::write(
        &manifests,
        objects(options.repositories, registry.authority()),
    )
    .context("write the objects")?;
    let storage = directory.path().join("storage");
    let lists = || -> anyhow::Result<u64> {
        let lists = registry.counts()?["lists"].as_u64();
        lists.context("the registry's count")
    };

    println!(
        "{} ImageRepositories x {} tags",
        options.repositories, options.registry.tags
    );
    let mut first = Running::start(&program, &manifests, &storage)?;
    let serving = first.wait_for_line(SERVING, Duration::from_mins(1))?;
    let patience = Duration::from_secs(options.patience);
    while lists()? < options.repositories {
        anyhow::ensure!(
            first.started.elapsed() < patience,
            "not all is scanned after {} s",
            options.patience
        );
        first.is_running()?;
        std::thread::sleep(Duration::from_millis(50));
    }
    println!(
        "new store: serving after {:.2} s; all asked after {:.2} s, {:.2} s CPU, {:.1} MB resident",
        serving.as_secs_f64(),
        first.started.elapsed().as_secs_f64(),
        process::cpu_seconds_of(&first.id()),
        megabytes(process::memory_of(&first.id()).0),
    );
    // Statuses and the rest of the writing.
    std::thread::sleep(Duration::from_secs(5));
    let (resident, highest) = process::memory_of(&first.id());
    println!(
        "at rest: {:.1} MB resident, {:.1} MB at most, {:.2} s CPU; {:.1} MB on disk, {:.2} bytes a tag",
        megabytes(resident),
        megabytes(highest),
        process::cpu_seconds_of(&first.id()),
        megabytes(process::disk_usage(&storage)?),
        ratio(
            process::disk_usage(&storage)?,
            options.repositories * u64::from(options.registry.tags)
        ),
    );
    first.end(true)?;
    for killed in [true, false] {
        let before = lists()?;
        let again = Running::start(&program, &manifests, &storage)?;
        let serving = again.wait_for_line(SERVING, Duration::from_mins(1))?;
        std::thread::sleep(QUIET);
        let (resident, highest) = process::memory_of(&again.id());
        println!(
            "start after {}: serving after {:.2} s; {} lists asked within {} s (none is due); {:.1} MB resident, {:.1} MB at most",
            if killed { "kill -9" } else { "an orderly end" },
            serving.as_secs_f64(),
            lists()? - before,
            QUIET.as_secs(),
            megabytes(resident),
            megabytes(highest),
        );
        again.end(false)?;
    }
    Ok(())
}

/// One interval for all, long enough that nothing is due while we look.
fn objects(repositories: u64, authority: &str) -> String {
    let mut objects = String::new();
    for number in 0..repositories {
        let _ = write!(
            objects,
            "---\napiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\nmetadata:\n  name: r{number}\n  namespace: team-{}\nspec:\n  image: {authority}/load/r{number}\n  interval: 6h\n",
            number % 50
        );
    }
    objects
}

impl Running {
    fn start(program: &Path, manifests: &Path, storage: &Path) -> anyhow::Result<Self> {
        let started = Instant::now();
        let mut child = Command::new(program)
            .args(["run", "--log-level", "info", "--registry-rps", "0", "-f"])
            .arg(manifests)
            .arg("--storage-path")
            .arg(storage)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let output = child.stderr.take().context("the program's log")?;
        let (sender, lines) = channel();
        // Ends with the program.
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            child,
            lines,
            started,
        })
    }

    /// How long it took until a line with this text was logged.
    fn wait_for_line(&self, text: &str, patience: Duration) -> anyhow::Result<Duration> {
        loop {
            let line = self
                .lines
                .recv_timeout(patience)
                .with_context(|| format!("the program does not say {text:?}"))?;
            if line.contains(text) {
                return Ok(self.started.elapsed());
            }
        }
    }

    fn id(&self) -> String {
        self.child.id().to_string()
    }

    fn is_running(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            Some(status) => Err(anyhow::anyhow!("the program has ended: {status}")),
            None => Ok(()),
        }
    }

    /// Ends the program: at any byte, or in its own time.
    fn end(mut self, kill: bool) -> anyhow::Result<()> {
        if kill {
            self.child.kill()?;
        } else {
            let id = self.id();
            Command::new("kill").args(["-TERM", &id]).status()?;
        }
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn ratio(number: u64, of: u64) -> f64 {
    number as f64 / of as f64
}
