//! Policies that move together: those of one namespace with the same `spec.group`.

use super::collection::Resources;
use super::image_policy::ImagePolicySpec;
use super::metadata::ObjectName;
use super::object::Object;
use crate::manifest::{Place, Problem, nearest};
use std::collections::BTreeMap;
use tagline_policy::{Incomparable, Policy, check_group};

/// The groups of all policies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Groups {
    /// By namespace and name of the group.
    by_name: BTreeMap<ObjectName, Group>,
    /// The group of each usable member.
    of_policy: BTreeMap<ObjectName, ObjectName>,
}

/// One group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Group {
    /// `spec.group`.
    pub(crate) name: String,
    /// Its policies that can be used, sorted by name.
    pub(crate) members: Vec<ObjectName>,
    /// Those that cannot, with the reason: without them the group must not move.
    pub(crate) refused: Vec<(ObjectName, String)>,
}

impl Groups {
    /// The groups of all policies of some manifests.
    pub(crate) fn of(resources: &Resources) -> Self {
        let mut groups = Self::default();
        for (policy, object) in &resources.image_policies {
            if let Some(group) = &object.spec.group {
                groups.at(policy, group).members.push(policy.clone());
                let name = ObjectName::new(policy.namespace.as_str(), group.as_str());
                groups.of_policy.insert(policy.clone(), name);
            }
        }
        for refused in &resources.refused {
            if let Some(group) = &refused.group {
                // The lines below show the text with a caret.
                let message = refused.message.lines().next().unwrap_or_default();
                let why = format!(
                    "ImagePolicy {} at {} cannot be used: {message}",
                    refused.key.name, refused.place
                );
                let policy = &refused.key.name;
                let members = &mut groups.at(policy, group).refused;
                members.push((policy.clone(), why));
            }
        }
        groups
    }

    fn at(&mut self, policy: &ObjectName, group: &str) -> &mut Group {
        let name = ObjectName::new(policy.namespace.as_str(), group);
        let entry = self.by_name.entry(name).or_default();
        group.clone_into(&mut entry.name);
        entry
    }

    /// The group of a policy, if there is anything that it must wait for.
    pub(crate) fn of_policy(&self, policy: &ObjectName) -> Option<&Group> {
        let group = self.by_name.get(self.of_policy.get(policy)?)?;
        (group.members.len() + group.refused.len() > 1).then_some(group)
    }

    /// The policies that are evaluated with this one, itself among them, sorted by name.
    pub(crate) fn evaluated_with(&self, policy: &ObjectName) -> Vec<ObjectName> {
        match self.of_policy(policy) {
            Some(group) => group.members.clone(),
            None => vec![policy.clone()],
        }
    }

    /// All groups.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Group> {
        self.by_name.values()
    }

    /// Members of groups that are not as they were.
    pub(crate) fn changed_since<'g>(
        &'g self,
        before: &'g Self,
    ) -> impl Iterator<Item = &'g ObjectName> {
        self.by_name
            .iter()
            .filter(|(name, group)| before.by_name.get(*name) != Some(*group))
            .flat_map(|(_, group)| &group.members)
    }
}

