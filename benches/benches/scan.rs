//! Scans of 1,000 repositories on loopback, cold and unchanged.
#![expect(clippy::unwrap_used, reason = "a bench has nobody to report to")]

#[path = "../src/registry.rs"]
mod registry;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use registry::RegistryOptions;
use std::num::NonZeroU32;
use tagline_policy::ImageName;
use tagline_scanner::{
    RegistryPattern, RegistrySettings, RequestRate, ScanMode, ScanTarget, Scanner, ScannerOptions,
    StoreOptions, TagStore,
};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

const REPOSITORIES: usize = 1000;

fn scanner() -> Scanner {
    let mut settings = RegistrySettings::new(RegistryPattern::new("*"));
    settings.rate = Some(RequestRate::UNLIMITED);
    settings.in_flight = NonZeroU32::new(64);
    let options = ScannerOptions {
        registries: vec![settings],
        ..ScannerOptions::default()
    };
    Scanner::new(
        options,
        TagStore::in_memory(&StoreOptions::default()).unwrap(),
    )
}

async fn scan_all(scanner: &Scanner, authority: &str) {
    let mut scans = JoinSet::new();
    for number in 0..REPOSITORIES {
        let image = ImageName::parse(&format!("{authority}/load/r{number}")).unwrap();
        let scanner = scanner.clone();
        scans.spawn(async move {
            let target = ScanTarget::anonymous(image);
            scanner
                .scan(&target, ScanMode::Conditional)
                .await
                .unwrap()
                .tags
                .len()
        });
    }
    while let Some(done) = scans.join_next().await {
        assert_eq!(done.unwrap(), 500);
    }
}

fn scan(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let options = RegistryOptions {
        tags: 500,
        latency: 0,
        limit: 0.0,
        limit_burst: 0.0,
        errors: 0,
        bearer: false,
    };
    let (sender, receiver) = std::sync::mpsc::channel();
    let _serving = runtime.spawn(registry::serve(options, move |address| {
        sender.send(address.to_string()).unwrap();
    }));
    let authority = receiver.recv().unwrap();
    let mut group = criterion.benchmark_group("scan 1,000 repositories");
    group
        .throughput(Throughput::Elements(REPOSITORIES as u64))
        .sample_size(10);
    group.bench_function("cold", |bencher| {
        bencher.iter_batched(
            scanner,
            |scanner| runtime.block_on(scan_all(&scanner, &authority)),
            BatchSize::PerIteration,
        );
    });
    let known = scanner();
    runtime.block_on(scan_all(&known, &authority));
    group.bench_function("unchanged", |bencher| {
        bencher.iter(|| runtime.block_on(scan_all(&known, &authority)));
    });
    group.finish();
}

criterion_group!(benches, scan);
criterion_main!(benches);
