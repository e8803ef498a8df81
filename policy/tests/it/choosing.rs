//! Which tag is chosen: ties, orders, guards, exclusions, presets, and the reasons for none.

use super::support::{at, candidates, outcome, policy_of, select, tag};
use jiff::SignedDuration;
use tagline_policy::{
    Candidate, Choice, Context, Exclusions, Guards, ListOrder, NoChoice, Order, Policy, PolicySpec,
    Sortable, Tag, Unparsable, Verdict, compare_natural, is_artifact_tag,
};

const ASC: Order = Order::Ascending;

fn numerical(order: Order) -> PolicySpec {
    PolicySpec::new(Choice::Numerical {
        order,
        unparsable: Unparsable::Fail,
    })
}

fn natural() -> PolicySpec {
    PolicySpec::new(Choice::Natural { order: ASC })
}

fn chosen(spec: PolicySpec, tags: &[&str]) -> String {
    outcome(&select(&policy_of(spec).unwrap(), tags)).to_owned()
}

fn chosen_as_given(spec: PolicySpec, tags: &[&str]) -> String {
    let context = Context::at(at(0)).with_order(ListOrder::AsGiven);
    let selection = policy_of(spec).unwrap().select(candidates(tags), &context);
    outcome(&selection).to_owned()
}

#[test]
fn equal_tags_are_told_apart_by_the_list() {
    // Stored order is descending bytes: v1.0.0 before 1.0.0, and "2.0", "2", "02".
    for tags in [["1.0.0", "v1.0.0"], ["v1.0.0", "1.0.0"]] {
        assert_eq!(chosen(PolicySpec::semver("*"), &tags), "v1.0.0");
        assert_eq!(chosen_as_given(PolicySpec::semver("*"), &tags), tags[0]);
    }
    for tags in [["2", "2.0", "02"], ["02", "2", "2.0"], ["2.0", "02", "2"]] {
        for order in [Order::Ascending, Order::Descending] {
            assert_eq!(chosen(numerical(order), &tags), "02");
            assert_eq!(chosen_as_given(numerical(order), &tags), tags[2]);
        }
    }
    // A filter alone changes nothing.
    let filtered = PolicySpec::semver("*").with_filter(".", "");
    assert_eq!(chosen(filtered, &["1.0.0", "v1.0.0"]), "v1.0.0");
}

#[test]
fn of_colliding_extracts_the_last_of_the_list_stays() {
    let spec = || PolicySpec::semver("*").with_filter(r"^(\d+\.\d+\.\d+)-", "$1");
    for tags in [["1.0.0-a", "1.0.0-b"], ["1.0.0-b", "1.0.0-a"]] {
        assert_eq!(chosen(spec(), &tags), "1.0.0-a");
        assert_eq!(chosen_as_given(spec(), &tags), tags[1]);
    }
}

#[test]
fn not_a_number_is_what_flux_makes_of_it() {
    // In stored order NaN comes before the digits and is forgotten; as given, the last one stays.
    for tags in [["5", "NaN"], ["NaN", "5"]] {
        assert_eq!(chosen(numerical(ASC), &tags), "5");
        assert_eq!(chosen_as_given(numerical(ASC), &tags), tags[1]);
    }
    assert_eq!(chosen(numerical(ASC), &["NaN", "nan"]), "NaN");
}

#[test]
fn one_bad_number_fails_the_policy_unless_it_is_skipped() {
    let tags = ["1", "b", "2", "a"];
    let selection = select(&policy_of(numerical(ASC)).unwrap(), &tags);
    // The first of the stored order.
    let NoChoice::NotANumber { value, tag } = selection.result.clone().unwrap_err() else {
        panic!("{selection:?}");
    };
    assert_eq!((value.as_str(), tag.as_str()), ("b", "b"));
    assert_eq!(
        selection.result.unwrap_err().to_string(),
        "failed to parse invalid numeric value 'b'"
    );
    let spec = PolicySpec::new(Choice::Numerical {
        order: ASC,
        unparsable: Unparsable::Skip,
    });
    assert_eq!(chosen(spec, &tags), "2");
    // The value is what was extracted.
    let spec = numerical(ASC).with_filter("^x(.*)$", "$1");
    let selection = select(&policy_of(spec).unwrap(), &["x1", "xy"]);
    assert_eq!(
        selection.result.unwrap_err().to_string(),
        "failed to parse invalid numeric value 'y'"
    );
}

