use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;
use tagline_policy::{Tag, TagRef};

use super::{TagSet, TagSetBuilder};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn builder(tags: &[&str]) -> TagSetBuilder {
    let mut builder = TagSetBuilder::default();
    for tag in tags {
        builder.push(TagRef::new(tag).unwrap());
    }
    builder
}

fn listed(set: &TagSet) -> Vec<(String, i64)> {
    set.unpack()
        .iter()
        .map(|(tag, seen)| (tag.as_str().to_owned(), seen.as_second()))
        .collect()
}

fn names(set: &TagSet) -> Vec<String> {
    listed(set).into_iter().map(|(tag, _)| tag).collect()
}

#[test]
fn lists_in_descending_order_without_duplicates() {
    let set = builder(&["1.0", "latest", "1.0-rc", "1.0", "2"]).finish(at(5));
    assert_eq!(names(&set), ["latest", "2", "1.0-rc", "1.0"]);
    assert_eq!(set.len(), 4);
    assert_eq!(set.greatest().unwrap().as_str(), "latest");
    assert_eq!(set.latest(2).len(), 2);
    assert_eq!(set.latest(99).len(), 4);
}

#[test]
fn a_complete_listing_replaces_and_keeps_times() {
    let old = Arc::new(builder(&["a", "b", "c"]).finish(at(10)));
    let merged = builder(&["d", "c", "a"]).replace(&old, at(20));
    assert_eq!(
        listed(&merged.tags),
        [
            ("d".to_owned(), 20),
            ("c".to_owned(), 10),
            ("a".to_owned(), 10)
        ]
    );
    assert_eq!(names(&merged.added), ["d"]);
    assert_eq!(listed(&merged.removed), [("b".to_owned(), 10)]);
    let again = builder(&["a", "c", "d"]).replace(&merged.tags, at(30));
    assert!(!again.is_changed());
    assert!(Arc::ptr_eq(&again.tags, &merged.tags));
}

#[test]
fn a_listing_of_newer_tags_replaces_only_those() {
    let old = Arc::new(builder(&["a", "b", "c", "d"]).finish(at(10)));
    let after = TagRef::new("b").unwrap();
    let merged = builder(&["d", "e"]).replace_after(after, &old, at(20));
    assert_eq!(
        listed(&merged.tags),
        [("e", 20), ("d", 10), ("b", 10), ("a", 10)].map(|(tag, at)| (tag.to_owned(), at))
    );
    assert_eq!(names(&merged.added), ["e"]);
    assert_eq!(names(&merged.removed), ["c"]);
}

#[test]
fn a_part_of_a_set_is_found_by_its_end() {
    let set = builder(&["a", "b", "d"]).finish(at(10));
    for (tag, before, up_to) in [
        ("a", None, vec!["a"]),
        ("b", Some("a"), vec!["b", "a"]),
        ("c", Some("b"), vec!["b", "a"]),
        ("e", Some("d"), vec!["d", "b", "a"]),
        ("_", None, vec![]),
    ] {
        let tag = TagRef::new(tag).unwrap();
        assert_eq!(set.before(tag).as_ref().map(Tag::as_str), before, "{tag}");
        assert_eq!(names(&set.up_to(tag)), up_to, "{tag}");
        let mut part = TagSetBuilder::default();
        part.push_up_to(&set, tag);
        assert_eq!(names(&part.finish(at(1))), up_to, "{tag}");
    }
}

#[test]
fn what_is_taken_out_and_put_back_is_there() {
    let mut builder = TagSetBuilder::default();
    assert!(builder.take_out(at(3)).is_empty());
    for number in 0..20_000 {
        builder.push(TagRef::new(&format!("v{number:05}")).unwrap());
        if number % 3_000 == 0 {
            let taken = builder.take_out(at(3));
            assert_eq!(taken.len(), number + 1);
            assert_eq!(
                taken.first_seen(TagRef::new("v00000").unwrap()),
                Some(at(3))
            );
            builder.put_back(taken);
        }
    }
    let set = builder.finish(at(9));
    assert_eq!(set.len(), 20_000);
    assert_eq!(set.first_seen(TagRef::new("v00000").unwrap()), Some(at(9)));
}

#[test]
fn revision_is_that_of_flux() {
    let set = builder(&["v0.0.3", "v0.0.4"]).finish(at(0));
    assert_eq!(set.revision().value(), {
        let mut revision = crate::Revision::new();
        revision.push(TagRef::new("v0.0.4").unwrap());
        revision.push(TagRef::new("v0.0.3").unwrap());
        revision.value()
    });
    assert_eq!(TagSet::default().revision().to_string(), "18153657");
}

