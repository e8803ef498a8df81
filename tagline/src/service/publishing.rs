//! Starts runs of the updater for automations that are due, and takes over what they did.

use super::back_off::pause;
use super::publish::{self, SharedPublication};
use super::reload::spec_fingerprint;
use super::selecting::after;
use super::state::{Done, automation_key, remember};
use super::status::{Failure, Retry, whole_seconds};
use super::{ObjectOrTarget, PUBLISHES_AT_ONCE, Service};
use crate::resources::{ObjectKey, ObjectName};
use jiff::Timestamp;
use std::sync::Arc;
use tagline_updater::{Hold, PushOutcome};

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

    fn start_publish(&mut self, name: &ObjectName) {
        let now = self.now();
        let Some(state) = self.states.automations.get(name) else {
            self.due_automations.remove(name);
            return;
        };
        if state.object.spec.suspend {
            self.due_automations.remove(name);
            return;
        }
        if state.running {
            return;
        }
        let policies = &self.states.policies;
        let prepared = publish::prepare(
            &state.object,
            &self.resources,
            &self.settings,
            |policy| policies.get(policy)?.status.latest_ref.as_ref(),
            &state.status.holds,
            now,
        );
        let publication = match prepared {
            Ok(publication) => Arc::new(publication),
            Err(failure) => {
                self.due_automations.remove(name);
                return self.automation_failed(name, &failure);
            }
        };
        // Runs on one remote share a mirror: one after the other.
        let remote = publication.remote.url().to_string();
        if !self.busy_remotes.insert(remote.clone()) {
            return;
        }
        self.due_automations.remove(name);
        self.publishes += 1;
        if let Some(state) = self.automation_mut(name) {
            state.running = true;
            state.remote = Some(remote);
            state.status.last_automation_run_time = Some(whole_seconds(now));
        }
        let storage = self.settings.storage_path.clone();
        let cancel = self.cancel.clone();
        let owned = name.clone();
        self.spawn(ObjectOrTarget::Object(automation_key(name)), async move {
            let shared = Arc::clone(&publication);
            let work = move || publish::run(&shared, &storage, &cancel);
            let result = match tokio::task::spawn_blocking(work).await {
                Ok(result) => result,
                Err(error) => Err(Failure::retried(
                    "GitOperationFailed",
                    format!("the run stopped unexpectedly: {error}"),
                )),
            };
            Done::Published(owned, publication, now, result)
        });
    }

    pub(super) fn take_publish(
        &mut self,
        name: &ObjectName,
        publication: &SharedPublication,
        started: Timestamp,
        result: Result<Vec<PushOutcome>, Failure>,
    ) {
        self.publishes -= 1;
        self.busy_remotes
            .remove(&publication.remote.url().to_string());
        let outcomes = match result {
            Ok(outcomes) => outcomes,
            Err(failure) => return self.automation_failed(name, &failure),
        };
        let now = self.now();
        let Some(state) = self.automation_mut(name) else {
            return;
        };
        state.running = false;
        state.failures = 0;
        let key = automation_key(name);
        for (index, outcome) in outcomes.iter().enumerate() {
            let before = state.outcomes.get(index);
            if before.is_none_or(|before| before.skipped != outcome.skipped) {
                tell_skipped(&key, outcome);
            }
            tell_holds(&key, outcome, &state.status.holds);
        }
        let status = &mut state.status;
        for outcome in &outcomes {
            let Some(commit) = outcome.pushed() else {
                continue;
            };
            status.last_push_commit = Some(commit.to_string());
            status.last_push_time = Some(whole_seconds(now));
            status.last_push_branch = Some(outcome.branch.clone());
            tracing::info!(
                object = %key,
                remote = %publication.remote.url(),
                changes = outcome.changes().count(),
                files = outcome.files.len(),
                "pushed commit '{}' to branch '{}'",
                commit.short(),
                outcome.branch
            );
        }
        if let Some(outcome) = outcomes.last() {
            status.observed_source_revision = Some(outcome.source_revision());
        }
        status.holds = outcomes
            .iter()
            .flat_map(|outcome| outcome.held.clone())
            .collect();
        status.observed_policies.clone_from(&publication.observed);
        status.observed_spec = Some(spec_fingerprint(&state.object.spec));
        status.last_automation_run_time = Some(whole_seconds(started));
        status.conditions.ready("repository up-to-date", now);
        let status = status.clone();
        let interval = state.object.spec.interval.0;
        state.outcomes = Arc::new(outcomes);
        self.write(|batch| remember(batch, &key, &status));
        if let Some(at) = after(now, interval) {
            self.timers.set_at_latest(key, at);
        }
    }

    pub(super) fn automation_failed(&mut self, name: &ObjectName, failure: &Failure) {
        let now = self.now();
        let (first, longest) = (self.settings.min_retry_delay, self.settings.max_retry_delay);
        let Some(state) = self.states.automations.get_mut(name) else {
            return;
        };
        state.running = false;
        state.failures = state.failures.saturating_add(1);
        let key = automation_key(name);
        let retry = match failure.retry {
            Retry::BackOff => after(now, pause(state.failures, first, longest, &key)),
            Retry::After(pause) => after(now, pause),
            Retry::Never => None,
        };
        let before = state.status.conditions.clone();
        state.status.conditions.failed(failure, now);
        let status = state.status.clone();
        if status.conditions != before {
            tracing::warn!(object = %key, reason = failure.reason, "{}", failure.message);
        }
        self.write(|batch| remember(batch, &key, &status));
        match retry {
            Some(at) if self.pass.is_none() => self.timers.set(key, at),
            _ => self.timers.cancel(&key),
        }
    }
}

fn tell_skipped(key: &ObjectKey, outcome: &PushOutcome) {
    for skipped in &outcome.skipped {
        let skip = &skipped.skip;
        tracing::warn!(
            object = %key,
            "{}:{}:{}: marker not followed: {}",
            skipped.path,
            skip.line,
            skip.column,
            skip.detail
        );
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
