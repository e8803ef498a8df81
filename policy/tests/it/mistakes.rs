//! What a user reads about a policy that cannot be used.

use super::support::policy_of;
use jiff::SignedDuration;
use proptest::prelude::*;
use tagline_policy::{Choice, Exclusions, Field, Order, Policy, PolicySpec, Sortable};

fn error(spec: PolicySpec) -> String {
    policy_of(spec).unwrap_err().to_string()
}

fn pattern(pattern: &str) -> PolicySpec {
    PolicySpec::new(Choice::Pattern {
        pattern: pattern.into(),
    })
}

#[test]
fn ranges() {
    insta::assert_snapshot!(error(PolicySpec::semver(">=1.0 <bar")));
    insta::assert_snapshot!(error(PolicySpec::semver("")));
    insta::assert_snapshot!(error(pattern("semver:1.x, 2.y")));
}

#[test]
fn patterns_and_templates() {
    insta::assert_snapshot!(error(
        PolicySpec::semver("*").with_filter("^main-(?P<ts>[0-9]+", "$ts")
    ));
    insta::assert_snapshot!(error(PolicySpec::semver("*").with_filter(r"^(?!rc)", "")));
    insta::assert_snapshot!(error(pattern("regexp:[a")));
    insta::assert_snapshot!(error(
        PolicySpec::semver("*")
            .with_filter(format!("{}[z-a]{}", "é".repeat(90), "x".repeat(90)), "")
    ));
}

#[test]
fn orders_presets_and_globs() {
    let order = "sideways".parse::<Order>().unwrap_err();
    insta::assert_snapshot!(order.to_string());
    assert_eq!(
        order.problem(),
        "invalid order argument provided: 'sideways', must be one of: ASC, DESC"
    );
    insta::assert_snapshot!("time".parse::<Sortable>().unwrap_err().to_string());
    let mut spec = PolicySpec::semver("*");
    spec.exclusions = Exclusions {
        exclude: vec!["ok".into(), "rc-[".into()],
        ..Exclusions::none()
    };
    let glob = Policy::compile(&spec).unwrap_err();
    assert_eq!(glob.field(), Field::ExcludeGlob(1));
    insta::assert_snapshot!(glob.to_string());
    spec.exclusions = Exclusions {
        patterns: vec!["ok".into(), "+".into()],
        ..Exclusions::none()
    };
    let exclusion = Policy::compile(&spec).unwrap_err();
    insta::assert_snapshot!(exclusion.to_string());
    assert_eq!(
        exclusion.message(),
        "failed to compile regex +: error parsing regexp: missing argument to repetition operator: `+`"
    );
}

#[test]
fn long_globs_are_refused() {
    let with = |pattern: String| {
        let mut spec = PolicySpec::semver("*");
        spec.exclusions.include = vec![pattern];
        Policy::compile(&spec)
    };
    for pattern in ["a".repeat(1025), "{".repeat(100_000)] {
        let error = with(pattern).unwrap_err();
        assert_eq!(error.field(), Field::IncludeGlob(0));
        assert_eq!(error.problem(), "invalid glob: longer than 1024 bytes");
    }
    let deep = with(format!("{}a{}", "{".repeat(511), "}".repeat(511)));
    assert!(deep.unwrap_err().problem().starts_with("invalid glob: "));
}

#[test]
fn nothing_chosen_and_negative_age() {
    let none = Choice::from_flux(None, None, None).unwrap_err();
    assert_eq!(
        none.message(),
        "invalid policy: given ImagePolicyChoice object is invalid"
    );
    let mut spec = PolicySpec::semver("*");
    spec.guards.minimum_age = Some(SignedDuration::from_secs(-1));
    assert_eq!(policy_of(spec).unwrap_err().field(), Field::MinimumAge);
}

#[test]
fn flux_takes_the_first_of_several_policies() {
    let choice = Choice::from_flux(Some("1.x"), Some("asc"), Some("desc")).unwrap();
    assert_eq!(
        choice,
        Choice::Semver {
            range: "1.x".into()
        }
    );
    let choice = Choice::from_flux(None, Some("DESC"), Some("")).unwrap();
    let order = Order::Descending;
    assert_eq!(choice, Choice::Alphabetical { order });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_text_is_a_policy_or_a_mistake_with_a_place(
        pattern_text in prop_oneof!["\\PC{0,30}", "[a-c()\\[\\]{}*+?|^$.\\\\0-9,:<>=!PpQE-]{0,20}"],
        template in "[a$}{1-]{0,8}",
        tag_text in "[a-c0-9._-]{1,12}",
    ) {
        let specs = [
            PolicySpec::semver(pattern_text.clone()),
            PolicySpec::semver("*").with_filter(pattern_text.clone(), template),
            pattern(&pattern_text),
            PolicySpec { exclusions: Exclusions { include: vec![pattern_text.clone()], ..Exclusions::none() }, ..PolicySpec::semver("*") },
        ];
        for spec in specs {
            match Policy::compile(&spec) {
                Ok(policy) => {
                    if let Ok(tag) = tagline_policy::TagRef::new(&tag_text) {
                        let _ = policy.compared_text(tag);
                    }
                }
                Err(error) => {
                    prop_assert!(error.span().end <= error.text().len());
                    prop_assert!(error.text().is_char_boundary(error.offset()), "{error:?}");
                    prop_assert_eq!(error.to_string().lines().count(), 4 + error.problem().matches('\n').count());
                }
            }
        }
    }
}
