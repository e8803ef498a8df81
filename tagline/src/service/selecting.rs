//! Starts evaluations of policies whose tags, spec or time have changed, and takes over what they choose.

use super::back_off::pause;
use super::evaluate::{Answer, Question, evaluate};
use super::state::{Done, TagsVersion, automation_key, policy_key, remember};
use super::status::{Failure, Retry, resolved_message};
use super::{EVALUATIONS_AT_ONCE, Service, Subject};
use super::{access_rules, publish};
use crate::resources::ObjectName;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// How long changes are gathered before they are written, so that those of one push to a registry go into
/// one commit.
const SETTLE: SignedDuration = SignedDuration::from_millis(200);

impl Service {
    /// Every policy of a repository is to be evaluated.
    pub(super) fn policies_of_repository_are_dirty(&mut self, repository: &ObjectName) {
        for (name, state) in &self.states.policies {
            let reference = &state.object.spec.image_repository_ref;
            if reference.in_namespace(&name.namespace) == *repository {
                self.dirty_policies.insert(name.clone());
            }
        }
    }

    /// Policies of a repository that could not be scanned, and of which nothing is known yet, get to say so.
    pub(super) fn policies_without_status_are_dirty(&mut self, repository: &ObjectName) {
        for (name, state) in &self.states.policies {
            let reference = &state.object.spec.image_repository_ref;
            if state.status.conditions.ready_condition().is_none()
                && reference.in_namespace(&name.namespace) == *repository
            {
                self.dirty_policies.insert(name.clone());
            }
        }
    }

    pub(super) fn start_evaluations(&mut self, now: Timestamp) {
        while self.evaluations < EVALUATIONS_AT_ONCE {
            let next = self
                .dirty_policies
                .iter()
                .find(|name| {
                    self.states
                        .policies
                        .get(*name)
                        .is_none_or(|state| !state.running)
                })
                .cloned();
            let Some(name) = next else {
                return;
            };
            self.dirty_policies.remove(&name);
            self.start_evaluation(&name, now);
        }
    }

    fn start_evaluation(&mut self, name: &ObjectName, now: Timestamp) {
        let Some(state) = self.states.policies.get(name) else {
            return;
        };
        if state.object.spec.suspend {
            return;
        }
        let repository = match access_rules::repository_of(
            &state.object,
            &self.resources,
            self.settings.no_cross_namespace_refs,
        ) {
            Ok(repository) => Arc::clone(repository),
            Err(failure) => return self.policy_failed(name, &failure),
        };
        let Some(policy) = state.compiled.clone() else {
            return;
        };
        let target = self
            .targets
            .key_of(&repository.key.name)
            .and_then(|key| Some((key.clone(), self.targets.scan_of(key)?.clone())));
        let no_tags = Failure {
            reason: "DependencyNotReady",
            message: format!(
                "retrying in {} error: no tags in database",
                crate::resources::go_duration(self.settings.requeue_dependency)
            ),
            retry: Retry::After(self.settings.requeue_dependency),
        };
        let Some((key, target)) = target else {
            return self.policy_failed(name, &no_tags);
        };
        let tags = match self.store.tags(&key) {
            Ok(Some(stored)) => Arc::clone(&stored.tags),
            Ok(None) => {
                // The first scan is under way; its end brings the policy back here.
                let tried = self
                    .states
                    .repositories
                    .get(&repository.key.name)
                    .is_none_or(|state| state.tried || state.object.spec.suspend);
                if tried {
                    self.policy_failed(name, &no_tags);
                }
                return;
            }
            Err(error) => {
                let failure = Failure::retried(
                    "Failure",
                    format!("failed to read tags from database: {error}"),
                );
                return self.policy_failed(name, &failure);
            }
        };
        let version = self.tags_version(&key);
        let before = state.evaluation.as_ref().and_then(|(evaluation, seen)| {
            let change = self.last_changes.get(&key)?;
            let follows = seen.target == key
                && seen.number + 1 == change.number
                && change.number == version.number;
            follows.then(|| {
                (
                    Arc::clone(evaluation),
                    Arc::clone(&change.added),
                    Arc::clone(&change.removed),
                )
            })
        });
        let question = Arc::new(Question {
            object: Arc::clone(&state.object),
            repository,
            policy,
            target,
            tags,
            before,
            latest: state.status.latest_ref.clone(),
            check_manifest: !self.settings.skip_manifest_check,
            requeue_dependency: self.settings.requeue_dependency,
            now,
        });
        if let Some(state) = self.states.policies.get_mut(name) {
            state.running = true;
        }
        self.evaluations += 1;
        let scanner = self.scanner.clone();
        let owned = name.clone();
        self.spawn(Subject::Policy(name.clone()), async move {
            let answer = evaluate(question, scanner).await;
            Done::Evaluated(owned, version, Box::new(answer))
        });
    }

