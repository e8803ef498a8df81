//! Starts evaluations of policies whose tags, spec or time have changed, and takes over what they choose.

use super::back_off::{after, retry_at};
use super::evaluate::{Answer, Question, evaluate};
use super::evaluate_group::{GROUP_HELD, evaluate_together};
use super::state::{Done, Evaluated, TagsVersion, automation_key, policy_key, remember};
use super::status::{Failure, Retry, resolved_message};
use super::{EVALUATIONS_AT_ONCE, Service, Subject};
use super::{access_rules, publish};
use crate::resources::{Group, ObjectName, comparable};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

/// How long changes are gathered before they are written, so that those of one push to a registry go into
/// one commit.
const SETTLE: SignedDuration = SignedDuration::from_millis(200);

/// Why a policy cannot be evaluated now.
enum Obstacle {
    /// The first scan of its repository is under way.
    FirstScan,
    Suspended,
    /// Something that its own status says already.
    Known(String),
    /// Something that its status is still to say.
    Failed(Failure),
}

impl From<Failure> for Obstacle {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

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

    /// Policies of a repository that could not be scanned, and of which nothing is known yet, get to say so;
    /// so do those whose group waits for them.
    pub(super) fn policies_without_status_are_dirty(&mut self, repository: &ObjectName) {
        for (name, state) in &self.states.policies {
            let reference = &state.object.spec.image_repository_ref;
            if (state.status.conditions.ready_condition().is_none()
                || self.groups.of_policy(name).is_some())
                && reference.in_namespace(&name.namespace) == *repository
            {
                self.dirty_policies.insert(name.clone());
            }
        }
    }

    pub(super) fn start_evaluations(&mut self, now: Timestamp) {
        while self.evaluations < EVALUATIONS_AT_ONCE {
            let is_running = |name: &ObjectName| {
                self.states
                    .policies
                    .get(name)
                    .is_some_and(|state| state.running)
            };
            let next = self
                .dirty_policies
                .iter()
                .map(|name| self.groups.evaluated_with(name))
                .find(|policies| !policies.iter().any(is_running));
            let Some(policies) = next else {
                return;
            };
            for policy in &policies {
                self.dirty_policies.remove(policy);
            }
            self.start_evaluation(policies, now);
        }
    }

    /// Evaluates one policy, or all policies of a group.
    fn start_evaluation(&mut self, policies: Vec<ObjectName>, now: Timestamp) {
        let group = policies
            .first()
            .and_then(|policy| self.groups.of_policy(policy))
            .cloned();
        let mut asked = Vec::with_capacity(policies.len());
        let mut obstacles = Vec::new();
        for policy in &policies {
            match self.question(policy, now) {
                Ok((question, version)) => asked.push((policy.clone(), version, question)),
                Err(obstacle) => obstacles.push((policy.clone(), obstacle)),
            }
        }
        let refused = group.iter().flat_map(|group| group.refused.clone());
        obstacles.extend(refused.map(|(policy, why)| (policy, Obstacle::Known(why))));
        if !obstacles.is_empty() {
            return self.not_evaluated(&policies, &obstacles, group.as_ref());
        }
        if let Some(group) = &group
            && let Err(error) = comparable(group, &self.resources)
        {
            let failure =
                Failure::stalled("InvalidGroup", format!("group {}: {error}", group.name));
            for policy in &policies {
                self.policy_failed(policy, &failure);
            }
            return;
        }
        for policy in &policies {
            if let Some(state) = self.states.policies.get_mut(policy) {
                state.running = true;
            }
        }
        self.evaluations += 1;
        let scanner = self.scanner.clone();
        self.spawn(Subject::Policies(policies), async move {
            let (names, questions): (Vec<_>, Vec<_>) = asked
                .into_iter()
                .map(|(policy, version, question)| ((policy, version), question))
                .unzip();
            let answers = match (&group, questions.as_slice()) {
                (None, [question]) => vec![evaluate(Arc::clone(question), scanner).await],
                _ => evaluate_together(questions, scanner).await,
            };
            let evaluated = names.into_iter().zip(answers);
            Done::Evaluated(
                evaluated
                    .map(|((policy, version), answer)| Evaluated {
                        policy,
                        version,
                        answer,
                    })
                    .collect(),
            )
        });
    }

    /// Tells why policies are not evaluated now; the others of a group stay as they are with them.
    fn not_evaluated(
        &mut self,
        policies: &[ObjectName],
        obstacles: &[(ObjectName, Obstacle)],
        group: Option<&Group>,
    ) {
        let mut reasons = Vec::new();
        for (policy, obstacle) in obstacles {
            match obstacle {
                Obstacle::FirstScan => {}
                Obstacle::Suspended => {
                    reasons.push(format!("ImagePolicy {policy} is suspended"));
                }
                Obstacle::Known(why) => reasons.push(why.clone()),
                Obstacle::Failed(failure) => {
                    reasons.push(format!("ImagePolicy {policy}: {}", failure.message));
                    self.policy_failed(policy, failure);
                }
            }
        }
        let (Some(group), false) = (group, reasons.is_empty()) else {
            return;
        };
        let failure = Failure::held(
            GROUP_HELD,
            format!(
                "group {} stays as it is: {}",
                group.name,
                reasons.join("; ")
            ),
        );
        for policy in policies {
            if !obstacles.iter().any(|(known, _)| known == policy) {
                self.policy_failed(policy, &failure);
            }
        }
    }

