//! One pass over the tags: which of them a policy could choose, and which it does.

use crate::TagRef;
use crate::candidate::{Candidate, Context, ListOrder};
use crate::exclusion::Reason;
use crate::filter::{Extracted, Filter, Scratch};
use crate::policy::{Policy, Rule};
use crate::rank::{Moment, Rank, Ties, Unfit};
use crate::selection::{NoChoice, Selection};
use crate::shape::Shape;
use jiff::Timestamp;
use std::cmp::Ordering;

/// Why a tag cannot be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Excluded(Reason),
    /// By `filterTags`, or by a Flux v1 pattern.
    Filtered,
    /// Another suffix or number of parts than the current tag.
    Shape,
    Unparsable,
    Prerelease,
    OutOfRange,
    /// Until when, if that is known.
    TooYoung(Option<Timestamp>),
    Downgrade,
}

/// What was counted on the way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) considered: usize,
    /// Left by exclusions and filter.
    pub(crate) entered: usize,
    pub(crate) matched: usize,
    pub(crate) unparsable: usize,
    pub(crate) too_young: usize,
    pub(crate) downgrades: usize,
}

impl Tally {
    /// Counts one tag less; `None` when there was none to forget.
    pub(crate) fn forget(&mut self, verdict: Result<(), Refusal>) -> Option<()> {
        let less = |count: &mut usize| -> Option<()> {
            *count = count.checked_sub(1)?;
            Some(())
        };
        less(&mut self.considered)?;
        match verdict {
            Err(Refusal::Excluded(_) | Refusal::Filtered | Refusal::Shape) => return Some(()),
            Ok(()) => less(&mut self.matched)?,
            Err(Refusal::Unparsable) => less(&mut self.unparsable)?,
            Err(Refusal::TooYoung(_)) => less(&mut self.too_young)?,
            Err(Refusal::Downgrade) => less(&mut self.downgrades)?,
            Err(Refusal::Prerelease | Refusal::OutOfRange) => {}
        }
        less(&mut self.entered)
    }
}

/// The outcome of a pass.
#[derive(Default)]
pub(crate) struct Outcome<'a> {
    pub(crate) tally: Tally,
    pub(crate) best: Option<Candidate<'a>>,
    /// The first tag of the list that cannot be read, and what was to be read.
    pub(crate) first_bad: Option<(TagRef<'a>, String)>,
    pub(crate) recheck_at: Option<Timestamp>,
    /// A key that breaks the order was met, so the result depends on the list as a whole.
    pub(crate) unordered: bool,
}

/// Asks the policy with the right [`Rank`].
macro_rules! with_rank {
    ($policy:expr, $rank:ident => $body:expr) => {
        match &$policy.rule {
            crate::policy::Rule::Version($rank) => $body,
            crate::policy::Rule::Text($rank) => $body,
            crate::policy::Rule::Number($rank) => $body,
            crate::policy::Rule::Natural($rank) => $body,
            crate::policy::Rule::Time($rank) => $body,
            crate::policy::Rule::V1Time($rank) => $body,
        }
    };
}
pub(crate) use with_rank;

/// Judges tags one by one, with what all of them share.
pub(crate) struct Judge<'p, R: Rank> {
    policy: &'p Policy,
    rank: &'p R,
    scratch: Scratch,
    /// Tags first seen after this moment are too young.
    age_limit: Option<Timestamp>,
    shape: Option<Shape>,
    current: Option<Compared<'p, R::Key>>,
}

/// A key with the text it was read from.
struct Compared<'a, K> {
    key: K,
    candidate: Candidate<'a>,
    extracted: Extracted,
    /// Holds the text where it is not a part of the tag.
    text: String,
}

impl<K> Compared<'_, K> {
    fn text(&self) -> &str {
        text_of(self.candidate.tag, self.extracted, &self.text)
    }
}

fn text_of<'t>(tag: TagRef<'t>, extracted: Extracted, scratch: &'t str) -> &'t str {
    match extracted {
        Extracted::Part(start, end) => tag.as_str().get(start..end).unwrap_or_default(),
        Extracted::Scratch => scratch,
    }
}

impl<'p, R: Rank> Judge<'p, R> {
    pub(crate) fn new(policy: &'p Policy, rank: &'p R, context: &'p Context) -> Self {
        let mut judge = Self {
            policy,
            rank,
            scratch: policy
                .filter
                .as_ref()
                .map(Filter::scratch)
                .unwrap_or_default(),
            age_limit: policy
                .guards
                .minimum_age
                .map(|age| context.now.checked_sub(age).unwrap_or(Timestamp::MIN)),
            shape: None,
            current: None,
        };
        if let Some(current) = &context.current {
            if policy.guards.same_shape {
                judge.shape = Some(Shape::of(current.as_str()));
            }
            if policy.guards.never_downgrade {
                judge.current = judge.read_current(current.as_ref());
            }
        }
        judge
    }

