//! Fetch, edit, commit, push; and again when somebody else was faster.
//!
//! Every run derives what is to do from the remote's own state, so it can be killed at any point and run again: what
//! has arrived is not made a second time, what has not is.

mod commits;
mod editor;
mod holds;
mod outcome;
mod plan;
mod refspec;
mod request;
mod run;

pub use crate::git::{ChangedFile, SkippedMarker};
pub use editor::{Editor, MarkerEditor};
pub use outcome::{Hold, PushOutcome, PushState};
pub use request::{
    BoxError, BranchChoices, CommitGrouping, Contribution, Joining, MessageSource, PublishRequest,
    PushTarget, ReleaseHolds,
};

use crate::Choices;
use crate::git::{CancellationToken, GitError, LockedMirror, Mirror, check_branch};
use refspec::Refspec;
use run::Run;

/// What became of each branch of one contribution, in their order.
pub type BranchOutcomes = Vec<Result<PushOutcome, GitError>>;

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
    let branch = request.push_branch()?.to_owned();
    let choices = choices.clone();
    let one = [BranchChoices { branch, choices }];
    let mut outcomes = publish_branches(mirror, request, editor, &one, message, cancel)?;
    outcomes.pop().unwrap_or(Err(GitError::Unfinished))
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
) -> Result<BranchOutcomes, GitError> {
    let one = Contribution {
        request,
        branches,
        message,
    };
    let mut outcomes = publish_together(mirror, editor, &[one], cancel);
    outcomes.pop().unwrap_or(Err(GitError::Unfinished))
}

/// Does the runs of several automations on one remote, with one fetch and one push for all that can share them.
/// On one branch, changes go into one commit where author, signature and message allow it, and else into commits one
/// upon the other. What is wrong with one does not stop the others. An answer for each, in their order. Blocks.
pub fn publish_together(
    mirror: &Mirror,
    editor: &dyn Editor,
    contributions: &[Contribution<'_>],
    cancel: &CancellationToken,
) -> Vec<Result<BranchOutcomes, GitError>> {
    let mut results: Vec<Option<Result<BranchOutcomes, GitError>>> =
        contributions.iter().map(|_| None).collect();
    let mut sets: Vec<(Option<Refspec>, Vec<usize>)> = Vec::new();
    for (at, contribution) in contributions.iter().enumerate() {
        let refspec = match check(contribution) {
            Ok(refspec) => refspec,
            Err(e) => {
                results[at] = Some(Err(e));
                continue;
            }
        };
        let fits = |set: &(Option<Refspec>, Vec<usize>)| {
            let first = &contributions[set.1[0]];
            first.request.shares_a_push_with(contribution.request)
                && (refspec.is_none() || same_branches(first, contribution))
        };
        match sets.iter_mut().find(|set| fits(set)) {
            Some((_, members)) => members.push(at),
            None => sets.push((refspec, vec![at])),
        }
    }
    if !sets.is_empty() {
        let mut locked = mirror.lock(cancel);
        for (refspec, members) in sets {
            let set: Vec<Contribution<'_>> = members.iter().map(|&at| contributions[at]).collect();
            let done = match &mut locked {
                Ok(locked) => run_set(locked, editor, &set, refspec, cancel),
                Err(e) => Err(e.clone()),
            };
            let mut done = done.map(Vec::into_iter);
            for at in members {
                results[at] = Some(match &mut done {
                    Ok(done) => done.next().ok_or(GitError::Unfinished),
                    Err(e) => Err(e.clone()),
                });
            }
        }
    }
    results
        .into_iter()
        .map(|result| result.unwrap_or(Err(GitError::Unfinished)))
        .collect()
}

fn run_set(
    mirror: &mut LockedMirror,
    editor: &dyn Editor,
    set: &[Contribution<'_>],
    refspec: Option<Refspec>,
    cancel: &CancellationToken,
) -> Result<Vec<BranchOutcomes>, GitError> {
    let Some(run) = Run::new(editor, set, refspec, cancel) else {
        return Ok(set.iter().map(|_| Vec::new()).collect());
    };
    let mut outcomes = run.finish(mirror)?.into_iter();
    Ok(set
        .iter()
        .map(|contribution| {
            let count = contribution.branches.len();
            outcomes.by_ref().take(count).collect()
        })
        .collect())
}

/// What is wrong with a contribution before anything is asked of the remote.
fn check(contribution: &Contribution<'_>) -> Result<Option<Refspec>, GitError> {
    for branch in contribution.branches {
        check_branch("push branch", &branch.branch)?;
    }
    let push = &contribution.request.push;
    let refspec = push.refspec.as_deref().filter(|text| !text.is_empty());
    let Some(text) = refspec else { return Ok(None) };
    let refspec = Refspec::parse(text)?;
    if contribution.branches.len() > 1 {
        return Err(GitError::InvalidArgument {
            what: "refspec",
            given: text.to_owned(),
            reason: format!(
                "it takes one commit, but this run pushes {} branches",
                contribution.branches.len()
            ),
        });
    }
    Ok(Some(refspec))
}

fn same_branches(one: &Contribution<'_>, other: &Contribution<'_>) -> bool {
    let names = |of: &Contribution<'_>| -> Vec<String> {
        of.branches.iter().map(|b| b.branch.clone()).collect()
    };
    names(one) == names(other)
}
