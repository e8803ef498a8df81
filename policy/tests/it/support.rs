//! What many tests need.

use jiff::Timestamp;
use tagline_policy::{
    Candidate, Context, Exclusions, InvalidPolicy, Policy, PolicySpec, Selection, TagRef,
};

pub(crate) fn tag(text: &str) -> TagRef<'_> {
    TagRef::new(text).unwrap()
}

pub(crate) fn candidates<'a>(tags: &'a [&'a str]) -> Vec<Candidate<'a>> {
    tags.iter().map(|text| Candidate::new(tag(text))).collect()
}

/// A policy without Flux's default exclusions.
pub(crate) fn policy_of(mut spec: PolicySpec) -> Result<Policy, InvalidPolicy> {
    spec.exclusions = Exclusions::none();
    Policy::compile(&spec)
}

/// A moment in seconds.
pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(crate) fn select(policy: &Policy, tags: &[&str]) -> Selection {
    policy.select(candidates(tags), &Context::at(at(0)))
}

/// The chosen tag, or the reason in a word.
pub(crate) fn outcome(selection: &Selection) -> &str {
    match &selection.result {
        Ok(tag) => tag.as_str(),
        Err(reason) => reason.reason(),
    }
}
