//! Reads manifests into [`Resources`].

use super::collection::Resources;
use super::git_repository::GitRepositorySpec;
use super::groups;
use super::image_policy::{ImagePolicySpec, ImagePolicyStatus};
use super::image_repository::ImageRepositorySpec;
use super::image_update_automation::ImageUpdateAutomationSpec;
use super::metadata::{DEFAULT_NAMESPACE, Kind, Metadata, ObjectKey, ObjectName, name_fault};
use super::object::{Object, Refused};
use super::references::{self, Reference, Refers};
use super::secret::{ConfigMapManifest, SecretManifest, ServiceAccountManifest};
use super::settings::SettingsSpec;
use super::source::{ManifestFile, Source, read_files};
use super::sync::SyncSpec;
use super::validate::Validate;
use crate::manifest::{
    Fault, Node, NodeKind, Place, Problem, Quoting, Severity, decode, nearest, parse_bytes,
};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

/// The annotation that `kubectl apply` leaves: as long as the object itself and of no use here.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// How manifests are read.
#[derive(Debug, Clone)]
pub(crate) struct LoadOptions {
    /// The namespace of objects that name none.
    pub(crate) default_namespace: String,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            default_namespace: DEFAULT_NAMESPACE.to_owned(),
        }
    }
}

/// Reads all manifests of all sources.
pub(crate) fn load(sources: &[Source], options: &LoadOptions) -> Resources {
    let mut problems = Vec::new();
    let files = read_files(sources, &mut problems);
    let mut loader = Loader {
        resources: Resources {
            problems,
            files: files.len(),
            ..Resources::default()
        },
        options,
        places: HashMap::new(),
        group_places: BTreeMap::new(),
    };
    for file in &files {
        loader.take_file(file);
    }
    let mut resources = loader.resources;
    let dangling = references::dangling(&resources);
    resources.problems.extend(dangling);
    let groups = groups::problems(&resources, &loader.group_places);
    resources.problems.extend(groups);
    resources
        .problems
        .sort_by(|a, b| (&a.place, a.severity).cmp(&(&b.place, b.severity)));
    resources
}

/// A manifest of a kind with a `spec`.
#[derive(Deserialize)]
#[serde(
    rename_all = "camelCase",
    bound = "S: DeserializeOwned, T: DeserializeOwned + Default"
)]
struct Manifest<S, T> {
    #[serde(default)]
    #[expect(dead_code, reason = "read before, with the kind")]
    api_version: IgnoredAny,
    #[serde(default)]
    #[expect(dead_code, reason = "read before")]
    kind: IgnoredAny,
    #[serde(default)]
    #[expect(dead_code, reason = "read before")]
    metadata: IgnoredAny,
    spec: S,
    #[serde(default)]
    status: T,
}

struct Loader<'a> {
    resources: Resources,
    options: &'a LoadOptions,
    places: HashMap<ObjectKey, Place>,
    /// Where policies name their group.
    group_places: BTreeMap<ObjectName, Place>,
}

/// What every object has, read before its kind's own part.
struct Head<'a> {
    key: ObjectKey,
    metadata: Metadata,
    /// What is wrong with the metadata; told together with what is wrong with the rest.
    faults: Vec<Fault>,
    place: Place,
    node: &'a Node,
}

