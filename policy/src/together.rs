//! Images that must move together: the newest version that exists for all of them.

use crate::candidate::{Candidate, Context, ListOrder};
use crate::evaluate::{Judge, with_rank};
use crate::explain::{Explanation, TagVerdict, Verdict};
use crate::policy::{Policy, Rule};
use crate::rank::{Moment, Rank, Ties};
use crate::selection::{NoChoice, Selection};
use crate::spec::Order;
use crate::version::Version;
use crate::{Tag, TagRef};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;

/// One image of a group.
#[derive(Debug, Clone)]
pub struct Member<'a, I> {
    /// What it is called in messages.
    pub name: &'a str,
    /// The image's policy.
    pub policy: &'a Policy,
    /// The image's tags.
    pub candidates: I,
    /// The image's current tag, and the present.
    pub context: &'a Context,
}

/// What became of one image of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberSelection {
    /// Its tag of the common version, or why there is none.
    pub selection: Selection,
    /// What it would have chosen by itself, where that is something else.
    pub held_back: Option<HeldBack>,
}

/// A newer version that not all images of the group have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBack {
    /// The member's tag of that version.
    pub tag: Tag,
    /// The version as the group compares it.
    pub version: String,
    /// The members without it.
    pub lacking: Vec<String>,
}

/// Two policies that cannot be in one group: what they compare has nothing in common.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{first} is ordered by {first_order}, {other} by {other_order}: their versions cannot be compared"
)]
pub struct Incomparable {
    /// The first member.
    pub first: String,
    /// How it is ordered.
    pub first_order: GroupOrder,
    /// The first member that does not go with it.
    pub other: String,
    /// How that one is ordered.
    pub other_order: GroupOrder,
}

/// What the policies of one group must agree in: how they compare, and in which direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupOrder {
    /// Versions. The ranges may differ.
    Semver,
    /// Bytes.
    Alphabetical(Order),
    /// Go's numbers.
    Numerical(Order),
    /// Runs of digits by value, as the presets for sortable tags have it, too.
    Natural(Order),
    /// The time the image was made.
    Created(Order),
    /// The time the tag was first seen.
    FirstSeen(Order),
    /// Flux v1: created time, then text.
    Glob,
}

impl fmt::Display for GroupOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Semver => f.write_str("semver"),
            Self::Alphabetical(order) => write!(f, "alphabetical {order}"),
            Self::Numerical(order) => write!(f, "numerical {order}"),
            Self::Natural(order) => write!(f, "natural {order}"),
            Self::Created(order) => write!(f, "created {order}"),
            Self::FirstSeen(order) => write!(f, "firstSeen {order}"),
            Self::Glob => f.write_str("glob"),
        }
    }
}

impl fmt::Display for HeldBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} waits for {}", self.version, self.lacking.join(", "))
    }
}

impl Policy {
    /// How it compares, as far as a group must agree in it.
    #[must_use]
    pub const fn group_order(&self) -> GroupOrder {
        match &self.rule {
            Rule::Version(_) => GroupOrder::Semver,
            Rule::Text(rank) => GroupOrder::Alphabetical(rank.order),
            Rule::Number(rank) => GroupOrder::Numerical(rank.order),
            Rule::Natural(rank) => GroupOrder::Natural(rank.order),
            Rule::Time(rank) => match rank.moment {
                Moment::Created => GroupOrder::Created(rank.order),
                Moment::FirstSeen => GroupOrder::FirstSeen(rank.order),
            },
            Rule::V1Time(_) => GroupOrder::Glob,
        }
    }
}

/// Sees whether policies, named, can be in one group.
///
/// # Errors
/// [`Incomparable`], naming the first policy that does not go with the first of all.
pub fn check_group<'p>(
    members: impl IntoIterator<Item = (&'p str, &'p Policy)>,
) -> Result<(), Incomparable> {
    let mut members = members.into_iter();
    let Some((first, policy)) = members.next() else {
        return Ok(());
    };
    let first_order = policy.group_order();
    match members.find(|(_, policy)| policy.group_order() != first_order) {
        None => Ok(()),
        Some((other, policy)) => Err(Incomparable {
            first: first.to_owned(),
            first_order,
            other: other.to_owned(),
            other_order: policy.group_order(),
        }),
    }
}

