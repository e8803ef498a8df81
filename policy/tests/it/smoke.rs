//! The shortest way through the public interface.

use super::support::{at, candidates, outcome, select};
use tagline_policy::{Choice, Context, Policy, PolicySpec, Verdict};

#[test]
fn chooses_and_explains() {
    let policy = Policy::compile(&PolicySpec::semver("1.x")).unwrap();
    let list = candidates(&[
        "1.0.0",
        "1.2.0",
        "1.3.0-rc.1",
        "2.0.0",
        "latest",
        "1.2.0.sig",
    ]);
    let context = Context::at(at(0));
    let selection = policy.select(list.iter().copied(), &context);
    assert_eq!(outcome(&selection), "1.2.0");
    assert_eq!((selection.considered, selection.matched), (6, 2));
    let explanation = policy.explain(list.iter().copied(), &context);
    assert_eq!(explanation.selection, selection);
    let verdicts: Vec<_> = explanation.verdicts.iter().map(|v| v.verdict).collect();
    assert_eq!(
        verdicts,
        [
            Verdict::Older,
            Verdict::Chosen,
            Verdict::Prerelease,
            Verdict::OutOfRange,
            Verdict::Unparsable,
            Verdict::Excluded,
        ]
    );
}

#[test]
fn filters_extracts_and_compares_numbers() {
    let choice = Choice::from_flux(None, None, Some("asc")).unwrap();
    let spec = PolicySpec::new(choice).with_filter(r"^main-[a-f0-9]+-(?P<ts>[0-9]+)$", "$ts");
    let policy = Policy::compile(&spec).unwrap();
    let selection = select(&policy, &["main-abc-9", "main-def-10", "dev-abc-11"]);
    assert_eq!(outcome(&selection), "main-def-10");
}