#[test]
fn natural_order_counts() {
    let ordered = [
        "1",
        "1.2.3-rc2",
        "1.2.3-rc11",
        "2",
        "11.0.14_9",
        "11.0.16.1_1",
        "11.0.16_8",
        "11.0.16_10",
        "2024.1.9",
        "2024.1.10",
        "2024.10.1",
        "build-9",
        "build-10",
        "build-010a",
    ];
    for (index, a) in ordered.iter().enumerate() {
        for b in &ordered[index + 1..] {
            assert!(compare_natural(a, b).is_lt(), "{a} {b}");
            assert!(compare_natural(b, a).is_gt(), "{b} {a}");
        }
    }
    assert!(compare_natural("01", "1").is_lt() && compare_natural("1", "1").is_eq());
    assert_eq!(chosen(natural(), &["rc2", "rc11", "rc1"]), "rc11");
    let descending = PolicySpec::new(Choice::Natural {
        order: Order::Descending,
    });
    assert_eq!(chosen(descending, &["rc2", "rc11", "rc1"]), "rc1");
}

#[test]
fn orders_by_time() {
    let list = [("a", 5, None), ("b", 3, Some(9)), ("c", 4, Some(2))].map(
        |(text, first_seen, created)| Candidate {
            tag: tag(text),
            first_seen: Some(at(first_seen)),
            created: created.map(at),
        },
    );
    let choose = |choice: Choice| {
        let policy = policy_of(PolicySpec::new(choice)).unwrap();
        let selection = policy.select(list, &Context::at(at(100)));
        outcome(&selection).to_owned()
    };
    let desc = Order::Descending;
    assert_eq!(choose(Choice::Created { order: ASC }), "b");
    assert_eq!(choose(Choice::Created { order: desc }), "c");
    assert_eq!(choose(Choice::FirstSeen { order: ASC }), "a");
    assert_eq!(choose(Choice::FirstSeen { order: desc }), "b");
    let glob = |pattern: &str| Choice::Glob {
        pattern: pattern.into(),
    };
    assert_eq!(choose(glob("*")), "b");
    assert_eq!(choose(glob("?")), "empty-list");
    let policy = policy_of(PolicySpec::new(Choice::Created { order: ASC })).unwrap();
    assert!(policy.needs_created());
    let selection = select(&policy, &["a", "b"]);
    assert_eq!(
        selection.result.unwrap_err().to_string(),
        "no tag has a known created time"
    );
}

#[test]
fn patterns_of_flux_v1() {
    let pattern = |pattern: &str| {
        PolicySpec::new(Choice::Pattern {
            pattern: pattern.into(),
        })
    };
    let tags = [
        "latest", "LATEST", "1.10", "1.10.0", "v1.9", "main-9", "main-10",
    ];
    // Without times natural order decides.
    assert_eq!(chosen(pattern("main-*"), &tags), "main-10");
    assert_eq!(chosen(pattern("glob:latest"), &tags), "latest");
    assert_eq!(chosen(pattern("glob:late*"), &tags), "empty-list");
    assert_eq!(chosen(pattern("regexp:^latest$"), &tags), "empty-list");
    assert_eq!(chosen(pattern("semver:~1"), &tags), "1.10.0");
    assert_eq!(chosen(pattern("regex:-9$"), &tags), "main-9");
    assert_eq!(chosen(pattern("glob: main-*"), &tags), "empty-list");
}

#[test]
fn presets_need_no_pattern() {
    let preset = |preset: Sortable| PolicySpec::new(Choice::Sortable(preset));
    let tags = [
        "main-2a3560ef-1694132169",
        "main-1a3560e-1696801785",
        "latest",
        "9-abc1234",
        "10-0ffee12",
        "2024.1.9",
        "2024.01.10",
        "v2023.12",
        "20240303",
        "1.2.3",
    ];
    assert_eq!(
        chosen(preset(Sortable::Timestamp), &tags),
        "main-1a3560e-1696801785"
    );
    assert_eq!(chosen(preset(Sortable::Calver), &tags), "2024.01.10");
    assert_eq!(
        chosen(
            preset(Sortable::Calver),
            &["20.04", "20.10", "20.04.1", "10.1.1.1.1"]
        ),
        "20.10"
    );
    assert_eq!(
        chosen(preset(Sortable::Calver), &["2024-09-30", "2024-10-01-2"]),
        "2024-10-01-2"
    );
    // More digits than a float holds.
    assert_eq!(
        chosen(
            preset(Sortable::Timestamp),
            &[
                "a-20240101120000122",
                "a-20240101120000123",
                "a-20240101120000121"
            ]
        ),
        "a-20240101120000123"
    );
    assert_eq!(chosen(preset(Sortable::Build), &tags[..5]), "10-0ffee12");
    assert_eq!(
        chosen(
            preset(Sortable::Build),
            &["build-9", "build-10", "main-11-abc1234", "x"]
        ),
        "main-11-abc1234"
    );
    // A filter of the user's narrows a preset.
    let narrowed = preset(Sortable::Timestamp).with_filter("^dev-", "");
    assert_eq!(
        chosen(
            narrowed,
            &["dev-0abc123-1694132169", "main-0abc123-1794132169"]
        ),
        "dev-0abc123-1694132169"
    );
    for preset in Sortable::ALL {
        assert_eq!(preset.as_str().parse::<Sortable>().unwrap(), preset);
        assert!(!preset.filter().pattern.is_empty());
    }
}

