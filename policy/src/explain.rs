//! A verdict for every tag: why it was chosen, or why not.

use crate::candidate::{Candidate, Context};
use crate::evaluate::{Judge, Refusal, outcome, with_rank};
use crate::exclusion::Reason;
use crate::policy::Policy;
use crate::rank::Rank;
use crate::selection::Selection;
use crate::spec::Choice;
use crate::{Tag, TagRef};
use std::fmt;

/// How a policy judges one tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The one.
    Chosen,
    /// Could be chosen, but another comes before it.
    Older,
    /// Does not match the filter, or not the current tag's shape.
    Filtered,
    /// Is not what the policy compares: no version, no number, no known time.
    Unparsable,
    /// A pre-release, and the range does not ask for those.
    Prerelease,
    /// Not in the version range.
    OutOfRange,
    /// Was seen too recently.
    TooYoung,
    /// On an exclusion list.
    Excluded,
    /// Could be chosen, but another image of the group has no such version.
    HeldBack,
}

impl Verdict {
    /// Its name in output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chosen => "chosen",
            Self::Older => "older",
            Self::Filtered => "filtered",
            Self::Unparsable => "unparsable",
            Self::Prerelease => "prerelease",
            Self::OutOfRange => "out-of-range",
            Self::TooYoung => "too-young",
            Self::Excluded => "excluded",
            Self::HeldBack => "held-back",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One tag, its verdict and the particulars.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TagVerdict {
    /// The tag.
    pub tag: Tag,
    /// The verdict.
    pub verdict: Verdict,
    /// Why, in a few words; may be empty.
    pub detail: String,
}

/// A selection with the verdict for every tag, in the order in which the tags came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What [`Policy::select`] says.
    pub selection: Selection,
    /// One for each candidate.
    pub verdicts: Vec<TagVerdict>,
}

impl Explanation {
    /// The verdict for one tag.
    #[must_use]
    pub fn of(&self, tag: &str) -> Option<&TagVerdict> {
        self.verdicts.iter().find(|v| v.tag.as_str() == tag)
    }
}

impl Policy {
    /// Chooses as [`select`](Self::select) does and gives the verdict for every tag.
    #[must_use]
    pub fn explain<'a, I>(&self, candidates: I, context: &Context) -> Explanation
    where
        I: IntoIterator<Item = Candidate<'a>>,
        I::IntoIter: Clone,
    {
        let candidates = candidates.into_iter();
        let selection = with_rank!(self, rank => {
            let outcome = outcome(&mut Judge::new(self, rank, context), candidates.clone(), context);
            self.selection(&outcome, context)
        });
        self.explain_selection(candidates, context, selection)
    }

