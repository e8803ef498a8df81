//! `tagline store`.

use super::program::Workplace;
use serde_json::json;
use tagline_testservers::{DockerRegistry, Image, require};

#[test]
fn figures_check_and_compaction() {
    let registry = require!(DockerRegistry::start());
    registry.push_tags("team/app", &["1.0.0", "1.1.0"], &Image::default());
    let image = format!("{}/team/app", registry.authority());
    let place = Workplace::new();
    let scan = place.run(&["scan", "--insecure", &image, "--storage-path", "store"]);
    assert_eq!(scan.code, 0, "{}", scan.shown());
    let stats = place
        .run(&["store", "stats", "--storage-path", "store", "-o", "json"])
        .json();
    assert_eq!((&stats["targets"], &stats["tags"]), (&json!(1), &json!(2)));
    assert!(
        place
            .run(&["store", "stats", "--storage-path", "store"])
            .stdout
            .contains("targets            1")
    );
    let check = place.run(&["store", "check", "--storage-path", "store", "-o", "json"]);
    assert_eq!(check.code, 0, "{}", check.shown());
    assert_eq!(check.json()["goodTargets"], 1);
    let compact = place
        .run(&["store", "compact", "--storage-path", "store", "-o", "json"])
        .json();
    assert!(
        compact["bytesAfter"].as_u64() <= compact["bytesBefore"].as_u64(),
        "{compact}"
    );
}

#[test]
fn a_store_that_is_not_there_is_not_made() {
    let place = Workplace::new();
    let ended = place.run(&["store", "stats", "--storage-path", "store"]);
    assert_eq!(ended.code, 2);
    assert!(
        ended.stderr.contains("no such directory"),
        "{}",
        ended.shown()
    );
    assert!(!place.path().join("store").exists());
}
