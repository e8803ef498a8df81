//! Scans many repositories of a registry on loopback, and compares with fetching the same lists and throwing them
//! away. The registry is a process of its own, so that its CPU is not counted as the scanner's.

use crate::process;
use crate::registry::{self, RegistryOptions};
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::num::NonZeroU32;
use std::process::{Child, Command, Stdio};
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
    /// Scans at once, per tenant.
    #[arg(long, default_value_t = 32)]
    workers: usize,
    /// The scanner's own limit in requests per second; 0 is none.
    #[arg(long, default_value_t = 0.0)]
    rate: f64,
    /// The scanner's burst.
    #[arg(long, default_value_t = 20)]
    burst: u32,
    /// Requests at once.
    #[arg(long, default_value_t = 64)]
    in_flight: u32,
    /// Rounds after the cold one, with nothing changed.
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    /// Leave out the plain fetch-and-discard loop.
    #[arg(long)]
    no_comparison: bool,
    #[command(flatten)]
    registry: RegistryOptions,
}

/// A registry in a child process; ends with this value.
struct RegistryProcess {
    child: Child,
    authority: String,
}

/// What a run cost.
#[derive(Debug, Clone, Copy)]
struct Cost {
    wall: Duration,
    cpu: f64,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("start the runtime")?;
    let registry = RegistryProcess::start(&options.registry)?;
    println!(
        "{} repositories x {} tags, latency {} ms, limit {}/s, errors {} of 1000; scanner: {}/s, burst {}, {} in flight, 2 x {} workers",
        options.repositories,
        options.registry.tags,
        options.registry.latency,
        options.registry.limit,
        options.registry.errors,
        options.rate,
        options.burst,
        options.in_flight,
        options.workers,
    );
    let directory = tempfile::tempdir().context("make a directory")?;
    let store = TagStore::open(directory.path(), &StoreOptions::default())?;
    let scanner = Scanner::new(scanner_options(options)?, store);
    let mut cold = None;
    for round in 0..=options.rounds {
        let name = if round == 0 { "cold" } else { "again" };
        let cost = runtime.block_on(scan_all(name, options, &scanner, &registry.authority))?;
        if let Some(cold) = cold {
            ratio("CPU of again / cold", cost.cpu, cpu(cold));
        } else {
            cold = Some(cost);
        }
    }
    println!(
        "registry counted: {}",
        runtime.block_on(counts(&registry.authority))?
    );
    let (_, peak) = process::memory();
    println!("peak memory {:.1} MB", mebibytes(peak));
    if !options.no_comparison {
        let plain = runtime.block_on(fetch_all(options, &registry.authority))?;
        if let Some(cold) = cold {
            ratio(
                "wall of cold / plain",
                cold.wall.as_secs_f64(),
                plain.wall.as_secs_f64(),
            );
        }
    }
    Ok(())
}

/// The child process: serves until its standard input ends.
pub(crate) fn run_registry(options: RegistryOptions) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    std::thread::spawn(|| {
        // The parent is gone when its end of the pipe is closed.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    runtime
        .block_on(registry::serve(options, |address| {
            println!("{address}");
            let _ = std::io::stdout().flush();
        }))
        .context("serve")
}

fn cpu(cost: Cost) -> f64 {
    cost.cpu
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
    for budget in scanner.budgets() {
        println!(
            "  budget {}: {} started, {} refused, rate {:?}",
            budget.name, budget.started, budget.refused, budget.rate
        );
    }
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
async fn fetch_all(options: &Options, authority: &str) -> anyhow::Result<Cost> {
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
        let request = client.get(format!(
            "http://{authority}/v2/load/r{number}/tags/list?n=1000"
        ));
        fetches.spawn(async move {
            let body = request.send().await?.bytes().await?;
            drop(permit);
            Ok::<_, reqwest::Error>(body.len())
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
        "plain fetch-and-discard: wall {:.3} s, CPU {:.3} s, {bytes} bytes",
        cost.wall.as_secs_f64(),
        cost.cpu
    );
    Ok(cost)
}

async fn counts(authority: &str) -> anyhow::Result<String> {
    let client = reqwest::Client::builder().tls_certs_only([]).build()?;
    let url = format!("http://{authority}/counts");
    Ok(client.get(url).send().await?.text().await?)
}

fn ratio(what: &str, value: f64, to: f64) {
    println!("{what}: {:.2}", value / to);
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

impl RegistryProcess {
    fn start(options: &RegistryOptions) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe().context("find this program")?)
            .arg("registry")
            .args(["--tags", &options.tags.to_string()])
            .args(["--latency", &options.latency.to_string()])
            .args(["--limit", &options.limit.to_string()])
            .args(["--limit-burst", &options.limit_burst.to_string()])
            .args(["--errors", &options.errors.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start the registry")?;
        let mut authority = String::new();
        let output = child.stdout.take().context("the registry's output")?;
        BufReader::new(output)
            .read_line(&mut authority)
            .context("read the registry's address")?;
        Ok(Self {
            child,
            authority: authority.trim().to_owned(),
        })
    }
}

impl Drop for RegistryProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
