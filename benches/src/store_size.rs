//! `store`: how large the store's file is per tag, how much memory the process takes, how long it takes.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use tagline_policy::{ImageName, TagRef};
use tagline_scanner::{
    Batch, Merged, RegistryMemory, StoreOptions, TagSet, TagSetBuilder, TagStore, TargetKey,
};

use crate::process;
use crate::tag_lists::{self, Shape};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Repositories.
    #[arg(long, default_value_t = 10_000)]
    repositories: u32,
    /// Tags of each.
    #[arg(long, default_value_t = 500)]
    tags: u32,
    /// What the tags look like.
    #[arg(long, value_enum, default_value_t = Shape::Mixed)]
    shape: Shape,
    /// New tags of each repository before each rewrite.
    #[arg(long, default_value_t = 5)]
    new_tags: u32,
    /// Scans that find new tags and rewrite every repository.
    #[arg(long, default_value_t = 3)]
    rewrites: u32,
    /// Scans written in one transaction.
    #[arg(long, default_value_t = 64)]
    group: usize,
    /// Keep the store in this directory; by default it goes when the run ends.
    #[arg(long)]
    directory: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let temporary = tempfile::tempdir()?;
    let directory = options.directory.as_deref().unwrap_or(temporary.path());
    let store = TagStore::open(directory, &StoreOptions::default())?;
    let file = store.path().context("the store has a file")?.to_owned();
    let started: Timestamp = "2026-01-01T00:00:00Z".parse()?;
    println!(
        "{} repositories x {} tags, {:?}",
        options.repositories, options.tags, options.shape
    );
    let mut raw = 0;
    for round in 0..=options.rewrites {
        let now = started + SignedDuration::from_hours(6) * i32::try_from(round)?;
        let count = options.tags + round * options.new_tags;
        let (clock, cpu) = (Instant::now(), process::cpu_seconds());
        let mut batch = Batch::new();
        raw = 0;
        for repository in 0..options.repositories {
            let key = key(repository)?;
            let names = tag_lists::tags(options.shape, repository, count);
            raw += names.iter().map(|name| name.len() + 1).sum::<usize>();
            let previous = store.tags(&key)?.map(|stored| Arc::clone(&stored.tags));
            let merged = list(&names, &previous.unwrap_or_default(), now)?;
            let memory = RegistryMemory {
                etag: Some(format!(
                    "\"{:032x}\"",
                    u64::from(merged.tags.revision().value())
                )),
                page_size: Some(1000),
                ..RegistryMemory::default()
            };
            batch = batch.and(Batch::new().complete(&key, now, &merged.tags, memory));
            if batch.len() >= options.group {
                store.write_blocking(std::mem::take(&mut batch))?;
            }
        }
        store.write_blocking(batch)?;
        let what = if round == 0 { "first" } else { "rewrite" };
        report(
            &format!("{what} {round}"),
            options,
            count,
            &file,
            clock,
            cpu,
        )?;
    }
    let all = u64::from(options.repositories) * u64::from(options.tags);
    println!("as text              {:6.2} B/tag", per(raw as u64, all));
    check(&store, options)?;
    let stats = store.stats()?;
    println!(
        "in the file          {:6.2} B/tag, of that {:.2} tags",
        per(stats.used_bytes, stats.tags),
        per(stats.tag_bytes, stats.tags)
    );
    let (clock, cpu) = (Instant::now(), process::cpu_seconds());
    store.compact()?;
    let count = options.tags + options.rewrites * options.new_tags;
    report("compacted", options, count, &file, clock, cpu)?;
    let clock = Instant::now();
    drop(store);
    let store = TagStore::open(directory, &StoreOptions::default())?;
    let mut known = 0;
    store.each_target(|_, _| {
        known += 1;
        std::ops::ControlFlow::Continue(())
    })?;
    println!(
        "closed, opened, {known} records read in {:.3} s; {:.1} MiB resident",
        clock.elapsed().as_secs_f64(),
        mib(process::memory().0)
    );
    Ok(())
}

fn key(repository: u32) -> anyhow::Result<TargetKey> {
    let image = ImageName::parse(&format!(
        "registry.example.com/team-{}/app-{repository}",
        repository % 97
    ))?;
    Ok(TargetKey::new(&image, None))
}

fn list(names: &[String], previous: &Arc<TagSet>, now: Timestamp) -> anyhow::Result<Merged> {
    let mut builder = TagSetBuilder::default();
    for name in names {
        builder.push(TagRef::new(name)?);
    }
    Ok(builder.replace(previous, now))
}

fn check(store: &TagStore, options: &Options) -> anyhow::Result<()> {
    let count = options.tags + options.rewrites * options.new_tags;
    for repository in (0..options.repositories).step_by(97) {
        let names = tag_lists::tags(options.shape, repository, count);
        let stored = store.tags(&key(repository)?)?.context("it was written")?;
        for name in &names {
            ensure!(
                stored.tags.contains(TagRef::new(name)?),
                "{name} is missing"
            );
        }
    }
    Ok(())
}

fn report(
    what: &str,
    options: &Options,
    tags: u32,
    file: &std::path::Path,
    clock: Instant,
    cpu: f64,
) -> anyhow::Result<()> {
    let metadata = std::fs::metadata(file)?;
    // A file is longer than what was ever written to it; the rest takes no room on the disk.
    let (length, bytes) = (metadata.len(), metadata.blocks() * 512);
    let all = u64::from(options.repositories) * u64::from(tags);
    let (resident, highest) = process::memory();
    println!(
        "{what:<12} {:6.1} MiB on disk {:6.2} B/tag, {:6.1} MiB long {:6.2} B/tag  {:6.2} s wall {:6.2} s CPU  {:6.1} MiB resident, {:.1} at most",
        mib(bytes),
        per(bytes, all),
        mib(length),
        per(length, all),
        clock.elapsed().as_secs_f64(),
        process::cpu_seconds() - cpu,
        mib(resident),
        mib(highest),
    );
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "printed with two digits")]
fn per(bytes: u64, things: u64) -> f64 {
    bytes as f64 / things as f64
}

fn mib(bytes: u64) -> f64 {
    per(bytes, 1 << 20)
}