impl Loader<'_> {
    fn take_file(&mut self, file: &ManifestFile) {
        let (documents, faults) = parse_bytes(&file.bytes);
        let looks_like_a_template = file.bytes.windows(2).any(|pair| pair == b"{{");
        for fault in faults {
            let place = Place::new(Arc::clone(&file.path), fault.at);
            self.resources.problems.push(if looks_like_a_template {
                Problem::warning(place, format!("not YAML, and so passed over: {}", fault.message))
                    .help("this looks like a template; give its rendered output to Tagline, or leave the file out")
            } else {
                Problem::error(place, format!("not valid YAML: {}", fault.message))
                    .help("correct the syntax; everything else in the files is read")
            });
        }
        for document in documents {
            self.take_value(&document.root, &file.path, 0);
        }
    }

    fn take_value(&mut self, node: &Node, file: &Arc<Path>, depth: usize) {
        if node.is_null() {
            return;
        }
        let kind = node.get("kind").and_then(Node::as_str).unwrap_or_default();
        let api_version = node
            .get("apiVersion")
            .and_then(Node::as_str)
            .unwrap_or_default();
        if kind.ends_with("List")
            && !api_version.is_empty()
            && let Some(NodeKind::Sequence(items)) = node.get("items").map(|items| &items.kind)
            && depth < 8
        {
            for item in items {
                self.take_value(item, file, depth + 1);
            }
            return;
        }
        let place = Place::new(Arc::clone(file), node.at);
        match known_kind(kind, api_version) {
            Known::Yes(kind) => self.take_object(kind, node, place),
            Known::OtherVersion(kind) => {
                let (group, versions) = kind.api();
                let at = node.nearest_position("apiVersion");
                let name = node
                    .at_path("metadata.name")
                    .and_then(Node::as_str)
                    .unwrap_or_default();
                self.resources.problems.push(
                    Problem::error(
                        Place::new(Arc::clone(file), at),
                        format!("{api_version:?} is not a version of {kind} that Tagline reads"),
                    )
                    .of(format!("{kind} {name}"))
                    .field("apiVersion")
                    .help(format!("write \"{group}/{}\"", versions[0])),
                );
            }
            Known::No { near } => {
                if let Some(near) = near {
                    let at = node.nearest_position("kind");
                    self.resources.problems.push(
                        Problem::warning(
                            Place::new(Arc::clone(file), at),
                            format!(
                                "{api_version} has no kind {kind:?}; the object is passed over"
                            ),
                        )
                        .field("kind")
                        .help(format!("did you mean {near:?}?")),
                    );
                }
                let label = if kind.is_empty() { "(no kind)" } else { kind };
                *self
                    .resources
                    .passed_over
                    .entry(label.to_owned())
                    .or_default() += 1;
            }
        }
    }

    fn take_object(&mut self, kind: Kind, node: &Node, place: Place) {
        let quoting = if kind == Kind::Secret {
            Quoting::Hide
        } else {
            Quoting::Show
        };
        let Some(head) = self.head(kind, node, place, quoting) else {
            return;
        };
        match kind {
            Kind::ImageRepository => {
                if let Some((object, _)) = self.with_spec::<ImageRepositorySpec, IgnoredAny>(head) {
                    self.resources
                        .image_repositories
                        .insert(object.key.name.clone(), object);
                }
            }
            Kind::ImagePolicy => {
                let at = head.node.nearest_position("spec.group");
                let group_place = Place::new(Arc::clone(&head.place.file), at);
                let read = self.with_spec::<ImagePolicySpec, Option<ImagePolicyStatus>>(head);
                if let Some((object, status)) = read {
                    if object.spec.group.is_some() {
                        self.group_places
                            .insert(object.key.name.clone(), group_place);
                    }
                    if let Some(given) = status.and_then(|status| status.latest_ref) {
                        let choice = given.to_image_reference();
                        self.resources
                            .given_choices
                            .insert(object.key.name.clone(), choice);
                    }
                    self.resources
                        .image_policies
                        .insert(object.key.name.clone(), object);
                }
            }
            Kind::ImageUpdateAutomation => {
                if let Some((object, _)) =
                    self.with_spec::<ImageUpdateAutomationSpec, IgnoredAny>(head)
                {
                    self.resources
                        .automations
                        .insert(object.key.name.clone(), object);
                }
            }
            Kind::GitRepository => {
                if let Some((object, _)) = self.with_spec::<GitRepositorySpec, IgnoredAny>(head) {
                    self.resources
                        .git_repositories
                        .insert(object.key.name.clone(), object);
                }
            }
            Kind::Sync => {
                if let Some((object, _)) = self.with_spec::<SyncSpec, IgnoredAny>(head) {
                    self.resources.syncs.insert(object.key.name.clone(), object);
                }
            }
            Kind::Settings => self.take_settings(head),
            Kind::Secret => self.take_secret(head),
            Kind::ConfigMap => {
                if let Some(manifest) = self.decoded::<ConfigMapManifest>(&head, Quoting::Show) {
                    let object = object(head, manifest, Vec::new());
                    self.resources
                        .config_maps
                        .insert(object.key.name.clone(), object);
                }
            }
            Kind::ServiceAccount => {
                if let Some(manifest) = self.decoded::<ServiceAccountManifest>(&head, Quoting::Show)
                {
                    let object = object(head, manifest, Vec::new());
                    self.resources
                        .service_accounts
                        .insert(object.key.name.clone(), object);
                }
            }
            Kind::Namespace if !head.faults.is_empty() => {
                self.refuse(&head, "Invalid", head.faults.clone());
            }
            Kind::Namespace => {
                let object = object(head, (), Vec::new());
                self.resources
                    .namespaces
                    .insert(object.key.name.clone(), object);
            }
        }
    }

    /// Metadata and name; refuses a name that is illegal or taken.
    fn head<'n>(
        &mut self,
        kind: Kind,
        node: &'n Node,
        place: Place,
        quoting: Quoting,
    ) -> Option<Head<'n>> {
        let written_name = node
            .at_path("metadata.name")
            .and_then(Node::as_str)
            .unwrap_or_default();
        let written_namespace = node.at_path("metadata.namespace").and_then(Node::as_str);
        let namespace = if kind.is_namespaced() {
            written_namespace.unwrap_or(&self.options.default_namespace)
        } else {
            ""
        };
        let key = ObjectKey::new(kind, ObjectName::new(namespace, written_name));
        let mut faults = Vec::new();
        let metadata = match node
            .get("metadata")
            .map(|metadata| decode::<Metadata>(metadata, quoting))
        {
            Some(Ok(metadata)) => metadata,
            Some(Err(mut found)) => {
                for fault in &mut found {
                    fault.field.insert_str(0, "metadata.");
                }
                faults = found;
                Metadata::named(written_name)
            }
            None => Metadata::default(),
        };
        if let Some(message) = name_fault(&metadata.name) {
            faults.push(Fault {
                at: node.nearest_position("metadata.name"),
                field: "metadata.name".to_owned(),
                message: message.to_owned(),
                help: None,
            });
        }
        if let Some(first) = self.places.get(&key) {
            let problem = Problem::error(place, format!("a second {key}; the first is at {first}"))
                .of(&key)
                .help("the first is used; remove or rename one of the two");
            self.resources.problems.push(problem);
            return None;
        }
        self.places.insert(key.clone(), place.clone());
        Some(Head {
            key,
            metadata,
            faults,
            place,
            node,
        })
    }

    fn with_spec<S, T>(&mut self, head: Head<'_>) -> Option<(Arc<Object<S>>, T)>
    where
        S: DeserializeOwned + Validate + Refers,
        T: DeserializeOwned + Default,
    {
        let manifest = self.decoded::<Manifest<S, T>>(&head, Quoting::Show)?;
        let (reason, faults) = manifest.spec.faults(head.node);
        if !faults.is_empty() {
            self.refuse(&head, reason, faults);
            return None;
        }
        let references = manifest
            .spec
            .references(&head.key.name.namespace, head.node);
        Some((object(head, manifest.spec, references), manifest.status))
    }

    fn decoded<T: DeserializeOwned>(&mut self, head: &Head<'_>, quoting: Quoting) -> Option<T> {
        let mut faults = head.faults.clone();
        match decode::<T>(head.node, quoting) {
            Ok(value) if faults.is_empty() => return Some(value),
            Ok(_) => {}
            Err(found) => faults.extend(found),
        }
        self.refuse(head, "Invalid", faults);
        None
    }

    fn take_secret(&mut self, head: Head<'_>) {
        let Some(manifest) = self.decoded::<SecretManifest>(&head, Quoting::Hide) else {
            return;
        };
        match manifest.into_data(head.node) {
            Ok(data) => {
                let object = object(head, data, Vec::new());
                self.resources
                    .secrets
                    .insert(object.key.name.clone(), object);
            }
            Err(faults) => self.refuse(&head, "Invalid", faults),
        }
    }

    fn take_settings(&mut self, head: Head<'_>) {
        if let Some(first) = &self.resources.settings {
            let problem = Problem::error(
                head.place,
                format!("a second Settings; the first is at {}", first.place),
            )
            .of(&head.key)
            .help("one process has one Settings; the first is used, put everything into one");
            self.resources.problems.push(problem);
            return;
        }
        if let Some((object, _)) = self.with_spec::<SettingsSpec, IgnoredAny>(head) {
            self.resources.settings = Some(object);
        }
    }

    fn refuse(&mut self, head: &Head<'_>, reason: &'static str, faults: Vec<Fault>) {
        let (key, place) = (&head.key, &head.place);
        if let Some(first) = faults.first() {
            let group = head.node.at_path("spec.group").and_then(Node::as_str);
            self.resources.refused.push(Refused {
                key: key.clone(),
                place: place.clone(),
                reason,
                message: format!("{}: {}", first.field, first.message),
                group: group
                    .filter(|_| key.kind == Kind::ImagePolicy)
                    .map(str::to_owned),
            });
        }
        for fault in faults {
            self.resources.problems.push(Problem {
                severity: Severity::Error,
                place: Place::new(Arc::clone(&place.file), fault.at),
                object: Some(key.to_string()),
                field: Some(fault.field).filter(|field| !field.is_empty()),
                message: fault.message,
                help: fault.help,
            });
        }
    }
}

fn object<S>(head: Head<'_>, spec: S, references: Vec<Reference>) -> Arc<Object<S>> {
    let mut annotations = head.metadata.annotations.unwrap_or_default();
    annotations.remove(LAST_APPLIED);
    Arc::new(Object {
        key: head.key,
        labels: head.metadata.labels.unwrap_or_default(),
        annotations,
        place: head.place,
        spec,
        references,
    })
}

enum Known {
    Yes(Kind),
    OtherVersion(Kind),
    No { near: Option<&'static str> },
}

fn known_kind(kind: &str, api_version: &str) -> Known {
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    match Kind::ALL
        .into_iter()
        .find(|known| known.as_str() == kind && known.api().0 == group)
    {
        Some(known) if known.api().1.contains(&version) => Known::Yes(known),
        Some(known) => Known::OtherVersion(known),
        None if matches!(group, "image.toolkit.fluxcd.io" | "tagline.dev") => {
            let kinds = Kind::ALL
                .into_iter()
                .filter(|known| known.api().0 == group)
                .map(Kind::as_str);
            Known::No {
                near: nearest(kind, kinds),
            }
        }
        None => Known::No { near: None },
    }
}
