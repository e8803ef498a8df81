//! Which repositories are scanned, and how: objects that name the same target share one scan.

use super::registry_access::access_with_settings;
use super::status::Failure;
use crate::resources::{ImageRepositorySpec, Object, ObjectName, Resources};
use crate::settings::Settings;
use jiff::SignedDuration;
use std::collections::BTreeMap;
use std::time::Duration;
use tagline_policy::ImageName;
use tagline_scanner::{ScanTarget, TargetKey};

/// One target and who asks for it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// What the scanner takes.
    pub(crate) scan: ScanTarget,
    /// The shortest interval of those who ask; zero for one scan only.
    pub(crate) interval: SignedDuration,
    /// The longest time-out of those who ask.
    pub(crate) timeout: Duration,
    /// Who asks.
    pub(crate) repositories: Vec<ObjectName>,
}

/// What becomes of one `ImageRepository`.
#[derive(Debug, Clone)]
pub(crate) enum Activity {
    /// It is scanned as this target.
    Scanned(TargetKey),
    /// It is suspended: its target is known, but not scanned for its sake.
    Suspended(TargetKey),
    /// Include and exclude globs leave it out.
    LeftOut(String),
    /// It cannot be scanned.
    Broken(Failure),
}

/// All targets.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    /// By name in the store.
    pub(crate) by_key: BTreeMap<TargetKey, Target>,
    /// By object.
    pub(crate) of_repository: BTreeMap<ObjectName, Activity>,
    /// Targets that only suspended repositories name: their policies go on with the tags that are known.
    suspended: BTreeMap<TargetKey, ScanTarget>,
    /// Policies by repository.
    policies: BTreeMap<ObjectName, Vec<ObjectName>>,
}

impl Targets {
    /// The targets of all repositories.
    pub(crate) fn plan(resources: &Resources, settings: &Settings) -> Self {
        let mut targets = Self::default();
        for (name, object) in &resources.image_repositories {
            let activity = targets.add(name, object, resources, settings);
            targets.of_repository.insert(name.clone(), activity);
        }
        for (name, policy) in &resources.image_policies {
            let repository = policy
                .spec
                .image_repository_ref
                .in_namespace(&name.namespace);
            let policies = targets.policies.entry(repository).or_default();
            policies.push(name.clone());
        }
        targets
    }

    fn add(
        &mut self,
        name: &ObjectName,
        object: &Object<ImageRepositorySpec>,
        resources: &Resources,
        settings: &Settings,
    ) -> Activity {
        let image = match ImageName::parse(&object.spec.image) {
            Ok(image) => image,
            Err(error) => {
                return Activity::Broken(Failure::stalled("ImageURLInvalid", error.to_string()));
            }
        };
        if !settings.image_filter.allows(&image) {
            return Activity::LeftOut(format!(
                "{image} is left out by the include and exclude globs of the settings"
            ));
        }
        let access = match access_with_settings(object, &image, resources, settings) {
            Ok(access) => access,
            Err(failure) => return Activity::Broken(failure),
        };
        let scan = ScanTarget::new(image, access);
        let key = scan.key();
        if object.spec.suspend {
            self.suspended.insert(key.clone(), scan);
            return Activity::Suspended(key);
        }
        let interval =
            SignedDuration::try_from(object.spec.interval.0).unwrap_or(SignedDuration::MAX);
        let timeout = object.spec.scan_timeout();
        if let Some(target) = self.by_key.get_mut(&key) {
            target.interval = match (target.interval.is_zero(), interval.is_zero()) {
                (true, _) => interval,
                (_, true) => target.interval,
                _ => target.interval.min(interval),
            };
            target.timeout = target.timeout.max(timeout);
            target.repositories.push(name.clone());
        } else {
            let repositories = vec![name.clone()];
            self.by_key.insert(
                key.clone(),
                Target {
                    scan,
                    interval,
                    timeout,
                    repositories,
                },
            );
        }
        Activity::Scanned(key)
    }

    /// What the scanner takes for a target, also for one that only suspended repositories name.
    pub(crate) fn scan_of(&self, key: &TargetKey) -> Option<&ScanTarget> {
        self.by_key
            .get(key)
            .map(|target| &target.scan)
            .or_else(|| self.suspended.get(key))
    }

    /// All targets, also those that only suspended repositories name.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &TargetKey> {
        self.by_key.keys().chain(self.suspended.keys())
    }

    /// The policies that choose from a repository.
    pub(crate) fn policies_of(&self, repository: &ObjectName) -> &[ObjectName] {
        self.policies.get(repository).map_or(&[], Vec::as_slice)
    }

    /// The target of a repository, also of a suspended one.
    pub(crate) fn key_of(&self, repository: &ObjectName) -> Option<&TargetKey> {
        match self.of_repository.get(repository)? {
            Activity::Scanned(key) | Activity::Suspended(key) => Some(key),
            Activity::LeftOut(_) | Activity::Broken(_) => None,
        }
    }
}