#[test]
fn young_tags_wait() {
    let mut spec = PolicySpec::semver("*");
    spec.guards.minimum_age = Some(SignedDuration::from_hours(1));
    let policy = policy_of(spec).unwrap();
    let list = [("1.0.0", Some(0)), ("1.1.0", Some(3000)), ("1.2.0", None)].map(|(text, seen)| {
        Candidate {
            first_seen: seen.map(at),
            ..Candidate::new(tag(text))
        }
    });
    let explanation = policy.explain(list, &Context::at(at(4000)));
    assert_eq!(outcome(&explanation.selection), "1.0.0");
    assert_eq!(explanation.selection.recheck_at, Some(at(6600)));
    let verdicts: Vec<_> = explanation.verdicts.iter().map(|v| v.verdict).collect();
    assert_eq!(
        verdicts,
        [Verdict::Chosen, Verdict::TooYoung, Verdict::TooYoung]
    );
    let selection = policy.select(list, &Context::at(at(6600)));
    assert_eq!(outcome(&selection), "1.1.0");
    let selection = policy.select(list, &Context::at(at(10)));
    assert_eq!(outcome(&selection), "too-young");
    assert_eq!(
        selection.result.unwrap_err().to_string(),
        "all 3 matching tags are younger than the minimum age of 1h"
    );
}

#[test]
fn never_backwards_and_in_shape() {
    let guarded = |guards: Guards, current: &str, tags: &[&str]| {
        let policy = policy_of(PolicySpec {
            guards,
            ..natural()
        })
        .unwrap();
        let context = Context::at(at(0)).with_current(Tag::new(current).ok());
        outcome(&policy.select(candidates(tags), &context)).to_owned()
    };
    let forwards = Guards {
        never_downgrade: true,
        ..Guards::default()
    };
    assert_eq!(guarded(forwards, "1.3", &["1.2", "1.1"]), "downgrade");
    assert_eq!(guarded(forwards, "1.3", &["1.2", "1.3"]), "1.3");
    assert_eq!(guarded(forwards, "1.3", &["1.2", "1.4"]), "1.4");
    let shape = Guards {
        same_shape: true,
        ..Guards::default()
    };
    let tags = [
        "1.26-alpine",
        "1.26",
        "1.26.1-alpine",
        "1.27-alpine3.20",
        "2-alpine",
        "v1.28-alpine",
    ];
    assert_eq!(guarded(shape, "1.25-alpine", &tags), "1.26-alpine");
    assert_eq!(guarded(shape, "1.25", &tags), "1.26");
    assert_eq!(guarded(shape, "3-slim", &tags), "empty-list");
    let builds = [
        "main-1234567-1694132170",
        "main-0abc123-1694132171",
        "dev-0abc123-1794132171",
    ];
    assert_eq!(
        guarded(shape, "main-2a3560ef-1694132169", &builds),
        "main-1234567-1694132170"
    );
    // Without a current tag there is nothing to hold others against.
    let policy = policy_of(PolicySpec {
        guards: shape,
        ..natural()
    })
    .unwrap();
    assert_eq!(outcome(&select(&policy, &["1", "2-x"])), "2-x");
}

