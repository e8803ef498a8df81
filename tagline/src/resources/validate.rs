//! Rules beyond types: what an API server would refuse by pattern or CEL, and what the controllers
//! themselves refuse.

use super::git_repository::GitRepositorySpec;
use super::image_policy::{DigestReflection, ImagePolicySpec};
use super::image_repository::ImageRepositorySpec;
use super::image_update_automation::{ImageUpdateAutomationSpec, PushSpec};
use super::settings::SettingsSpec;
use super::sync::SyncSpec;
use crate::manifest::{Fault, Node};
use tagline_policy::{ExclusionSet, Exclusions, ImageName, Policy};
use tagline_updater::git::GitUrl;
use tagline_updater::message::MessageTemplate;

/// Patterns that one repository may have, as in Flux.
const MAX_EXCLUSIONS: usize = 25;

/// Rules of one kind.
pub(super) trait Validate {
    /// What is wrong, with the reason for the object's condition (of the first fault).
    fn faults(&self, manifest: &Node) -> (&'static str, Vec<Fault>);
}

struct Findings<'a> {
    manifest: &'a Node,
    reason: Option<&'static str>,
    faults: Vec<Fault>,
}

impl<'a> Findings<'a> {
    const fn new(manifest: &'a Node) -> Self {
        Self {
            manifest,
            reason: None,
            faults: Vec::new(),
        }
    }

    fn add(&mut self, reason: &'static str, field: &str, message: impl Into<String>, help: &str) {
        self.reason.get_or_insert(reason);
        self.faults.push(Fault {
            at: self.manifest.nearest_position(field),
            field: field.to_owned(),
            message: message.into(),
            help: (!help.is_empty()).then(|| help.to_owned()),
        });
    }

    fn finish(self) -> (&'static str, Vec<Fault>) {
        (self.reason.unwrap_or("Invalid"), self.faults)
    }
}

impl Validate for ImageRepositorySpec {
    fn faults(&self, manifest: &Node) -> (&'static str, Vec<Fault>) {
        let mut found = Findings::new(manifest);
        if let Err(error) = ImageName::parse(&self.image) {
            found.add(
                "ImageURLInvalid",
                "spec.image",
                error.to_string(),
                "write registry and repository only, for example ghcr.io/org/app",
            );
        }
        if self
            .service_account_name
            .as_ref()
            .is_some_and(|name| name.len() > 253)
        {
            found.add(
                "Invalid",
                "spec.serviceAccountName",
                "longer than 253 characters",
                "",
            );
        }
        let exclusions = self.exclusion_list.as_deref().unwrap_or_default();
        if exclusions.len() > MAX_EXCLUSIONS {
            found.add(
                "Invalid",
                "spec.exclusionList",
                format!(
                    "{} patterns; at most {MAX_EXCLUSIONS} are allowed",
                    exclusions.len()
                ),
                "join patterns with '|'",
            );
        }
        let compiled = ExclusionSet::compile(&Exclusions::from_exclusion_list(exclusions));
        if let Err(error) = compiled {
            found.add("Invalid", &spec_field(&error), error.to_string(), "");
        }
        found.finish()
    }
}

impl Validate for ImagePolicySpec {
    fn faults(&self, manifest: &Node) -> (&'static str, Vec<Fault>) {
        let mut found = Findings::new(manifest);
        let always = self.digest_reflection_policy == DigestReflection::Always;
        if self.interval.is_some() && !always {
            found.add(
                "Invalid",
                "spec.interval",
                "spec.interval is only accepted when spec.digestReflectionPolicy is set to 'Always'",
                "remove the interval: when to scan is said in the ImageRepository",
            );
        }
        if self.interval.is_none() && always {
            found.add(
                "IntervalNotConfigured",
                "spec.digestReflectionPolicy",
                "spec.interval must be set when spec.digestReflectionPolicy is set to 'Always'",
                "add for example \"interval: 10m\"",
            );
        }
        match self.to_policy_spec(&[]) {
            Ok(spec) => {
                if let Err(error) = Policy::compile(&spec) {
                    found.add("InvalidPolicy", &spec_field(&error), error.to_string(), "");
                }
            }
            Err(error) => found.add("InvalidPolicy", &spec_field(&error), error.to_string(), ""),
        }
        if let Some(message) = self.group.as_deref().and_then(super::metadata::name_fault) {
            found.add(
                "Invalid",
                "spec.group",
                message,
                "write one word for all policies that move together, for example release",
            );
        }
        for (index, platform) in self.platforms.iter().enumerate() {
            let parts = platform.split('/').count();
            if !(2..=3).contains(&parts) || platform.split('/').any(str::is_empty) {
                found.add(
                    "Invalid",
                    &format!("spec.platforms.{index}"),
                    format!("{platform:?} is not a platform"),
                    "write operating system and architecture, for example linux/arm64",
                );
            }
        }
        found.finish()
    }
}

