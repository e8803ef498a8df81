//! The store from outside: what was written is there after it is opened again.

use std::ops::ControlFlow;
use std::sync::Arc;

use jiff::Timestamp;
use tagline_policy::{Digest, ImageName, TagRef};
use tagline_scanner::{
    Batch, Due, LastError, PartialListing, RegistryMemory, StoreError, StoreOptions, TagDigest,
    TagSet, TagStore, TargetKey,
};

/// The store's file in its directory.
const FILE: &str = "tagline.redb";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn key(image: &str) -> TargetKey {
    TargetKey::new(&ImageName::parse(image).unwrap(), None)
}

fn tags(count: usize, first_seen: i64) -> Arc<TagSet> {
    let tags: Vec<String> = (0..count)
        .map(|i| format!("v1.{}.{}-{:x}", i / 100, i % 100, i * 7919))
        .collect();
    Arc::new(TagSet::from_tags(
        tags.iter().map(|tag| TagRef::new(tag).unwrap()),
        at(first_seen),
    ))
}

fn open(directory: &std::path::Path) -> TagStore {
    TagStore::open(directory, &StoreOptions::default()).unwrap()
}

fn etag(etag: &str) -> RegistryMemory {
    RegistryMemory {
        etag: Some(etag.to_owned()),
        ..RegistryMemory::default()
    }
}

#[test]
fn everything_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let app = key("ghcr.io/org/app");
    let digest = Digest::new(format!("sha256:{}", "ab".repeat(32))).unwrap();
    let tag = TagRef::new("v1").unwrap();
    let partial = PartialListing {
        tags: tags(10, 30),
        cursor: "/v2/org/app/tags/list?last=v1".to_owned(),
        pages: 3,
        started_at: at(30),
    };
    let error = LastError {
        at: at(31),
        reason: "RateLimited".to_owned(),
        message: "429 Too Many Requests".to_owned(),
    };
    let due = Due {
        next: Some(at(99)),
        failures: 1,
    };
    {
        let store = open(directory.path());
        assert!(store.tags(&app).unwrap().is_none());
        store
            .write_blocking(Batch::new().complete(&app, at(20), &tags(5_000, 20), etag("\"a\"")))
            .unwrap();
        store
            .write_blocking(
                Batch::new()
                    .partial(&app, &partial)
                    .failed(&app, error.clone(), etag("\"b\""))
                    .due(&app, due)
                    .asked(&app, at(32))
                    .tag_digest(
                        &app,
                        tag,
                        &TagDigest {
                            digest: digest.clone(),
                            checked_at: at(33),
                        },
                    )
                    .manifest(&digest, b"{}".to_vec())
                    .state("chosen", "ns/policy", Some(b"v1".to_vec()))
                    .state("chosen2", "x", Some(b"other".to_vec())),
            )
            .unwrap();
    }
    let store = open(directory.path());
    let stored = store.tags(&app).unwrap().unwrap();
    assert_eq!(*stored.tags, *tags(5_000, 20));
    assert_eq!(stored.scanned_at, at(20));
    let record = store.record(&app).unwrap().unwrap();
    assert_eq!(record.tag_count, 5_000);
    assert_eq!(record.due, due);
    assert_eq!(record.last_error, Some(error));
    assert_eq!(record.asked_at, Some(at(32)));
    assert_eq!(record.memory, etag("\"b\""));
    assert_eq!(store.partial(&app).unwrap().unwrap(), partial);
    assert_eq!(store.tag_digest(&app, tag).unwrap().unwrap().digest, digest);
    assert_eq!(store.manifest(&digest).unwrap().unwrap(), b"{}");
    assert_eq!(
        store.state("chosen").entries().unwrap(),
        [("ns/policy".to_owned(), b"v1".to_vec())]
    );
    let mut targets = Vec::new();
    store
        .each_target(|key, _| {
            targets.push(key);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(targets, [app]);
}

#[test]
fn a_complete_listing_ends_the_partial_one_and_the_error() {
    let store = TagStore::in_memory(&StoreOptions::default()).unwrap();
    let app = key("ghcr.io/org/app");
    let partial = PartialListing {
        tags: tags(1, 1),
        cursor: "/next".to_owned(),
        pages: 1,
        started_at: at(1),
    };
    let error = LastError {
        at: at(1),
        reason: "Timeout".to_owned(),
        message: "timed out".to_owned(),
    };
    store
        .write_blocking(Batch::new().partial(&app, &partial).failed(
            &app,
            error,
            RegistryMemory::default(),
        ))
        .unwrap();
    assert!(
        store.tags(&app).unwrap().is_none(),
        "a partial listing is not a listing"
    );
    store
        .write_blocking(Batch::new().complete(&app, at(2), &tags(3, 2), RegistryMemory::default()))
        .unwrap();
    assert!(store.partial(&app).unwrap().is_none());
    assert_eq!(store.record(&app).unwrap().unwrap().last_error, None);
    // Fewer tags than before leave nothing of the old ones behind.
    for count in [100_000, 7, 20_000, 0] {
        let set = tags(count, 3);
        store
            .write_blocking(Batch::new().complete(&app, at(3), &set, RegistryMemory::default()))
            .unwrap();
        assert_eq!(*store.tags(&app).unwrap().unwrap().tags, *set);
    }
    store
        .write_blocking(Batch::new().unchanged(&app, at(4), etag("x")))
        .unwrap();
    assert_eq!(store.tags(&app).unwrap().unwrap().scanned_at, at(4));
    store.write_blocking(Batch::new().forget(&app)).unwrap();
    assert!(store.tags(&app).unwrap().is_none());
    assert!(store.record(&app).unwrap().is_none());
}

#[test]
fn a_second_process_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let _store = open(directory.path());
    let error = TagStore::open(directory.path(), &StoreOptions::default()).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
}

