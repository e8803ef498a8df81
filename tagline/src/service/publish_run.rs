//! Runs of the updater for automations that share a remote: look, ask their pull requests, push.

use super::publish::{SharedPublication, source_failed};
use super::status::Failure;
use std::collections::BTreeMap;
use std::sync::Arc;
use tagline_updater::forge::{KnownBranch, Standing};
use tagline_updater::git::{CancellationToken, GitError, Mirrors, Remote};
use tagline_updater::message::MessageError;
use tagline_updater::{
    BranchChoices, Contribution, MarkerEditor, PublishRequest, PushOutcome, PushState,
    publish_together,
};

/// What a run did for one automation.
#[derive(Default)]
pub(crate) struct Published {
    /// One per branch that could be dealt with.
    pub(crate) outcomes: Vec<PushOutcome>,
    /// Branches that were not pushed, because of their pull requests.
    pub(crate) withheld: BTreeMap<String, Standing>,
    /// Branches of earlier runs that are still at the remote and not wanted now.
    pub(crate) known_branches: Vec<KnownBranch>,
    /// The first thing that went wrong, with Flux's reason and message.
    pub(crate) failure: Option<Failure>,
}

impl Published {
    /// Nothing was done.
    pub(crate) fn failed(failure: Failure) -> Self {
        Self {
            failure: Some(failure),
            ..Self::default()
        }
    }

    fn has_something_to_push(&self) -> bool {
        let is_due = |outcome: &PushOutcome| outcome.state == PushState::DryRun;
        self.outcomes.iter().any(is_due)
    }
}

/// Does the runs of automations that share a remote: looks whether pull requests speak against a push, then pushes.
/// One answer for each, in their order.
pub(crate) async fn run(
    publications: Vec<SharedPublication>,
    mirrors: Mirrors,
    cancel: CancellationToken,
) -> Vec<Published> {
    let remote = match publications.first() {
        Some(first) => first.access.remote().await,
        None => return Vec::new(),
    };
    let remote = match remote {
        Ok(remote) => remote,
        Err(failure) => {
            let failed = |_| Published::failed(failure.clone());
            return publications.iter().map(failed).collect();
        }
    };
    let pass = |publications: &[SharedPublication],
                held_back: Vec<BTreeMap<String, Standing>>,
                dry_run| {
        let publications = publications.to_vec();
        let (remote, mirrors, cancel) = (remote.clone(), mirrors.clone(), cancel.clone());
        let work = move || {
            push(
                &publications,
                &held_back,
                dry_run,
                &remote,
                &mirrors,
                &cancel,
            )
        };
        tokio::task::spawn_blocking(work)
    };
    let nothing = vec![BTreeMap::new(); publications.len()];
    let has_pull_requests = |publication: &SharedPublication| publication.pull_requests.is_some();
    let published = if publications.iter().any(has_pull_requests) {
        match pass(&publications, nothing, true).await {
            Ok(looked) if looked.iter().any(Published::has_something_to_push) => {
                let held_back = hold_back(&publications, &looked).await;
                let maps = held_back.iter().map(|held_back| held_back.branches.clone());
                let pushed = pass(&publications, maps.collect(), false).await;
                pushed.map(|pushed| joined(looked, held_back, pushed))
            }
            other => other,
        }
    } else {
        pass(&publications, nothing, false).await
    };
    let mut published = match published {
        Ok(published) => published,
        Err(error) => {
            let stopped = format!("the run stopped unexpectedly: {error}");
            let failed = |_| Published::failed(Failure::retried("GitOperationFailed", &*stopped));
            return publications.iter().map(failed).collect();
        }
    };
    for (publication, published) in publications.iter().zip(&mut published) {
        look_after_branches(publication, published, &remote, &mirrors, &cancel).await;
    }
    published
}

/// What one automation does not push.
#[derive(Default)]
struct HeldBack {
    branches: BTreeMap<String, Standing>,
    failure: Option<Failure>,
}

async fn hold_back(publications: &[SharedPublication], looked: &[Published]) -> Vec<HeldBack> {
    let questions = publications
        .iter()
        .zip(looked)
        .map(async |(publication, looked)| {
            let Some(plan) = &publication.pull_requests else {
                return HeldBack::default();
            };
            match plan.hold_back(&looked.outcomes).await {
                Ok(branches) => HeldBack {
                    branches,
                    failure: None,
                },
                // Its pull requests cannot be told, so nothing of it is pushed.
                Err(failure) => HeldBack {
                    branches: publication
                        .branches
                        .iter()
                        .map(|branch| (branch.branch.clone(), Standing::Deferred))
                        .collect(),
                    failure: Some(failure),
                },
            }
        });
    futures_util::future::join_all(questions).await
}

