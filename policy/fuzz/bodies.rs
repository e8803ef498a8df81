//! What each fuzz target does with its bytes.

use jiff::Timestamp;
use tagline_policy::{
    Candidate, Choice, Context, Exclusions, Fit, Order, Policy, PolicySpec, Range, TagRef, Version,
    parse_number,
};

/// The bytes as text, in two halves at the first zero byte.
fn halves(bytes: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(bytes).ok()?;
    Some(text.split_once('\0').unwrap_or((text, "")))
}

/// A range and a version: neither panics, and what is inside is not outside.
pub fn range(bytes: &[u8]) {
    let Some((range, version)) = halves(bytes) else {
        return;
    };
    match (Range::parse(range), Version::parse(version)) {
        (Ok(range), Ok(version)) => {
            assert_eq!(range.contains(&version), range.fit(&version) == Fit::Inside);
        }
        (Err(error), _) => {
            assert!(error.span().end <= range.len());
            assert!(error.to_string().contains('^'));
        }
        _ => {}
    }
}

/// A version that was read shows as a version that is equal to it.
pub fn version(bytes: &[u8]) {
    let Some((a, b)) = halves(bytes) else { return };
    if let (Ok(a), Ok(b)) = (Version::parse(a), Version::parse(b)) {
        assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        let shown = a.to_string();
        if shown.len() <= tagline_policy::MAX_VERSION_LENGTH {
            assert_eq!(Version::parse(&shown), Ok(a));
        }
    }
}

fn with_filter(pattern: &str, extract: &str, tag: &str) {
    let mut spec = PolicySpec::new(Choice::Alphabetical {
        order: Order::Ascending,
    })
    .with_filter(pattern, extract);
    spec.exclusions = Exclusions::none();
    match Policy::compile(&spec) {
        Ok(policy) => {
            if let Ok(tag) = TagRef::new(tag) {
                let context = Context::at(Timestamp::UNIX_EPOCH);
                let selection = policy.select([Candidate::new(tag)], &context);
                assert_eq!(
                    selection.result.is_ok(),
                    policy.compared_text(tag).is_some()
                );
            }
        }
        Err(error) => {
            assert!(error.message().contains("error parsing regexp: "));
            assert!(error.span().end <= error.text().len());
        }
    }
}

/// A pattern and a tag: compiled or refused, and asked once.
pub fn filter(bytes: &[u8]) {
    if let Some((pattern, tag)) = halves(bytes) {
        with_filter(pattern, "", tag);
    }
}

/// A template over a pattern with groups.
pub fn expand(bytes: &[u8]) {
    if let Some((template, tag)) = halves(bytes) {
        with_filter("^(?P<a>[0-9]*)(b)?(?:(?P<c>.)|(?P<c>..))?", template, tag);
    }
}

/// A number is the one that Rust reads, where Rust reads one.
pub fn number(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let number = parse_number(text);
    if let (Some(ours), Ok(rust)) = (number, text.parse::<f64>()) {
        assert!(ours.to_bits() == rust.to_bits() || ours.is_nan(), "{text}");
    }
}
