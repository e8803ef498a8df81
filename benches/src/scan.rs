//! Scans many repositories of a registry on loopback, and compares with fetching the same lists and throwing them
//! away.
//!
//! Each round fetches and discards, scans into a new store, and scans the same again. Ratios are formed within a
//! round, where both sides meet the same load of the machine; what is printed at the end are their medians.

use crate::process;
use crate::registry::RegistryOptions;
use crate::registry_process::RegistryProcess;
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tagline_policy::ImageName;
use tagline_scanner::{
    RegistryPattern, RegistrySettings, RequestKind, RequestRate, ScanMode, ScanRequest, ScanTarget,
    Scanner, ScannerOptions, StoreOptions, TagStore,
};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Of the repositories, every tenth is a small tenant's; the rest are one large tenant's.
const SMALL_TENANT: usize = 10;

/// How to load.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Repositories.
    #[arg(long, default_value_t = 5000)]
    repositories: usize,
    /// Scans at once, per tenant; both together as many as a schedule starts. Most of them wait for the disk.
    #[arg(long, default_value_t = 512)]
    workers: usize,
    /// The scanner's own limit in requests per second; 0 is none.
    #[arg(long, default_value_t = 0.0)]
    rate: f64,
    /// The scanner's burst.
    #[arg(long, default_value_t = 20)]
    burst: u32,
    /// Requests at once, of the scanner as of the plain loop.
    #[arg(long, default_value_t = 64)]
    in_flight: u32,
    /// Rounds of fetch-and-discard, cold scan, and the same again.
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    /// Leave out fetch-and-discard.
    #[arg(long)]
    no_comparison: bool,
    /// Directory on the disk to measure; the stores in it are removed at the end.
    #[arg(long)]
    storage_path: Option<PathBuf>,
    #[command(flatten)]
    registry: RegistryOptions,
}

/// What a part of a round cost.
#[derive(Debug, Clone, Copy)]
struct Cost {
    wall: Duration,
    cpu: f64,
}

/// What one round cost.
struct Round {
    cold: Cost,
    again: Cost,
    plain: Option<Plain>,
}

/// The plain loop: the lists, and the same asked conditionally.
struct Plain {
    lists: Cost,
    unchanged: Cost,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("start the runtime")?;
    let registry = RegistryProcess::start(&options.registry)?;
    println!(
        "{} repositories x {} tags, latency {} ms, limit {}/s, errors {} of 1000, bearer tokens {}; scanner: {}/s, burst {}, {} in flight, 2 x {} workers",
        options.repositories,
        options.registry.tags,
        options.registry.latency,
        options.registry.limit,
        options.registry.errors,
        options.registry.bearer,
        options.rate,
        options.burst,
        options.in_flight,
        options.workers,
    );
    let mut rounds = Vec::new();
    for _ in 0..options.rounds.max(1) {
        rounds.push(round(options, &runtime, registry.authority())?);
    }
    println!("registry counted: {}", registry.counts()?);
    let (_, peak) = process::memory();
    println!("peak memory {:.1} MB", megabytes(peak));
    summary(&rounds);
    Ok(())
}

fn round(
    options: &Options,
    runtime: &tokio::runtime::Runtime,
    authority: &str,
) -> anyhow::Result<Round> {
    let directory = match &options.storage_path {
        Some(path) => tempfile::tempdir_in(path),
        None => tempfile::tempdir(),
    }
    .context("make a directory for the store")?;
    let store = TagStore::open(directory.path(), &StoreOptions::default())?;
    // Before the plain loop: it installs the TLS provider for both.
    let scanner = Scanner::new(scanner_options(options)?, store);
    let plain = if options.no_comparison {
        None
    } else {
        Some(Plain {
            lists: runtime.block_on(fetch_all("plain", None, options, authority))?,
            unchanged: runtime.block_on(fetch_all(
                "plain, conditional",
                Some("\"1\""),
                options,
                authority,
            ))?,
        })
    };
    let cold = runtime.block_on(scan_all("cold", options, &scanner, authority))?;
    let again = runtime.block_on(scan_all("again", options, &scanner, authority))?;
    let (resident, _) = process::memory();
    for budget in scanner.budgets() {
        println!(
            "  budget {}: {} started, {} refused, rate {:?}",
            budget.name, budget.started, budget.refused, budget.rate
        );
    }
    drop(scanner);
    let on_disk = process::disk_usage(directory.path()).context("measure the store")?;
    println!(
        "  resident {:.1} MB; store {:.2} MB on disk",
        megabytes(resident),
        megabytes(on_disk),
    );
    Ok(Round { cold, again, plain })
}

