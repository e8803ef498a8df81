//! How long a policy takes over a million tags, and over one more.
//!
//! `cargo bench -p tagline-benches --bench policy`; figures in `README.md` beside this directory.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use jiff::Timestamp;
use std::hint::black_box;
use std::time::Duration;
use tagline_policy::{
    Candidate, Change, Choice, Context, Order, Policy, PolicySpec, Range, Tag, TagRef, Unparsable,
    suggest,
};

const MILLION: usize = 1_000_000;

/// Tags as they come from a registry: in lexical order, a million of them.
struct Tags(Vec<Tag>);

impl Tags {
    fn new(make: impl Fn(usize) -> String) -> Self {
        let mut tags: Vec<Tag> = (0..MILLION)
            .filter_map(|n| Tag::new(make(n)).ok())
            .collect();
        tags.sort_unstable();
        Self(tags)
    }

    fn candidates(&self) -> impl Iterator<Item = Candidate<'_>> + Clone {
        let seen = Timestamp::UNIX_EPOCH;
        self.0.iter().map(move |tag| Candidate {
            first_seen: Some(seen),
            created: Some(seen),
            ..Candidate::new(tag.as_ref())
        })
    }
}

/// Versions of all kinds: releases, pre-releases, variants, and some that are none.
fn versions() -> Tags {
    Tags::new(|n| {
        let (major, minor, patch) = (n / 50_000, n / 250 % 200, n % 250);
        match n % 10 {
            0 => format!("v{major}.{minor}.{patch}-rc.{}", n % 7),
            1 => format!("{major}.{minor}.{patch}-alpine3.20"),
            2 => format!("main-{n:07x}"),
            3 => format!("{major}.{minor}"),
            _ => format!("v{major}.{minor}.{patch}"),
        }
    })
}

/// `main-<commit>-<timestamp>`, and other branches between them.
fn builds() -> Tags {
    Tags::new(|n| {
        let branch = if n % 4 == 0 { "feature" } else { "main" };
        format!(
            "{branch}-{:08x}-{}",
            n * 2_654_435_761 % 0xffff_ffff,
            1_600_000_000 + n
        )
    })
}

fn policy(spec: &PolicySpec) -> Policy {
    Policy::compile(spec).unwrap_or_else(|error| unreachable!("{error}"))
}

fn numerical() -> PolicySpec {
    PolicySpec::new(Choice::Numerical {
        order: Order::Ascending,
        unparsable: Unparsable::Fail,
    })
    .with_filter(r"^main-[a-f0-9]+-(?P<ts>[0-9]+)$", "$ts")
}

fn natural() -> PolicySpec {
    PolicySpec::new(Choice::Natural {
        order: Order::Ascending,
    })
}

fn glob(pattern: &str) -> PolicySpec {
    PolicySpec::new(Choice::Glob {
        pattern: pattern.to_owned(),
    })
}

fn over_a_million(criterion: &mut Criterion) {
    let (versions, builds) = (versions(), builds());
    let context = Context::at(Timestamp::UNIX_EPOCH);
    let mut group = criterion.benchmark_group("select over 1,000,000 tags");
    group
        .throughput(Throughput::Elements(MILLION as u64))
        .sample_size(10)
        .measurement_time(Duration::from_secs(5));
    let template = PolicySpec::semver("*").with_filter(r"^v?(\d+)\.(\d+)\.(\d+)$", "$1.$2.$3");
    for (name, spec, tags) in [
        ("semver", PolicySpec::semver(">=1.0.0 <15.0.0"), &versions),
        ("semver with filter and template", template, &versions),
        ("regex, extract, numerical", numerical(), &builds),
        ("glob by created time", glob("main-*-16*"), &builds),
        ("natural", natural(), &versions),
    ] {
        let policy = policy(&spec);
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(policy.select(tags.candidates(), &context)));
        });
    }
    let spec = PolicySpec::semver(">=1.0.0 <15.0.0");
    let explained = policy(&spec);
    group.bench_function("explain semver", |bencher| {
        bencher.iter_with_large_drop(|| explained.explain(versions.candidates(), &context));
    });
    group.bench_function("suggest", |bencher| {
        bencher.iter(|| suggest(versions.0.iter().map(Tag::as_ref)));
    });
    group.finish();
}

fn one_more(criterion: &mut Criterion) {
    let context = Context::at(Timestamp::UNIX_EPOCH);
    let mut group = criterion.benchmark_group("update after 1,000,000 tags");
    for (name, spec, tags, newer) in [
        ("semver", PolicySpec::semver("*"), versions(), "v99.0."),
        (
            "regex, extract, numerical",
            numerical(),
            builds(),
            "main-0abc123-17000000",
        ),
    ] {
        let policy = policy(&spec);
        let before = policy.evaluate(tags.candidates(), &context);
        let new: Vec<String> = (10..110).map(|n| format!("{newer}{n}")).collect();
        let added: Vec<Candidate<'_>> = new
            .iter()
            .filter_map(|tag| TagRef::new(tag).ok().map(Candidate::new))
            .collect();
        for count in [1, 100] {
            group.bench_function(format!("{name}, {count} added"), |bencher| {
                bencher.iter_batched(
                    || Change {
                        added: &added[..count],
                        removed: &[],
                    },
                    |change| policy.update(&before, change, || tags.candidates(), &context),
                    BatchSize::SmallInput,
                );
            });
        }
    }
    group.finish();
}

fn compiling(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compile");
    group.bench_function("range", |bencher| {
        bencher.iter(|| Range::parse(black_box(">=1.2.3, <2.0.0 || ^3.1 || 4.x")));
    });
    for (name, spec) in [
        ("semver policy", PolicySpec::semver("^1.2")),
        ("numerical policy with filter", numerical()),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| Policy::compile(black_box(&spec)));
        });
    }
    group.finish();
}

criterion_group!(benches, over_a_million, one_more, compiling);
criterion_main!(benches);