/// What was pushed, and what was only looked at because it was held back.
fn joined(
    looked: Vec<Published>,
    held_back: Vec<HeldBack>,
    pushed: Vec<Published>,
) -> Vec<Published> {
    let all = looked.into_iter().zip(held_back).zip(pushed);
    all.map(|((looked, held_back), mut pushed)| {
        let only_looked = looked
            .outcomes
            .into_iter()
            .filter(|outcome| held_back.branches.contains_key(&outcome.branch));
        pushed.outcomes.extend(only_looked);
        pushed.withheld = held_back.branches;
        pushed.failure = held_back.failure.or(pushed.failure);
        pushed
    })
    .collect()
}

/// Finds branches of earlier runs that can be tidied up.
async fn look_after_branches(
    publication: &SharedPublication,
    published: &mut Published,
    remote: &Remote,
    mirrors: &Mirrors,
    cancel: &CancellationToken,
) {
    let Some(plan) = &publication.pull_requests else {
        return;
    };
    let stale = plan.stale_branches(&published.outcomes);
    if stale.is_empty() || published.failure.is_some() {
        return;
    }
    let (publication, remote) = (Arc::clone(publication), remote.clone());
    let (mirrors, cancel) = (mirrors.clone(), cancel.clone());
    let look_up = move || {
        let mirror = mirrors.open(&remote)?;
        KnownBranch::look_up(&mirror, &publication.request, &stale, &cancel)
    };
    match tokio::task::spawn_blocking(look_up).await {
        Ok(Ok(known)) => published.known_branches = known,
        Ok(Err(error)) => published.failure = Some(failure(&error)),
        Err(error) => tracing::error!(%error, "branches cannot be looked up; please report this"),
    }
}

/// Does one pass over automations that share a remote, without the branches that are held back. Blocks. One answer for
/// each, in their order.
fn push(
    publications: &[SharedPublication],
    held_back: &[BTreeMap<String, Standing>],
    dry_run: bool,
    remote: &Remote,
    mirrors: &Mirrors,
    cancel: &CancellationToken,
) -> Vec<Published> {
    let mirror = match mirrors.open(remote) {
        Ok(mirror) => mirror,
        Err(error) => {
            let failed = |_| Published::failed(failure(&error));
            return publications.iter().map(failed).collect();
        }
    };
    let parts: Vec<(PublishRequest, Vec<BranchChoices>)> = publications
        .iter()
        .zip(held_back)
        .map(|(publication, held_back)| {
            let mut request = publication.request.clone();
            request.dry_run |= dry_run;
            let branches = publication.branches.iter();
            let branches = branches.filter(|branch| !held_back.contains_key(&branch.branch));
            (request, branches.cloned().collect())
        })
        .collect();
    let contributions: Vec<Contribution<'_>> = publications
        .iter()
        .zip(&parts)
        .map(|(publication, (request, branches))| Contribution {
            request,
            branches,
            message: &publication.message,
        })
        .collect();
    publish_together(&mirror, &MarkerEditor, &contributions, cancel)
        .into_iter()
        .map(|result| match result {
            Err(error) => Published::failed(failure(&error)),
            Ok(branches) => {
                let mut published = Published::default();
                for branch in branches {
                    match branch {
                        Ok(outcome) => published.outcomes.push(outcome),
                        Err(error) => {
                            published.failure.get_or_insert_with(|| failure(&error));
                        }
                    }
                }
                published
            }
        })
        .collect()
}

/// What an error of the git engine means for the automation, in Flux's words.
pub(crate) fn failure(error: &GitError) -> Failure {
    match error {
        GitError::InvalidArgument { .. } | GitError::NoPushBranch { .. } | GitError::Sign(_) => {
            source_failed(error.to_string())
        }
        GitError::PathNotFound { .. } | GitError::Edit { .. } => {
            Failure::retried("UpdateFailed", format!("failed to apply policies: {error}"))
        }
        GitError::Message(source) => {
            let reason = source
                .downcast_ref::<MessageError>()
                .and_then(MessageError::condition_reason);
            match reason {
                Some(reason) => Failure::stalled(reason, source.to_string()),
                None => Failure::retried(
                    "GitOperationFailed",
                    format!("failed to update source: {source}"),
                ),
            }
        }
        GitError::Refused { .. } | GitError::Outrun { .. } => Failure::retried(
            "GitOperationFailed",
            format!("failed to update source: {error}"),
        ),
        GitError::Transport { doing, .. } if doing.contains("push") => Failure::retried(
            "GitOperationFailed",
            format!("failed to update source: {error}"),
        ),
        _ => Failure::retried(
            "GitOperationFailed",
            format!("failed to checkout source: {error}"),
        ),
    }
}
