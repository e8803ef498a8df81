//! The shortest way through the public interface.

use jiff::Timestamp;
use tagline_policy::{Candidate, Context, Policy, PolicySpec, TagRef, Verdict};

fn candidates<'a>(tags: &'a [&'a str]) -> Vec<Candidate<'a>> {
    tags.iter()
        .map(|tag| Candidate::new(TagRef::new(tag).unwrap()))
        .collect()
}

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
    let context = Context::at(Timestamp::UNIX_EPOCH);
    let selection = policy.select(list.iter().copied(), &context);
    assert_eq!(selection.result.as_ref().unwrap().as_str(), "1.2.0");
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
    let spec = PolicySpec::new(
        "asc"
            .parse()
            .map(|order| tagline_policy::Choice::Numerical {
                order,
                unparsable: tagline_policy::Unparsable::Fail,
            })
            .unwrap(),
    )
    .with_filter(r"^main-[a-f0-9]+-(?P<ts>[0-9]+)$", "$ts");
    let policy = Policy::compile(&spec).unwrap();
    let list = candidates(&["main-abc-9", "main-def-10", "dev-abc-11"]);
    let selection = policy.select(list.iter().copied(), &Context::at(Timestamp::UNIX_EPOCH));
    assert_eq!(selection.result.unwrap().as_str(), "main-def-10");
}
