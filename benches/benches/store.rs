//! Tag sets and the store: what a scan costs after its answer has arrived.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use jiff::Timestamp;
use tagline_policy::{ImageName, TagRef};
use tagline_scanner::{
    Batch, RegistryMemory, StoreOptions, TagSet, TagSetBuilder, TagStore, TargetKey,
};

#[path = "../src/tag_lists.rs"]
mod tag_lists;

use tag_lists::Shape;

fn builder(names: &[String]) -> TagSetBuilder {
    let mut builder = TagSetBuilder::default();
    for tag in names.iter().filter_map(|name| TagRef::new(name).ok()) {
        builder.push(tag);
    }
    builder
}

fn set(names: &[String]) -> Arc<TagSet> {
    Arc::new(builder(names).finish(Timestamp::UNIX_EPOCH))
}

fn key(repository: u32) -> Option<TargetKey> {
    let image = ImageName::parse(&format!("registry.example.com/org/app-{repository}")).ok()?;
    Some(TargetKey::new(&image, None))
}

fn tag_sets(criterion: &mut Criterion) {
    for (shape, name) in [(Shape::Semver, "semver"), (Shape::Commit, "commit")] {
        let mut group = criterion.benchmark_group(format!("tag set, 500 {name} tags"));
        group.throughput(Throughput::Elements(500));
        let names = tag_lists::tags(shape, 1, 500);
        let tags = set(&names);
        group.bench_function("build from a page", |bencher| {
            bencher.iter(|| set(black_box(&names)));
        });
        group.bench_function("compare with an equal one", |bencher| {
            bencher.iter(|| builder(black_box(&names)).replace(&tags, Timestamp::UNIX_EPOCH));
        });
        group.bench_function("walk", |bencher| {
            bencher.iter(|| {
                let mut cursor = tags.cursor();
                let mut bytes = 0;
                while let Some((tag, _)) = cursor.next() {
                    bytes += tag.as_str().len();
                }
                bytes
            });
        });
        group.bench_function("unpack", |bencher| bencher.iter(|| tags.unpack()));
        group.bench_function("revision", |bencher| bencher.iter(|| tags.revision()));
        group.bench_function("look up one", |bencher| {
            let Some(tag) = names.get(250).and_then(|name| TagRef::new(name).ok()) else {
                return;
            };
            bencher.iter(|| tags.first_seen(black_box(tag)));
        });
        group.bench_function("encode for the store", |bencher| {
            let Some(key) = key(1) else { return };
            bencher.iter(|| {
                Batch::new().complete(
                    &key,
                    Timestamp::UNIX_EPOCH,
                    &tags,
                    RegistryMemory::default(),
                )
            });
        });
        group.finish();
    }
}

fn store(criterion: &mut Criterion) {
    let Ok(directory) = tempfile::tempdir() else {
        return;
    };
    // Without room for hot sets, every read goes to the file.
    let options = StoreOptions {
        hot_bytes: 0,
        ..StoreOptions::default()
    };
    let Ok(store) = TagStore::open(directory.path(), &options) else {
        return;
    };
    let sets: Vec<_> = (0..64)
        .map(|repository| set(&tag_lists::tags(Shape::Mixed, repository, 500)))
        .collect();
    let batch = || {
        (0..)
            .zip(&sets)
            .fold(Batch::new(), |batch, (repository, tags)| {
                match key(repository) {
                    Some(key) => {
                        batch.complete(&key, Timestamp::UNIX_EPOCH, tags, RegistryMemory::default())
                    }
                    None => batch,
                }
            })
    };
    let mut group = criterion.benchmark_group("store, 500 mixed tags each");
    group.throughput(Throughput::Elements(64));
    group.bench_function("commit 64 repositories together", |bencher| {
        bencher.iter_batched(
            batch,
            |batch| store.write_blocking(batch),
            BatchSize::LargeInput,
        );
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("read one from the file", |bencher| {
        let Some(key) = key(7) else { return };
        bencher.iter(|| store.tags(black_box(&key)));
    });
    group.finish();
}

criterion_group!(benches, tag_sets, store);
criterion_main!(benches);
