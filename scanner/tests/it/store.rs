//! The store from outside: what was written is there after it is opened again.

use std::ops::ControlFlow;
use std::sync::Arc;

use jiff::Timestamp;
use tagline_policy::{Digest, ImageName, TagRef};
use tagline_scanner::{
    Batch, Due, LastError, PartialListing, RegistryMemory, StoreError, StoreOptions, TagDigest,
    TagSet, TagStore, TargetKey,
};

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
fn a_broken_file_is_set_aside() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(
        directory.path().join("tagline.redb"),
        b"this is no database",
    )
    .unwrap();
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
