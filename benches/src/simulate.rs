//! `simulate`: the schedule in simulated time, against hosts that are fast, slow, dead or limited.
//!
//! Only the schedule is real. A scan takes its host's time and ends as its host's health has it; the clock
//! jumps from event to event.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Instant;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use tagline_policy::ImageName;
use tagline_scanner::{
    Due, Outcome, ReadyReason, Schedule, ScheduleOptions, TargetKey, TargetPlan,
};

use crate::process;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Scan targets.
    #[arg(long, default_value_t = 1_000_000)]
    targets: u32,
    /// Registries. A tenth are slow, a twentieth dead, a twentieth answer 429 to every third scan.
    #[arg(long, default_value_t = 200)]
    hosts: u32,
    /// Namespaces.
    #[arg(long, default_value_t = 500)]
    namespaces: u32,
    /// Simulated time.
    #[arg(long, default_value_t = 7)]
    days: i32,
    /// Shortest interval between scans in minutes; others have twice, four and eight times as much.
    #[arg(long, default_value_t = 120)]
    minutes: i64,
    /// Webhooks in a minute of simulated time.
    #[arg(long, default_value_t = 60)]
    webhooks: i64,
    /// Start without any memory: all targets are new at once.
    #[arg(long)]
    cold: bool,
}

/// What a host is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Health {
    /// 100 ms a scan.
    Well,
    /// 5 s a scan.
    Slow,
    /// 30 s to the time-out, always.
    Dead,
    /// 100 ms; every third answer is 429 with `Retry-After: 300`.
    Limited,
}

impl Health {
    fn of(host: u32) -> Self {
        match host % 20 {
            3 | 13 => Self::Slow,
            7 => Self::Dead,
            11 => Self::Limited,
            _ => Self::Well,
        }
    }

    fn scan_time(self) -> SignedDuration {
        SignedDuration::from_millis(match self {
            Self::Well | Self::Limited => 100,
            Self::Slow => 5_000,
            Self::Dead => 30_000,
        })
    }

    fn outcome(self, scan: u64) -> Outcome {
        match self {
            Self::Dead => Outcome::Failed {
                retryable: true,
                retry_after: None,
            },
            Self::Limited if scan.is_multiple_of(3) => Outcome::Failed {
                retryable: true,
                retry_after: Some(SignedDuration::from_secs(300)),
            },
            _ => Outcome::Done,
        }
    }
}

/// How late scans began, in milliseconds, in buckets that double.
#[derive(Debug, Default)]
struct Lateness {
    buckets: [u64; 32],
    scans: u64,
    most: u64,
}

impl Lateness {
    fn add(&mut self, late: SignedDuration) {
        let millis = u64::try_from(late.as_millis()).unwrap_or_default();
        let bucket = (u64::BITS - millis.leading_zeros()) as usize;
        self.buckets[bucket.min(31)] += 1;
        self.scans += 1;
        self.most = self.most.max(millis);
    }

