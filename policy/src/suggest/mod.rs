//! Looks at a tag list and proposes policies for it.
//!
//! Tags are sorted into families of the same form: numbers, commit ids and versions are recognised,
//! the words between them stay. The largest families become policies, each with the pattern that
//! keeps to its family. Releases come first; what only passes by (pull requests, pre-releases) comes
//! last; tags that float above others (`1.27` above `1.27.3`) are none to follow.

mod family;
mod pieces;

use crate::candidate::{Candidate, Context};
use crate::exclusion::is_artifact_tag;
use crate::policy::Policy;
use crate::spec::{FilterTags, PolicySpec};
use crate::{Tag, TagRef};
use family::Family;
use jiff::Timestamp;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

/// How many proposals there are at most.
const MAX_PROPOSALS: usize = 5;

/// A policy that fits some of the tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The policy, ready to be compiled.
    pub spec: PolicySpec,
    /// The tag it would choose from the list.
    pub chooses: Tag,
    /// How many tags of the list it could choose.
    pub matched: usize,
    /// Why it is proposed, in a sentence.
    pub why: String,
    /// Whether Flux v2 has this kind of policy, too.
    pub in_flux: bool,
}

impl Proposal {
    /// The pattern that picks the tags, where the policy has one.
    #[must_use]
    pub fn filter(&self) -> Option<&FilterTags> {
        self.spec.filter.as_ref()
    }
}

/// Proposes policies for a list of tags, the best first; none where nothing in the tags can be sorted
/// (`latest`, bare commit ids).
pub fn suggest<'a>(tags: impl IntoIterator<Item = TagRef<'a>>) -> Vec<Proposal> {
    let tags: Vec<TagRef<'a>> = tags
        .into_iter()
        .filter(|tag| !is_artifact_tag(tag.as_str()))
        .collect();
    let mut families: BTreeMap<Family, Vec<TagRef<'a>>> = BTreeMap::new();
    for tag in &tags {
        if let Some(family) = Family::of(tag.as_str()) {
            families.entry(family).or_default().push(*tag);
        }
    }
    family::join_counters(&mut families);
    let floating = floating_forms(&tags);
    families.retain(|_, members| {
        let all = members.len();
        members.retain(|tag| !floating.contains(tag.as_str()));
        2 * members.len() > all
    });
    let mut proposals: Vec<(&Family, Proposal)> = families
        .iter()
        .filter_map(|(family, members)| Some((family, propose(family, members, &tags)?)))
        .collect();
    let largest = proposals.iter().map(|(_, p)| p.matched).max();
    let largest = largest.unwrap_or_default();
    // One tag is no family, unless there is nothing else to say or its name says that it is one.
    proposals
        .retain(|(family, proposal)| proposal.matched > 1 || largest == 1 || family.is_component());
    proposals.sort_by(|(family, a), (other, b)| {
        let rank = |family: &Family, p: &Proposal| {
            let are_releases = *family == Family::Version && 2 * p.matched >= largest;
            (
                family.passes_by(),
                Reverse((are_releases, p.matched, p.in_flux, p.spec.filter.is_none())),
            )
        };
        rank(family, a)
            .cmp(&rank(other, b))
            .then_with(|| a.chooses.cmp(&b.chooses))
    });
    let mut proposals: Vec<Proposal> = proposals.into_iter().map(|(_, p)| p).collect();
    proposals.dedup_by(|a, b| a.spec == b.spec);
    proposals.truncate(MAX_PROPOSALS);
    proposals
}

fn propose(family: &Family, members: &[TagRef<'_>], all: &[TagRef<'_>]) -> Option<Proposal> {
    let (spec, reason, in_flux) = family.policy(members)?;
    let policy = Policy::compile(&spec).ok()?;
    let selection = policy.select(
        all.iter().copied().map(Candidate::new),
        &Context::at(Timestamp::UNIX_EPOCH),
    );
    let chooses = selection.result.ok()?;
    Some(Proposal {
        spec,
        chooses,
        matched: selection.matched,
        why: format!("{} of {} tags {reason}", members.len(), all.len()),
        in_flux,
    })
}

/// Tags as they would be with fewer numbers: `1.27-alpine` and `1-alpine` for `1.27.3-alpine`. Where such
/// a tag exists, it moves whenever a longer one appears.
fn floating_forms(tags: &[TagRef<'_>]) -> HashSet<String> {
    let mut forms = HashSet::new();
    for tag in tags {
        let text = tag.as_str();
        let Some(start) = text.find(|c: char| c.is_ascii_digit()) else {
            continue;
        };
        let run = text[start..]
            .find(|c: char| !(c.is_ascii_digit() || c == '.'))
            .map_or(text.len(), |length| start + length);
        let (head, rest) = (&text[..run], &text[run..]);
        let mut parts = head[start..].matches('.').count();
        let mut shorter = head;
        // Four numbers above three are a release and its build.
        while let Some((left, _)) = shorter.rsplit_once('.') {
            if parts == 0 {
                break;
            }
            if parts <= 2 {
                forms.insert(format!("{left}{rest}"));
            }
            parts -= 1;
            shorter = left;
        }
    }
    forms
}