    /// The current tag's place in the order, where it has one.
    fn read_current(&mut self, tag: TagRef<'p>) -> Option<Compared<'p, R::Key>> {
        let extracted = match &self.policy.filter {
            Some(filter) => filter.apply(tag.as_str(), &mut self.scratch)?,
            None => Extracted::Part(0, tag.as_str().len()),
        };
        let text = text_of(tag, extracted, &self.scratch.text);
        let key = self.rank.place(text)?;
        Some(Compared {
            key,
            candidate: Candidate::new(tag),
            extracted,
            text: std::mem::take(&mut self.scratch.text),
        })
    }

    /// Whether a tag can be chosen, and its key if so.
    pub(crate) fn judge(
        &mut self,
        candidate: &Candidate<'_>,
    ) -> Result<(R::Key, Extracted), Refusal> {
        let tag = candidate.tag.as_str();
        if let Some(reason) = self.policy.exclusions.reason(tag) {
            return Err(Refusal::Excluded(reason));
        }
        let extracted = match &self.policy.filter {
            None => Extracted::Part(0, tag.len()),
            Some(filter) => filter
                .apply(tag, &mut self.scratch)
                .ok_or(Refusal::Filtered)?,
        };
        if self.shape.as_ref().is_some_and(|shape| !shape.fits(tag)) {
            return Err(Refusal::Shape);
        }
        let text = text_of(candidate.tag, extracted, &self.scratch.text);
        let key = self
            .rank
            .read(text, candidate)
            .map_err(|unfit| match unfit {
                Unfit::Filtered => Refusal::Filtered,
                Unfit::Unparsable => Refusal::Unparsable,
                Unfit::Prerelease => Refusal::Prerelease,
                Unfit::OutOfRange => Refusal::OutOfRange,
            })?;
        if let Some(current) = &self.current
            && self
                .rank
                .compare((&key, text), (&current.key, current.text()))
                .is_lt()
        {
            return Err(Refusal::Downgrade);
        }
        if let Some(limit) = self.age_limit {
            match candidate.first_seen {
                Some(seen) if seen <= limit => {}
                Some(seen) => {
                    let age = self.policy.guards.minimum_age.unwrap_or_default();
                    return Err(Refusal::TooYoung(seen.checked_add(age).ok()));
                }
                None => return Err(Refusal::TooYoung(None)),
            }
        }
        Ok((key, extracted))
    }

    /// The text that the last judged tag was compared by.
    pub(crate) fn text<'t>(&'t self, tag: TagRef<'t>, extracted: Extracted) -> &'t str {
        text_of(tag, extracted, &self.scratch.text)
    }

    /// What the filter makes of a tag, for messages.
    pub(crate) fn extracted_text(&mut self, tag: TagRef<'_>) -> String {
        let extracted = match &self.policy.filter {
            None => return tag.as_str().to_owned(),
            Some(filter) => filter.apply(tag.as_str(), &mut self.scratch),
        };
        extracted.map_or_else(String::new, |e| {
            text_of(tag, e, &self.scratch.text).to_owned()
        })
    }

    /// Who wins between equals.
    pub(crate) fn ties(&self) -> Ties {
        match &self.policy.filter {
            // Tags that `extract` makes equal are one entry of Flux's map: the last one written stays.
            Some(filter) if filter.extracts() => Ties::Last,
            _ => self.rank.ties(),
        }
    }

    /// Looks at candidates. `outcome` is what came of earlier ones, whose winner is judged again.
    ///
    /// `None` when that winner could not be chosen now: then all must be looked at.
    pub(crate) fn run<'a>(
        &mut self,
        candidates: impl Iterator<Item = Candidate<'a>>,
        order: ListOrder,
        mut outcome: Outcome<'a>,
    ) -> Option<Outcome<'a>> {
        let ties = self.ties();
        let mut best: Option<Compared<'a, R::Key>> = match outcome.best {
            None => None,
            Some(candidate) => {
                let (key, extracted) = self.judge(&candidate).ok()?;
                Some(Compared {
                    key,
                    candidate,
                    extracted,
                    text: if extracted == Extracted::Scratch {
                        std::mem::take(&mut self.scratch.text)
                    } else {
                        String::new()
                    },
                })
            }
        };
        for candidate in candidates {
            outcome.tally.considered += 1;
            let (key, extracted) = match self.judge(&candidate) {
                Ok(read) => read,
                Err(refusal) => {
                    self.note(refusal, &candidate, order, &mut outcome);
                    continue;
                }
            };
            outcome.tally.entered += 1;
            outcome.tally.matched += 1;
            outcome.unordered |= self.rank.is_unordered(&key);
            let wins = match &best {
                None => true,
                Some(best) => {
                    let text = text_of(candidate.tag, extracted, &self.scratch.text);
                    match self.rank.compare((&key, text), (&best.key, best.text())) {
                        Ordering::Greater => true,
                        Ordering::Less => false,
                        Ordering::Equal => {
                            comes_first(order, ties, candidate.tag, best.candidate.tag)
                        }
                    }
                }
            };
            if wins {
                // The loser's buffer becomes the scratch, so that nothing is allocated.
                let mut text = best.take().map(|b| b.text).unwrap_or_default();
                if extracted == Extracted::Scratch {
                    std::mem::swap(&mut text, &mut self.scratch.text);
                }
                best = Some(Compared {
                    key,
                    candidate,
                    extracted,
                    text,
                });
            }
        }
        outcome.best = best.map(|b| b.candidate);
        Some(outcome)
    }

    fn note<'a>(
        &mut self,
        refusal: Refusal,
        candidate: &Candidate<'a>,
        order: ListOrder,
        outcome: &mut Outcome<'a>,
    ) {
        match refusal {
            Refusal::Excluded(_) | Refusal::Filtered | Refusal::Shape => return,
            Refusal::Unparsable => {
                outcome.tally.unparsable += 1;
                if self.rank.fails_on_unparsable() {
                    let first = match &outcome.first_bad {
                        None => true,
                        Some((tag, _)) => order == ListOrder::Stored && candidate.tag > *tag,
                    };
                    if first {
                        let text = self.extracted_text(candidate.tag);
                        outcome.first_bad = Some((candidate.tag, text));
                    }
                }
            }
            Refusal::TooYoung(until) => {
                outcome.tally.too_young += 1;
                outcome.recheck_at = match (outcome.recheck_at, until) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
            }
            Refusal::Downgrade => outcome.tally.downgrades += 1,
            Refusal::Prerelease | Refusal::OutOfRange => {}
        }
        outcome.tally.entered += 1;
    }
}