/// Chooses for each image the tag of the newest version that all images have, or for none of them.
///
/// Tags of different images are of the same version when their policies compare them as the same:
/// equal versions under semver (`v1.2.0` and `1.2.0`), equal numbers, otherwise equal texts (what
/// `extract` gives, or the tag). Policies by time go by the first member's times.
///
/// The selections come in the order of the members. Where a member by itself has nothing to choose,
/// it says why, and the others have [`NoChoice::GroupHeld`].
///
/// # Errors
/// [`Incomparable`] when the policies do not compare the same way.
pub fn select_together<'a, I>(
    members: &[Member<'_, I>],
) -> Result<Vec<MemberSelection>, Incomparable>
where
    I: IntoIterator<Item = Candidate<'a>> + Clone,
    I::IntoIter: Clone,
{
    Ok(Group::of(members)?.selections(members))
}

/// Chooses as [`select_together`] does and gives the verdict for every tag of every image.
///
/// # Errors
/// [`Incomparable`] when the policies do not compare the same way.
pub fn explain_together<'a, I>(
    members: &[Member<'_, I>],
) -> Result<Vec<(MemberSelection, Explanation)>, Incomparable>
where
    I: IntoIterator<Item = Candidate<'a>> + Clone,
    I::IntoIter: Clone,
{
    let group = Group::of(members)?;
    let selections = group.selections(members);
    Ok(selections
        .into_iter()
        .enumerate()
        .map(|(index, selected)| {
            let explanation = group.explanation(members, index, &selected.selection);
            (selected, explanation)
        })
        .collect())
}

/// What every member could choose.
struct Group<'a> {
    alone: Vec<Selection>,
    /// By member, from the worst to the best tag. Empty where one has no choice at all.
    ranked: Vec<Vec<Versioned<'a>>>,
    /// By member: its best tag of each version.
    by_version: Vec<HashMap<String, TagRef<'a>>>,
    common: Option<String>,
}

struct Versioned<'a> {
    version: String,
    tag: TagRef<'a>,
}

