//! How thoroughly a target is scanned: whole, or only from where on its policies could choose.

use super::Service;
use crate::resources::ObjectName;
use jiff::Timestamp;
use tagline_policy::Tag;
use tagline_scanner::{Ready, ReadyReason, ScanMode, StoreError, TargetKey};

impl Service {
    /// The mode for a target that is due.
    ///
    /// Whoever asks for a scan gets the whole list. Otherwise, where every policy of the target knows from which tag
    /// on it could choose another, only those are asked for; the scanner sees to it that the whole list is read now
    /// and then nevertheless, and wherever asking for less is not sound.
    pub(super) fn scan_mode(&self, ready: &Ready, repositories: &[ObjectName]) -> ScanMode {
        if ready.reason != ReadyReason::Due {
            return ScanMode::Conditional;
        }
        self.choices_begin_at(&ready.key, repositories)
            .map_or(ScanMode::Conditional, ScanMode::Newer)
    }

    /// Another policy may choose a tag that the one before could not, and that was not asked for therefore.
    pub(super) fn list_all_tags_for(
        &mut self,
        policy: &ObjectName,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(state) = self.states.policies.get(policy) else {
            return Ok(());
        };
        let repository = &state.object.spec.image_repository_ref;
        let repository = repository.in_namespace(&policy.namespace);
        let Some(key) = self.targets.key_of(&repository) else {
            return Ok(());
        };
        let is_whole = self
            .store
            .record(key)?
            .is_none_or(|record| !record.memory.newer_only);
        if !is_whole {
            self.schedule.request(key, now);
        }
        Ok(())
    }

    /// The first tag that any policy of these repositories could choose; `None` where there is no such limit.
    fn choices_begin_at(&self, key: &TargetKey, repositories: &[ObjectName]) -> Option<Tag> {
        let mut first: Option<Tag> = None;
        for repository in repositories {
            let policies = self.targets.policies_of(repository);
            if policies.is_empty() {
                // Somebody wants the list for its own sake.
                return None;
            }
            for policy in policies {
                let begin = self.policy_choices_begin_at(key, policy)?;
                first = Some(first.map_or_else(|| begin.clone(), |first| first.min(begin.clone())));
            }
        }
        first
    }

    fn policy_choices_begin_at(&self, key: &TargetKey, policy: &ObjectName) -> Option<Tag> {
        if self.groups.of_policy(policy).is_some() {
            // What a group chooses is not the first of each member's own order.
            return None;
        }
        let state = self.states.policies.get(policy)?;
        let (evaluation, version) = state.evaluation.as_ref()?;
        if *version != self.tags_version(key) {
            return None;
        }
        let chosen = evaluation.selection().tag()?;
        state.compiled.as_ref()?.choices_begin_at(chosen.as_ref())
    }
}
