//! The store survives `kill -9` at any moment: what a writer was told is there, is there, whole; what was
//! written together is there together.
//!
//! The writer is this same test binary, started again as a process of its own.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use jiff::Timestamp;
use tagline_policy::{ImageName, TagRef};
use tagline_scanner::{Batch, RegistryMemory, StoreOptions, TagSet, TagStore, TargetKey};

const DIRECTORY: &str = "TAGLINE_TEST_KILLED_STORE";
/// Targets written together in each round.
const TOGETHER: u32 = 3;
const KILLS: u32 = 12;

fn key(number: u32) -> TargetKey {
    let image = ImageName::parse(&format!("registry.example.com/app-{number}")).unwrap();
    TargetKey::new(&image, None)
}

/// What a target holds after a round: sizes from nothing to several pages.
fn tags(number: u32, round: u32) -> Arc<TagSet> {
    let count = (round * 7_919 + number * 31) % 4_000;
    let names: Vec<String> = (0..count)
        .map(|i| format!("v{round}.{i}-{:07x}", i.wrapping_mul(2_654_435_761) >> 4))
        .collect();
    let names = names.iter().map(|name| TagRef::new(name).unwrap());
    Arc::new(TagSet::from_tags(names, time(round)))
}

fn time(round: u32) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + i64::from(round)).unwrap()
}

fn round_of(store: &TagStore) -> Option<u32> {
    let value = store.state("test").get("round").unwrap()?;
    Some(String::from_utf8(value).unwrap().parse().unwrap())
}

/// Not a test of its own: what the other one starts and kills.
#[test]
#[ignore = "started by survives_being_killed"]
fn writes_until_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let store = TagStore::open(Path::new(&directory), &StoreOptions::default()).unwrap();
    let first = round_of(&store).map_or(0, |round| round + 1);
    for round in first.. {
        let mut batch = Batch::new().state("test", "round", Some(round.to_string().into_bytes()));
        for number in 0..TOGETHER {
            let tags = tags(number, round);
            batch = batch.complete(&key(number), time(round), &tags, RegistryMemory::default());
        }
        store.write_blocking(batch).unwrap();
        // Past the test harness, which keeps what is printed until the test has ended.
        let mut out = std::io::stderr().lock();
        writeln!(out, "written {round}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn survives_being_killed() {
    let directory = tempfile::tempdir().unwrap();
    let mut told = None;
    for kill in 1..=KILLS {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "killed::writes_until_killed",
                "--ignored",
                "--nocapture",
            ])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(writer.stderr.take().unwrap()).lines();
        // After another number of rounds each time, and then at whatever byte the next one has got to.
        for _ in 0..kill {
            let line = lines.next().unwrap().unwrap();
            let round = line
                .strip_prefix("written ")
                .unwrap_or_else(|| panic!("{line}"));
            told = Some(round.parse::<u32>().unwrap());
        }
        writer.kill().unwrap();
        writer.wait().unwrap();

        let store = TagStore::open(directory.path(), &StoreOptions::default()).unwrap();
        let round = round_of(&store).unwrap();
        assert!(
            Some(round) >= told,
            "round {told:?} was said to be written, {round} is there"
        );
        for number in 0..TOGETHER {
            let stored = store.tags(&key(number)).unwrap().unwrap();
            assert_eq!(stored.scanned_at, time(round), "kill {kill}");
            assert_eq!(*stored.tags, *tags(number, round), "kill {kill}");
        }
        let check = store.check().unwrap();
        assert!(check.is_file_sound && check.damaged.is_empty(), "{check:?}");
        told = Some(round);
    }
    let set_aside = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(set_aside, 1, "no file was ever given up");
}
