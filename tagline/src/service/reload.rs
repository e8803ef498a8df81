//! Takes over what the manifests say now.

use super::Service;
use super::access_rules;
use super::state::{
    AutomationState, PolicyState, RepositoryState, automation_key, forget, policy_key, remember,
    repository_key,
};
use super::status::{AutomationStatus, Failure, RepositoryStatus};
use super::targets::{Activity, Targets};
use crate::resources::{Groups, ObjectName, Resources};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;
use tagline_policy::{ExclusionSet, Exclusions, Policy};
use tagline_scanner::{Due, StoreError, TargetPlan};

impl Service {
    /// Takes over resources: what is new begins, what is gone ends, what stayed goes on.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) fn apply(&mut self, resources: Resources) -> Result<(), StoreError> {
        let now = self.now();
        let resources = Arc::new(resources);
        self.take_settings(&resources);
        let targets = Targets::plan(&resources, &self.settings);
        for key in self.targets.by_key.keys() {
            if !targets.by_key.contains_key(key) {
                self.schedule.remove(key);
            }
        }
        self.targets = targets;
        self.resources = resources;
        self.schedule_targets(now)?;
        self.apply_repositories(now)?;
        self.apply_policies(now)?;
        self.apply_automations(now)?;
        self.forget_removed()
    }

    fn schedule_targets(&mut self, now: Timestamp) -> Result<(), StoreError> {
        for (key, target) in &self.targets.by_key {
            let due = if self.schedule.contains(key) {
                Due::default()
            } else {
                self.store
                    .record(key)?
                    .map(|record| record.due)
                    .unwrap_or_default()
            };
            let namespace = target
                .repositories
                .first()
                .map_or("", |name| name.namespace.as_str());
            let plan = TargetPlan {
                namespace,
                interval: target.interval,
                due,
            };
            self.schedule.insert(key, &plan, now);
        }
        Ok(())
    }

    fn apply_repositories(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let resources = Arc::clone(&self.resources);
        self.states
            .repositories
            .retain(|name, _| resources.image_repositories.contains_key(name));
        for (name, object) in &resources.image_repositories {
            let exclusion_list = object.spec.exclusions();
            let known = self.states.repositories.get_mut(name);
            let exclusions_changed = if let Some(state) = known {
                let changed = state.object.spec.exclusions() != exclusion_list;
                let image_changed = state.object.spec.image != object.spec.image;
                state.object = Arc::clone(object);
                if image_changed {
                    state.status.last_scan_result = None;
                }
                changed || image_changed
            } else {
                let status: RepositoryStatus = self.memory.load(&repository_key(name))?;
                let outdated = status.observed_exclusion_list != exclusion_list;
                self.states.repositories.insert(
                    name.clone(),
                    RepositoryState {
                        object: Arc::clone(object),
                        exclusions: exclusion_set(&exclusion_list),
                        status,
                        tried: false,
                    },
                );
                outdated
            };
            if exclusions_changed && let Some(state) = self.states.repositories.get_mut(name) {
                state.exclusions = exclusion_set(&exclusion_list);
            }
            self.answer_repository_request(name, now);
            match self.targets.of_repository.get(name).cloned() {
                Some(Activity::Broken(failure)) => self.repository_failed(name, &failure, now),
                Some(Activity::Scanned(key)) => {
                    let has_result = self
                        .states
                        .repositories
                        .get(name)
                        .is_some_and(|state| state.status.last_scan_result.is_some());
                    if (exclusions_changed || !has_result)
                        && let Some(stored) = self.store.tags(&key)?
                    {
                        self.repository_scanned(name, &stored.tags, stored.scanned_at);
                    }
                }
                Some(Activity::Suspended(_) | Activity::LeftOut(_)) | None => {}
            }
        }
        Ok(())
    }

    /// A changed `requestedAt` asks for a scan now.
    fn answer_repository_request(&mut self, name: &ObjectName, now: Timestamp) {
        let Some(state) = self.states.repositories.get_mut(name) else {
            return;
        };
        let requested = state.object.requested_at().map(str::to_owned);
        if requested.is_none() || requested == state.status.last_handled_reconcile_at {
            return;
        }
        state.status.last_handled_reconcile_at = requested;
        let status = state.status.clone();
        self.write(|batch| remember(batch, &repository_key(name), &status));
        if let Some(Activity::Scanned(key)) = self.targets.of_repository.get(name) {
            self.schedule.request(key, now);
        }
    }

    fn apply_policies(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let resources = Arc::clone(&self.resources);
        self.states
            .policies
            .retain(|name, _| resources.image_policies.contains_key(name));
        self.dirty_policies
            .retain(|name| resources.image_policies.contains_key(name));
        for (name, object) in &resources.image_policies {
            let was_known = self.states.policies.contains_key(name);
            let changed = if let Some(state) = self.states.policies.get_mut(name) {
                let changed = state.object.spec != object.spec;
                state.object = Arc::clone(object);
                changed
            } else {
                let status = self.memory.load(&policy_key(name))?;
                self.states.policies.insert(
                    name.clone(),
                    PolicyState {
                        object: Arc::clone(object),
                        compiled: None,
                        status,
                        evaluation: None,
                        counts: (0, 0),
                        failures: 0,
                        running: false,
                    },
                );
                true
            };
            let compiled = self.compile(name);
            let Some(state) = self.states.policies.get_mut(name) else {
                continue;
            };
            let requested = state.object.requested_at().map(str::to_owned);
            let asked = requested.is_some() && requested != state.status.last_handled_reconcile_at;
            if asked {
                state.status.last_handled_reconcile_at = requested;
            }
            match compiled {
                Ok(policy) => {
                    let same = state
                        .compiled
                        .as_ref()
                        .is_some_and(|old| old.spec() == policy.spec());
                    if !same || changed || asked {
                        state.compiled = Some(Arc::new(policy));
                        state.evaluation = None;
                        state.failures = 0;
                        let is_restart = !was_known && state.status.latest_ref.is_some();
                        self.dirty_policies.insert(name.clone());
                        if changed && !is_restart {
                            self.list_all_tags_for(name, now)?;
                        }
                    }
                }
                Err(failure) => {
                    state.compiled = None;
                    if !object.spec.suspend {
                        state.status.conditions.failed(&failure, now);
                    }
                    if object.spec.group.is_some() {
                        // The others of its group are held up.
                        self.dirty_policies.insert(name.clone());
                    }
                }
            }
        }
        let groups = Groups::of(&resources);
        self.dirty_policies
            .extend(groups.changed_since(&self.groups).cloned());
        self.groups = groups;
        Ok(())
    }

    /// A policy with its repository's exclusions, when it may read that repository.
    fn compile(&self, name: &ObjectName) -> Result<Policy, Failure> {
        let Some(state) = self.states.policies.get(name) else {
            return Err(Failure::retried("Failure", "the policy is gone"));
        };
        let repository = access_rules::repository_of(
            &state.object,
            &self.resources,
            self.settings.no_cross_namespace_refs,
        )?;
        let spec = state
            .object
            .spec
            .to_policy_spec(&repository.spec.exclusions())
            .map_err(|error| Failure::stalled("InvalidPolicy", error.message()))?;
        Policy::compile(&spec).map_err(|error| Failure::stalled("InvalidPolicy", error.message()))
    }

    fn apply_automations(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let resources = Arc::clone(&self.resources);
        self.states
            .automations
            .retain(|name, _| resources.automations.contains_key(name));
        self.due_automations
            .retain(|name| resources.automations.contains_key(name));
        for (name, object) in &resources.automations {
            let requested = object.requested_at().map(str::to_owned);
            if let Some(state) = self.states.automations.get_mut(name) {
                let asked =
                    requested.is_some() && requested != state.status.last_handled_reconcile_at;
                let released = state.status.take_release(object.release_holds_at());
                let changed = state.object.spec != object.spec || asked || released;
                state.object = Arc::clone(object);
                if changed {
                    state.status.last_handled_reconcile_at = requested;
                    state.failures = 0;
                    self.due_automations.insert(name.clone());
                }
            } else {
                let mut status: AutomationStatus = self.memory.load(&automation_key(name))?;
                let asked = requested.is_some() && requested != status.last_handled_reconcile_at;
                let asked = status.take_release(object.release_holds_at()) || asked;
                status.last_handled_reconcile_at = requested;
                let state = AutomationState {
                    object: Arc::clone(object),
                    status,
                    outcomes: Arc::default(),
                    proposal: None,
                    proposing: false,
                    proposed: Vec::new(),
                    remote: None,
                    failures: 0,
                    running: false,
                };
                let last = state.status.last_automation_run_time;
                let interval = jiff::SignedDuration::try_from(object.spec.interval.0)
                    .unwrap_or(jiff::SignedDuration::MAX);
                let fresh = state.status.observed_spec.as_deref()
                    == Some(&*spec_fingerprint(&object.spec))
                    && state.status.conditions.is_ready();
                let due = last
                    .filter(|_| fresh && !asked)
                    .and_then(|last| last.checked_add(interval).ok())
                    .unwrap_or(now);
                self.states.automations.insert(name.clone(), state);
                self.timers.set(automation_key(name), due);
                // Changes that the last process did not get to write.
                if let Some(at) = self.changes_due(name) {
                    self.timers.set_at_latest(automation_key(name), at);
                }
            }
        }
        Ok(())
    }

    /// Statuses of objects that are gone are removed from the store.
    fn forget_removed(&mut self) -> Result<(), StoreError> {
        let states = &self.states;
        let known: BTreeSet<String> = states
            .repositories
            .keys()
            .map(|name| repository_key(name).to_string())
            .chain(
                states
                    .policies
                    .keys()
                    .map(|name| policy_key(name).to_string()),
            )
            .chain(
                states
                    .automations
                    .keys()
                    .map(|name| automation_key(name).to_string()),
            )
            .collect();
        // An object that is broken just now keeps its memory: it comes back when it is mended.
        let refused: BTreeSet<String> = self
            .resources
            .refused
            .iter()
            .map(|refused| refused.key.to_string())
            .collect();
        let gone: Vec<String> = self
            .memory
            .objects()?
            .into_iter()
            .filter(|object| !known.contains(object) && !refused.contains(object))
            .collect();
        for object in gone {
            self.write(|batch| forget(batch, &object));
        }
        Ok(())
    }

    pub(super) fn repository_failed(
        &mut self,
        name: &ObjectName,
        failure: &Failure,
        now: Timestamp,
    ) {
        let Some(state) = self.states.repositories.get_mut(name) else {
            return;
        };
        let before = state.status.conditions.clone();
        state.status.conditions.failed(failure, now);
        if state.status.conditions != before {
            tracing::warn!(object = %repository_key(name), reason = failure.reason, "{}", failure.message);
            let status = state.status.clone();
            self.write(|batch| remember(batch, &repository_key(name), &status));
        }
    }
}

/// Patterns were checked when the object was read, so they compile.
fn exclusion_set(patterns: &[String]) -> Option<Arc<ExclusionSet>> {
    ExclusionSet::compile(&Exclusions::from_exclusion_list(patterns))
        .inspect_err(|error| tracing::error!(%error, "an exclusion list cannot be used"))
        .ok()
        .map(Arc::new)
}

/// Tells two specs apart over restarts.
pub(super) fn spec_fingerprint<S: std::fmt::Debug>(spec: &S) -> String {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    format!("{spec:?}").hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