/// What is wrong with groups. `places` are those of `spec.group`.
pub(super) fn problems(
    resources: &Resources,
    places: &BTreeMap<ObjectName, Place>,
) -> Vec<Problem> {
    let groups = Groups::of(resources);
    let place = |policy: &ObjectName, object: &Object<ImagePolicySpec>| {
        places
            .get(policy)
            .cloned()
            .unwrap_or_else(|| object.place.clone())
    };
    let mut problems = Vec::new();
    for (name, group) in &groups.by_name {
        if let ([only], []) = (&*group.members, &*group.refused)
            && let Some(object) = resources.image_policies.get(only)
        {
            problems.push(
                Problem::warning(
                    place(only, object),
                    format!(
                        "no other ImagePolicy in namespace {:?} has group {:?}: this one moves alone",
                        name.namespace, name.name
                    ),
                )
                .of(&object.key)
                .field("spec.group")
                .help(meant_group(&groups, name)),
            );
        }
        if let Err(error) = comparable(group, resources)
            && let Some((policy, object)) = resources.image_policies.get_key_value(
                &ObjectName::new(name.namespace.as_str(), error.other.as_str()),
            )
        {
            problems.push(
                Problem::error(place(policy, object), format!("group {:?}: {error}", name.name))
                    .of(&object.key)
                    .field("spec.group")
                    .help("policies that move together are all ordered in the same way; filterTags.extract can give them something to have in common"),
            );
        }
    }
    problems.extend(divided(resources, &groups));
    problems
}

/// Whether the policies of a group go together.
///
/// # Errors
/// [`Incomparable`] with the members' names.
pub(crate) fn comparable(group: &Group, resources: &Resources) -> Result<(), Incomparable> {
    let policies: Vec<(&str, Policy)> = group
        .members
        .iter()
        .filter_map(|name| {
            let object = resources.image_policies.get(name)?;
            let spec = object.spec.to_policy_spec(&[]).ok()?;
            Some((name.name.as_str(), Policy::compile(&spec).ok()?))
        })
        .collect();
    check_group(policies.iter().map(|(name, policy)| (*name, policy)))
}

fn meant_group(groups: &Groups, name: &ObjectName) -> String {
    let others = groups.by_name.keys().filter(|other| *other != name);
    if let Some(other) = others.clone().find(|other| other.name == name.name) {
        return format!(
            "there is a group of that name in namespace {:?}; a group does not go beyond its namespace",
            other.namespace
        );
    }
    let here = others
        .filter(|other| other.namespace == name.namespace)
        .map(|other| other.name.as_str());
    match nearest(&name.name, here) {
        Some(near) => format!("did you mean {near:?}?"),
        None => "give the same group to the policies that move with it, or leave the field out"
            .to_owned(),
    }
}

/// Automations that use some members of a group and not the others: what they commit is half of it.
fn divided(resources: &Resources, groups: &Groups) -> Vec<Problem> {
    let mut problems = Vec::new();
    for automation in resources.automations.values() {
        for group in groups.iter() {
            let (used, left): (Vec<&ObjectName>, Vec<&ObjectName>) = group
                .members
                .iter()
                .partition(|policy| resources.is_used_by(policy, automation));
            if let (Some(used), Some(left)) = (used.first(), left.first()) {
                problems.push(
                    Problem::warning(
                        automation.place.clone(),
                        format!(
                            "its selector takes ImagePolicy {used}, but not {left} of the same group {:?}: the two are not committed together",
                            group.name
                        ),
                    )
                    .of(&automation.key)
                    .help("select all policies of a group, or none"),
                );
            }
        }
    }
    problems
}

impl Resources {
    /// The group that a policy names.
    pub(crate) fn group_of(&self, policy: &ObjectName) -> Option<&str> {
        self.image_policies.get(policy)?.spec.group.as_deref()
    }

    /// Whether an automation uses a policy: one of its namespaces, whose labels its selector matches.
    pub(crate) fn is_used_by(
        &self,
        policy: &ObjectName,
        automation: &Object<super::ImageUpdateAutomationSpec>,
    ) -> bool {
        let Some(object) = self.image_policies.get(policy) else {
            return false;
        };
        let spec = &automation.spec;
        let namespace_fits = policy.namespace == automation.key.name.namespace
            || spec
                .policy_namespace_selector
                .as_ref()
                .is_some_and(|selector| {
                    selector.matches(&self.namespace_labels(&policy.namespace))
                });
        let labels_fit = spec
            .policy_selector
            .as_ref()
            .is_none_or(|selector| selector.matches(&object.labels));
        namespace_fits && labels_fit
    }
}
