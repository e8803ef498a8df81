//! A choice over many tags allocates no more than one over few: nothing per tag.

use jiff::Timestamp;
use tagline_policy::{
    Candidate, Choice, Context, Exclusions, Order, Policy, PolicySpec, Tag, Unparsable,
};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// How many blocks a choice among the first `count` tags allocates.
fn blocks(policy: &Policy, tags: &[Tag], count: usize) -> u64 {
    let context = Context::at(Timestamp::UNIX_EPOCH);
    let candidates = || tags[..count].iter().map(|tag| Candidate::new(tag.as_ref()));
    // The first use fills the caches of the regular expressions.
    let first = policy.select(candidates(), &context);
    let before = dhat::HeapStats::get().total_blocks;
    let second = policy.select(candidates(), &context);
    let after = dhat::HeapStats::get().total_blocks;
    assert_eq!(first, second);
    assert!(first.matched > count / 4, "{first:?}");
    after - before
}

#[test]
fn a_choice_allocates_nothing_per_tag() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let versions: Vec<Tag> = (0..30_000)
        .map(|n| format!("v{}.{}.{}", n / 1000, n % 1000 / 10, n % 10))
        .map(|text| Tag::new(text).expect("a legal tag"))
        .collect();
    let builds: Vec<Tag> = (0..30_000u64)
        .map(|n| format!("main-{:07x}-{}", n * 7919 % 0x0fff_ffff, 1_600_000_000 + n))
        .map(|text| Tag::new(text).expect("a legal tag"))
        .collect();
    let numerical = PolicySpec::new(Choice::Numerical {
        order: Order::Ascending,
        unparsable: Unparsable::Fail,
    });
    let natural = PolicySpec::new(Choice::Natural {
        order: Order::Ascending,
    });
    let mut excluding = natural.clone().with_filter("^main-", "");
    excluding.exclusions = Exclusions {
        patterns: vec!["^dev".into(), r"\.sig$".into()],
        artifacts: true,
        ..Exclusions::none()
    };
    for (name, spec, tags) in [
        ("semver", PolicySpec::semver(">=1.0.0"), &versions),
        (
            "semver with a template",
            PolicySpec::semver("*").with_filter(r"^v(\d+)\.(\d+)\.(\d+)$", "$1.$2.$3"),
            &versions,
        ),
        (
            "numerical with extract",
            numerical.with_filter("^main-[a-f0-9]+-(?P<ts>[0-9]+)$", "$ts"),
            &builds,
        ),
        ("natural with exclusions", excluding, &builds),
        ("natural", natural, &builds),
    ] {
        let policy = Policy::compile(&spec).expect("a legal policy");
        // Ascending tags are the worst case: every one becomes the winner for a while.
        let few = blocks(&policy, tags, 2_000);
        let many = blocks(&policy, tags, 30_000);
        assert!(
            many <= few + 4,
            "{name}: {few} blocks for 2,000 tags, {many} for 30,000"
        );
        assert!(many < 64, "{name}: {many} blocks");
    }
}