#[test]
fn other_kinds_of_broken_files_are_set_aside_too() {
    let whole = {
        let directory = tempfile::tempdir().unwrap();
        fill(directory.path(), 50);
        std::fs::read(directory.path().join(FILE)).unwrap()
    };
    let cut = whole[..whole.len() / 2].to_vec();
    let mut overwritten = whole.clone();
    overwritten[..4096].fill(0xa5);
    let mut magic_only = vec![0; 9000];
    magic_only[..9].copy_from_slice(&whole[..9]);
    for (what, bytes) in [
        ("cut", cut),
        ("overwritten", overwritten),
        ("a header", magic_only),
    ] {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(FILE), bytes).unwrap();
        let store = open(directory.path());
        let app = key("alpine");
        let batch = Batch::new().complete(&app, at(1), &tags(3, 1), RegistryMemory::default());
        store.write_blocking(batch).unwrap();
        assert!(store.tags(&app).unwrap().is_some(), "{what}");
        assert_eq!(
            std::fs::read_dir(directory.path()).unwrap().count(),
            2,
            "{what}"
        );
    }
}

/// Whatever is wrong with the file's inside, opening and reading it ends with an answer: the right one, an
/// error, or nothing known.
#[test]
fn flipped_bits_are_survived() {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path(), 20);
    let whole = std::fs::read(directory.path().join(FILE)).unwrap();
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap();
    let mut place = 7;
    for _ in 0..25 {
        place = (place * 48_271 + 11) % used;
        let mut bytes = whole.clone();
        bytes[place] ^= 1 << (place % 8);
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(FILE), bytes).unwrap();
        let Ok(store) = TagStore::open(directory.path(), &StoreOptions::default()) else {
            continue;
        };
        for number in 0..20 {
            if let Ok(Some(stored)) = store.tags(&key(&format!("r.io/app{number}"))) {
                assert_eq!(stored.tags.unpack().iter().count(), stored.tags.len());
            }
        }
        // Writing and checking may fail, but must not panic.
        let app = key("r.io/app1");
        let batch = Batch::new().complete(&app, at(2), &tags(700, 2), RegistryMemory::default());
        let _ = store.write_blocking(batch);
        let _ = store.check();
    }
}

/// Sets of 500 tags for so many targets.
fn fill(directory: &std::path::Path, targets: usize) {
    let store = open(directory);
    for number in 0..targets {
        let key = key(&format!("r.io/app{number}"));
        let batch = Batch::new().complete(&key, at(1), &tags(500, 1), RegistryMemory::default());
        store.write_blocking(batch).unwrap();
    }
}

