//! `git.push.branch` as a template: one branch per policy, image or whatever else the template makes of them.

use super::status::Failure;
use crate::resources::{ImageUpdateAutomationSpec, Object, branch_data};
use std::collections::{BTreeMap, BTreeSet};
use tagline_updater::message::template::Template;
use tagline_updater::{BranchChoices, Choices, PolicyName};

/// Divides choices by the branch that the template names for each.
///
/// The template sees `.AutomationObject.Namespace` and `.Name`, `.Policy.Namespace` and `.Name`, and `.Image.Name`,
/// `.Tag` and `.Digest`. Policies without a choice go along with every branch, so that their markers are known.
/// Policies of one group go to the branch of the first of them by name.
///
/// # Errors
/// [`Failure`] for a template that cannot be read or filled in.
pub(crate) fn divide(
    template: &str,
    automation: &Object<ImageUpdateAutomationSpec>,
    choices: &Choices,
) -> Result<Vec<BranchChoices>, Failure> {
    let failed = |message: String| Failure::stalled("InvalidSourceConfiguration", message);
    let template = Template::parse("push branch", template)
        .map_err(|error| failed(format!("spec.git.push.branch: {error}")))?;
    let mut by_branch: BTreeMap<String, BTreeSet<&PolicyName>> = BTreeMap::new();
    let mut groups: BTreeSet<&PolicyName> = BTreeSet::new();
    for (policy, image) in choices.chosen() {
        // Policies that move together go where the first of them goes.
        let group = choices.first_of_group(policy);
        if !groups.insert(group) {
            continue;
        }
        let branch = template
            .render(&branch_data(&automation.key.name, policy, image))
            .map_err(|error| failed(format!("spec.git.push.branch: {error}")))?;
        by_branch
            .entry(branch.trim().to_owned())
            .or_default()
            .insert(group);
    }
    let branch = |(branch, groups): (String, BTreeSet<&PolicyName>)| {
        let mut part = choices.clone();
        part.retain_chosen(|policy| groups.contains(choices.first_of_group(policy)));
        BranchChoices {
            branch,
            choices: part,
        }
    };
    Ok(by_branch.into_iter().map(branch).collect())
}
