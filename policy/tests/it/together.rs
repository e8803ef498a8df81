//! Images that move together.

use super::support::{at, candidates};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use std::collections::BTreeSet;
use tagline_policy::{
    Candidate, Choice, Context, GroupOrder, HeldBack, Member, MemberSelection, NoChoice, Order,
    Policy, PolicySpec, Sortable, Tag, Unparsable, Verdict, Version, check_group, explain_together,
    select_together,
};

const NAMES: [&str; 4] = ["api", "web", "worker", "jobs"];

fn context() -> Context {
    Context::at(Timestamp::UNIX_EPOCH)
}

/// Selects with members called as in [`NAMES`], and sees that explaining says the same.
fn select(lists: &[(&PolicySpec, &[&str])]) -> Vec<MemberSelection> {
    let context = context();
    let policies: Vec<Policy> = lists
        .iter()
        .map(|(spec, _)| Policy::compile(spec).unwrap())
        .collect();
    let members: Vec<_> = lists
        .iter()
        .zip(&policies)
        .zip(NAMES)
        .map(|(((_, tags), policy), name)| Member {
            name,
            policy,
            candidates: candidates(tags),
            context: &context,
        })
        .collect();
    let selected = select_together(&members).unwrap();
    let explained = explain_together(&members).unwrap();
    assert_eq!(explained.len(), selected.len());
    for ((explained, explanation), selected) in explained.iter().zip(&selected) {
        assert_eq!(explained, selected);
        assert_eq!(explanation.selection, selected.selection);
    }
    selected
}

fn results(selected: &[MemberSelection]) -> Vec<Result<&str, &'static str>> {
    selected
        .iter()
        .map(|member| match &member.selection.result {
            Ok(tag) => Ok(tag.as_str()),
            Err(why) => Err(why.reason()),
        })
        .collect()
}

fn numerical() -> PolicySpec {
    PolicySpec::new(Choice::Numerical {
        order: Order::Ascending,
        unparsable: Unparsable::Fail,
    })
}

#[test]
fn the_newest_version_that_all_have() {
    let plain = PolicySpec::semver("*");
    let alpine = PolicySpec::semver("*").with_filter(r"^(?P<v>.*)-alpine$", "$v");
    let selected = select(&[
        (&plain, &["1.0.0", "1.1.0", "1.2.0"]),
        (&plain, &["v1.0.0", "v1.1.0"]),
        (&alpine, &["1.2.0-alpine", "1.1.0-alpine", "1.1.0"]),
    ]);
    assert_eq!(
        results(&selected),
        [Ok("1.1.0"), Ok("v1.1.0"), Ok("1.1.0-alpine")]
    );
    let waiting = |tag: &str| HeldBack {
        tag: Tag::new(tag).unwrap(),
        version: "1.2.0".into(),
        lacking: vec!["web".into()],
    };
    assert_eq!(selected[0].held_back, Some(waiting("1.2.0")));
    assert_eq!(selected[1].held_back, None);
    assert_eq!(selected[2].held_back, Some(waiting("1.2.0-alpine")));
    assert_eq!(waiting("1.2.0").to_string(), "1.2.0 waits for web");
}

#[test]
fn ranges_of_members_limit_all() {
    let (below_two, any) = (PolicySpec::semver("1.x"), PolicySpec::semver("*"));
    let selected = select(&[
        (&any, &["1.9.0", "2.0.0"]),
        (&below_two, &["1.9.0", "2.0.0"]),
    ]);
    assert_eq!(results(&selected), [Ok("1.9.0"), Ok("1.9.0")]);
    let held_back = selected[0].held_back.as_ref().unwrap();
    assert_eq!(
        (&*held_back.version, &*held_back.lacking),
        ("2.0.0", &["web".to_owned()][..])
    );
}

#[test]
fn none_where_nothing_is_common() {
    let plain = PolicySpec::semver("*");
    let selected = select(&[(&plain, &["1.0.0"]), (&plain, &["2.0.0"])]);
    assert_eq!(
        results(&selected),
        [Err("no-common-version"), Err("no-common-version")]
    );
    let why = selected[1].selection.result.as_ref().unwrap_err();
    assert_eq!(
        why.to_string(),
        "no version exists for all images of the group: web has no 1.0.0"
    );
    assert_eq!(selected[1].held_back.as_ref().unwrap().lacking, ["api"]);
    assert_eq!(select(&[]), []);
}