    /// The verdicts for a choice that has been made.
    pub(crate) fn explain_selection<'a>(
        &self,
        candidates: impl IntoIterator<Item = Candidate<'a>>,
        context: &Context,
        selection: Selection,
    ) -> Explanation {
        with_rank!(self, rank => {
            let mut judge = Judge::new(self, rank, context);
            let verdicts = candidates
                .into_iter()
                .map(|candidate| self.verdict(&mut judge, &candidate, &selection))
                .collect();
            Explanation { selection, verdicts }
        })
    }

    /// What the policy compares of a tag: the tag itself, or what `filterTags.extract` makes of it;
    /// `None` for a tag that the filter or an exclusion leaves out.
    #[must_use]
    pub fn compared_text(&self, tag: TagRef<'_>) -> Option<String> {
        if self.exclusions.reason(tag.as_str()).is_some() {
            return None;
        }
        match &self.filter {
            None => Some(tag.as_str().to_owned()),
            Some(filter) => filter.text(tag.as_str()),
        }
    }

    fn verdict<R: Rank>(
        &self,
        judge: &mut Judge<'_, R>,
        candidate: &Candidate<'_>,
        selection: &Selection,
    ) -> TagVerdict {
        let tag = candidate.tag;
        let (verdict, detail) = match judge.judge(candidate) {
            Ok((_, extracted)) => {
                let text = judge.text(tag, extracted);
                let compared = if text == tag.as_str() {
                    String::new()
                } else {
                    format!("compared as {text:?}")
                };
                match &selection.result {
                    Ok(chosen) if chosen.as_ref() == tag => (Verdict::Chosen, compared),
                    Ok(chosen) => {
                        let behind = format!("{chosen} comes before it");
                        let detail = if compared.is_empty() {
                            behind
                        } else {
                            format!("{compared}, {behind}")
                        };
                        (Verdict::Older, detail)
                    }
                    Err(reason) => (Verdict::Older, format!("no choice was made: {reason}")),
                }
            }
            Err(refusal) => self.refused(judge, refusal, tag),
        };
        TagVerdict {
            tag: tag.to_owned(),
            verdict,
            detail,
        }
    }

    fn refused<R: Rank>(
        &self,
        judge: &mut Judge<'_, R>,
        refusal: Refusal,
        tag: TagRef<'_>,
    ) -> (Verdict, String) {
        match refusal {
            Refusal::Excluded(reason) => (Verdict::Excluded, self.exclusion(reason)),
            Refusal::Filtered => (Verdict::Filtered, self.filtered()),
            Refusal::Shape => (
                Verdict::Filtered,
                "another suffix or number of parts than the current tag".into(),
            ),
            Refusal::Unparsable => {
                let text = judge.extracted_text(tag);
                (Verdict::Unparsable, self.unparsable(&text))
            }
            Refusal::Prerelease => (
                Verdict::Prerelease,
                "pre-releases count only when the range has one, such as >=1.0.0-0".into(),
            ),
            Refusal::OutOfRange => (Verdict::OutOfRange, self.out_of_range()),
            Refusal::TooYoung(Some(until)) => (Verdict::TooYoung, format!("old enough at {until}")),
            Refusal::TooYoung(None) => (
                Verdict::TooYoung,
                "it is not known when it was first seen".into(),
            ),
            Refusal::Downgrade => (
                Verdict::Older,
                "comes before the current tag, and the policy never downgrades".into(),
            ),
        }
    }

    fn exclusion(&self, reason: Reason) -> String {
        match reason {
            Reason::Pattern(index) => format!(
                "matches exclusion {}",
                self.spec
                    .exclusions
                    .patterns
                    .get(index)
                    .map_or("", String::as_str)
            ),
            Reason::Artifact => "a signature, attestation or other artifact of an image".into(),
            Reason::Globs => "kept out by the include and exclude globs".into(),
        }
    }

    fn filtered(&self) -> String {
        match (&self.spec.choice, &self.spec.filter) {
            (Choice::Sortable(preset), _) => format!("is no {preset} tag"),
            (_, Some(filter)) => format!("does not match {}", filter.pattern),
            (Choice::Glob { pattern } | Choice::Pattern { pattern }, None) => {
                format!("does not match {pattern}")
            }
            _ => String::new(),
        }
    }

    fn unparsable(&self, text: &str) -> String {
        match &self.spec.choice {
            Choice::Semver { .. } => match crate::Version::parse_tag(text) {
                Err(error) => format!("{text:?}: {error}"),
                Ok(_) => String::new(),
            },
            Choice::Created { .. } => "no created time is known".into(),
            Choice::FirstSeen { .. } => "no first-seen time is known".into(),
            Choice::Numerical { .. } | Choice::Sortable(_) => format!("{text:?} is no number"),
            _ => format!("{text:?} is no version"),
        }
    }

    fn out_of_range(&self) -> String {
        match &self.spec.choice {
            Choice::Semver { range } => format!("not in {range}"),
            Choice::Pattern { pattern } => format!("not in {pattern}"),
            _ => String::new(),
        }
    }
}