fn summary(rounds: &[Round]) {
    println!("medians of {} rounds (least to most):", rounds.len());
    let of = |what: &str, unit: &str, value: &dyn Fn(&Round) -> Option<f64>| {
        let mut values: Vec<_> = rounds.iter().filter_map(value).collect();
        values.sort_by(f64::total_cmp);
        if let (Some(least), Some(most), Some(median)) =
            (values.first(), values.last(), values.get(values.len() / 2))
        {
            println!("  {what:<32} {median:>7.3}{unit} ({least:.3} to {most:.3})");
        }
    };
    let lists = |round: &Round| round.plain.as_ref().map(|plain| plain.lists);
    let unchanged = |round: &Round| round.plain.as_ref().map(|plain| plain.unchanged);
    of("plain wall", " s", &|round| Some(lists(round)?.seconds()));
    of("plain CPU", " s", &|round| Some(lists(round)?.cpu));
    of("plain, conditional, CPU", " s", &|round| {
        Some(unchanged(round)?.cpu)
    });
    of("cold wall", " s", &|round| Some(round.cold.seconds()));
    of("cold CPU", " s", &|round| Some(round.cold.cpu));
    of("again wall", " s", &|round| Some(round.again.seconds()));
    of("again CPU", " s", &|round| Some(round.again.cpu));
    of("cold wall / plain wall", "", &|round| {
        Some(round.cold.seconds() / lists(round)?.seconds())
    });
    of("again CPU / cold CPU", "", &|round| {
        Some(round.again.cpu / round.cold.cpu)
    });
}

impl Cost {
    fn seconds(self) -> f64 {
        self.wall.as_secs_f64()
    }
}

fn scanner_options(options: &Options) -> anyhow::Result<ScannerOptions> {
    let mut settings = RegistrySettings::new(RegistryPattern::new("*"));
    settings.rate = Some(RequestRate::per_second(options.rate)?);
    settings.burst = NonZeroU32::new(options.burst);
    settings.in_flight = NonZeroU32::new(options.in_flight);
    Ok(ScannerOptions {
        registries: vec![settings],
        longest_wait: Duration::from_hours(1),
        ..ScannerOptions::default()
    })
}

async fn scan_all(
    name: &str,
    options: &Options,
    scanner: &Scanner,
    authority: &str,
) -> anyhow::Result<Cost> {
    let started = Instant::now();
    let cpu = process::cpu_seconds();
    let tenants = [("small", true), ("large", false)].map(|(tenant, is_small)| {
        let numbers: Vec<_> = (0..options.repositories)
            .filter(|number| number.is_multiple_of(SMALL_TENANT) == is_small)
            .collect();
        (tenant, numbers)
    });
    let mut running = JoinSet::new();
    for (tenant, numbers) in tenants {
        let (scanner, authority, workers) =
            (scanner.clone(), authority.to_owned(), options.workers);
        running.spawn(async move {
            let tallies = scan_tenant(tenant, &numbers, workers, &scanner, &authority).await;
            (tenant, tallies, started.elapsed())
        });
    }
    let mut requests: BTreeMap<RequestKind, u64> = BTreeMap::new();
    let mut errors: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut tags = 0;
    let mut ended = Vec::new();
    while let Some(done) = running.join_next().await {
        let (tenant, tally, at) = done?;
        let tally = tally?;
        for (kind, count) in tally.requests {
            *requests.entry(kind).or_default() += count;
        }
        for (reason, count) in tally.errors {
            *errors.entry(reason).or_default() += count;
        }
        tags += tally.tags;
        ended.push(format!("{tenant} after {:.2} s", at.as_secs_f64()));
    }
    let cost = Cost {
        wall: started.elapsed(),
        cpu: process::cpu_seconds() - cpu,
    };
    let requests: Vec<_> = requests
        .iter()
        .map(|(kind, count)| format!("{kind} {count}"))
        .collect();
    println!(
        "{name}: wall {:.3} s, CPU {:.3} s, {tags} tags; requests: {}; errors: {errors:?}; tenants ended: {}",
        cost.wall.as_secs_f64(),
        cost.cpu,
        requests.join(", "),
        ended.join(", "),
    );
    Ok(cost)
}