/// The field of an `ImagePolicy` that a policy error is about.
fn spec_field(error: &tagline_policy::InvalidPolicy) -> String {
    format!(
        "spec.{}",
        error.field().path().replace('[', ".").replace(']', "")
    )
}

impl Validate for ImageUpdateAutomationSpec {
    fn faults(&self, manifest: &Node) -> (&'static str, Vec<Fault>) {
        let mut found = Findings::new(manifest);
        for (selector, field) in [
            (&self.policy_selector, "spec.policySelector"),
            (
                &self.policy_namespace_selector,
                "spec.policyNamespaceSelector",
            ),
        ] {
            if let Some(fault) = selector.as_ref().and_then(super::LabelSelector::fault) {
                found.add(
                    "InvalidPolicySelector",
                    field,
                    format!("failed to parse policy selector: {fault}"),
                    "",
                );
            }
        }
        if self.update.formats.as_ref().is_some_and(Vec::is_empty) {
            found.add(
                "Invalid",
                "spec.update.formats",
                "an empty list, with which nothing would be edited",
                "leave the field out for YAML alone",
            );
        }
        let Some(git) = &self.git else {
            found.add(
                "InvalidSourceConfiguration",
                "spec",
                "source kind 'GitRepository' necessitates field .spec.git: invalid source configuration",
                "add spec.git with at least commit.author.email",
            );
            return found.finish();
        };
        if git.commit.author.email.is_empty() {
            found.add(
                "Invalid",
                "spec.git.commit.author.email",
                "an address is required",
                "",
            );
        }
        if let Some(template) = &git.commit.message_template
            && let Err(error) = MessageTemplate::parse(template)
        {
            found.add(
                "Invalid",
                "spec.git.commit.messageTemplate",
                error.to_string(),
                "",
            );
        }
        if let Some(push) = &git.push {
            push_faults(push, &mut found);
        }
        if let Some(pull_request) = &git.pull_request {
            for (field, message, help) in pull_request.faults(git) {
                found.add("Invalid", &format!("spec.git.{field}"), message, help);
            }
        }
        found.finish()
    }
}

fn push_faults(push: &PushSpec, found: &mut Findings<'_>) {
    if let Some(refspec) = &push.refspec {
        let parts: Vec<&str> = refspec.split(':').collect();
        let stars = |text: &str| text.matches('*').count();
        let legal = matches!(parts.as_slice(), [from, to] if !to.is_empty()
            && stars(from) == stars(to) && stars(from) < 2);
        if !legal {
            found.add(
                "Invalid",
                "spec.git.push.refspec",
                format!("{refspec:?} is not a refspec"),
                "write source and destination, for example refs/heads/main:refs/heads/staging",
            );
        }
    }
    if push.branch.as_deref() == Some("") {
        found.add(
            "Invalid",
            "spec.git.push.branch",
            "the branch is empty",
            "name a branch, or leave the field out to push to the checkout branch",
        );
    }
}

impl Validate for GitRepositorySpec {
    fn faults(&self, manifest: &Node) -> (&'static str, Vec<Fault>) {
        let mut found = Findings::new(manifest);
        let fault = match GitUrl::parse(&self.url) {
            // A path without a scheme means another repository in each directory it is read in.
            Ok(GitUrl::File(_)) if !self.url.trim().starts_with("file://") => {
                Some("a path needs file:// before it".to_owned())
            }
            Ok(_) => None,
            Err(error) => Some(error.to_string()),
        };
        if let Some(fault) = fault {
            found.add(
                "Invalid",
                "spec.url",
                fault,
                "write for example https://git.example.com/org/repository.git, ssh://git@git.example.com/org/repository.git or git@git.example.com:org/repository.git",
            );
        }
        found.finish()
    }
}

impl Validate for SyncSpec {
    fn faults(&self, manifest: &Node) -> (&'static str, Vec<Fault>) {
        let mut found = Findings::new(manifest);
        if self.path.is_some() && self.paths.is_some() {
            found.add(
                "Invalid",
                "spec.paths",
                "path and paths cannot both be set",
                "put everything under paths",
            );
        }
        found.finish()
    }
}

impl Validate for SettingsSpec {
    fn faults(&self, manifest: &Node) -> (&'static str, Vec<Fault>) {
        let mut found = Findings::new(manifest);
        for (field, message) in self.value_faults() {
            found.add("Invalid", &field, message, "");
        }
        found.finish()
    }
}
