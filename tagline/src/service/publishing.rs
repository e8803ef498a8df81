//! Starts runs of the updater for automations that are due, and takes over what they did.

use super::back_off::{after, retry_at};
use super::proposing::Proposal;
use super::publish::{self, SharedPublication, Surroundings};
use super::publish_run;
use super::reload::spec_fingerprint;
use super::state::{AutomationState, Done, Run, automation_key, remember};
use super::status::{AutomationStatus, Failure, whole_seconds};
use super::{PUBLISHES_AT_ONCE, Service, Subject};
use crate::resources::{ObjectKey, ObjectName};
use jiff::Timestamp;
use std::sync::Arc;
use tagline_updater::edit::SkipReason;
use tagline_updater::{Hold, PushOutcome, ReleaseHolds};

/// What is said when nothing was to be done.
const DRY_RUN: &str = "dry run: nothing was written";
/// What is said between a push and its pull requests.
const PUSHED: &str = "repository up-to-date; working on pull requests";

impl Service {
    pub(super) fn start_publishes(&mut self) {
        let due: Vec<ObjectName> = self.due_automations.iter().cloned().collect();
        for name in due {
            if self.publishes >= PUBLISHES_AT_ONCE {
                return;
            }
            self.start_publish(&name);
        }
    }

    /// An automation's time has come. While changes are gathered (`commit.window`), a regular run waits for them;
    /// one that somebody asked for does not come here, and one after a failure has waited long enough.
    pub(super) fn automation_is_due(&mut self, name: ObjectName, now: Timestamp) {
        let healthy = |state: &AutomationState| state.failures == 0;
        match self.changes_due(&name).filter(|at| *at > now) {
            Some(at) if self.states.automations.get(&name).is_some_and(healthy) => {
                self.timers.set(automation_key(&name), at);
            }
            _ => {
                self.due_automations.insert(name);
            }
        }
    }

    /// Starts a run for an automation, together with all others on the same remote that are due.
    fn start_publish(&mut self, name: &ObjectName) {
        if !self.due_automations.contains(name) {
            return;
        }
        let now = self.now();
        let Some(first) = self.prepare_publish(name, now) else {
            return;
        };
        // Runs on one remote share a mirror: one after the other.
        let remote = first.access.url().to_string();
        if self.busy_remotes.contains(&remote) {
            return;
        }
        let mut names = vec![name.clone()];
        let mut publications = vec![first];
        for other in self.companions(name) {
            let Some(publication) = self.prepare_publish(&other, now) else {
                continue;
            };
            if publication.access.is_same(&publications[0].access) {
                names.push(other);
                publications.push(publication);
            }
        }
        self.busy_remotes.insert(remote.clone());
        self.publishes += 1;
        for name in &names {
            self.due_automations.remove(name);
            if let Some(state) = self.automation_mut(name) {
                state.running = true;
                state.remote = Some(remote.clone());
                state.status.last_automation_run_time = Some(whole_seconds(now));
                // In the store they wait until the run has ended: it may be killed.
                state.status.changes_since = None;
            }
        }
        let mirrors = self.mirrors.clone();
        let cancel = self.cancel.clone();
        let subject = Subject::Automations {
            names: names.clone(),
            remote,
        };
        self.spawn(subject, async move {
            let published = publish_run::run(publications.clone(), mirrors, cancel).await;
            let runs = names.into_iter().zip(publications).zip(published);
            let runs = runs.map(|((name, publication), published)| Run {
                name,
                publication,
                published,
            });
            Done::Published(runs.collect(), now)
        });
    }

    /// Others that may go along with a run: those that are due, and those on the same push branch.
    fn companions(&self, name: &ObjectName) -> Vec<ObjectName> {
        let Some(leader) = self.states.automations.get(name) else {
            return Vec::new();
        };
        let resources = &self.resources;
        let address = publish::address_of(&leader.object, resources);
        let others = self.states.automations.iter();
        others
            .filter(|(other, state)| *other != name && !state.running)
            .filter(|(other, state)| {
                publish::address_of(&state.object, resources) == address
                    && (self.due_automations.contains(*other)
                        || publish::shares_push_branch(&leader.object.spec, &state.object.spec))
            })
            .map(|(other, _)| other.clone())
            .collect()
    }

    /// What an automation has to do; none when it cannot run now. What is wrong with one that is due is told.
    fn prepare_publish(&mut self, name: &ObjectName, now: Timestamp) -> Option<SharedPublication> {
        let Some(state) = self.states.automations.get(name) else {
            self.due_automations.remove(name);
            return None;
        };
        if state.object.spec.suspend {
            self.due_automations.remove(name);
            return None;
        }
        if state.running {
            return None;
        }
        let policies = &self.states.policies;
        let prepared = publish::prepare(
            &state.object,
            Surroundings {
                resources: &self.resources,
                settings: &self.settings,
                targets: &self.targets,
                forges: &self.forges,
            },
            |policy| policies.get(policy)?.status.latest_ref.as_ref(),
            &state.status,
            now,
        );
        match prepared {
            Ok(mut publication) => {
                publication.request.dry_run = self.dry_run;
                Some(Arc::new(publication))
            }
            Err(failure) => {
                if self.due_automations.remove(name) {
                    self.automation_failed(name, &failure);
                }
                None
            }
        }
    }

    pub(super) fn take_publish(&mut self, runs: Vec<Run>, started: Timestamp) {
        self.publishes -= 1;
        for run in runs {
            self.busy_remotes
                .remove(&run.publication.access.url().to_string());
            self.take_run(run, started);
        }
    }

