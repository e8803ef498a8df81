//! `git`: one changed image in a large repository, by Tagline and by plain git commands, in the same run.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use tagline_policy::{ImageReference, Tag};
use tagline_testservers::{BareRepository, GitHttp};
use tagline_updater::git::{
    CancellationToken, GitAuth, GitReference, Identity, Mirror, Remote, RemoteOptions,
};
use tagline_updater::{
    ChangedFile, Choices, MarkerEditor, PolicyName, PublishRequest, PushOutcome, publish,
};

use crate::process;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// YAML files in the repository.
    #[arg(long, default_value_t = 20_000)]
    files: u32,
    /// Files that carry a marker, each of its own policy.
    #[arg(long, default_value_t = 1_000)]
    marked: u32,
    /// Commits in the repository before the run.
    #[arg(long, default_value_t = 200)]
    history: u32,
    /// How often each later run is repeated; the median is printed.
    #[arg(long, default_value_t = 9)]
    rounds: u32,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let server = GitHttp::start()?;
    let repository = server.create("fleet");
    fill(&repository, options)?;
    println!(
        "{} files, {} with markers, {} commits",
        options.files, options.marked, options.history
    );
    let url = server.url("fleet");
    let git = repeat("git: clone --depth 1, edit, commit, push", 3, |n| {
        by_git(&url, n)
    })?;

    let storage = tempfile::tempdir()?;
    let over_http = Automation::new(storage.path(), &url)?;
    let mut choices = start(options)?;
    let first = once("tagline over http: first run, one policy", || {
        set(&mut choices, 0, "2.0.0")?;
        over_http.run(&choices, 1)
    })?;
    let later = repeat("later run, one policy", options.rounds, |n| {
        set(&mut choices, 1 + n, &format!("2.1.{n}"))?;
        over_http.run(&choices, 1)
    })?;
    repeat("later run, nothing to do", options.rounds, |_| {
        over_http.run(&choices, 0)
    })?;
    repeat(
        "later run in a new process, one policy",
        options.rounds,
        |n| {
            set(&mut choices, 1 + n, &format!("2.2.{n}"))?;
            Automation::new(storage.path(), &url)?.run(&choices, 1)
        },
    )?;
    once("later run, all policies", || {
        for n in 0..options.marked {
            set(&mut choices, n, "3.0.0")?;
        }
        over_http.run(&choices, options.marked as usize)
    })?;
    // Without a server in this process, its CPU time is our own work.
    let storage = tempfile::tempdir()?;
    let in_directory = Automation::new(storage.path(), &repository.url())?;
    once("tagline on a directory: first run, one policy", || {
        set(&mut choices, 0, "4.0.0")?;
        in_directory.run(&choices, 1)
    })?;
    repeat("later run, one policy", options.rounds, |n| {
        set(&mut choices, 1 + n, &format!("4.1.{n}"))?;
        in_directory.run(&choices, 1)
    })?;
    once("later run, all policies", || {
        for n in 0..options.marked {
            set(&mut choices, n, "5.0.0")?;
        }
        in_directory.run(&choices, options.marked as usize)
    })?;
    repository.fsck();
    println!(
        "first run / git: {:.2}; git / later run: {:.1}",
        first.as_secs_f64() / git.as_secs_f64(),
        git.as_secs_f64() / later.as_secs_f64()
    );
    Ok(())
}