    pub(super) fn take_evaluation(
        &mut self,
        name: &ObjectName,
        version: TagsVersion,
        answer: Answer,
    ) {
        self.evaluations -= 1;
        let now = self.now();
        let Some(state) = self.states.policies.get_mut(name) else {
            return;
        };
        state.running = false;
        state.counts = answer.counts;
        state.evaluation = answer.evaluation.map(|evaluation| (evaluation, version));
        let image = match answer.result {
            Ok(image) => image,
            Err(failure) => return self.policy_failed(name, &failure),
        };
        state.failures = 0;
        let changed = state.status.latest_ref.as_ref() != Some(&image);
        let status_before = state.status.clone();
        if changed {
            state.status.observed_previous_ref = state.status.latest_ref.replace(image);
        }
        let message = state
            .status
            .latest_ref
            .as_ref()
            .map(|latest| resolved_message(latest, state.status.observed_previous_ref.as_ref()))
            .unwrap_or_default();
        state.status.conditions.ready(message.clone(), now);
        let digest_interval = state.object.spec.digest_interval();
        let status = state.status.clone();
        if status != status_before {
            tracing::info!(object = %policy_key(name), "{message}");
            self.write(|batch| remember(batch, &policy_key(name), &status));
        }
        let recheck = answer
            .recheck_at
            .into_iter()
            .chain(digest_interval.and_then(|interval| after(now, interval)))
            .min();
        match recheck {
            Some(at) => self.timers.set(policy_key(name), at),
            None => self.timers.cancel(&policy_key(name)),
        }
        if changed {
            self.automations_of_policy_are_due(name, now);
        }
    }

    pub(super) fn policy_failed(&mut self, name: &ObjectName, failure: &Failure) {
        let now = self.now();
        let (first, longest) = (self.settings.min_retry_delay, self.settings.max_retry_delay);
        let Some(state) = self.states.policies.get_mut(name) else {
            return;
        };
        state.running = false;
        state.failures = state.failures.saturating_add(1);
        let key = policy_key(name);
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
            self.write(|batch| remember(batch, &key, &status));
        }
        match retry {
            Some(at) if self.pass.is_none() => self.timers.set(key, at),
            _ => self.timers.cancel(&key),
        }
    }

    fn automations_of_policy_are_due(&mut self, policy: &ObjectName, now: Timestamp) {
        if self.pass.is_some() {
            return;
        }
        let resources = Arc::clone(&self.resources);
        for (name, object) in &resources.automations {
            if !publish::policies_of(object, &resources).any(|used| used == policy) {
                continue;
            }
            let key = automation_key(name);
            let Some(state) = self.states.automations.get_mut(name) else {
                continue;
            };
            // Counted from the first change, so that a steady stream of them cannot put the commit off.
            if state.status.changes_since.is_none() {
                state.status.changes_since = Some(now);
                let status = state.status.clone();
                self.write(|batch| remember(batch, &key, &status));
            }
            if let Some(at) = self.changes_due(name) {
                self.timers.set_at_latest(key, at);
            }
        }
    }

    /// When changes that wait are to be written: when the window that the first of them opened ends.
    pub(super) fn changes_due(&self, automation: &ObjectName) -> Option<Timestamp> {
        let state = self.states.automations.get(automation)?;
        let since = state.status.changes_since?;
        let window = state
            .object
            .spec
            .git
            .as_ref()
            .and_then(|git| git.commit.window)
            .and_then(|window| SignedDuration::try_from(window.0).ok())
            .unwrap_or(SETTLE);
        Some(since.checked_add(window).unwrap_or(since))
    }
}

/// The moment a pause from now.
pub(super) fn after(now: Timestamp, pause: Duration) -> Option<Timestamp> {
    now.checked_add(SignedDuration::try_from(pause).ok()?).ok()
}