/// Whether the later seen of two equal tags replaces the earlier.
fn comes_first(order: ListOrder, ties: Ties, new: TagRef<'_>, old: TagRef<'_>) -> bool {
    match (order, ties) {
        (ListOrder::AsGiven, Ties::First) => false,
        (ListOrder::AsGiven, Ties::Last) => true,
        (ListOrder::Stored, Ties::First) => new > old,
        (ListOrder::Stored, Ties::Last) => new < old,
    }
}

impl Policy {
    /// Chooses a tag.
    ///
    /// Nothing is allocated per tag, and nothing is kept: each call looks at all candidates. For a
    /// service that learns of single tags there is [`update`](Self::update).
    #[must_use]
    pub fn select<'a, I>(&self, candidates: I, context: &Context) -> Selection
    where
        I: IntoIterator<Item = Candidate<'a>>,
        I::IntoIter: Clone,
    {
        with_rank!(self, rank => {
            let outcome = outcome(&mut Judge::new(self, rank, context), candidates.into_iter(), context);
            self.selection(&outcome, context)
        })
    }

    pub(crate) fn selection(&self, outcome: &Outcome<'_>, context: &Context) -> Selection {
        let tally = &outcome.tally;
        Selection {
            considered: tally.considered,
            matched: tally.matched,
            recheck_at: outcome.recheck_at,
            result: match (&outcome.first_bad, outcome.best) {
                (Some((tag, value)), _) => Err(NoChoice::NotANumber {
                    value: value.clone(),
                    tag: TagRef::to_owned(*tag),
                }),
                (None, Some(best)) => Ok(best.tag.to_owned()),
                (None, None) => Err(self.no_choice(tally, context)),
            },
        }
    }

    pub(crate) fn no_choice(&self, tally: &Tally, context: &Context) -> NoChoice {
        if tally.entered == 0 {
            return NoChoice::EmptyList;
        }
        if let (Some(minimum_age), true) = (self.guards.minimum_age, tally.too_young > 0) {
            return NoChoice::TooYoung {
                waiting: tally.too_young,
                minimum_age,
            };
        }
        if let (Some(current), true) = (&context.current, tally.downgrades > 0) {
            return NoChoice::Downgrade {
                current: current.clone(),
            };
        }
        match &self.rule {
            Rule::Time(rank) => NoChoice::NoTimes {
                moment: match rank.moment {
                    Moment::Created => "created",
                    Moment::FirstSeen => "first-seen",
                },
            },
            _ => NoChoice::NothingMatches,
        }
    }
}

/// A pass, and a second one over the sorted list where a key without order made it necessary.
pub(crate) fn outcome<'a, R: Rank>(
    judge: &mut Judge<'_, R>,
    candidates: impl Iterator<Item = Candidate<'a>> + Clone,
    context: &Context,
) -> Outcome<'a> {
    let outcome = judge
        .run(candidates.clone(), context.order, Outcome::default())
        .unwrap_or_default();
    if !outcome.unordered || context.order == ListOrder::AsGiven {
        return outcome;
    }
    let mut sorted: Vec<_> = candidates.collect();
    sorted.sort_unstable_by_key(|candidate| std::cmp::Reverse(candidate.tag));
    let mut outcome = judge
        .run(sorted.into_iter(), ListOrder::AsGiven, Outcome::default())
        .unwrap_or_default();
    outcome.unordered = true;
    outcome
}
