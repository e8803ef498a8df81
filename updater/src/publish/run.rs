//! The loop of one run: one fetch and one push for everything that is still to be done, until all is done.

use super::commits::{Made, NotMade};
use super::plan::{Branch, Item, Plan, Step};
use super::refspec::Refspec;
use super::{Contribution, Editor, PublishRequest, PushOutcome, PushState};
use crate::git::{
    CancellationToken, CommitId, Fetched, GitError, LockedMirror, PushFailure, RefUpdate, Trees,
};
use git2::Oid;
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::{Duration, Instant};

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// One run on one remote.
pub(super) struct Run<'a> {
    editor: &'a dyn Editor,
    /// Asked the same checkout, refspec and options as all of them.
    request: &'a PublishRequest,
    items: Vec<Item<'a>>,
    states: Vec<State>,
    refspec: Option<Refspec>,
    cancel: &'a CancellationToken,
    /// The remote refused a push of several: now each is pushed by itself, so that one cannot stop the others.
    apart: bool,
    rebuilt: bool,
}

/// One item during a run.
enum State {
    /// To be done; the last try's commit when its answer was lost, with what went wrong.
    Pending(Option<Box<Lost>>),
    Done(Box<Result<PushOutcome, GitError>>),
}

struct Lost {
    commit: Oid,
    outcome: PushOutcome,
    error: GitError,
}

/// The commits of one branch that wait for their push.
struct Ready {
    /// What becomes of each item when the push arrives.
    outcomes: Vec<(usize, PushOutcome)>,
    branch: String,
    /// Whether the branch is what is checked out.
    is_checkout: bool,
    update: RefUpdate,
}

impl State {
    fn done(outcome: Result<PushOutcome, GitError>) -> Self {
        Self::Done(Box::new(outcome))
    }

    fn is_pending(&self) -> bool {
        matches!(self, Self::Pending(_))
    }

    fn into_outcome(self) -> Result<PushOutcome, GitError> {
        match self {
            Self::Done(outcome) => *outcome,
            Self::Pending(Some(lost)) => Err(lost.error),
            Self::Pending(None) => Err(GitError::Unfinished),
        }
    }
}

