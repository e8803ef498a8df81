//! An evaluation that is brought up to date is the evaluation of all tags.

use super::support::at;
use jiff::SignedDuration;
use proptest::prelude::*;
use std::collections::BTreeMap;
use tagline_policy::{
    Candidate, Change, Choice, Context, Evaluation, Exclusions, FilterTags, Guards, Order, Policy,
    PolicySpec, Sortable, Tag, Unparsable,
};

/// A tag's times, in seconds.
type Times = (Option<i64>, Option<i64>);

fn candidate<'a>((tag, (first_seen, created)): (&'a Tag, &Times)) -> Candidate<'a> {
    Candidate {
        tag: tag.as_ref(),
        first_seen: first_seen.map(at),
        created: created.map(at),
    }
}

fn a_tag() -> impl Strategy<Value = Tag> {
    let text = prop_oneof![
        4 => "v?[0-2]\\.[0-2]\\.0?[0-2](-(rc|a)\\.?[0-2])?",
        2 => "[0-9]{1,2}(\\.0)?",
        2 => "main-[0-9a-f]{7}-[0-9]{1,3}",
        1 => "(nan|NaN|inf|latest|x|1\\.0|2024\\.0?1)",
        1 => "[a-z0-9_][a-z0-9._-]{0,6}",
        1 => "[0-1]\\.0\\.0\\.sig",
    ];
    text.prop_map(|text| Tag::new(text).unwrap())
}

fn times() -> impl Strategy<Value = Times> {
    (
        proptest::option::weighted(0.9, 0..100i64),
        proptest::option::weighted(0.7, 0..5i64),
    )
}

fn an_order() -> impl Strategy<Value = Order> {
    prop_oneof![Just(Order::Ascending), Just(Order::Descending)]
}

fn a_choice() -> impl Strategy<Value = Choice> {
    prop_oneof![
        prop_oneof![
            Just("*"),
            Just(">=1.0.0"),
            Just(">=0.0.0-0"),
            Just("1.x || 2.1")
        ]
        .prop_map(|range| Choice::Semver {
            range: range.into()
        }),
        an_order().prop_map(|order| Choice::Alphabetical { order }),
        (an_order(), any::<bool>()).prop_map(|(order, skip)| Choice::Numerical {
            order,
            unparsable: if skip {
                Unparsable::Skip
            } else {
                Unparsable::Fail
            },
        }),
        an_order().prop_map(|order| Choice::Natural { order }),
        an_order().prop_map(|order| Choice::Created { order }),
        an_order().prop_map(|order| Choice::FirstSeen { order }),
        prop_oneof![
            Just("*"),
            Just("main-*"),
            Just("semver:*"),
            Just("regexp:^[0-9]"),
            Just("latest")
        ]
        .prop_map(|pattern| Choice::Pattern {
            pattern: pattern.into()
        }),
        prop_oneof![
            Just(Sortable::Build),
            Just(Sortable::Timestamp),
            Just(Sortable::Calver)
        ]
        .prop_map(Choice::Sortable),
    ]
}

fn a_filter() -> impl Strategy<Value = Option<FilterTags>> {
    prop_oneof![
        3 => Just(None),
        1 => Just(Some(("^v?([0-9.]+)$", "$1"))),
        1 => Just(Some(("-([0-9]+)$", "${1}.0.0"))),
        1 => Just(Some(("[0-9]", ""))),
        1 => Just(Some(("^.", "same"))),
    ]
    .prop_map(|filter| {
        filter.map(|(pattern, extract)| FilterTags {
            pattern: pattern.into(),
            extract: extract.into(),
        })
    })
}

fn guards() -> impl Strategy<Value = Guards> {
    (proptest::option::of(0..60i64), any::<bool>(), any::<bool>()).prop_map(
        |(age, never_downgrade, same_shape)| Guards {
            minimum_age: age.map(SignedDuration::from_secs),
            never_downgrade,
            same_shape,
        },
    )
}

