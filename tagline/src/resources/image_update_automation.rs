//! `ImageUpdateAutomation` (`image.toolkit.fluxcd.io`): where and how choices are written into git.

use super::duration::{LongSpan, Span};
use super::git_repository::GitReference;
use super::metadata::{LabelSelector, LocalReference};
use super::pull_request::PullRequestSpec;
use serde::Deserialize;
use std::collections::BTreeMap;
use tagline_updater::edit::{Format, Formats};

/// `spec`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ImageUpdateAutomationSpec {
    /// The git repository.
    pub(crate) source_ref: SourceReference,
    /// Checkout, commit and push.
    pub(crate) git: Option<GitSpec>,
    /// Time between runs that nothing triggered.
    pub(crate) interval: Span,
    /// Which policies of the namespace are used; all where absent.
    pub(crate) policy_selector: Option<LabelSelector>,
    /// Ours: also policies of namespaces whose labels match.
    pub(crate) policy_namespace_selector: Option<LabelSelector>,
    /// What is edited.
    #[serde(default)]
    pub(crate) update: UpdateStrategy,
    /// No runs while set.
    #[serde(default)]
    pub(crate) suspend: bool,
}

/// `spec.sourceRef`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SourceReference {
    /// Never read, as in Flux.
    pub(crate) api_version: Option<String>,
    /// Only `GitRepository`.
    #[serde(default)]
    pub(crate) kind: SourceKind,
    /// Its name.
    pub(crate) name: String,
    /// Its namespace; the automation's own where absent.
    pub(crate) namespace: Option<String>,
}

/// What a source can be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum SourceKind {
    /// A git repository.
    #[default]
    GitRepository,
}

/// `spec.git`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct GitSpec {
    /// Replaces the repository's own reference.
    pub(crate) checkout: Option<Checkout>,
    /// Author, message, signature.
    pub(crate) commit: CommitSpec,
    /// Branch, refspec and options.
    pub(crate) push: Option<PushSpec>,
    /// Ours: a pull request per push branch.
    #[serde(rename = "pullRequest")]
    pub(crate) pull_request: Option<PullRequestSpec>,
}

/// `spec.git.checkout`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Checkout {
    /// What is checked out.
    #[serde(rename = "ref")]
    pub(crate) reference: GitReference,
}

/// `spec.git.commit`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CommitSpec {
    /// Author and committer.
    pub(crate) author: CommitUser,
    /// Signs commits.
    pub(crate) signing_key: Option<SigningKey>,
    /// Go `text/template`.
    pub(crate) message_template: Option<String>,
    /// `.Values` in the template.
    pub(crate) message_template_values: Option<BTreeMap<String, String>>,
    /// Ours: one commit for all changes, or one per policy.
    #[serde(default)]
    pub(crate) grouping: CommitGrouping,
    /// Ours: joins changes that come within this time.
    pub(crate) window: Option<LongSpan>,
}

/// `spec.git.commit.author`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct CommitUser {
    /// Its name.
    pub(crate) name: Option<String>,
    /// Its address.
    pub(crate) email: String,
}

/// `spec.git.commit.signingKey`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SigningKey {
    /// OpenPGP or SSH.
    #[serde(rename = "type", default)]
    pub(crate) key_type: SigningKeyType,
    /// Where the key is, in the automation's namespace.
    pub(crate) secret_ref: LocalReference,
}

/// `spec.git.commit.signingKey.type`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SigningKeyType {
    /// OpenPGP, key `git.asc`.
    #[default]
    Gpg,
    /// SSH, key `identity`.
    Ssh,
}

/// `spec.git.commit.grouping`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum CommitGrouping {
    /// Everything that is due in one commit.
    #[default]
    All,
    /// One commit per policy.
    Policy,
}

/// `spec.git.push`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct PushSpec {
    /// The branch; the checkout branch where absent.
    pub(crate) branch: Option<String>,
    /// A second push.
    pub(crate) refspec: Option<String>,
    /// Sent to servers that take push options.
    pub(crate) options: Option<BTreeMap<String, String>>,
}

/// `spec.update`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct UpdateStrategy {
    /// What is edited.
    #[serde(default)]
    pub(crate) strategy: UpdateStrategyName,
    /// A directory or file inside the repository.
    pub(crate) path: Option<String>,
    /// Ours: the kinds of files that are edited; YAML alone where absent, as in Flux.
    pub(crate) formats: Option<Vec<Format>>,
}

impl UpdateStrategy {
    /// The kinds of files that are edited.
    pub(crate) fn formats(&self) -> Formats {
        match &self.formats {
            Some(formats) => formats.iter().copied().collect(),
            None => Formats::default(),
        }
    }
}

/// `spec.update.strategy`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum UpdateStrategyName {
    /// Marked scalars.
    #[default]
    Setters,
    /// Ours: workloads with Flux v1's annotations.
    Annotations,
}
