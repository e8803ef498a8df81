//! References from object to object, and those that lead nowhere.

use super::collection::Resources;
use super::git_repository::GitRepositorySpec;
use super::image_policy::ImagePolicySpec;
use super::image_repository::ImageRepositorySpec;
use super::image_update_automation::ImageUpdateAutomationSpec;
use super::metadata::{DEFAULT_NAMESPACE, Kind, ObjectKey, ObjectName};
use super::settings::SettingsSpec;
use super::sync::SyncSpec;
use crate::manifest::{Node, Place, Position, Problem, nearest};
use std::borrow::Cow;

/// One reference and where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    /// What it names.
    pub(crate) target: ObjectKey,
    /// The field, for example `spec.secretRef.name`.
    pub(crate) field: Cow<'static, str>,
    /// Where the field is.
    pub(crate) at: Position,
}

/// What an object refers to.
pub(super) trait Refers {
    /// The references of an object in `namespace`; places are looked up in its `manifest`.
    fn references(&self, namespace: &str, manifest: &Node) -> Vec<Reference> {
        let mut all = Collector {
            manifest,
            found: Vec::new(),
        };
        self.collect(namespace, &mut all);
        all.found
    }

    /// Adds them, in the order of the fields.
    fn collect(&self, namespace: &str, all: &mut Collector<'_>);
}

/// Collects references of one object.
pub(super) struct Collector<'a> {
    manifest: &'a Node,
    found: Vec<Reference>,
}

impl Collector<'_> {
    fn add(
        &mut self,
        kind: Kind,
        namespace: &str,
        name: Option<&str>,
        field: impl Into<Cow<'static, str>>,
    ) {
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return;
        };
        let field = field.into();
        self.found.push(Reference {
            target: ObjectKey::new(kind, ObjectName::new(namespace, name)),
            at: self.manifest.nearest_position(&field),
            field,
        });
    }

    fn add_secret(
        &mut self,
        namespace: &str,
        secret: Option<&super::metadata::LocalReference>,
        field: &'static str,
    ) {
        let name = secret.map(|secret| secret.name.as_str());
        self.add(Kind::Secret, namespace, name, field);
    }
}

impl Refers for ImageRepositorySpec {
    fn collect(&self, namespace: &str, all: &mut Collector<'_>) {
        all.add_secret(namespace, self.secret_ref.as_ref(), "spec.secretRef.name");
        all.add_secret(
            namespace,
            self.cert_secret_ref.as_ref(),
            "spec.certSecretRef.name",
        );
        all.add_secret(
            namespace,
            self.proxy_secret_ref.as_ref(),
            "spec.proxySecretRef.name",
        );
        all.add(
            Kind::ServiceAccount,
            namespace,
            self.service_account_name.as_deref(),
            "spec.serviceAccountName",
        );
    }
}

impl Refers for ImagePolicySpec {
    fn collect(&self, namespace: &str, all: &mut Collector<'_>) {
        let reference = &self.image_repository_ref;
        all.add(
            Kind::ImageRepository,
            reference.namespace.as_deref().unwrap_or(namespace),
            Some(&reference.name),
            "spec.imageRepositoryRef.name",
        );
    }
}

impl Refers for ImageUpdateAutomationSpec {
    fn collect(&self, namespace: &str, all: &mut Collector<'_>) {
        all.add(
            Kind::GitRepository,
            self.source_ref.namespace.as_deref().unwrap_or(namespace),
            Some(&self.source_ref.name),
            "spec.sourceRef.name",
        );
        if let Some(git) = &self.git {
            let key = git.commit.signing_key.as_ref();
            all.add_secret(
                namespace,
                key.map(|key| &key.secret_ref),
                "spec.git.commit.signingKey.secretRef.name",
            );
            let forge = git.pull_request.as_ref();
            all.add_secret(
                namespace,
                forge.and_then(|request| request.secret_ref.as_ref()),
                "spec.git.pullRequest.secretRef.name",
            );
        }
    }
}

impl Refers for GitRepositorySpec {
    fn collect(&self, namespace: &str, all: &mut Collector<'_>) {
        all.add_secret(namespace, self.secret_ref.as_ref(), "spec.secretRef.name");
        all.add_secret(
            namespace,
            self.proxy_secret_ref.as_ref(),
            "spec.proxySecretRef.name",
        );
    }
}

impl Refers for SyncSpec {
    fn collect(&self, namespace: &str, all: &mut Collector<'_>) {
        all.add(
            Kind::GitRepository,
            self.source_ref.namespace.as_deref().unwrap_or(namespace),
            Some(&self.source_ref.name),
            "spec.sourceRef.name",
        );
    }
}

impl Refers for SettingsSpec {
    fn collect(&self, _namespace: &str, all: &mut Collector<'_>) {
        for (index, entry) in self.registries.iter().enumerate() {
            for (reference, field) in [
                (&entry.cert_secret_ref, "certSecretRef"),
                (&entry.secret_ref, "secretRef"),
                (&entry.proxy_secret_ref, "proxySecretRef"),
            ] {
                let Some(reference) = reference else { continue };
                let namespace = reference.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
                all.add(
                    Kind::Secret,
                    namespace,
                    Some(&reference.name),
                    format!("spec.registries.{index}.{field}.name"),
                );
            }
        }
    }
}

/// Names every reference that leads nowhere, with the likeliest meant object.
pub(super) fn dangling(resources: &Resources) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (key, place, references) in resources.all_references() {
        for reference in references {
            if resources.contains(&reference.target) {
                continue;
            }
            problems.push(dangling_problem(resources, key, place, reference));
        }
    }
    problems
}

fn dangling_problem(
    resources: &Resources,
    from: &ObjectKey,
    place: &Place,
    reference: &Reference,
) -> Problem {
    let target = &reference.target;
    let place = Place::new(std::sync::Arc::clone(&place.file), reference.at);
    let problem = Problem::error(place, format!("there is no {target}"))
        .of(from)
        .field(reference.field.clone());
    if let Some(refused) = resources
        .refused
        .iter()
        .find(|refused| refused.key == *target)
    {
        return problem.help(format!(
            "it is at {}, but cannot be used: see its own error",
            refused.place
        ));
    }
    let mut others: Vec<&ObjectName> = resources.names(target.kind).collect();
    others.sort();
    if let Some(elsewhere) = others.iter().find(|other| other.name == target.name.name) {
        return problem.help(format!(
            "there is one in namespace {:?}; {}",
            elsewhere.namespace,
            if matches!(target.kind, Kind::ImageRepository | Kind::GitRepository) {
                "name the namespace beside the name, or move one of the two"
            } else {
                "it must be in the same namespace as the object that refers to it"
            }
        ));
    }
    let here = others
        .iter()
        .filter(|other| other.namespace == target.name.namespace)
        .map(|other| other.name.as_str());
    match nearest(&target.name.name, here) {
        Some(near) => problem.help(format!("did you mean {near:?}?")),
        None => problem.help(format!(
            "add the {} to the files given with -f, or correct the name",
            target.kind
        )),
    }
}