#[test]
fn a_member_without_a_choice_holds_all_and_says_why() {
    let plain = PolicySpec::semver("*");
    let selected = select(&[(&plain, &["1.0.0"]), (&plain, &["latest"])]);
    assert_eq!(
        results(&selected),
        [Err("group-held"), Err("nothing-matches")]
    );
    assert_eq!(
        selected[0].selection.result,
        Err(NoChoice::GroupHeld {
            by: "web".into(),
            why: Box::new(NoChoice::NothingMatches),
        })
    );
    // One number that is none stops the policy as Flux has it, and with it the group.
    let selected = select(&[(&numerical(), &["1", "x"]), (&numerical(), &["1"])]);
    assert_eq!(results(&selected), [Err("not-a-number"), Err("group-held")]);
}

#[test]
fn equal_versions_are_told_apart_as_alone() {
    let plain = PolicySpec::semver("*");
    let selected = select(&[
        (&plain, &["1.0.0", "v1.0.0"]),
        (&plain, &["v1.0.0", "1.0.0"]),
    ]);
    assert_eq!(results(&selected), [Ok("v1.0.0"), Ok("v1.0.0")]);
    let signed = numerical().with_filter("^x(.*)$", "$1");
    let selected = select(&[(&numerical(), &["0"]), (&signed, &["x-0"])]);
    assert_eq!(results(&selected), [Ok("0"), Ok("x-0")]);
}

#[test]
fn what_extract_gives_is_what_is_common() {
    let of =
        |image: &str| numerical().with_filter(format!("^{image}-(?P<build>[0-9]+)-"), "$build");
    let selected = select(&[
        (&of("api"), &["api-7-aaaaaaa", "api-8-bbbbbbb"]),
        (&of("web"), &["web-7-1111111", "web-9-2222222"]),
    ]);
    assert_eq!(
        results(&selected),
        [Ok("api-7-aaaaaaa"), Ok("web-7-1111111")]
    );
    let created = PolicySpec::new(Choice::FirstSeen {
        order: Order::Ascending,
    });
    let of = |image: &str| {
        created
            .clone()
            .with_filter(format!("^{image}-(?P<sha>.*)$"), "$sha")
    };
    let (api, web) = (
        Policy::compile(&of("api")).unwrap(),
        Policy::compile(&of("web")).unwrap(),
    );
    let seen = |tag, second| Candidate {
        first_seen: Some(at(second)),
        ..Candidate::new(super::support::tag(tag))
    };
    let context = context();
    let member = |name, policy, candidates| Member {
        name,
        policy,
        candidates,
        context: &context,
    };
    let members = [
        member(
            "api",
            &api,
            vec![seen("api-aa", 1), seen("api-bb", 2), seen("api-cc", 3)],
        ),
        member("web", &web, vec![seen("web-bb", 9), seen("web-aa", 10)]),
    ];
    let selected = select_together(&members).unwrap();
    assert_eq!(results(&selected), [Ok("api-bb"), Ok("web-bb")]);
}

#[test]
fn what_is_too_young_for_one_is_too_young_for_all() {
    let mut careful = PolicySpec::semver("*");
    careful.guards.minimum_age = Some(SignedDuration::from_secs(100));
    let (careful, plain) = (
        Policy::compile(&careful).unwrap(),
        Policy::compile(&PolicySpec::semver("*")).unwrap(),
    );
    let context = Context::at(at(1000));
    let tags = |second| {
        [("1.0.0", 0), ("1.1.0", second)].map(|(tag, second)| Candidate {
            first_seen: Some(at(second)),
            ..Candidate::new(super::support::tag(tag))
        })
    };
    let members = [("api", &plain), ("web", &careful)].map(|(name, policy)| Member {
        name,
        policy,
        candidates: tags(950),
        context: &context,
    });
    let selected = select_together(&members).unwrap();
    assert_eq!(results(&selected), [Ok("1.0.0"), Ok("1.0.0")]);
    assert_eq!(selected[1].selection.recheck_at, Some(at(1050)));
    let explained = explain_together(&members).unwrap();
    let verdict = explained[0].1.of("1.1.0").unwrap();
    assert_eq!(
        (verdict.verdict, &*verdict.detail),
        (Verdict::HeldBack, "web has no 1.1.0 to choose")
    );
    assert_eq!(
        explained[1].1.of("1.1.0").unwrap().verdict,
        Verdict::TooYoung
    );
}

#[test]
fn policies_that_compare_differently_are_no_group() {
    let compiled = |choice| Policy::compile(&PolicySpec::new(choice)).unwrap();
    let semver = Policy::compile(&PolicySpec::semver("*")).unwrap();
    let v1 = compiled(Choice::Pattern {
        pattern: "semver:~1".into(),
    });
    let build = compiled(Choice::Sortable(Sortable::Build));
    let natural = compiled(Choice::Natural {
        order: Order::Ascending,
    });
    let backwards = compiled(Choice::Natural {
        order: Order::Descending,
    });
    assert_eq!(check_group([("api", &semver), ("web", &v1)]), Ok(()));
    assert_eq!(check_group([("api", &build), ("web", &natural)]), Ok(()));
    assert_eq!(check_group([]), Ok(()));
    let error = check_group([("api", &semver), ("web", &v1), ("jobs", &build)]).unwrap_err();
    assert_eq!(error.other_order, GroupOrder::Natural(Order::Ascending));
    assert_eq!(
        error.to_string(),
        "api is ordered by semver, jobs by natural asc: their versions cannot be compared"
    );
    assert!(check_group([("api", &natural), ("web", &backwards)]).is_err());
}

