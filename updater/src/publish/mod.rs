//! Fetch, edit, commit, push; and again when somebody else was faster.
//!
//! Every run derives what is to do from the remote's own state, so it can be killed at any point and run again: what
//! has arrived is not made a second time, what has not is.

mod editor;
mod holds;
mod outcome;
mod plan;
mod refspec;
mod request;

pub use crate::git::{ChangedFile, SkippedMarker};
pub use editor::{Editor, MarkerEditor};
pub use outcome::{Hold, PushOutcome, PushState};
pub use request::{
    BranchChoices, CommitGrouping, MessageSource, PublishRequest, PushTarget, ReleaseHolds,
};

use crate::Choices;
use crate::git::{
    CancellationToken, CommitId, Fetched, GitError, LockedMirror, Mirror, PushFailure, RefUpdate,
    Trees, check_branch,
};
use git2::Oid;
use plan::{Branch, Plan, Step};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::{Duration, Instant};

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Does one run on one branch: the request's push branch, or the one that is checked out. Blocks.
///
/// # Errors
/// [`GitError`]. Nothing of this run is at the remote then; a push whose answer was lost is looked for first.
pub fn publish(
    mirror: &Mirror,
    request: &PublishRequest,
    editor: &dyn Editor,
    choices: &Choices,
    message: &dyn MessageSource,
    cancel: &CancellationToken,
) -> Result<PushOutcome, GitError> {
    let branch = request
        .push
        .branch
        .as_deref()
        .filter(|branch| !branch.is_empty())
        .or_else(|| request.checkout.inferred_push_branch())
        .ok_or_else(|| GitError::NoPushBranch {
            reference: request.checkout.to_string(),
        })?
        .to_owned();
    let choices = choices.clone();
    let one = [BranchChoices { branch, choices }];
    let mut outcomes = publish_branches(mirror, request, editor, &one, message, cancel)?;
    match outcomes.pop() {
        Some(outcome) => outcome,
        None => Err(GitError::NoPushBranch {
            reference: request.checkout.to_string(),
        }),
    }
}