/// More than one run, in every order, with duplicates across runs.
#[test]
fn long_listings_are_packed_as_they_come() {
    let numbers: Vec<u32> = (0..40_000).collect();
    let scattered: Vec<u32> = numbers.iter().map(|i| i * 7_919 % 40_000).collect();
    let backwards: Vec<u32> = numbers.iter().rev().copied().collect();
    let mut expected: Vec<String> = numbers.iter().map(|i| format!("v{i}")).collect();
    expected.sort_unstable_by(|a, b| b.cmp(a));
    for order in [numbers, scattered, backwards] {
        let mut builder = TagSetBuilder::default();
        for number in order.iter().chain(&order[..9_000]) {
            builder.push(TagRef::new(&format!("v{number}")).unwrap());
        }
        assert_eq!(builder.len(), 49_000);
        let set = builder.finish(at(9));
        assert_eq!(names(&set), expected);
        assert_eq!(set.first_seen(TagRef::new("v77").unwrap()), Some(at(9)));
        assert_eq!(TagSet::from_bytes(&set.to_bytes()).unwrap(), set);
    }
}

#[test]
fn keeps_the_longest_tags() {
    let long: Vec<String> = (0..40)
        .map(|i| format!("{}{i:02}", "x".repeat(126)))
        .collect();
    let refs: Vec<&str> = long.iter().map(String::as_str).collect();
    let set = builder(&refs).finish(at(1));
    let mut expected = long.clone();
    expected.sort_unstable_by(|a, b| b.cmp(a));
    assert_eq!(names(&set), expected);
    assert_eq!(TagSet::from_bytes(&set.to_bytes()).unwrap(), set);
}

fn any_tag() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c0-2_][a-c0-2._-]{0,6}",
        "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"
    ]
}

/// Sets as a service builds them: a series of listings, each at its own time.
fn any_listings() -> impl Strategy<Value = Vec<(bool, Vec<String>)>> {
    prop::collection::vec(
        (any::<bool>(), prop::collection::vec(any_tag(), 0..80)),
        1..5,
    )
}

proptest! {
    /// Whatever is listed, the set agrees with a plain map from tag to time.
    #[test]
    fn agrees_with_a_map(listings in any_listings(), probe in any_tag()) {
        let mut set = Arc::new(TagSet::default());
        let mut model: BTreeMap<String, i64> = BTreeMap::new();
        for (round, (complete, tags)) in listings.into_iter().enumerate() {
            let now = 1_700_000_000 + i64::try_from(round).unwrap() * 3600;
            let before = model.clone();
            let refs: Vec<&str> = tags.iter().map(String::as_str).collect();
            let after = refs.first().copied().unwrap_or("x");
            let merged = if complete {
                builder(&refs).replace(&set, at(now))
            } else {
                builder(&refs).replace_after(TagRef::new(after).unwrap(), &set, at(now))
            };
            model.retain(|tag, _| tags.contains(tag) || (!complete && tag.as_str() <= after));
            for tag in &tags {
                model.entry(tag.clone()).or_insert(now);
            }
            let expected: Vec<_> = model.iter().rev().map(|(t, s)| (t.clone(), *s)).collect();
            prop_assert_eq!(listed(&merged.tags), expected);
            let added: Vec<_> = model.keys().rev().filter(|t| !before.contains_key(*t)).cloned().collect();
            prop_assert_eq!(names(&merged.added), added);
            let removed: Vec<_> = before.keys().rev().filter(|t| !model.contains_key(*t)).cloned().collect();
            prop_assert_eq!(names(&merged.removed), removed);
            set = merged.tags;
            prop_assert_eq!(&TagSet::from_bytes(&set.to_bytes()).unwrap(), &*set);
        }
        for (tag, seen) in &model {
            prop_assert_eq!(set.first_seen(TagRef::new(tag).unwrap()), Some(at(*seen)));
        }
        let probe = Tag::new(&probe).unwrap();
        prop_assert_eq!(set.contains(probe.as_ref()), model.contains_key(probe.as_str()));
    }

    /// Stored bytes may be anything.
    #[test]
    fn decoding_survives_any_bytes(bytes: Vec<u8>) {
        if let Ok(set) = TagSet::from_bytes(&bytes) {
            prop_assert_eq!(set.unpack().iter().count(), set.len());
        }
    }

    /// Damage to a real set is found, or leaves a set that holds together.
    #[test]
    fn decoding_survives_damage(
        tags in prop::collection::vec(any_tag(), 1..60),
        place: prop::sample::Index,
        value: u8,
    ) {
        let refs: Vec<&str> = tags.iter().map(String::as_str).collect();
        let mut bytes = builder(&refs).finish(at(7)).to_bytes();
        let place = place.index(bytes.len());
        bytes[place] = value;
        if let Ok(set) = TagSet::from_bytes(&bytes) {
            let names = names(&set);
            prop_assert_eq!(names.len(), set.len());
            prop_assert!(names.is_sorted_by(|a, b| a > b));
        }
    }
}