fn once(what: &str, mut run: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Duration> {
    repeat(what, 1, |_| run())
}

/// Runs it some times, prints and returns the median wall time.
fn repeat(
    what: &str,
    rounds: u32,
    mut run: impl FnMut(u32) -> anyhow::Result<()>,
) -> anyhow::Result<Duration> {
    let mut times = Vec::new();
    for n in 0..rounds {
        let (clock, cpu) = (Instant::now(), process::cpu_seconds());
        run(n).with_context(|| what.to_owned())?;
        times.push((clock.elapsed(), process::cpu_seconds() - cpu));
    }
    times.sort_by_key(|(wall, _)| *wall);
    let (wall, cpu) = times[times.len() / 2];
    println!(
        "{what:48} {:7.0} ms wall {:7.0} ms CPU of this process",
        wall.as_secs_f64() * 1e3,
        cpu * 1e3
    );
    Ok(wall)
}

struct Automation {
    mirror: Mirror,
}

impl Automation {
    fn new(storage: &Path, url: &str) -> anyhow::Result<Self> {
        let remote = Remote::new(url, GitAuth::None, RemoteOptions::default())?;
        Ok(Self {
            mirror: Mirror::open(storage, &remote)?,
        })
    }

    fn run(&self, choices: &Choices, changed: usize) -> anyhow::Result<()> {
        let request = PublishRequest::new(
            GitReference::branch("main")?,
            Identity::new("Tagline", "tagline@example.com"),
            jiff::Timestamp::now(),
        );
        let message = |files: &[ChangedFile]| Ok(format!("{} files\n", files.len()));
        let outcome: PushOutcome = publish(
            &self.mirror,
            &request,
            &MarkerEditor,
            choices,
            &message,
            &CancellationToken::new(),
        )?;
        ensure!(
            outcome.files.len() == changed,
            "{} files changed where {changed} were meant",
            outcome.files.len()
        );
        Ok(())
    }
}

fn start(options: &Options) -> anyhow::Result<Choices> {
    let mut choices = Choices::new();
    for n in 0..options.marked {
        set(&mut choices, n, "1.0.0")?;
    }
    Ok(choices)
}

fn set(choices: &mut Choices, n: u32, tag: &str) -> anyhow::Result<()> {
    choices.insert(
        PolicyName::new("ns", format!("app-{n}")),
        ImageReference {
            name: format!("registry.example.com/team/app-{n}"),
            tag: Tag::new(tag)?,
            digest: None,
        },
    );
    Ok(())
}

/// What a person does by hand.
fn by_git(url: &str, n: u32) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let git = |directory: &Path, arguments: &[&str]| -> anyhow::Result<()> {
        let status = Command::new("git")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .args(["-c", "user.name=x", "-c", "user.email=x@example.com"])
            .args(arguments)
            .current_dir(directory)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        ensure!(status.success(), "git {arguments:?} failed");
        Ok(())
    };
    git(
        directory.path(),
        &["clone", "--quiet", "--depth", "1", url, "work"],
    )?;
    let work = directory.path().join("work");
    let file = work.join("plain/00/00000.txt");
    std::fs::write(&file, format!("by hand {n}\n"))?;
    git(
        &work,
        &["commit", "--quiet", "--all", "--message", "by hand"],
    )?;
    git(&work, &["push", "--quiet"])
}

fn fill(repository: &BareRepository, options: &Options) -> anyhow::Result<()> {
    let mut files = vec![("plain/00/00000.txt".to_owned(), "start\n".to_owned())];
    for n in 0..options.files {
        let mut text = String::new();
        for resource in 0..4 {
            writeln!(
                text,
                "---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: service-{n}-{resource}\n  namespace: team-{}\nspec:\n  replicas: 2\n  template:\n    spec:\n      containers:\n        - name: app",
                n % 97
            )?;
            if resource == 0 && n < options.marked {
                writeln!(
                    text,
                    "          image: registry.example.com/team/app-{n}:1.0.0 # {{\"$imagepolicy\": \"ns:app-{n}\"}}"
                )?;
            } else {
                writeln!(
                    text,
                    "          image: registry.example.com/team/other-{n}:1.0.{resource}"
                )?;
            }
        }
        files.push((
            format!("apps/{:02}/{:02}/{n}.yaml", n % 40, n / 40 % 25),
            text,
        ));
    }
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (&**path, &**text))
        .collect();
    repository.commit("main", "first", &files);
    for n in 1..options.history {
        let text = format!("change {n}\n");
        repository.commit("main", &format!("change {n}"), &[("CHANGES", &*text)]);
    }
    repository.git(&["gc", "--quiet"]);
    Ok(())
}
