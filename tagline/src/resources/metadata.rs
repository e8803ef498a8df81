//! Object names, metadata and label selectors, as Kubernetes has them.

use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::fmt;

/// The namespace of objects that name none.
pub(crate) const DEFAULT_NAMESPACE: &str = "default";

/// The kinds that Tagline reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub(crate) enum Kind {
    /// What is scanned.
    ImageRepository,
    /// Which tag is wanted.
    ImagePolicy,
    /// Where it is written.
    ImageUpdateAutomation,
    /// A git remote.
    GitRepository,
    /// Credentials.
    Secret,
    /// Configuration and certificates.
    ConfigMap,
    /// Pull secrets.
    ServiceAccount,
    /// Labels for access rules.
    Namespace,
    /// The sync loop.
    Sync,
    /// The process's settings.
    Settings,
}

/// Namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ObjectName {
    /// Empty for kinds without one.
    pub(crate) namespace: String,
    /// The name.
    pub(crate) name: String,
}

/// One object among all kinds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ObjectKey {
    /// Its kind.
    pub(crate) kind: Kind,
    /// Its name.
    pub(crate) name: ObjectName,
}

/// `metadata`: what is used of it, and the names of the rest so that a mistyped field is found.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "fields that are only known by name")]
pub(crate) struct Metadata {
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) namespace: Option<String>,
    pub(crate) labels: Option<BTreeMap<String, String>>,
    pub(crate) annotations: Option<BTreeMap<String, String>>,
    #[serde(default)]
    generate_name: IgnoredAny,
    #[serde(default)]
    generation: IgnoredAny,
    #[serde(default)]
    uid: IgnoredAny,
    #[serde(default)]
    resource_version: IgnoredAny,
    #[serde(default)]
    creation_timestamp: IgnoredAny,
    #[serde(default)]
    deletion_timestamp: IgnoredAny,
    #[serde(default)]
    deletion_grace_period_seconds: IgnoredAny,
    #[serde(default)]
    owner_references: IgnoredAny,
    #[serde(default)]
    finalizers: IgnoredAny,
    #[serde(default)]
    managed_fields: IgnoredAny,
    #[serde(default)]
    self_link: IgnoredAny,
}

/// A reference to an object by name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct LocalReference {
    /// Its name.
    pub(crate) name: String,
}

/// A reference that may leave the namespace.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct NamespacedReference {
    /// Its name.
    pub(crate) name: String,
    /// Its namespace; the referring object's own where absent.
    pub(crate) namespace: Option<String>,
}

/// `metav1.LabelSelector`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LabelSelector {
    /// Labels that must have exactly these values.
    pub(crate) match_labels: Option<BTreeMap<String, String>>,
    /// Conditions on labels.
    pub(crate) match_expressions: Option<Vec<LabelExpression>>,
}

/// One condition of a selector.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct LabelExpression {
    /// The label.
    pub(crate) key: String,
    /// How it is compared.
    pub(crate) operator: LabelOperator,
    /// With what, for `In` and `NotIn`.
    pub(crate) values: Option<Vec<String>>,
}

/// How a label is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum LabelOperator {
    /// The value is one of those given.
    In,
    /// The value is none of those given, or the label is absent.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is absent.
    DoesNotExist,
}

impl Kind {
    /// The kind's name.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::ImageRepository => "ImageRepository",
            Self::ImagePolicy => "ImagePolicy",
            Self::ImageUpdateAutomation => "ImageUpdateAutomation",
            Self::GitRepository => "GitRepository",
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
            Self::ServiceAccount => "ServiceAccount",
            Self::Namespace => "Namespace",
            Self::Sync => "Sync",
            Self::Settings => "Settings",
        }
    }

    /// Every kind, in the order of the flow.
    pub(crate) const ALL: [Self; 10] = [
        Self::ImageRepository,
        Self::ImagePolicy,
        Self::ImageUpdateAutomation,
        Self::GitRepository,
        Self::Secret,
        Self::ConfigMap,
        Self::ServiceAccount,
        Self::Namespace,
        Self::Sync,
        Self::Settings,
    ];

    /// The API group, and the versions that are read, newest first.
    pub(crate) const fn api(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::ImageRepository | Self::ImagePolicy | Self::ImageUpdateAutomation => {
                ("image.toolkit.fluxcd.io", &["v1", "v1beta2", "v1beta1"])
            }
            Self::GitRepository => ("source.toolkit.fluxcd.io", &["v1", "v1beta2", "v1beta1"]),
            Self::Secret | Self::ConfigMap | Self::ServiceAccount | Self::Namespace => {
                ("", &["v1"])
            }
            Self::Sync | Self::Settings => ("tagline.dev", &["v1alpha1"]),
        }
    }

    /// Whether its objects live in namespaces.
    pub(crate) const fn is_namespaced(self) -> bool {
        !matches!(self, Self::Namespace | Self::Settings)
    }
}

impl ObjectName {
    /// Puts namespace and name together.
    pub(crate) fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl ObjectKey {
    /// Puts kind and name together.
    pub(crate) const fn new(kind: Kind, name: ObjectName) -> Self {
        Self { kind, name }
    }
}

impl NamespacedReference {
    /// What it names, seen from a namespace.
    pub(crate) fn in_namespace(&self, own: &str) -> ObjectName {
        ObjectName::new(self.namespace.as_deref().unwrap_or(own), self.name.as_str())
    }
}

impl Metadata {
    /// A name and nothing else: for an object whose metadata cannot be read.
    pub(crate) fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }
}

impl LabelSelector {
    /// Whether labels satisfy every condition. An empty selector matches everything.
    pub(crate) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let equal = self
            .match_labels
            .iter()
            .flatten()
            .all(|(key, value)| labels.get(key) == Some(value));
        equal
            && self.match_expressions.iter().flatten().all(|expression| {
                let value = labels.get(&expression.key);
                let listed = |value: &String| {
                    expression
                        .values
                        .as_ref()
                        .is_some_and(|values| values.contains(value))
                };
                match expression.operator {
                    LabelOperator::In => value.is_some_and(listed),
                    LabelOperator::NotIn => !value.is_some_and(listed),
                    LabelOperator::Exists => value.is_some(),
                    LabelOperator::DoesNotExist => value.is_none(),
                }
            })
    }

    /// What is wrong with it, in the words of Kubernetes' own parser.
    pub(crate) fn fault(&self) -> Option<String> {
        self.match_expressions.iter().flatten().find_map(|expression| {
            let values = expression.values.as_ref().map_or(0, Vec::len);
            match expression.operator {
                LabelOperator::In | LabelOperator::NotIn if values == 0 => Some(format!(
                    "values: for 'in', 'notin' operators, values set can't be empty (key {:?})",
                    expression.key
                )),
                LabelOperator::Exists | LabelOperator::DoesNotExist if values > 0 => Some(format!(
                    "values: values set must be empty for exists and does not exist (key {:?})",
                    expression.key
                )),
                _ => None,
            }
        })
    }
}

/// What is wrong with a name, by Kubernetes' rule for DNS subdomains.
pub(crate) fn name_fault(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("a name is required");
    }
    let legal = name.len() <= 253
        && name.split('.').all(|part| {
            !part.is_empty()
                && !part.starts_with('-')
                && !part.ends_with('-')
                && part
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        });
    (!legal).then_some(
        "a name has at most 253 lower-case letters, digits, '-' and '.', and begins and ends with a letter or digit",
    )
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}