/// Does one run on several branches with one fetch and one push; an outcome for each, in their order. Blocks.
///
/// # Errors
/// [`GitError`] where nothing could be done for any of them.
pub fn publish_branches(
    mirror: &Mirror,
    request: &PublishRequest,
    editor: &dyn Editor,
    branches: &[BranchChoices],
    message: &dyn MessageSource,
    cancel: &CancellationToken,
) -> Result<Vec<Result<PushOutcome, GitError>>, GitError> {
    for branch in branches {
        check_branch("push branch", &branch.branch)?;
    }
    let refspec = request
        .push
        .refspec
        .as_deref()
        .filter(|text| !text.is_empty())
        .map(refspec::Refspec::parse)
        .transpose()?;
    if let (Some(text), true) = (
        &request.push.refspec,
        branches.len() > 1 && refspec.is_some(),
    ) {
        return Err(GitError::InvalidArgument {
            what: "refspec",
            given: text.clone(),
            reason: format!(
                "it takes one commit, but this run pushes {} branches",
                branches.len()
            ),
        });
    }
    let mut mirror = mirror.lock(cancel)?;
    let mut run = Run {
        request,
        editor,
        branches,
        message,
        cancel,
        refspec,
        states: branches.iter().map(|_| State::Pending(None)).collect(),
        rebuilt: false,
    };
    let mut tries = 0;
    loop {
        tries += 1;
        match run.once(&mirror, tries) {
            Ok(()) => {}
            Err(e) if !run.rebuilt && is_corrupt(&e) => {
                tracing::warn!(mirror = %mirror.mirror.directory().display(), error = %e, "the mirror is damaged; making it anew");
                run.rebuilt = true;
                mirror.rebuild()?;
                tries -= 1;
                continue;
            }
            // A push may have arrived: the error of the look-up does not hide that of the push.
            Err(e) => return run.failed(e),
        }
        if !run.states.iter().any(State::is_pending) {
            return Ok(run.states.into_iter().map(State::into_outcome).collect());
        }
        if tries >= request.tries.max(1) {
            run.give_up(&mirror.mirror.remote().url().to_string(), tries);
            return Ok(run.states.into_iter().map(State::into_outcome).collect());
        }
        pause(tries, cancel);
    }
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

/// One branch during a run.
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

impl State {
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

struct Run<'a> {
    request: &'a PublishRequest,
    editor: &'a dyn Editor,
    branches: &'a [BranchChoices],
    message: &'a dyn MessageSource,
    cancel: &'a CancellationToken,
    refspec: Option<refspec::Refspec>,
    states: Vec<State>,
    rebuilt: bool,
}

/// A commit that waits for its push.
struct Ready {
    at: usize,
    commit: Oid,
    outcome: PushOutcome,
    update: RefUpdate,
}

impl Run<'_> {
    /// One try for everything that is still to be done.
    fn once(&mut self, mirror: &LockedMirror, attempt: u32) -> Result<(), GitError> {
        let names: Vec<&str> = self
            .branches
            .iter()
            .zip(&self.states)
            .filter(|(_, state)| state.is_pending())
            .map(|(branch, _)| &*branch.branch)
            .collect();
        let fetched = mirror.fetch(&self.request.checkout, &names, self.cancel)?;
        let mut trees = Trees::open(mirror, self.editor);
        let ready = self.prepare(mirror, &fetched, &mut trees, attempt);
        trees.close();
        let ready = ready?;
        if ready.is_empty() {
            return Ok(());
        }
        self.push(mirror, &fetched, ready);
        Ok(())
    }

    fn prepare(
        &mut self,
        mirror: &LockedMirror,
        fetched: &Fetched,
        trees: &mut Trees<'_>,
        attempt: u32,
    ) -> Result<Vec<Ready>, GitError> {
        let mut ready = Vec::new();
        for (at, wanted) in self.branches.iter().enumerate() {
            let State::Pending(lost) = &mut self.states[at] else {
                continue;
            };
            let tip = fetched.branches.get(&wanted.branch).copied();
            if let Some(lost) = lost.take()
                && tip.is_some_and(|tip| mirror.contains(tip, lost.commit))
            {
                tracing::info!(branch = wanted.branch, commit = %lost.commit, "the push arrived although its answer did not");
                let mut outcome = lost.outcome;
                outcome.tries = attempt;
                self.states[at] = State::Done(Box::new(Ok(outcome)));
                continue;
            }
            let branch = Branch {
                mirror,
                request: self.request,
                editor: self.editor,
                name: &wanted.branch,
                choices: &wanted.choices,
                cancel: self.cancel,
            };
            let prepared = branch
                .plan(fetched, trees)
                .and_then(|plan| self.carry_out(at, plan, &branch, fetched, trees, attempt));
            match prepared {
                Ok(Prepared::Ready(commit)) => ready.push(*commit),
                Ok(Prepared::Done(outcome)) => {
                    self.states[at] = State::Done(Box::new(Ok(*outcome)));
                }
                Err(e) if is_corrupt(&e) || e.is_cancelled() => return Err(e),
                Err(e) => self.states[at] = State::Done(Box::new(Err(e))),
            }
        }
        Ok(ready)
    }

    fn carry_out(
        &self,
        at: usize,
        plan: Plan,
        branch: &Branch<'_>,
        fetched: &Fetched,
        trees: &Trees<'_>,
        attempt: u32,
    ) -> Result<Prepared, GitError> {
        self.check_path(&plan, branch, fetched)?;
        let tip = fetched.branches.get(branch.name).copied();
        let checkout_name = fetched.checkout_name.as_deref().unwrap_or_default();
        let mut outcome = PushOutcome {
            branch: branch.name.to_owned(),
            checkout: fetched.checkout.into(),
            checkout_name: short_name(checkout_name).to_owned(),
            state: PushState::UpToDate(tip.map(CommitId::from)),
            message: None,
            commits: Vec::new(),
            references: Vec::new(),
            files: plan.edits.files,
            skipped: plan.edits.skipped,
            held: plan.held,
            tries: attempt,
        };
        let (base, expected, force) = match plan.step {
            Step::Nothing => return Ok(Prepared::Done(Box::new(outcome))),
            Step::Standing(tip) => {
                outcome.state = PushState::Standing(tip.into());
                return Ok(Prepared::Done(Box::new(outcome)));
            }
            Step::Commit {
                base,
                expected,
                force,
            } => (base, expected, force),
        };
        if self.request.dry_run {
            outcome.state = PushState::DryRun;
            return Ok(Prepared::Done(Box::new(outcome)));
        }
        let (commits, message) = branch.commit(base, &outcome.files, self.message, trees)?;
        let Some(&commit) = commits.last() else {
            return Ok(Prepared::Done(Box::new(outcome)));
        };
        outcome.message = Some(message);
        outcome.commits = commits.into_iter().map(CommitId::from).collect();
        outcome.state = PushState::Pushed(commit.into());
        Ok(Prepared::Ready(Box::new(Ready {
            at,
            commit,
            outcome,
            update: RefUpdate {
                name: format!("refs/heads/{}", branch.name),
                expected,
                new: commit,
                force,
            },
        })))
    }

    /// A path that names nothing is a mistake, not an empty result.
    fn check_path(
        &self,
        plan: &Plan,
        branch: &Branch<'_>,
        fetched: &Fetched,
    ) -> Result<(), GitError> {
        let path = self.request.path.as_str();
        if path.is_empty() || !plan.edits.marked.is_empty() {
            return Ok(());
        }
        let exists = branch
            .mirror
            .repository
            .find_commit(fetched.checkout)
            .and_then(|commit| commit.tree())
            .and_then(|tree| tree.get_path(std::path::Path::new(path)).map(|_| ()));
        exists.map_err(|_| GitError::PathNotFound {
            path: path.to_owned(),
            reference: self.request.checkout.to_string(),
            remote: branch.mirror.mirror.remote().url().to_string(),
        })
    }

    fn push(&mut self, mirror: &LockedMirror, fetched: &Fetched, ready: Vec<Ready>) {
        let mut updates: Vec<RefUpdate> = ready.iter().map(|ready| ready.update.clone()).collect();
        let mut extra = None;
        if let (Some(refspec), [only]) = (&self.refspec, &*ready) {
            match refspec.update(&only.outcome.branch, only.commit, fetched) {
                Ok(update) if updates.iter().all(|known| known.name != update.name) => {
                    extra = Some(update.name.clone());
                    updates.push(update);
                }
                Ok(_) => {}
                Err(e) => {
                    self.states[only.at] = State::Done(Box::new(Err(e)));
                    return;
                }
            }
        }
        let mut results = mirror.push(&updates, &self.request.push.options, self.cancel);
        for mut ready in ready {
            let arrived = results.take(&ready.update.name);
            let (at, branch, commit) = (ready.at, ready.outcome.branch.clone(), ready.commit);
            self.states[at] = match arrived {
                Ok(()) => {
                    mirror.record_branch(&branch, commit);
                    ready.outcome.references.push(ready.update.name);
                    let second = extra.as_ref().map(|name| (name, results.take(name)));
                    State::Done(Box::new(match second {
                        None => Ok(ready.outcome),
                        Some((name, Ok(()))) => {
                            ready.outcome.references.push(name.clone());
                            Ok(ready.outcome)
                        }
                        Some((_, Err(PushFailure::Unknown(e) | PushFailure::Failed(e)))) => Err(e),
                        Some((name, Err(PushFailure::Outrun))) => Err(GitError::Outrun {
                            remote: mirror.mirror.remote().url().to_string(),
                            branch: name.clone(),
                            tries: ready.outcome.tries,
                        }),
                    }))
                }
                Err(PushFailure::Outrun) => State::Pending(None),
                Err(PushFailure::Unknown(error)) => State::Pending(Some(Box::new(Lost {
                    commit,
                    outcome: ready.outcome,
                    error,
                }))),
                Err(PushFailure::Failed(e)) => State::Done(Box::new(Err(e))),
            };
        }
    }

    /// The whole try failed: for pushes whose answer was lost, that error counts.
    fn failed(self, error: GitError) -> Result<Vec<Result<PushOutcome, GitError>>, GitError> {
        let settled = self
            .states
            .iter()
            .any(|state| !matches!(state, State::Pending(None)));
        if !settled {
            return Err(error);
        }
        let mut error = Some(error);
        Ok(self
            .states
            .into_iter()
            .map(|state| match state {
                State::Pending(None) => Err(error.take().unwrap_or(GitError::Unfinished)),
                other => other.into_outcome(),
            })
            .collect())
    }

    fn give_up(&mut self, remote: &str, tries: u32) {
        for (branch, state) in self.branches.iter().zip(&mut self.states) {
            if matches!(state, State::Pending(None)) {
                *state = State::Done(Box::new(Err(GitError::Outrun {
                    remote: remote.to_owned(),
                    branch: branch.branch.clone(),
                    tries,
                })));
            }
        }
    }
}

enum Prepared {
    Ready(Box<Ready>),
    Done(Box<PushOutcome>),
}

/// `main` of `refs/heads/main`: what follows the second slash, as in Flux's revisions.
fn short_name(name: &str) -> &str {
    name.splitn(3, '/').nth(2).unwrap_or(name)
}
