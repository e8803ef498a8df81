use std::sync::Arc;

use jiff::Timestamp;
use tagline_policy::{ImageName, TagRef};

use super::database::Database;
use super::failing_disk::FailingDisk;
use super::opening::{self, Location};
use super::tables::{TAG_TAILS, TARGETS, target_id};
use super::{Batch, RegistryMemory, StoreOptions, TagStore};
use crate::tag_set::TagSet;
use crate::target_key::TargetKey;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn key(name: &str) -> TargetKey {
    TargetKey::new(&ImageName::parse(name).unwrap(), None)
}

fn tags(names: &[&str], second: i64) -> Arc<TagSet> {
    let tags = names.iter().map(|name| TagRef::new(name).unwrap());
    Arc::new(TagSet::from_tags(tags, at(second)))
}

fn complete(key: &TargetKey, names: &[&str], second: i64) -> Batch {
    Batch::new().complete(
        key,
        at(second),
        &tags(names, second),
        RegistryMemory::default(),
    )
}

#[test]
fn a_full_disk_costs_only_what_is_written_meanwhile() {
    let disk = FailingDisk::default();
    let database =
        Database::open(Location::Failing(disk.clone()), &StoreOptions::default()).unwrap();
    let app = key("app");
    database
        .commit(&[complete(&app, &["v1"], 1)], false)
        .unwrap();
    disk.set_full(true);
    let error = database
        .commit(&[complete(&app, &["v1", "v2"], 2)], false)
        .unwrap_err();
    assert!(
        error.is_retryable() || error.reason() == "StoreUnavailable",
        "{error}"
    );
    disk.set_full(false);
    database
        .commit(&[complete(&app, &["v1", "v3"], 3)], true)
        .unwrap();
    let stored = database.tags(&app).unwrap().unwrap();
    assert_eq!(*stored.tags, *tags(&["v1", "v3"], 3));
}

#[test]
fn a_check_finds_damage_and_removes_it() {
    let store = TagStore::in_memory(&StoreOptions::default()).unwrap();
    let (good, cut, lost) = (key("good"), key("cut"), key("lost"));
    for key in [&good, &cut, &lost] {
        store
            .write_blocking(complete(key, &["v1", "v2", "v3"], 1))
            .unwrap();
    }
    assert_eq!(store.check().unwrap().good_targets, 3);
    {
        let file = store.inner.database.file.read().unwrap();
        let transaction = opening::begin(file.as_ref().unwrap(), true).unwrap();
        {
            let mut tails = transaction.open_table(TAG_TAILS).unwrap();
            tails
                .insert(target_id(&cut), [0_u8, 1, 2].as_slice())
                .unwrap();
            let mut targets = transaction.open_table(TARGETS).unwrap();
            targets
                .insert(target_id(&lost), b"nonsense".as_slice())
                .unwrap();
        }
        transaction.commit().unwrap();
        store.inner.database.view.forget();
    }
    let check = store.check().unwrap();
    assert!(check.is_file_sound);
    assert_eq!(check.good_targets, 1);
    assert_eq!(check.damaged.len(), 1);
    assert_eq!(check.damaged[0].0, cut);
    assert_eq!(check.removed_rows, 1);
    let again = store.check().unwrap();
    assert_eq!(
        (again.good_targets, again.damaged.len(), again.removed_rows),
        (1, 0, 0)
    );
    assert!(store.tags(&cut).unwrap().is_none());
    assert_eq!(store.stats().unwrap().targets, 1);
}

#[test]
fn a_damaged_target_stops_only_itself() {
    let store = TagStore::in_memory(&StoreOptions::default()).unwrap();
    let (good, bad) = (key("good"), key("bad"));
    for key in [&good, &bad] {
        store.write_blocking(complete(key, &["v1"], 1)).unwrap();
    }
    {
        let file = store.inner.database.file.read().unwrap();
        let transaction = opening::begin(file.as_ref().unwrap(), true).unwrap();
        transaction
            .open_table(TARGETS)
            .unwrap()
            .insert(target_id(&bad), b"\x05xx".as_slice())
            .unwrap();
        transaction.commit().unwrap();
        store.inner.database.view.forget();
    }
    assert_eq!(store.tags(&bad).unwrap_err().reason(), "StoreDamaged");
    assert!(store.tags(&good).unwrap().is_some());
    // The next scan mends it.
    store.write_blocking(complete(&bad, &["v2"], 2)).unwrap();
    assert_eq!(*store.tags(&bad).unwrap().unwrap().tags, *tags(&["v2"], 2));
}

proptest::proptest! {
    /// Every reader of stored bytes takes whatever it is given.
    #[test]
    fn readers_of_stored_bytes_survive_anything(bytes: Vec<u8>) {
        super::read_any_bytes(&bytes);
    }
}