impl<'a> Group<'a> {
    fn of<I>(members: &[Member<'_, I>]) -> Result<Self, Incomparable>
    where
        I: IntoIterator<Item = Candidate<'a>> + Clone,
        I::IntoIter: Clone,
    {
        check_group(members.iter().map(|member| (member.name, member.policy)))?;
        let mut group = Self {
            alone: members
                .iter()
                .map(|m| m.policy.select(m.candidates.clone(), m.context))
                .collect(),
            ranked: Vec::new(),
            by_version: Vec::new(),
            common: None,
        };
        if group
            .alone
            .iter()
            .any(|selection| selection.result.is_err())
        {
            return Ok(group);
        }
        group.ranked = members.iter().map(ranked).collect();
        group.by_version = group
            .ranked
            .iter()
            .map(|tags| {
                let named = tags.iter().map(|tag| (tag.version.clone(), tag.tag));
                named.collect()
            })
            .collect();
        group.common = group.ranked.first().and_then(|first| {
            let newest = first.iter().rev().find(|tag| {
                let has = |tags: &HashMap<_, _>| tags.contains_key(&tag.version);
                group.by_version.iter().all(has)
            })?;
            Some(newest.version.clone())
        });
        Ok(group)
    }

    fn selections<I>(&self, members: &[Member<'_, I>]) -> Vec<MemberSelection> {
        let without_choice = members
            .iter()
            .zip(&self.alone)
            .find_map(|(member, alone)| Some((member.name, alone.result.as_ref().err()?)));
        let select = |(index, alone): (usize, &Selection)| {
            let mut selection = alone.clone();
            let mut held_back = None;
            if let Some((name, why)) = without_choice {
                if selection.result.is_ok() {
                    selection.result = Err(NoChoice::GroupHeld {
                        by: name.to_owned(),
                        why: Box::new(why.clone()),
                    });
                }
            } else {
                let best = self.ranked.get(index).and_then(|tags| tags.last());
                held_back = best
                    .filter(|best| Some(&best.version) != self.common.as_ref())
                    .map(|best| HeldBack {
                        tag: best.tag.to_owned(),
                        version: best.version.clone(),
                        lacking: self.lacking(members, &best.version),
                    })
                    // By time, members may differ in what is the newest; the first one decides.
                    .filter(|held_back| !held_back.lacking.is_empty());
                selection.result = match self.common_tag(index) {
                    Some(tag) => Ok(tag.to_owned()),
                    None => Err(self.nothing_in_common(members)),
                };
            }
            MemberSelection {
                selection,
                held_back,
            }
        };
        self.alone.iter().enumerate().map(select).collect()
    }

    fn common_tag(&self, index: usize) -> Option<TagRef<'a>> {
        let version = self.common.as_ref()?;
        self.by_version.get(index)?.get(version).copied()
    }

    /// The members that have no tag of a version.
    fn lacking<I>(&self, members: &[Member<'_, I>], version: &str) -> Vec<String> {
        members
            .iter()
            .zip(&self.by_version)
            .filter(|(_, tags)| !tags.contains_key(version))
            .map(|(member, _)| member.name.to_owned())
            .collect()
    }

    fn nothing_in_common<I>(&self, members: &[Member<'_, I>]) -> NoChoice {
        let newest = self
            .ranked
            .first()
            .and_then(|tags| tags.last())
            .map(|best| best.version.clone())
            .unwrap_or_default();
        NoChoice::NoCommonVersion {
            lacking: self.lacking(members, &newest),
            newest,
        }
    }

    fn explanation<I>(
        &self,
        members: &[Member<'_, I>],
        index: usize,
        selection: &Selection,
    ) -> Explanation
    where
        I: IntoIterator<Item = Candidate<'a>> + Clone,
        I::IntoIter: Clone,
    {
        let Some(member) = members.get(index) else {
            return Explanation {
                selection: selection.clone(),
                verdicts: Vec::new(),
            };
        };
        let mut explanation = member.policy.explain_selection(
            member.candidates.clone(),
            member.context,
            selection.clone(),
        );
        let better = self.better_than_common(index);
        for verdict in &mut explanation.verdicts {
            if let Some(version) = better.get(&verdict.tag.as_ref()) {
                *verdict = TagVerdict {
                    tag: verdict.tag.clone(),
                    verdict: Verdict::HeldBack,
                    detail: format!(
                        "{} has no {version} to choose",
                        self.lacking(members, version).join(", ")
                    ),
                };
            }
        }
        explanation
    }

    /// The tags of a member that come before its tag of the common version; all where there is none.
    fn better_than_common(&self, index: usize) -> HashMap<TagRef<'a>, &str> {
        let common = self.common_tag(index);
        self.ranked
            .get(index)
            .into_iter()
            .flat_map(|tags| tags.iter().rev())
            .take_while(|tag| Some(tag.tag) != common)
            .map(|tag| (tag.tag, tag.version.as_str()))
            .collect()
    }
}

/// All tags that a member could choose, from the worst to the best, each with its version's name.
fn ranked<'a, I>(member: &Member<'_, I>) -> Vec<Versioned<'a>>
where
    I: IntoIterator<Item = Candidate<'a>> + Clone,
    I::IntoIter: Clone,
{
    with_rank!(member.policy, rank => ranked_by(rank, member))
}

fn ranked_by<'a, R: Rank, I>(rank: &R, member: &Member<'_, I>) -> Vec<Versioned<'a>>
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
        .map(|(_, text, candidate)| Versioned {
            version: version_name(member.policy, text),
            tag: candidate.tag,
        })
        .collect()
}

/// What two tags of different images must have in common.
fn version_name(policy: &Policy, text: String) -> String {
    match &policy.rule {
        Rule::Version(_) => match Version::parse(&text) {
            Ok(version) => Version {
                build: "",
                ..version
            }
            .to_string(),
            Err(_) => text,
        },
        // Adding nothing makes of -0 what it equals.
        Rule::Number(_) => crate::parse_number(&text).map_or(text, |n| (n + 0.0).to_string()),
        Rule::Text(_) | Rule::Natural(_) | Rule::Time(_) | Rule::V1Time(_) => text,
    }
}
