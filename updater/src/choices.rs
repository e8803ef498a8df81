//! What the policies chose: the updater's input.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use tagline_policy::ImageReference;

/// The namespace and name of an image policy, as markers and manifests spell them.
///
/// Displays as Kubernetes does, `namespace/name`. Markers write `namespace:name`: see
/// [`Setter`](crate::edit::Setter).
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct PolicyName {
    /// The policy's namespace.
    pub namespace: String,
    /// The policy's name.
    pub name: String,
}

impl PolicyName {
    /// Puts a namespace and a name together.
    #[must_use]
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What is known about one policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice<'a> {
    /// The policy wants this image.
    Chosen(&'a ImageReference),
    /// The policy exists but has chosen nothing (yet).
    Undecided,
    /// No such policy, or one that this run may not use.
    Unknown,
}

/// The policies of one run and what each of them chose.
///
/// Holds exactly the policies the run may use: Flux's automation sees those of its own namespace that
/// match its selector. A marker that names any other policy is reported and its value left alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choices {
    by_policy: BTreeMap<PolicyName, Option<ImageReference>>,
    /// Of policies that move together: the first of them.
    first_of_group: BTreeMap<PolicyName, PolicyName>,
}

impl Choices {
    /// No policies at all.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Records what a policy chose; replaces what was recorded before.
    pub fn insert(&mut self, policy: PolicyName, image: ImageReference) {
        self.by_policy.insert(policy, Some(image));
    }

    /// Records a policy that exists but has no choice.
    pub fn insert_undecided(&mut self, policy: PolicyName) {
        self.by_policy.insert(policy, None);
    }

    /// Records that policies move together: what they choose goes into the same commit and to the same
    /// branch.
    pub fn move_together(&mut self, policies: impl IntoIterator<Item = PolicyName>) {
        let policies: BTreeSet<PolicyName> = policies.into_iter().collect();
        if let Some(first) = policies.first().cloned() {
            for policy in policies {
                self.first_of_group.insert(policy, first.clone());
            }
        }
    }

    /// The policy by which its group is known: the first by name of those it moves together with,
    /// mostly itself.
    #[must_use]
    pub fn first_of_group<'c>(&'c self, policy: &'c PolicyName) -> &'c PolicyName {
        self.first_of_group.get(policy).unwrap_or(policy)
    }

    /// What is known about a policy.
    #[must_use]
    pub fn get(&self, policy: &PolicyName) -> Choice<'_> {
        match self.by_policy.get(policy) {
            Some(Some(image)) => Choice::Chosen(image),
            Some(None) => Choice::Undecided,
            None => Choice::Unknown,
        }
    }

    /// The policies that chose something, with their images, sorted by name.
    pub fn chosen(&self) -> impl Iterator<Item = (&PolicyName, &ImageReference)> {
        self.by_policy
            .iter()
            .filter_map(|(policy, image)| Some((policy, image.as_ref()?)))
    }

    /// All policies of the run, sorted by name.
    pub fn policies(&self) -> impl Iterator<Item = &PolicyName> {
        self.by_policy.keys()
    }

    /// Keeps only the policies for which `keep` answers yes.
    pub fn retain(&mut self, mut keep: impl FnMut(&PolicyName) -> bool) {
        self.by_policy.retain(|policy, _| keep(policy));
    }

    /// Forgets what policies chose for which `keep` answers no; they stay known.
    pub fn retain_chosen(&mut self, mut keep: impl FnMut(&PolicyName) -> bool) {
        for (policy, image) in &mut self.by_policy {
            if !keep(policy) {
                *image = None;
            }
        }
    }

    /// Whether there are no policies at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_policy.is_empty()
    }
}

impl FromIterator<(PolicyName, ImageReference)> for Choices {
    fn from_iter<I: IntoIterator<Item = (PolicyName, ImageReference)>>(choices: I) -> Self {
        Self {
            by_policy: choices
                .into_iter()
                .map(|(policy, image)| (policy, Some(image)))
                .collect(),
            first_of_group: BTreeMap::new(),
        }
    }
}
