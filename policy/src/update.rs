//! Evaluations that are brought up to date by what was added and removed, instead of made anew.

use crate::candidate::{Candidate, Context, ListOrder};
use crate::evaluate::{Judge, Outcome, Refusal, Tally, outcome, with_rank};
use crate::policy::Policy;
use crate::rank::Rank;
use crate::selection::Selection;
use crate::{Tag, TagRef};
use jiff::Timestamp;

/// A selection with what is needed to bring it up to date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    selection: Selection,
    tally: Tally,
    best: Option<Winner>,
    first_bad: Option<(Tag, String)>,
    /// Rests on the list as a whole: not-a-number was in it.
    unordered: bool,
    context: Context,
    fingerprint: u64,
}

/// The chosen candidate, with the times it was judged by.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Winner {
    tag: Tag,
    first_seen: Option<Timestamp>,
    created: Option<Timestamp>,
}

impl Winner {
    fn candidate(&self) -> Candidate<'_> {
        Candidate {
            tag: self.tag.as_ref(),
            first_seen: self.first_seen,
            created: self.created,
        }
    }
}

/// What became of the tags since an evaluation. A tag whose times changed is both removed (as it was)
/// and added (as it is).
#[derive(Debug, Clone, Copy, Default)]
pub struct Change<'a> {
    /// Tags that were not there.
    pub added: &'a [Candidate<'a>],
    /// Tags that are there no more, with the times they had.
    pub removed: &'a [Candidate<'a>],
}

impl Evaluation {
    /// What was chosen.
    #[must_use]
    pub const fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Takes what was chosen.
    #[must_use]
    pub fn into_selection(self) -> Selection {
        self.selection
    }
}

impl Policy {
    /// Chooses as [`select`](Self::select) does, and keeps what [`update`](Self::update) needs.
    #[must_use]
    pub fn evaluate<'a, I>(&self, candidates: I, context: &Context) -> Evaluation
    where
        I: IntoIterator<Item = Candidate<'a>>,
        I::IntoIter: Clone,
    {
        with_rank!(self, rank => {
            let outcome = outcome(&mut Judge::new(self, rank, context), candidates.into_iter(), context);
            self.evaluation(&outcome, context)
        })
    }

    /// Brings an evaluation up to date: what [`evaluate`](Self::evaluate) says of all candidates,
    /// mostly without looking at them.
    ///
    /// `all` gives every candidate there is now; it is asked only when the change cannot be
    /// judged by itself: the winner is gone, a tag has become old enough, the policy or the current
    /// tag is another, or the list's own order decides ([`ListOrder::AsGiven`], not-a-number).
    #[must_use]
    pub fn update<'a, I>(
        &self,
        previous: &Evaluation,
        change: Change<'_>,
        all: impl FnOnce() -> I,
        context: &Context,
    ) -> Evaluation
    where
        I: IntoIterator<Item = Candidate<'a>>,
        I::IntoIter: Clone,
    {
        with_rank!(self, rank => {
            let mut judge = Judge::new(self, rank, context);
            if self.can_update(previous, context)
                && let Some(outcome) = updated(&mut judge, previous, change)
            {
                return self.evaluation(&outcome, context);
            }
        });
        self.evaluate(all(), context)
    }

    fn evaluation(&self, outcome: &Outcome<'_>, context: &Context) -> Evaluation {
        Evaluation {
            selection: self.selection(outcome, context),
            tally: outcome.tally.clone(),
            best: outcome.best.map(|best| Winner {
                tag: best.tag.to_owned(),
                first_seen: best.first_seen,
                created: best.created,
            }),
            first_bad: outcome
                .first_bad
                .as_ref()
                .map(|(tag, text)| (TagRef::to_owned(*tag), text.clone())),
            unordered: outcome.unordered,
            context: context.clone(),
            fingerprint: self.fingerprint,
        }
    }

    /// Whether the verdicts of the tags that stayed are the same as before.
    fn can_update(&self, previous: &Evaluation, context: &Context) -> bool {
        let same_guards = previous.context.current == context.current
            || !(self.guards.never_downgrade || self.guards.same_shape);
        let same_age = self.guards.minimum_age.is_none()
            || (previous.context.now <= context.now
                && previous
                    .selection
                    .recheck_at
                    .is_none_or(|moment| context.now < moment));
        previous.fingerprint == self.fingerprint
            && previous.context.order == ListOrder::Stored
            && context.order == ListOrder::Stored
            && !previous.unordered
            && same_guards
            && same_age
    }
}

/// The outcome of the earlier pass with the change worked in, or `None` when that needs all tags.
fn updated<'a, R: Rank>(
    judge: &mut Judge<'_, R>,
    previous: &'a Evaluation,
    change: Change<'a>,
) -> Option<Outcome<'a>> {
    let mut tally = previous.tally.clone();
    let is = |tag: Option<&Tag>, candidate: &Candidate<'_>| {
        tag.is_some_and(|tag| tag.as_ref() == candidate.tag)
    };
    for candidate in change.removed {
        if is(previous.best.as_ref().map(|best| &best.tag), candidate)
            || is(previous.first_bad.as_ref().map(|bad| &bad.0), candidate)
        {
            return None;
        }
        let verdict = judge.judge(candidate).map(|_| ());
        if let Err(Refusal::TooYoung(Some(until))) = verdict
            && Some(until) == previous.selection.recheck_at
        {
            return None;
        }
        tally.forget(verdict)?;
    }
    let outcome = Outcome {
        tally,
        best: previous.best.as_ref().map(Winner::candidate),
        first_bad: previous
            .first_bad
            .as_ref()
            .map(|(tag, text)| (tag.as_ref(), text.clone())),
        recheck_at: previous.selection.recheck_at,
        unordered: false,
    };
    judge
        .run(change.added.iter().copied(), ListOrder::Stored, outcome)
        .filter(|outcome| !outcome.unordered)
}