/// The promise of 12 bytes a tag, the file's own overhead included, after everything was rewritten.
#[test]
fn a_tag_takes_few_bytes_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let targets = 1_000_u32;
    for round in 0..3_u32 {
        let store = open(directory.path());
        for group in 0..targets / 50 {
            let mut batch = Batch::new();
            for number in group * 50..(group + 1) * 50 {
                let names: Vec<String> = (0..500 + round)
                    .map(|i| {
                        let commit = (number * 7_919 + i).wrapping_mul(2_654_435_761) >> 4;
                        format!(
                            "main-{commit:07x}-{}",
                            1_700_000_000 + i * 3_571 + commit % 977
                        )
                    })
                    .collect();
                let set = Arc::new(TagSet::from_tags(
                    names.iter().map(|name| TagRef::new(name).unwrap()),
                    at(1_700_000_000),
                ));
                let key = key(&format!("registry.example.com/org/app-{number}"));
                batch = batch.complete(&key, at(1_700_000_000), &set, etag("\"0123456789abcdef\""));
            }
            store.write_blocking(batch).unwrap();
        }
    }
    let length = std::fs::metadata(directory.path().join(FILE))
        .unwrap()
        .len();
    let tags = u64::from(targets) * 502;
    assert!(length / tags < 12, "{length} bytes for {tags} tags");
    let store = open(directory.path());
    assert_eq!(store.stats().unwrap().tags, tags);
    assert_eq!(store.check().unwrap().good_targets, u64::from(targets));
}

#[tokio::test]
async fn what_nobody_asks_for_is_forgotten() {
    let store = TagStore::in_memory(&StoreOptions::default()).unwrap();
    let (wanted, by_hand, old) = (key("wanted"), key("by-hand"), key("old"));
    let mut batch = Batch::new().asked(&wanted, at(100)).asked(&old, at(10));
    for (key, time) in [(&wanted, 10), (&by_hand, 90), (&old, 10)] {
        batch = batch.complete(key, at(time), &tags(5, time), RegistryMemory::default());
    }
    store.write(batch).await.unwrap();
    assert_eq!(store.unasked(at(50)).unwrap(), std::slice::from_ref(&old));
    // Somebody asks for it between the two.
    let batch = Batch::new()
        .asked(&old, at(60))
        .forget_unasked(&old, at(50));
    store.write(batch).await.unwrap();
    assert!(store.record(&old).unwrap().is_some());
    store
        .write(Batch::new().forget_unasked(&old, at(70)))
        .await
        .unwrap();
    assert!(store.record(&old).unwrap().is_none());
    assert!(store.tags(&old).unwrap().is_none());
    assert!(store.tags(&wanted).unwrap().is_some() && store.tags(&by_hand).unwrap().is_some());
}

/// Many writers at once share transactions, and everybody is told only when the disk has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_may_write_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let writes = (0..300).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            let key = key(&format!("r.io/app{number}"));
            let set = tags(20 + number, 1);
            let batch = Batch::new().complete(&key, at(1), &set, RegistryMemory::default());
            store.write(batch).await.unwrap();
            assert_eq!(store.tags(&key).unwrap().unwrap().tags.len(), 20 + number);
        })
    });
    for write in writes.collect::<Vec<_>>() {
        write.await.unwrap();
    }
    assert_eq!(store.stats().unwrap().targets, 300);
}

#[test]
fn a_broken_file_is_set_aside() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(FILE), b"this is no database").unwrap();
    let store = open(directory.path());
    let app = key("alpine");
    store
        .write_blocking(Batch::new().complete(&app, at(1), &tags(3, 1), RegistryMemory::default()))
        .unwrap();
    assert!(store.tags(&app).unwrap().is_some());
    let aside = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .find(|name| name.starts_with("tagline.redb.broken-"))
        .unwrap();
    assert_eq!(
        std::fs::read(directory.path().join(aside)).unwrap(),
        b"this is no database"
    );
}

/// A long list so far takes many pages; what comes after it leaves none of them behind.
#[test]
fn a_long_partial_listing_comes_and_goes() {
    let directory = tempfile::tempdir().unwrap();
    let app = key("r.io/app");
    let partial = |count| PartialListing {
        tags: tags(count, 1),
        cursor: "/v2/app/tags/list?n=1000&last=x".to_owned(),
        pages: 7,
        started_at: at(1),
    };
    for count in [30_000, 5, 20_000, 0] {
        let store = open(directory.path());
        let listing = partial(count);
        store
            .write_blocking(Batch::new().partial(&app, &listing))
            .unwrap();
        drop(store);
        let store = open(directory.path());
        assert_eq!(store.partial(&app).unwrap().unwrap(), listing, "{count}");
        assert!(store.check().unwrap().damaged.is_empty());
        assert_eq!(store.partial(&app).unwrap().unwrap(), listing, "{count}");
    }
    let store = open(directory.path());
    store
        .write_blocking(Batch::new().partial(&app, &partial(30_000)))
        .unwrap();
    assert!(store.stats().unwrap().tag_bytes > 10_000);
    store
        .write_blocking(Batch::new().without_partial(&app))
        .unwrap();
    assert!(store.partial(&app).unwrap().is_none());
    assert_eq!(store.stats().unwrap().tag_bytes, 0);
}
