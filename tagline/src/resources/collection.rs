//! Everything that was read.

use super::git_repository::GitRepositorySpec;
use super::image_policy::ImagePolicySpec;
use super::image_repository::ImageRepositorySpec;
use super::image_update_automation::ImageUpdateAutomationSpec;
use super::metadata::{Kind, ObjectKey, ObjectName};
use super::object::{Object, Refused};
use super::references::Reference;
use super::secret::{ConfigMapManifest, SecretData, ServiceAccountManifest};
use super::settings::SettingsSpec;
use super::sync::SyncSpec;
use crate::manifest::{Place, Problem, Severity};
use std::collections::BTreeMap;
use std::sync::Arc;
use tagline_policy::ImageReference;

type Objects<S> = BTreeMap<ObjectName, Arc<Object<S>>>;

/// Everything that was read.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    /// What is scanned.
    pub(crate) image_repositories: Objects<ImageRepositorySpec>,
    /// Which tags are wanted.
    pub(crate) image_policies: Objects<ImagePolicySpec>,
    /// Where they are written.
    pub(crate) automations: Objects<ImageUpdateAutomationSpec>,
    /// Git remotes.
    pub(crate) git_repositories: Objects<GitRepositorySpec>,
    /// Sync loops.
    pub(crate) syncs: Objects<SyncSpec>,
    /// Secrets.
    pub(crate) secrets: Objects<SecretData>,
    /// `ConfigMaps`.
    pub(crate) config_maps: Objects<ConfigMapManifest>,
    /// Service accounts.
    pub(crate) service_accounts: Objects<ServiceAccountManifest>,
    /// Namespaces; what matters are their labels.
    pub(crate) namespaces: Objects<()>,
    /// The process's settings.
    pub(crate) settings: Option<Arc<Object<SettingsSpec>>>,
    /// Choices that files hand on (`status.latestRef`).
    pub(crate) given_choices: BTreeMap<ObjectName, ImageReference>,
    /// Objects that cannot be used.
    pub(crate) refused: Vec<Refused>,
    /// What is wrong, in the order of the files.
    pub(crate) problems: Vec<Problem>,
    /// Documents of other kinds, counted by kind.
    pub(crate) passed_over: BTreeMap<String, usize>,
    /// Files read.
    pub(crate) files: usize,
}

impl Resources {
    /// Whether an object can be used.
    pub(crate) fn contains(&self, key: &ObjectKey) -> bool {
        let name = &key.name;
        match key.kind {
            Kind::ImageRepository => self.image_repositories.contains_key(name),
            Kind::ImagePolicy => self.image_policies.contains_key(name),
            Kind::ImageUpdateAutomation => self.automations.contains_key(name),
            Kind::GitRepository => self.git_repositories.contains_key(name),
            Kind::Secret => self.secrets.contains_key(name),
            Kind::ConfigMap => self.config_maps.contains_key(name),
            Kind::ServiceAccount => self.service_accounts.contains_key(name),
            Kind::Namespace => self.namespaces.contains_key(name),
            Kind::Sync => self.syncs.contains_key(name),
            Kind::Settings => self
                .settings
                .as_ref()
                .is_some_and(|settings| settings.key == *key),
        }
    }

    /// The names of a kind's usable objects.
    pub(crate) fn names(&self, kind: Kind) -> Box<dyn Iterator<Item = &ObjectName> + '_> {
        match kind {
            Kind::ImageRepository => Box::new(self.image_repositories.keys()),
            Kind::ImagePolicy => Box::new(self.image_policies.keys()),
            Kind::ImageUpdateAutomation => Box::new(self.automations.keys()),
            Kind::GitRepository => Box::new(self.git_repositories.keys()),
            Kind::Secret => Box::new(self.secrets.keys()),
            Kind::ConfigMap => Box::new(self.config_maps.keys()),
            Kind::ServiceAccount => Box::new(self.service_accounts.keys()),
            Kind::Namespace => Box::new(self.namespaces.keys()),
            Kind::Sync => Box::new(self.syncs.keys()),
            Kind::Settings => Box::new(self.settings.iter().map(|settings| &settings.key.name)),
        }
    }

    /// How many usable objects there are of each kind.
    pub(crate) fn counts(&self) -> BTreeMap<&'static str, usize> {
        Kind::ALL
            .into_iter()
            .map(|kind| (kind.as_str(), self.names(kind).count()))
            .filter(|(_, count)| *count > 0)
            .collect()
    }

    /// Whether there is no object at all that could be used.
    pub(crate) fn is_empty(&self) -> bool {
        Kind::ALL
            .into_iter()
            .all(|kind| self.names(kind).next().is_none())
            && self.refused.is_empty()
    }

    /// Whether anything is wrong enough that a check must fail.
    pub(crate) fn has_errors(&self) -> bool {
        self.problems
            .iter()
            .any(|problem| problem.severity == Severity::Error)
    }

    /// The labels of a namespace. Without a Namespace object it has the one that Kubernetes always sets.
    pub(crate) fn namespace_labels(&self, namespace: &str) -> BTreeMap<String, String> {
        let mut labels = self
            .namespaces
            .get(&ObjectName::new("", namespace))
            .map(|object| object.labels.clone())
            .unwrap_or_default();
        labels.insert(
            "kubernetes.io/metadata.name".to_owned(),
            namespace.to_owned(),
        );
        labels
    }

    /// Every object with what it refers to.
    pub(super) fn all_references(
        &self,
    ) -> impl Iterator<Item = (&ObjectKey, &Place, &[Reference])> {
        fn of<S>(objects: &Objects<S>) -> impl Iterator<Item = (&ObjectKey, &Place, &[Reference])> {
            objects
                .values()
                .map(|object| (&object.key, &object.place, object.references.as_slice()))
        }
        of(&self.image_repositories)
            .chain(of(&self.image_policies))
            .chain(of(&self.automations))
            .chain(of(&self.git_repositories))
            .chain(of(&self.syncs))
    }
}
