//! Images that move together.

use jiff::Timestamp;
use tagline_policy::{
    Candidate, Context, Member, NoChoice, Policy, PolicySpec, TagRef, select_together,
};

fn candidates<'a>(tags: &'a [&'a str]) -> Vec<Candidate<'a>> {
    tags.iter()
        .map(|tag| Candidate::new(TagRef::new(tag).unwrap()))
        .collect()
}

fn choose(lists: &[(&PolicySpec, &[&str])]) -> Vec<Result<String, NoChoice>> {
    let context = Context::at(Timestamp::UNIX_EPOCH);
    let policies: Vec<Policy> = lists
        .iter()
        .map(|(spec, _)| Policy::compile(spec).unwrap())
        .collect();
    let members: Vec<_> = lists
        .iter()
        .zip(&policies)
        .map(|((_, tags), policy)| Member {
            policy,
            candidates: candidates(tags),
            context: &context,
        })
        .collect();
    select_together(&members)
        .into_iter()
        .map(|selection| selection.result.map(|tag| tag.to_string()))
        .collect()
}

#[test]
fn the_newest_version_that_all_have() {
    let plain = PolicySpec::semver("*");
    let alpine = PolicySpec::semver("*").with_filter(r"^(?P<v>.*)-alpine$", "$v");
    let chosen = choose(&[
        (&plain, &["1.0.0", "1.1.0", "1.2.0"]),
        (&plain, &["v1.0.0", "v1.1.0"]),
        (&alpine, &["1.2.0-alpine", "1.1.0-alpine", "1.1.0"]),
    ]);
    assert_eq!(
        chosen.into_iter().map(Result::unwrap).collect::<Vec<_>>(),
        ["1.1.0", "v1.1.0", "1.1.0-alpine"]
    );
}

#[test]
fn none_where_nothing_is_common() {
    let plain = PolicySpec::semver("*");
    let chosen = choose(&[(&plain, &["1.0.0"]), (&plain, &["2.0.0"])]);
    assert_eq!(
        chosen,
        [
            Err(NoChoice::NoCommonVersion),
            Err(NoChoice::NoCommonVersion)
        ]
    );
    let chosen = choose(&[(&plain, &["1.0.0"]), (&plain, &["latest"])]);
    assert_eq!(
        chosen,
        [
            Err(NoChoice::NoCommonVersion),
            Err(NoChoice::NothingMatches)
        ]
    );
    assert_eq!(choose(&[]), []);
}

#[test]
fn equal_versions_are_told_apart_as_alone() {
    let plain = PolicySpec::semver("*");
    let chosen = choose(&[
        (&plain, &["1.0.0", "v1.0.0"]),
        (&plain, &["v1.0.0", "1.0.0"]),
    ]);
    assert_eq!(chosen, [Ok("v1.0.0".into()), Ok("v1.0.0".into())]);
}
