//! Works on the pull requests of what was pushed: beside everything else, so that a slow forge holds nothing up.

use super::publish::SharedPublication;
use super::pull_requests::{Proposed, PullRequestStateName, PullRequestStatus};
use super::state::{Done, automation_key};
use super::status::Failure;
use super::{Service, Subject};
use crate::resources::ObjectName;
use std::collections::BTreeMap;
use std::sync::Arc;
use tagline_updater::PushOutcome;
use tagline_updater::forge::{KnownBranch, Standing};

/// What was pushed and may want pull requests.
pub(crate) struct Proposal {
    /// The run.
    pub(crate) publication: SharedPublication,
    /// What it did.
    pub(crate) outcomes: Arc<Vec<PushOutcome>>,
    /// Branches it held back.
    pub(crate) withheld: BTreeMap<String, Standing>,
    /// Branches of earlier runs that are still at the remote.
    pub(crate) known_branches: Vec<KnownBranch>,
    /// What failed in it.
    pub(crate) failure: Option<Failure>,
}

impl std::fmt::Debug for Proposal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proposal")
            .field("known_branches", &self.known_branches)
            .finish_non_exhaustive()
    }
}

impl Service {
    /// Starts the work that waits, unless the automation's earlier work is still going on: then it is next.
    pub(super) fn start_proposal(&mut self, name: &ObjectName) {
        let Some(state) = self.automation_mut(name) else {
            return;
        };
        if state.proposing {
            return;
        }
        let Some(proposal) = state.proposal.take() else {
            return;
        };
        state.proposing = true;
        self.proposals += 1;
        let (owned, cancel) = (name.clone(), self.cancel.clone());
        let sources = self.image_sources.clone();
        self.spawn(Subject::PullRequests(name.clone()), async move {
            let Some(plan) = &proposal.publication.pull_requests else {
                return Done::Proposed(owned, None);
            };
            let work = plan.propose(
                &proposal.outcomes,
                &proposal.withheld,
                &proposal.known_branches,
                proposal.failure,
                &sources,
                proposal.publication.request.dry_run,
            );
            // It can be stopped anywhere and is taken up again.
            let done = cancel.run_until_cancelled(work).await;
            Done::Proposed(owned, done.map(Box::new))
        });
    }

    pub(super) fn take_proposal(&mut self, name: &ObjectName, proposed: Option<Box<Proposed>>) {
        self.proposals -= 1;
        let dry_run = self.dry_run;
        let Some(state) = self.automation_mut(name) else {
            return;
        };
        state.proposing = false;
        let Some(proposed) = proposed else { return };
        let key = automation_key(name);
        for action in proposed.actions.iter().filter(|_| !dry_run) {
            tracing::info!(object = %key, "{action}");
        }
        state.proposed = proposed.actions;
        if let Some(pull_requests) = proposed.pull_requests {
            state.status.pull_requests = pull_requests;
        }
        state.status.pull_request_branches = proposed.branches.into_iter().collect();
        if state.proposal.is_some() {
            return self.start_proposal(name);
        }
        if let Some(failure) = proposed.failure {
            self.automation_is_retried(name, &failure);
        } else {
            let message = message(&state.status.pull_requests);
            self.automation_succeeded(name, &message);
        }
    }

    /// The task ended without a word.
    pub(super) fn proposal_stopped(&mut self, name: &ObjectName) {
        self.proposals -= 1;
        if let Some(state) = self.automation_mut(name) {
            state.proposing = false;
        }
        let failure = Failure::retried("Failure", "the work on pull requests stopped unexpectedly");
        self.automation_is_retried(name, &failure);
    }
}

/// The Ready message: a few pull requests by number and page, more by count.
fn message(pull_requests: &[PullRequestStatus]) -> String {
    const FEW: usize = 3;
    let told = match pull_requests {
        [] => return "repository up-to-date".to_owned(),
        few if few.len() <= FEW => few
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", "),
        many => {
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            for it in many {
                *counts.entry(it.state.as_str()).or_default() += 1;
            }
            let counts: Vec<String> = counts
                .into_iter()
                .map(|(state, count)| format!("{count} {state}"))
                .collect();
            format!("{} pull requests: {}", many.len(), counts.join(", "))
        }
    };
    format!("repository up-to-date; {told}")
}

impl std::fmt::Display for PullRequestStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.number, self.state) {
            (Some(number), _) => write!(f, "#{number} {}", self.state.as_str())?,
            (None, PullRequestStateName::Waiting) => {
                write!(f, "{} waits for its turn", self.branch)?;
            }
            (None, state) => write!(f, "{} {}", self.branch, state.as_str())?,
        }
        match &self.page {
            Some(page) => write!(f, " ({page})"),
            None => Ok(()),
        }
    }
}
