//! Tags that sort before the place where choices begin change no choice.

use super::support::at;
use jiff::SignedDuration;
use proptest::prelude::*;
use std::collections::BTreeMap;
use tagline_policy::{Candidate, Choice, Context, Guards, Order, Policy, PolicySpec, Tag};

fn a_tag() -> impl Strategy<Value = Tag> {
    let text = prop_oneof![
        3 => r"R\.[0-3]{1,3}Z?",
        2 => r"R\.[0-3][-.A-Z]{0,2}Z",
        2 => "(main|dev)-[0-2]{1,3}(-x)?",
        1 => "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,4}",
    ];
    text.prop_map(|text| Tag::new(text).unwrap())
}

fn a_policy() -> impl Strategy<Value = Policy> {
    let filter = prop_oneof![
        Just(("", "")),
        Just(("^main-", "")),
        Just((r"^R\.(?P<t>.*)Z$", "$t")),
        Just((r"^R\.(?P<t>[0-9]+)", "${t}")),
        Just((r"^main-(.*)$", "$1")),
        Just((r"^(.*)-x$", "$1")),
        Just((r"^R\.(a|b|[0-9.]*)", "$1")),
    ];
    let guards = (proptest::option::of(0..50i64), any::<bool>(), any::<bool>());
    (filter, guards).prop_map(|((pattern, extract), (age, never_downgrade, same_shape))| {
        let order = Order::Ascending;
        let mut spec = PolicySpec::new(Choice::Alphabetical { order });
        if !pattern.is_empty() {
            spec = spec.with_filter(pattern, extract);
        }
        spec.guards = Guards {
            minimum_age: age.map(SignedDuration::from_secs),
            never_downgrade,
            same_shape,
        };
        Policy::compile(&spec).unwrap()
    })
}

type Seen = BTreeMap<Tag, i64>;

fn choose(policy: &Policy, tags: &Seen, context: &Context) -> Option<Tag> {
    let candidates = tags.iter().map(|(tag, seen)| Candidate {
        first_seen: Some(at(*seen)),
        ..Candidate::new(tag.as_ref())
    });
    policy.select(candidates, context).tag().cloned()
}

proptest! {
    #[test]
    fn what_sorts_before_them_does_not_matter(
        policy in a_policy(),
        known in proptest::collection::btree_map(a_tag(), 0..100i64, 1..12),
        new in proptest::collection::btree_map(a_tag(), 100..200i64, 0..12),
        current in proptest::option::of(a_tag()),
        now in 50..100i64,
        later in 100..300i64,
    ) {
        let context = Context::at(at(now)).with_current(current);
        let Some(chosen) = choose(&policy, &known, &context) else { return Ok(()) };
        let Some(begin) = policy.choices_begin_at(chosen.as_ref()) else {
            return Ok(());
        };
        prop_assert!(begin <= chosen);
        let mut all = known.clone();
        let mut newer = known.clone();
        for (tag, seen) in new {
            if tag >= begin {
                newer.entry(tag.clone()).or_insert(seen);
            }
            all.entry(tag).or_insert(seen);
        }
        // The current tag follows the choice.
        let context = Context::at(at(later)).with_current(Some(chosen));
        prop_assert_eq!(choose(&policy, &newer, &context), choose(&policy, &all, &context));
    }
}