    /// What an evaluation of a policy needs.
    fn question(
        &self,
        name: &ObjectName,
        now: Timestamp,
    ) -> Result<(Arc<Question>, TagsVersion), Obstacle> {
        let gone = || Obstacle::Known(format!("there is no ImagePolicy {name}"));
        let state = self.states.policies.get(name).ok_or_else(gone)?;
        if state.object.spec.suspend {
            return Err(Obstacle::Suspended);
        }
        let repository = access_rules::repository_of(
            &state.object,
            &self.resources,
            self.settings.no_cross_namespace_refs,
        )
        .map(Arc::clone)?;
        let Some(policy) = state.compiled.clone() else {
            let ready = state.status.conditions.ready_condition();
            let why = ready.map_or("cannot be used", |ready| &ready.message);
            return Err(Obstacle::Known(format!("ImagePolicy {name}: {why}")));
        };
        let no_tags = || Failure {
            reason: "DependencyNotReady",
            message: format!(
                "retrying in {} error: no tags in database",
                crate::resources::go_duration(self.settings.requeue_dependency)
            ),
            retry: Retry::After(self.settings.requeue_dependency),
        };
        let (key, target) = self
            .targets
            .key_of(&repository.key.name)
            .and_then(|key| Some((key.clone(), self.targets.scan_of(key)?.clone())))
            .ok_or_else(no_tags)?;
        let stored = self.store.tags(&key).map_err(|error| {
            Failure::retried(
                "Failure",
                format!("failed to read tags from database: {error}"),
            )
        })?;
        let Some(stored) = stored else {
            // The first scan is under way; its end brings the policy back here.
            let tried = self
                .states
                .repositories
                .get(&repository.key.name)
                .is_none_or(|state| state.tried || state.object.spec.suspend);
            return Err(if tried {
                no_tags().into()
            } else {
                Obstacle::FirstScan
            });
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
        let question = Question {
            object: Arc::clone(&state.object),
            repository,
            policy,
            target,
            tags: Arc::clone(&stored.tags),
            before,
            latest: state.status.latest_ref.clone(),
            check_manifest: !self.settings.skip_manifest_check,
            requeue_dependency: self.settings.requeue_dependency,
            now,
        };
        Ok((Arc::new(question), version))
    }

    pub(super) fn take_evaluations(&mut self, evaluated: Vec<Evaluated>) {
        self.evaluations -= 1;
        let policies: Vec<&ObjectName> = evaluated.iter().map(|one| &one.policy).collect();
        // A group is taken over as a whole or not at all.
        let outdated = policies.iter().any(|policy| {
            let state = self.states.policies.get(*policy);
            state.is_none_or(|state| state.object.spec.suspend)
                || !self
                    .groups
                    .evaluated_with(policy)
                    .iter()
                    .eq(policies.iter().copied())
        });
        if outdated {
            for policy in policies {
                if let Some(state) = self.states.policies.get_mut(policy) {
                    state.running = false;
                    self.dirty_policies.insert(policy.clone());
                }
            }
            return;
        }
        for one in evaluated {
            self.take_evaluation(&one.policy, one.version, one.answer);
        }
    }

    fn take_evaluation(&mut self, name: &ObjectName, version: TagsVersion, answer: Answer) {
        let now = self.now();
        let group = self.groups.of_policy(name).map(|group| group.name.clone());
        let Some(state) = self.states.policies.get_mut(name) else {
            return;
        };
        state.running = false;
        state.counts = answer.counts;
        state.evaluation = answer.evaluation.map(|evaluation| (evaluation, version));
        let image = match answer.result {
            Ok(image) => image,
            Err(failure) => {
                self.policy_failed(name, &failure);
                if let Some(at) = answer.recheck_at {
                    self.timers.set_at_latest(policy_key(name), at);
                }
                return;
            }
        };
        state.failures = 0;
        let changed = state.status.latest_ref.as_ref() != Some(&image);
        let status_before = state.status.clone();
        if changed {
            state.status.observed_previous_ref = state.status.latest_ref.replace(image);
        }
        let mut message = state
            .status
            .latest_ref
            .as_ref()
            .map(|latest| resolved_message(latest, state.status.observed_previous_ref.as_ref()))
            .unwrap_or_default();
        if let (Some(group), Some(held_back)) = (group, answer.held_back) {
            message = format!("{message}; group {group}: {held_back}");
        }
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
        let Some(state) = self.states.policies.get_mut(name) else {
            return;
        };
        state.running = false;
        state.failures = state.failures.saturating_add(1);
        let key = policy_key(name);
        let retry = retry_at(failure.retry, state.failures, &key, now, &self.settings);
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