    fn take_run(&mut self, run: Run, started: Timestamp) {
        let Run {
            name,
            publication,
            published,
        } = run;
        let now = self.now();
        let Some(state) = self.automation_mut(&name) else {
            return;
        };
        state.running = false;
        let key = automation_key(&name);
        for (index, outcome) in published.outcomes.iter().enumerate() {
            let before = state.outcomes.get(index);
            if before.is_none_or(|before| before.skipped != outcome.skipped) {
                tell_skipped(&key, outcome);
            }
            tell_holds(&key, outcome, &state.status.holds);
        }
        let status = &mut state.status;
        for outcome in &published.outcomes {
            let Some(commit) = outcome.pushed() else {
                continue;
            };
            status.last_push_commit = Some(commit.to_string());
            status.last_push_time = Some(whole_seconds(now));
            status.last_push_branch = Some(outcome.branch.clone());
            tracing::info!(
                object = %key,
                remote = %publication.access.url(),
                changes = outcome.changes().count(),
                files = outcome.files.len(),
                "pushed commit '{}' to branch '{}'",
                commit.short(),
                outcome.branch
            );
        }
        status.last_automation_run_time = Some(whole_seconds(started));
        let has_failed = published.failure.is_some();
        let is_done = !has_failed || !published.outcomes.is_empty();
        if is_done {
            state.outcomes = Arc::new(published.outcomes);
        }
        if !has_failed {
            if let Some(outcome) = state.outcomes.last() {
                status.observed_source_revision = Some(outcome.source_revision());
            }
            status.holds = state
                .outcomes
                .iter()
                .flat_map(|outcome| outcome.held.clone())
                .collect();
            // Others may have been asked for while it ran.
            if status.release_holds == publication.request.release_holds {
                status.release_holds = ReleaseHolds::None;
            }
            status.observed_policies.clone_from(&publication.observed);
            status.observed_spec = Some(spec_fingerprint(&state.object.spec));
        }
        if publication.pull_requests.is_some() && is_done {
            // Not ready until they are there too: a process that is killed now goes on with them when it starts again.
            status.conditions.progressing(PUSHED, now);
            state.proposal = Some(Proposal {
                publication,
                outcomes: Arc::clone(&state.outcomes),
                withheld: published.withheld,
                known_branches: published.known_branches,
                failure: published.failure,
            });
            let status = state.status.clone();
            self.remember_automation(&key, &status);
            return self.start_proposal(&name);
        }
        status.pull_requests.clear();
        status.pull_request_branches.clear();
        state.proposed.clear();
        match published.failure {
            Some(failure) => self.automation_failed(&name, &failure),
            None => self.automation_succeeded(&name, "repository up-to-date"),
        }
    }

    fn remember_automation(&mut self, key: &ObjectKey, status: &AutomationStatus) {
        if !self.dry_run {
            self.write(|batch| remember(batch, key, status));
        }
    }

    /// All that was to be done is done.
    pub(super) fn automation_succeeded(&mut self, name: &ObjectName, message: &str) {
        let (now, dry_run) = (self.now(), self.dry_run);
        let Some(state) = self.automation_mut(name) else {
            return;
        };
        state.failures = 0;
        let message = if dry_run { DRY_RUN } else { message };
        state.status.conditions.ready(message, now);
        let status = state.status.clone();
        let interval = state.object.spec.interval.0;
        let key = automation_key(name);
        self.remember_automation(&key, &status);
        if let Some(at) = after(now, interval) {
            self.timers.set_at_latest(key, at);
        }
    }

    /// A run of the updater failed.
    pub(super) fn automation_failed(&mut self, name: &ObjectName, failure: &Failure) {
        if let Some(state) = self.automation_mut(name) {
            state.running = false;
        }
        self.automation_is_retried(name, failure);
    }

    /// Tells what failed, and when it is tried again.
    pub(super) fn automation_is_retried(&mut self, name: &ObjectName, failure: &Failure) {
        let now = self.now();
        let Some(state) = self.states.automations.get_mut(name) else {
            return;
        };
        state.failures = state.failures.saturating_add(1);
        let key = automation_key(name);
        let retry = retry_at(failure.retry, state.failures, &key, now, &self.settings);
        let before = state.status.conditions.clone();
        state.status.conditions.failed(failure, now);
        let status = state.status.clone();
        if status.conditions != before {
            tracing::warn!(object = %key, reason = failure.reason, "{}", failure.message);
        }
        self.remember_automation(&key, &status);
        match retry {
            Some(at) if self.pass.is_none() => self.timers.set(key, at),
            _ => self.timers.cancel(&key),
        }
    }
}

fn tell_skipped(key: &ObjectKey, outcome: &PushOutcome) {
    for skipped in &outcome.skipped {
        let skip = &skipped.skip;
        let told = format!(
            "{}:{}:{}: marker not followed: {}",
            skipped.path, skip.line, skip.column, skip.detail
        );
        // Before the first scan no policy has an image; later on the policy itself says why it has none.
        if skip.reason == SkipReason::NoChoice {
            tracing::debug!(object = %key, "{told}");
        } else {
            tracing::warn!(object = %key, "{told}");
        }
    }
}

fn tell_holds(key: &ObjectKey, outcome: &PushOutcome, before: &[Hold]) {
    for hold in outcome.held.iter().filter(|hold| !before.contains(hold)) {
        tracing::info!(
            object = %key,
            policy = %hold.policy,
            "{}: {} was taken back in git and stays out until a newer tag is chosen",
            hold.path,
            hold.image
        );
    }
}
