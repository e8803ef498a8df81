//! Images that must move together: the newest version that exists for all of them.

use crate::TagRef;
use crate::candidate::{Candidate, Context, ListOrder};
use crate::evaluate::{Judge, with_rank};
use crate::policy::{Policy, Rule};
use crate::rank::{Rank, Ties};
use crate::selection::{NoChoice, Selection};
use crate::version::Version;
use std::cmp::Ordering;
use std::collections::HashMap;

/// One image of a group.
#[derive(Debug, Clone)]
pub struct Member<'a, I> {
    /// The image's policy.
    pub policy: &'a Policy,
    /// The image's tags.
    pub candidates: I,
    /// The image's current tag, and the present.
    pub context: &'a Context,
}

/// Chooses for each image the tag of the newest version that all images have, or for none of them.
///
/// Tags of different images are of the same version when their policies compare them as the same:
/// equal versions under semver (`v1.2.0` and `1.2.0`), equal numbers, otherwise equal texts (what
/// `extract` gives, or the tag). Policies by time go together when the tags are equal. Which version
/// is the newest is for the first policy to say.
///
/// The selections come in the order of the members. Where a member by itself has nothing to choose,
/// it says why, and the others have [`NoChoice::NoCommonVersion`].
pub fn select_together<'a, I>(members: &[Member<'_, I>]) -> Vec<Selection>
where
    I: IntoIterator<Item = Candidate<'a>> + Clone,
    I::IntoIter: Clone,
{
    let alone: Vec<Selection> = members
        .iter()
        .map(|m| m.policy.select(m.candidates.clone(), m.context))
        .collect();
    let nothing_in_common = |selection: &Selection| Selection {
        result: match &selection.result {
            Ok(_) => Err(NoChoice::NoCommonVersion),
            Err(reason) => Err(reason.clone()),
        },
        ..selection.clone()
    };
    let Some((first, others)) = members.split_first() else {
        return alone;
    };
    if alone.iter().any(|selection| selection.result.is_err()) {
        return alone.iter().map(nothing_in_common).collect();
    }
    let versions: Vec<HashMap<String, TagRef<'a>>> = others
        .iter()
        .map(|member| ranked(member).into_iter().collect())
        .collect();
    // The first member's tags come from the worst to the best.
    let common = ranked(first)
        .into_iter()
        .rev()
        .find(|(version, _)| versions.iter().all(|tags| tags.contains_key(version)));
    let Some((version, tag)) = common else {
        return alone.iter().map(nothing_in_common).collect();
    };
    let tags = std::iter::once(tag).chain(versions.iter().filter_map(|t| t.get(&version).copied()));
    alone
        .into_iter()
        .zip(tags)
        .map(|(selection, tag)| Selection {
            result: Ok(tag.to_owned()),
            ..selection
        })
        .collect()
}

/// All tags that a member could choose, from the worst to the best, each with its version's name.
fn ranked<'a, I>(member: &Member<'_, I>) -> Vec<(String, TagRef<'a>)>
where
    I: IntoIterator<Item = Candidate<'a>> + Clone,
    I::IntoIter: Clone,
{
    with_rank!(member.policy, rank => ranked_by(rank, member))
}

fn ranked_by<'a, R: Rank, I>(rank: &R, member: &Member<'_, I>) -> Vec<(String, TagRef<'a>)>
where
    I: IntoIterator<Item = Candidate<'a>> + Clone,
    I::IntoIter: Clone,
{
    let mut judge = Judge::new(member.policy, rank, member.context);
    let mut tags: Vec<(R::Key, String, Candidate<'a>)> = Vec::new();
    let mut candidates: Vec<Candidate<'a>> = member.candidates.clone().into_iter().collect();
    if judge.ties() == Ties::First {
        candidates.reverse();
    }
    for candidate in candidates {
        if let Ok((key, extracted)) = judge.judge(&candidate)
            // Not-a-number has no place in an order.
            && !rank.is_unordered(&key)
        {
            let text = judge.text(candidate.tag, extracted).to_owned();
            tags.push((key, text, candidate));
        }
    }
    let ties = judge.ties();
    tags.sort_by(|a, b| {
        rank.compare((&a.0, &a.1), (&b.0, &b.1))
            .then_with(|| match (member.context.order, ties) {
                // The sort is stable: what is given first is now the worst of equals.
                (ListOrder::AsGiven, _) => Ordering::Equal,
                (ListOrder::Stored, Ties::First) => a.2.tag.cmp(&b.2.tag),
                (ListOrder::Stored, Ties::Last) => b.2.tag.cmp(&a.2.tag),
            })
    });
    tags.into_iter()
        .map(|(_, text, candidate)| {
            (
                version_name(member.policy, &text, candidate.tag),
                candidate.tag,
            )
        })
        .collect()
}

/// What two tags of different images must have in common.
fn version_name(policy: &Policy, text: &str, tag: TagRef<'_>) -> String {
    match &policy.rule {
        Rule::Version(_) => Version::parse(text).map_or_else(
            |_| text.to_owned(),
            |version| {
                Version {
                    build: "",
                    ..version
                }
                .to_string()
            },
        ),
        Rule::Number(_) => {
            crate::parse_number(text).map_or_else(|| text.to_owned(), |n| n.to_string())
        }
        Rule::Text(_) | Rule::Natural(_) => text.to_owned(),
        Rule::Time(_) | Rule::V1Time(_) => tag.as_str().to_owned(),
    }
}