#[derive(Default)]
struct Tally {
    requests: BTreeMap<RequestKind, u64>,
    errors: BTreeMap<&'static str, u64>,
    tags: usize,
}

async fn scan_tenant(
    tenant: &'static str,
    numbers: &[usize],
    workers: usize,
    scanner: &Scanner,
    authority: &str,
) -> anyhow::Result<Tally> {
    let free = Arc::new(Semaphore::new(workers));
    let mut scans = JoinSet::new();
    let mut tally = Tally::default();
    for number in numbers {
        let permit = Arc::clone(&free).acquire_owned().await?;
        let image = ImageName::parse(&format!("{authority}/load/r{number}"))?;
        let scanner = scanner.clone();
        scans.spawn(async move {
            let request = ScanRequest::from(ScanMode::Conditional).for_tenant(tenant);
            let scan = scanner.scan(&ScanTarget::anonymous(image), request).await;
            drop(permit);
            scan.map(|scan| (scan.requests, scan.tags.len()))
                .map_err(|error| error.reason())
        });
        while let Some(done) = scans.try_join_next() {
            tally.add(done?);
        }
    }
    while let Some(done) = scans.join_next().await {
        tally.add(done?);
    }
    Ok(tally)
}

impl Tally {
    fn add(&mut self, scan: Result<(tagline_scanner::RequestCounts, usize), &'static str>) {
        match scan {
            Ok((requests, tags)) => {
                for kind in RequestKind::ALL {
                    let count = requests.of(kind);
                    if count > 0 {
                        *self.requests.entry(kind).or_default() += u64::from(count);
                    }
                }
                self.tags += tags;
            }
            Err(reason) => *self.errors.entry(reason).or_default() += 1,
        }
    }
}

/// The same lists, fetched with the same HTTP library and thrown away.
async fn fetch_all(
    name: &str,
    etag: Option<&str>,
    options: &Options,
    authority: &str,
) -> anyhow::Result<Cost> {
    let client = reqwest::Client::builder()
        .tls_certs_only([])
        .pool_max_idle_per_host(options.in_flight as usize)
        .build()?;
    let free = Arc::new(Semaphore::new(options.in_flight as usize));
    let started = Instant::now();
    let cpu = process::cpu_seconds();
    let mut fetches = JoinSet::new();
    let mut bytes = 0;
    for number in 0..options.repositories {
        let permit = Arc::clone(&free).acquire_owned().await?;
        let mut request = client.get(format!(
            "http://{authority}/v2/load/r{number}/tags/list?n=1000"
        ));
        if let Some(etag) = etag {
            request = request.header("if-none-match", etag);
        }
        fetches.spawn(async move {
            let mut response = request.send().await?;
            let mut bytes = 0;
            while let Some(chunk) = response.chunk().await? {
                bytes += chunk.len();
            }
            drop(permit);
            Ok::<_, reqwest::Error>(bytes)
        });
        while let Some(done) = fetches.try_join_next() {
            bytes += done??;
        }
    }
    while let Some(done) = fetches.join_next().await {
        bytes += done??;
    }
    let cost = Cost {
        wall: started.elapsed(),
        cpu: process::cpu_seconds() - cpu,
    };
    println!(
        "{name}: wall {:.3} s, CPU {:.3} s, {bytes} bytes",
        cost.seconds(),
        cost.cpu
    );
    Ok(cost)
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