    /// The bucket's upper end that so many of a thousand scans stay below.
    fn permille(&self, share: u64) -> u64 {
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen * 1000 >= self.scans * share {
                return if bucket == 0 { 0 } else { 1 << bucket };
            }
        }
        self.most
    }
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse()?;
    let end = start + SignedDuration::from_hours(24) * options.days;
    let (before, _) = process::memory();
    let (clock, cpu) = (Instant::now(), process::cpu_seconds());
    let mut schedule = Schedule::new(ScheduleOptions::default(), start);
    for target in 0..options.targets {
        insert(&mut schedule, options, target, start)?;
    }
    let (filled, _) = process::memory();
    println!(
        "{} targets on {} hosts, {} days: filled in {:.1} s, {:.1} MiB, {:.0} B a target",
        options.targets,
        options.hosts,
        options.days,
        clock.elapsed().as_secs_f64(),
        ratio(filled - before, 1 << 20),
        ratio(filled - before, u64::from(options.targets)),
    );

    let mut running: BinaryHeap<Reverse<(Timestamp, TargetKey, u32)>> = BinaryHeap::new();
    let mut lateness: BTreeMap<(Health, &'static str), Lateness> = BTreeMap::new();
    let mut scans_of: BTreeMap<Health, u64> = BTreeMap::new();
    let mut now = start;
    let mut next_webhook = start;
    let mut scans = 0_u64;
    let mut webhooks = 0_u32;
    let mut most_running = 0;
    while now < end {
        while let Some(Reverse((time, key, host))) = running.peek()
            && *time <= now
        {
            let health = Health::of(*host);
            scans += 1;
            *scans_of.entry(health).or_default() += 1;
            schedule.finished(key, health.outcome(scans), now);
            running.pop();
        }
        while options.webhooks > 0 && next_webhook <= now {
            webhooks += 1;
            let target = webhooks.wrapping_mul(2_654_435_761) % options.targets;
            schedule.request(&key(options, target)?, now);
            next_webhook += SignedDuration::from_secs(60) / i32::try_from(options.webhooks)?;
        }
        for ready in schedule.next_ready(now, usize::MAX) {
            let host = host_number(&ready.key);
            let health = Health::of(host);
            let lane = match ready.reason {
                ReadyReason::Requested => "requested",
                ReadyReason::New => "new",
                ReadyReason::Due => "due",
            };
            let waited = now.duration_since(ready.since);
            lateness.entry((health, lane)).or_default().add(waited);
            running.push(Reverse((now + health.scan_time(), ready.key, host)));
        }
        most_running = most_running.max(running.len());
        let candidates = [
            running.peek().map(|Reverse((time, ..))| *time),
            schedule.next_wakeup(now),
            (options.webhooks > 0).then_some(next_webhook),
        ];
        now = candidates
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(end)
            .max(now + SignedDuration::from_millis(1));
    }
    let (_, highest) = process::memory();
    println!(
        "{scans} scans ({webhooks} webhooks), at most {most_running} at once; {:.0} s wall, {:.0} s CPU, {:.2} us a scan; {:.1} MiB at most",
        clock.elapsed().as_secs_f64(),
        process::cpu_seconds() - cpu,
        (process::cpu_seconds() - cpu) * 1e6 / ratio(scans, 1),
        ratio(highest, 1 << 20),
    );
    println!("host     scans");
    for (health, count) in scans_of {
        println!("{:<8} {count}", format!("{health:?}"));
    }
    println!("host     lane           scans   late by: half below   99 %   99.9 %   at most (ms)");
    for ((health, lane), late) in &lateness {
        println!(
            "{:<8} {lane:<10} {:>9} {:>21} {:>6} {:>8} {:>9}",
            format!("{health:?}"),
            late.scans,
            late.permille(500),
            late.permille(990),
            late.permille(999),
            late.most,
        );
    }
    Ok(())
}

fn insert(
    schedule: &mut Schedule,
    options: &Options,
    target: u32,
    now: Timestamp,
) -> anyhow::Result<()> {
    let interval = SignedDuration::from_mins(options.minutes << (target % 4));
    // What a store knows of targets that were scanned at any time within the interval.
    let share = i64::from(target.wrapping_mul(2_654_435_761) >> 16);
    let next = now + SignedDuration::from_millis(((interval.as_secs() * 1000) >> 16) * share);
    let plan = TargetPlan {
        namespace: &format!("team-{}", target % options.namespaces),
        interval,
        due: Due {
            next: (!options.cold).then_some(next),
            failures: 0,
        },
    };
    schedule.insert(&key(options, target)?, &plan, now);
    Ok(())
}

/// Half of all targets are on a tenth of the hosts.
fn key(options: &Options, target: u32) -> anyhow::Result<TargetKey> {
    let host = if target.is_multiple_of(2) {
        target / 2 % options.hosts.div_ceil(10)
    } else {
        target / 2 % options.hosts
    };
    let name = format!("r{host}.example.com/org-{}/service-{target}", target % 311);
    Ok(TargetKey::new(&ImageName::parse(&name)?, None))
}

fn host_number(key: &TargetKey) -> u32 {
    key.registry()
        .trim_start_matches('r')
        .split('.')
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "printed with two digits")]
fn ratio(number: u64, of: u64) -> f64 {
    number as f64 / of as f64
}
