//! What the templates of an automation see, besides its commit message.

use super::metadata::ObjectName;
use tagline_policy::ImageReference;
use tagline_updater::PolicyName;
use tagline_updater::message::Changed;
use tagline_updater::message::template::{Struct, Template, Value};

/// For `spec.git.push.branch`: `.AutomationObject`, `.Policy`, `.Image`.
pub(crate) fn branch_data(
    automation: &ObjectName,
    policy: &PolicyName,
    image: &ImageReference,
) -> Value {
    Value::record(Struct {
        type_name: "BranchData",
        fields: vec![
            (
                "AutomationObject",
                named(&automation.namespace, &automation.name),
            ),
            ("Policy", named(&policy.namespace, &policy.name)),
            ("Image", image_value(Some(image))),
        ],
        ..Struct::default()
    })
}

/// What title and body of a pull request are about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PullRequestData<'a> {
    pub(crate) automation: &'a ObjectName,
    pub(crate) branch: &'a str,
    pub(crate) base: &'a str,
    pub(crate) changed: &'a Changed,
    /// The one policy that the branch is about, if it is one.
    pub(crate) only: Option<(&'a PolicyName, &'a ImageReference)>,
}

impl PullRequestData<'_> {
    /// `.AutomationObject`, `.Changed`, `.Branch`, `.Base`, `.Policy`, `.Image`; the last two have empty texts where the
    /// branch is about several policies.
    pub(crate) fn to_value(self) -> Value {
        let (policy, image) = match self.only {
            Some((policy, image)) => (
                named(&policy.namespace, &policy.name),
                image_value(Some(image)),
            ),
            None => (named("", ""), image_value(None)),
        };
        Value::record(Struct {
            type_name: "PullRequestData",
            fields: vec![
                (
                    "AutomationObject",
                    named(&self.automation.namespace, &self.automation.name),
                ),
                ("Changed", self.changed.to_value()),
                ("Branch", Value::text(self.branch)),
                ("Base", Value::text(self.base)),
                ("Policy", policy),
                ("Image", image),
            ],
            ..Struct::default()
        })
    }
}

/// What is wrong with a template of a pull request: found by reading it and filling it in with next to nothing.
pub(super) fn pull_request_template_fault(text: &str) -> Option<String> {
    let template = match Template::parse("pull request", text) {
        Ok(template) => template,
        Err(error) => return Some(error.to_string()),
    };
    let data = PullRequestData {
        automation: &ObjectName::new("namespace", "automation"),
        branch: "branch",
        base: "base",
        changed: &Changed::default(),
        only: None,
    };
    let error = template.render(&data.to_value()).err()?;
    Some(error.to_string())
}

fn image_value(image: Option<&ImageReference>) -> Value {
    let digest = image
        .and_then(|image| image.digest.as_ref())
        .map_or("", tagline_policy::Digest::as_str);
    Value::record(Struct {
        type_name: "ImageRef",
        fields: vec![
            (
                "Name",
                Value::text(image.map_or("", |image| image.name.as_str())),
            ),
            (
                "Tag",
                Value::text(image.map_or("", |image| image.tag.as_str())),
            ),
            ("Digest", Value::text(digest)),
        ],
        ..Struct::default()
    })
}

fn named(namespace: &str, name: &str) -> Value {
    Value::record(Struct {
        type_name: "types.NamespacedName",
        fields: vec![
            ("Namespace", Value::text(namespace)),
            ("Name", Value::text(name)),
        ],
        ..Struct::default()
    })
}