impl<'a> Run<'a> {
    /// A run for contributions that share a push; none where there is nothing to do.
    pub(super) fn new(
        editor: &'a dyn Editor,
        set: &[Contribution<'a>],
        refspec: Option<Refspec>,
        cancel: &'a CancellationToken,
    ) -> Option<Self> {
        let wanted = set.iter().flat_map(|contribution| {
            let of = move |branch| (contribution, branch);
            contribution.branches.iter().map(of)
        });
        let items: Vec<Item<'a>> = wanted
            .enumerate()
            .map(|(at, (contribution, branch))| Item {
                at,
                request: contribution.request,
                message: contribution.message,
                branch: &branch.branch,
                choices: &branch.choices,
            })
            .collect();
        Some(Self {
            editor,
            request: items.first()?.request,
            states: items.iter().map(|_| State::Pending(None)).collect(),
            items,
            refspec,
            cancel,
            apart: false,
            rebuilt: false,
        })
    }

    /// Tries until everything is done, or others were faster too often.
    pub(super) fn finish(
        mut self,
        mirror: &mut LockedMirror,
    ) -> Result<Vec<Result<PushOutcome, GitError>>, GitError> {
        let (mut tries, mut in_vain) = (0, 0);
        loop {
            tries += 1;
            in_vain += 1;
            let before = (self.pending(), self.apart);
            match self.once(mirror, tries) {
                Ok(()) => {}
                Err(e) if !self.rebuilt && is_corrupt(&e) => {
                    tracing::warn!(mirror = %mirror.mirror.directory().display(), error = %e, "the mirror is damaged; making it anew");
                    self.rebuilt = true;
                    mirror.rebuild()?;
                    tries -= 1;
                    in_vain -= 1;
                    continue;
                }
                // A push may have arrived: the error of the look-up does not hide that of the push.
                Err(e) => return self.failed(&e),
            }
            if self.pending() == 0 {
                break;
            }
            if (self.pending(), self.apart) != before {
                in_vain = 0;
                continue;
            }
            if in_vain >= self.request.tries.max(1) {
                self.give_up(mirror, tries);
                break;
            }
            pause(in_vain, self.cancel);
        }
        Ok(self.states.into_iter().map(State::into_outcome).collect())
    }

    fn pending(&self) -> usize {
        let pending = |state: &&State| state.is_pending();
        self.states.iter().filter(pending).count()
    }

    /// What is still to be done, by branch.
    fn branches(&self) -> BTreeMap<&'a str, Vec<Item<'a>>> {
        let most = if self.apart { 1 } else { usize::MAX };
        let mut branches: BTreeMap<&str, Vec<Item<'_>>> = BTreeMap::new();
        let pending = self.items.iter().zip(&self.states);
        for (item, _) in pending.filter(|(_, state)| state.is_pending()).take(most) {
            branches.entry(item.branch).or_default().push(*item);
        }
        branches
    }

    /// One try for everything that is still to be done.
    fn once(&mut self, mirror: &LockedMirror, attempt: u32) -> Result<(), GitError> {
        let branches = self.branches();
        let names: Vec<&str> = branches.keys().copied().collect();
        let fetched = mirror.fetch(&self.request.checkout, &names, self.cancel)?;
        let mut trees = Trees::open(mirror, self.editor);
        let mut ready = Vec::new();
        let mut prepared = Ok(());
        for (name, items) in branches {
            match self.prepare(mirror, &fetched, &mut trees, name, items, attempt) {
                Ok(commits) => ready.extend(commits),
                Err(e) => {
                    prepared = Err(e);
                    break;
                }
            }
        }
        trees.close();
        prepared?;
        if !ready.is_empty() {
            self.push(mirror, &fetched, ready);
        }
        Ok(())
    }

    /// Plans one branch and writes its commits. Errors are those that end the whole try.
    fn prepare(
        &mut self,
        mirror: &LockedMirror,
        fetched: &Fetched,
        trees: &mut Trees<'_>,
        name: &'a str,
        items: Vec<Item<'a>>,
        attempt: u32,
    ) -> Result<Option<Ready>, GitError> {
        let tip = fetched.branches.get(name).copied();
        let mut branch = Branch {
            mirror,
            editor: self.editor,
            name,
            items,
            cancel: self.cancel,
        };
        branch
            .items
            .retain(|item| !self.has_arrived(mirror, item, tip, attempt));
        while !branch.items.is_empty() {
            let plan = branch.plan(fetched, trees);
            let done = plan.and_then(|mut plan| {
                for (at, error) in plan.refused.drain(..) {
                    self.states[at] = State::done(Err(error));
                }
                self.carry_out(&plan, &branch, fetched, trees, attempt)
            });
            match done {
                Ok(Carried::Done) => {
                    self.push_owed(mirror, fetched, &branch);
                    return Ok(None);
                }
                Ok(Carried::Ready(ready)) => return Ok(Some(*ready)),
                Ok(Carried::Without(at, error)) => {
                    self.states[at] = State::done(Err(error));
                    let states = &self.states;
                    branch.items.retain(|item| states[item.at].is_pending());
                }
                Err(e) if is_corrupt(&e) || e.is_cancelled() => return Err(e),
                Err(e) => {
                    for item in &branch.items {
                        if self.states[item.at].is_pending() {
                            self.states[item.at] = State::done(Err(e.clone()));
                        }
                    }
                    return Ok(None);
                }
            }
        }
        Ok(None)
    }

    /// Whether a push whose answer was lost did arrive.
    fn has_arrived(
        &mut self,
        mirror: &LockedMirror,
        item: &Item<'_>,
        tip: Option<Oid>,
        attempt: u32,
    ) -> bool {
        let State::Pending(lost) = &mut self.states[item.at] else {
            return true;
        };
        let Some(lost) = lost.take() else {
            return false;
        };
        let arrived = tip.is_some_and(|tip| mirror.contains(tip, lost.commit));
        if arrived {
            tracing::info!(branch = item.branch, commit = %lost.commit, "the push arrived although its answer did not");
            let mut outcome = lost.outcome;
            outcome.tries = attempt;
            outcome.references = vec![format!("refs/heads/{}", item.branch)];
            self.states[item.at] = State::done(Ok(outcome));
        }
        arrived
    }

    fn carry_out(
        &mut self,
        plan: &Plan<'_>,
        branch: &Branch<'_>,
        fetched: &Fetched,
        trees: &Trees<'_>,
        attempt: u32,
    ) -> Result<Carried, GitError> {
        let tip = fetched.branches.get(branch.name).copied();
        let made = match plan.step {
            Step::Commit { base, .. } if !self.request.dry_run => {
                if let Some(refspec) = &self.refspec {
                    refspec.check_source(branch.name, fetched)?;
                }
                match branch.commit(base, &plan.groups, trees) {
                    Ok(made) => Some(made),
                    Err(NotMade::Mirror(e)) => return Err(e),
                    Err(NotMade::Item(at, e)) => return Ok(Carried::Without(at, e)),
                }
            }
            _ => None,
        };
        let (mut made, last) = match made {
            Some((made, last)) if !made.is_empty() => (made, Some(last)),
            _ => (BTreeMap::<usize, Made>::new(), None),
        };
        let mut outcomes = Vec::new();
        for part in plan.groups.iter().flatten() {
            let own = made.remove(&part.item.at).unwrap_or_default();
            let state = match (plan.step, own.commits.last()) {
                (_, Some(&commit)) => PushState::Pushed(commit.into()),
                (Step::Standing(tip), _) => PushState::Standing(tip.into()),
                (Step::Commit { .. }, None) if !part.edits.files.is_empty() => PushState::DryRun,
                _ => PushState::UpToDate(tip.map(CommitId::from)),
            };
            let checkout_name = fetched.checkout_name.as_deref().unwrap_or_default();
            let outcome = PushOutcome {
                branch: branch.name.to_owned(),
                checkout: fetched.checkout.into(),
                checkout_name: short_name(checkout_name).to_owned(),
                state,
                message: own.message,
                commits: own.commits.into_iter().map(CommitId::from).collect(),
                references: Vec::new(),
                files: part.edits.files.clone(),
                skipped: part.edits.skipped.clone(),
                held: part.held.clone(),
                tries: attempt,
            };
            outcomes.push((part.item.at, outcome));
        }
        let (
            Step::Commit {
                expected, force, ..
            },
            Some(new),
        ) = (plan.step, last)
        else {
            for (at, outcome) in outcomes {
                self.states[at] = State::done(Ok(outcome));
            }
            return Ok(Carried::Done);
        };
        Ok(Carried::Ready(Box::new(Ready {
            outcomes,
            branch: branch.name.to_owned(),
            is_checkout: branch.is_checkout(fetched),
            update: RefUpdate {
                name: format!("refs/heads/{}", branch.name),
                expected,
                new,
                force,
            },
        })))
    }

    fn push(&mut self, mirror: &LockedMirror, fetched: &Fetched, ready: Vec<Ready>) {
        let updates: Vec<RefUpdate> = ready.iter().map(|ready| ready.update.clone()).collect();
        let several = ready
            .iter()
            .map(|ready| ready.outcomes.len())
            .sum::<usize>()
            > 1;
        if let Some(refspec) = &self.refspec {
            for ready in &ready {
                refspec.owe(mirror, &ready.branch, ready.update.new);
            }
        }
        let mut results = mirror.push(&updates, &self.request.push.options, self.cancel);
        let mut refused_together = false;
        for ready in ready {
            match results.take(&ready.update.name) {
                Ok(()) => self.arrived(mirror, fetched, ready),
                Err(PushFailure::Unknown(error)) => {
                    for (at, outcome) in ready.outcomes {
                        self.states[at] = State::Pending(Some(Box::new(Lost {
                            commit: ready.update.new,
                            outcome,
                            error: error.clone(),
                        })));
                    }
                }
                Err(failure) => {
                    if let Some(refspec) = &self.refspec {
                        refspec.paid(mirror, &ready.branch);
                    }
                    match failure {
                        PushFailure::Failed(GitError::Refused {
                            protected: false, ..
                        }) if several && !self.apart => refused_together = true,
                        PushFailure::Failed(e) => {
                            for (at, _) in ready.outcomes {
                                self.states[at] = State::done(Err(e.clone()));
                            }
                        }
                        // Somebody was faster: they stay to be done.
                        _ => {}
                    }
                }
            }
        }
        self.apart |= refused_together;
    }

    /// The branch is at the remote; now the refspec, as Flux does.
    fn arrived(&mut self, mirror: &LockedMirror, fetched: &Fetched, ready: Ready) {
        mirror.record_branch(&ready.branch, ready.update.new);
        let second = self.refspec.as_ref().map_or(Ok(None), |refspec| {
            let force = !ready.is_checkout;
            let options = &self.request.push.options;
            refspec.push(
                mirror,
                fetched,
                (&ready.branch, ready.update.new),
                force,
                options,
                self.cancel,
            )
        });
        for (at, mut outcome) in ready.outcomes {
            self.states[at] = State::done(match &second {
                Ok(name) => {
                    if !outcome.commits.is_empty() {
                        outcome.references.push(ready.update.name.clone());
                        outcome.references.extend(name.clone());
                    }
                    Ok(outcome)
                }
                Err(e) => Err(e.clone()),
            });
        }
    }

    /// A refspec that could not be pushed when its branch was is pushed now.
    fn push_owed(&mut self, mirror: &LockedMirror, fetched: &Fetched, branch: &Branch<'_>) {
        let Some(refspec) = &self.refspec else { return };
        let Some(&tip) = fetched.branches.get(branch.name) else {
            return;
        };
        if !refspec.is_owed(mirror, branch.name, tip) {
            return;
        }
        let force = !branch.is_checkout(fetched);
        let options = &self.request.push.options;
        let pushed = refspec.push(
            mirror,
            fetched,
            (branch.name, tip),
            force,
            options,
            self.cancel,
        );
        for item in &branch.items {
            if let State::Done(outcome) = &mut self.states[item.at]
                && let Ok(done) = &mut **outcome
            {
                match &pushed {
                    Ok(name) => done.references.extend(name.clone()),
                    Err(e) => **outcome = Err(e.clone()),
                }
            }
        }
    }

    /// The whole try failed: for pushes whose answer was lost, that error counts.
    fn failed(self, error: &GitError) -> Result<Vec<Result<PushOutcome, GitError>>, GitError> {
        let settled = self
            .states
            .iter()
            .any(|state| !matches!(state, State::Pending(None)));
        if !settled {
            return Err(error.clone());
        }
        Ok(self
            .states
            .into_iter()
            .map(|state| match state {
                State::Pending(None) => Err(error.clone()),
                other => other.into_outcome(),
            })
            .collect())
    }

    fn give_up(&mut self, mirror: &LockedMirror, tries: u32) {
        for (item, state) in self.items.iter().zip(&mut self.states) {
            if matches!(state, State::Pending(None)) {
                *state = State::done(Err(GitError::Outrun {
                    remote: mirror.mirror.remote().url().to_string(),
                    branch: item.branch.to_owned(),
                    tries,
                }));
            }
        }
    }
}

/// What came of planning a branch.
enum Carried {
    /// Nothing is to be pushed.
    Done,
    Ready(Box<Ready>),
    /// This item cannot be done; the others can.
    Without(usize, GitError),
}

fn is_corrupt(e: &GitError) -> bool {
    matches!(e, GitError::Mirror { corrupt: true, .. })
}

/// Waits a random time that grows with every try, so that writers who met once do not meet again.
fn pause(tries: u32, cancel: &CancellationToken) {
    let ceiling = Duration::from_millis(20).saturating_mul(1 << tries.min(10));
    let ceiling = ceiling.min(LONGEST_PAUSE);
    let random = RandomState::new().build_hasher().finish();
    let micros = u64::try_from(ceiling.as_micros()).unwrap_or(1).max(1);
    let until = Instant::now() + Duration::from_micros(random % micros);
    while !cancel.is_cancelled() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        std::thread::sleep(left.min(Duration::from_millis(20)));
    }
}

/// `main` of `refs/heads/main`: what follows the second slash, as in Flux's revisions.
fn short_name(name: &str) -> &str {
    name.splitn(3, '/').nth(2).unwrap_or(name)
}
