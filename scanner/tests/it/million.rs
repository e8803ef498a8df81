//! A repository of a million tags: collected, compared, stored and read in little memory.
//!
//! Measured in a process of its own, which is this test binary once more.

use std::process::Command;
use std::sync::Arc;

use jiff::Timestamp;
use tagline_policy::{ImageName, TagRef};
use tagline_scanner::{
    Batch, RegistryMemory, StoreOptions, TagSet, TagSetBuilder, TagStore, TargetKey,
};

const DIRECTORY: &str = "TAGLINE_TEST_MILLION_STORE";
const STATUS: &str = "status";
const TAGS: u32 = 1_000_000;
/// Measured: 62 to 69 MiB in a debug build, 15 MiB of them the test binary itself.
const LIMIT_KIB: u64 = 76 * 1024;

/// As a registry lists them: ascending.
fn listing(count: u32) -> TagSetBuilder {
    let mut builder = TagSetBuilder::default();
    for number in 0..count {
        let commit = number.wrapping_mul(2_654_435_761) >> 4;
        let tag = format!("build-{number:07}-{commit:07x}");
        builder.push(TagRef::new(&tag).unwrap());
    }
    builder
}

/// Not a test of its own: what the other one measures.
#[test]
#[ignore = "started by a_million_tags_stay_small"]
fn scans_a_million_tags() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let key = TargetKey::new(&ImageName::parse("r.io/large").unwrap(), None);
    let store = TagStore::open(std::path::Path::new(&directory), &StoreOptions::default()).unwrap();
    let (first, second) = (
        Timestamp::UNIX_EPOCH,
        Timestamp::from_second(3_600).unwrap(),
    );
    let write = |tags: &Arc<TagSet>, at| {
        let batch = Batch::new().complete(&key, at, tags, RegistryMemory::default());
        store.write_blocking(batch).unwrap();
    };
    let new = listing(TAGS).replace(&Arc::default(), first);
    write(&new.tags, first);
    drop(new);
    let known = Arc::clone(&store.tags(&key).unwrap().unwrap().tags);
    let changed = listing(TAGS + 10).replace(&known, second);
    drop(known);
    assert_eq!((changed.added.len(), changed.removed.len()), (10, 0));
    write(&changed.tags, second);
    // What the system knows of this process, for the one that reads it.
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    std::fs::write(std::path::Path::new(&directory).join(STATUS), status).unwrap();
}

#[test]
fn a_million_tags_stay_small() {
    let directory = tempfile::tempdir().unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "million::scans_a_million_tags", "--ignored"])
        .env(DIRECTORY, directory.path())
        .output()
        .unwrap();
    assert!(child.status.success(), "{child:?}");
    let status = std::fs::read_to_string(directory.path().join(STATUS)).unwrap();
    let highest: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    assert!(highest < LIMIT_KIB, "{highest} KiB");
}