fn a_spec() -> impl Strategy<Value = PolicySpec> {
    (a_choice(), a_filter(), guards(), any::<bool>()).prop_map(
        |(choice, filter, guards, excludes)| PolicySpec {
            choice,
            filter,
            guards,
            exclusions: if excludes {
                Exclusions::default()
            } else {
                Exclusions::none()
            },
        },
    )
}

/// What happens between two evaluations.
#[derive(Debug, Clone)]
struct Step {
    added: Vec<(Tag, Times)>,
    removed: Vec<prop::sample::Index>,
    remove_winner: bool,
    seconds: i64,
    follow: bool,
}

fn a_step() -> impl Strategy<Value = Step> {
    (
        proptest::collection::vec((a_tag(), times()), 0..4),
        proptest::collection::vec(any::<prop::sample::Index>(), 0..3),
        proptest::bool::weighted(0.2),
        -3..40i64,
        any::<bool>(),
    )
        .prop_map(|(added, removed, remove_winner, seconds, follow)| Step {
            added,
            removed,
            remove_winner,
            seconds,
            follow,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn an_update_is_the_evaluation_of_all(
        spec in a_spec(),
        start in proptest::collection::btree_map(a_tag(), times(), 0..12),
        steps in proptest::collection::vec(a_step(), 1..5),
    ) {
        let policy = Policy::compile(&spec).unwrap();
        let mut tags: BTreeMap<Tag, Times> = start;
        let mut context = Context::at(at(50));
        let mut evaluation: Evaluation = policy.evaluate(tags.iter().map(candidate), &context);
        for step in steps {
            let mut removed: BTreeMap<Tag, Times> = BTreeMap::new();
            for index in &step.removed {
                if !tags.is_empty() {
                    let (tag, times) = tags.iter().nth(index.index(tags.len())).unwrap();
                    removed.insert(tag.clone(), *times);
                }
            }
            if step.remove_winner && let Ok(tag) = &evaluation.selection().result {
                removed.insert(tag.clone(), tags[tag]);
            }
            let mut added: BTreeMap<Tag, Times> = step.added.into_iter().collect();
            // A tag that is there already changes only when it is removed as well.
            added.retain(|tag, _| !tags.contains_key(tag) || removed.contains_key(tag));
            for tag in removed.keys() {
                tags.remove(tag);
            }
            tags.extend(added.clone());
            context.now = at((context.now.as_second() + step.seconds).max(0));
            if step.follow {
                context.current = evaluation.selection().tag().cloned();
            }
            let added: Vec<_> = added.iter().map(candidate).collect();
            let removed: Vec<_> = removed.iter().map(candidate).collect();
            let change = Change { added: &added, removed: &removed };
            evaluation = policy.update(&evaluation, change, || tags.iter().map(candidate), &context);
            let whole = policy.evaluate(tags.iter().map(candidate), &context);
            prop_assert_eq!(&evaluation, &whole);
            // The order in which tags come makes no difference to what is stored.
            let backwards = policy.select(tags.iter().rev().map(candidate), &context);
            prop_assert_eq!(evaluation.selection(), &backwards);
            // And explaining is choosing.
            let explanation = policy.explain(tags.iter().map(candidate), &context);
            prop_assert_eq!(&explanation.selection, evaluation.selection());
        }
    }
}

#[test]
fn one_more_tag_is_no_reason_to_look_at_all() {
    let policy = Policy::compile(&PolicySpec::semver("*")).unwrap();
    let tags: Vec<Tag> = ["1.0.0", "1.1.0"].map(|t| Tag::new(t).unwrap()).into();
    let context = Context::at(at(0));
    let list = || tags.iter().map(|tag| Candidate::new(tag.as_ref()));
    let before = policy.evaluate(list(), &context);
    let new = Tag::new("1.2.0").unwrap();
    let added = [Candidate::new(new.as_ref())];
    let removed = [Candidate::new(tags[0].as_ref())];
    let change = Change {
        added: &added,
        removed: &removed,
    };
    let after = policy.update(
        &before,
        change,
        || -> Vec<Candidate<'_>> { panic!("all tags are asked for") },
        &context,
    );
    let selection = after.into_selection();
    assert_eq!(selection.result.unwrap(), new);
    assert_eq!((selection.considered, selection.matched), (2, 2));
}