#[test]
fn what_is_held_back_is_told_from_what_is_older() {
    let plain = PolicySpec::semver("*");
    let policy = Policy::compile(&plain).unwrap();
    let context = context();
    let members = [
        ("api", &["1.0.0", "1.1.0", "1.2.0", "latest"][..]),
        ("web", &["1.0.0", "1.1.0"]),
    ]
    .map(|(name, tags)| Member {
        name,
        policy: &policy,
        candidates: candidates(tags),
        context: &context,
    });
    let explained = explain_together(&members).unwrap();
    let verdicts = |index: usize| -> Vec<String> {
        let verdicts = explained[index].1.verdicts.iter();
        verdicts
            .map(|v| format!("{} {}", v.tag, v.verdict))
            .collect()
    };
    assert_eq!(
        verdicts(0),
        [
            "1.0.0 older",
            "1.1.0 chosen",
            "1.2.0 held-back",
            "latest unparsable"
        ]
    );
    assert_eq!(verdicts(1), ["1.0.0 older", "1.1.0 chosen"]);
}

/// What a policy could choose, by its own verdicts.
fn eligible<'t>(policy: &Policy, tags: &'t [Tag]) -> Vec<&'t Tag> {
    let explained = policy.explain(tags.iter().map(|tag| tag.as_ref().into()), &context());
    tags.iter()
        .filter(|tag| {
            let verdict = explained.of(tag.as_str()).unwrap().verdict;
            matches!(verdict, Verdict::Chosen | Verdict::Older)
        })
        .collect()
}

fn a_tag() -> impl Strategy<Value = Tag> {
    prop_oneof!["v?[0-1]\\.[0-2]\\.0?[0-2](-rc\\.[0-1])?", "[a-z]{1,3}"]
        .prop_map(|text: String| Tag::new(&text).unwrap())
}

fn a_member() -> impl Strategy<Value = (&'static str, Vec<Tag>)> {
    (
        prop_oneof![Just("*"), Just(">=0.0.0-0"), Just("1.x"), Just("<1.2.0")],
        proptest::collection::vec(a_tag(), 0..8),
    )
}

proptest! {
    /// Chosen is what all have, and nothing newer is; a group of one is the policy alone.
    #[test]
    fn a_group_never_chooses_what_a_member_lacks(
        lists in proptest::collection::vec(a_member(), 1..4),
    ) {
        let context = context();
        let policies: Vec<Policy> = lists
            .iter()
            .map(|(range, _)| Policy::compile(&PolicySpec::semver(*range)).unwrap())
            .collect();
        let members: Vec<_> = lists
            .iter()
            .zip(&policies)
            .zip(NAMES)
            .map(|(((_, tags), policy), name)| Member {
                name,
                policy,
                candidates: tags.iter().map(|tag| Candidate::new(tag.as_ref())).collect::<Vec<_>>(),
                context: &context,
            })
            .collect();
        let selected = select_together(&members).unwrap();
        let versions: Vec<BTreeSet<Version<'_>>> = lists
            .iter()
            .zip(&policies)
            .map(|((_, tags), policy)| {
                let tags = eligible(policy, tags);
                tags.into_iter().map(|tag| Version::parse(tag.as_str()).unwrap()).collect()
            })
            .collect();
        let newest = versions[0]
            .iter()
            .rev()
            .find(|version| versions.iter().all(|all| all.contains(version)));
        for (member, (_, tags)) in selected.iter().zip(&lists) {
            match (&member.selection.result, newest) {
                (Ok(tag), Some(newest)) => {
                    prop_assert!(tags.contains(tag));
                    prop_assert_eq!(Version::parse(tag.as_str()).unwrap(), *newest);
                }
                (Err(_), None) => {}
                (result, newest) => prop_assert!(false, "{result:?}, but {newest:?}"),
            }
            if let Some(held_back) = &member.held_back {
                prop_assert!(!held_back.lacking.is_empty());
                for name in &held_back.lacking {
                    let index = NAMES.iter().position(|known| known == name).unwrap();
                    let version = Version::parse(&held_back.version).unwrap();
                    prop_assert!(!versions[index].contains(&version));
                }
            }
        }
        if let [only] = &*members {
            let alone = only.policy.select(only.candidates.clone(), &context);
            prop_assert_eq!(&selected[0].selection, &alone);
        }
    }
}