#[test]
fn exclusions_leave_out() {
    let signature = format!("sha256-{}.sig", "a".repeat(64));
    let tags = ["1.0.0", "2.0.0.sig", signature.as_str(), "dev"];
    let kept = |exclusions: Exclusions| -> Vec<String> {
        let spec = PolicySpec {
            exclusions,
            ..natural()
        };
        let explanation = Policy::compile(&spec)
            .unwrap()
            .explain(candidates(&tags), &Context::at(at(0)));
        let kept = explanation.verdicts.into_iter();
        kept.filter(|v| v.verdict != Verdict::Excluded)
            .map(|v| v.tag.to_string())
            .collect()
    };
    assert_eq!(kept(Exclusions::none()).len(), 4);
    assert_eq!(kept(Exclusions::default()), ["1.0.0", "dev"]);
    assert_eq!(kept(Exclusions::from_exclusion_list(&[])), ["1.0.0", "dev"]);
    let list = Exclusions::from_exclusion_list(&[r"^\d".into()]);
    assert_eq!(kept(list), [signature.as_str(), "dev"]);
    let artifacts = Exclusions {
        artifacts: true,
        ..Exclusions::none()
    };
    assert_eq!(kept(artifacts), ["1.0.0", "2.0.0.sig", "dev"]);
    let globs = Exclusions {
        include: vec!["[0-9].*".into(), "{dev,main}".into()],
        exclude: vec!["?.0.0.sig".into()],
        ..Exclusions::none()
    };
    assert_eq!(kept(globs), ["1.0.0", "dev"]);
}

#[test]
fn artifacts_are_known_by_their_digest() {
    let hex = "0123456789abcdef".repeat(4);
    for suffix in ["", ".sig", ".att", ".sbom", ".v1"] {
        assert!(
            is_artifact_tag(&format!("sha256-{hex}{suffix}")),
            "{suffix}"
        );
    }
    assert!(is_artifact_tag(&format!(
        "sha512-{}",
        hex.repeat(2).get(..121).unwrap()
    )));
    for no in ["sha256-abc", "1.0.0", "latest", "sha256", ""] {
        assert!(!is_artifact_tag(no), "{no}");
    }
    assert!(!is_artifact_tag(&format!("sha256-{hex}0")));
    assert!(!is_artifact_tag(&format!("md5-{hex}")));
}

#[test]
fn sentences_are_those_of_flux() {
    let sentence = |spec: PolicySpec, tags: &[&str]| {
        let selection = select(&policy_of(spec).unwrap(), tags);
        selection.result.unwrap_err().to_string()
    };
    assert_eq!(
        sentence(PolicySpec::semver("*"), &[]),
        "version list argument cannot be empty"
    );
    assert_eq!(
        sentence(PolicySpec::semver("2.x"), &["1.0.0", "2"]),
        "unable to determine latest version from provided list"
    );
    assert_eq!(
        sentence(natural().with_filter("^x", ""), &["a"]),
        "version list argument cannot be empty"
    );
}

#[test]
fn every_verdict_says_why() {
    let mut spec = PolicySpec::semver("^1.0").with_filter("^v(.*)$", "$1");
    spec.guards.minimum_age = Some(SignedDuration::from_secs(60));
    spec.guards.never_downgrade = true;
    spec.exclusions = Exclusions {
        patterns: vec!["bad".into()],
        artifacts: true,
        ..Exclusions::none()
    };
    let policy = Policy::compile(&spec).unwrap();
    let artifact = format!("sha256-{}", "0".repeat(64));
    let list: Vec<Candidate<'_>> = [
        "v1.2.0",
        "v1.1.0",
        "v1.0.0",
        "1.3.0",
        "v1",
        "v1.3.0-rc.1",
        "v2.0.0",
        "v1.9.0",
        "v1.0.0-bad",
        artifact.as_str(),
    ]
    .map(|text| Candidate {
        first_seen: Some(at(if text == "v1.9.0" { 100 } else { 0 })),
        ..Candidate::new(tag(text))
    })
    .into();
    let context = Context::at(at(120)).with_current(Tag::new("v1.1.0").ok());
    let explanation = policy.explain(list, &context);
    let table: Vec<String> = explanation
        .verdicts
        .iter()
        .map(|v| format!("{:14.14} {:12} {}", v.tag, v.verdict, v.detail))
        .collect();
    insta::assert_snapshot!(table.join("\n"));
    insta::assert_json_snapshot!(explanation.verdicts[1], @r#"
    {
      "tag": "v1.1.0",
      "verdict": "older",
      "detail": "compared as \"1.1.0\", v1.2.0 comes before it"
    }
    "#);
    assert_eq!(
        explanation.of("v2.0.0").unwrap().verdict,
        Verdict::OutOfRange
    );
    assert!(explanation.of("nope").is_none());
}
