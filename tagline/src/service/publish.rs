//! From an automation and the policies' choices to a run of the updater.

use super::git_access;
use super::push_branches;
use super::status::{Failure, ImageRef};
use crate::resources::{
    CommitGrouping, GitReference, GitRepositorySpec, GitSpec, ImageUpdateAutomationSpec, Object,
    ObjectName, Resources, SecretData, SigningKeyType, UpdateStrategyName,
};
use crate::settings::Settings;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tagline_updater::git::{
    CancellationToken, GitError, GitReference as Checkout, Identity, Mirror, ReferenceFields,
    Remote, Signer, UpdatePath,
};
use tagline_updater::message::{CommitMessage, MessageError, MessageTemplate};
use tagline_updater::{
    BranchChoices, Choices, CommitGrouping as Grouping, Contribution, Hold, MarkerEditor,
    PolicyName, PublishRequest, PushOutcome, PushTarget, SourceIgnore, publish_together,
};

/// A run that is ready to go.
pub(crate) struct Publication {
    /// The remote.
    pub(crate) remote: Remote,
    /// What is checked out, changed, committed and pushed.
    pub(crate) request: PublishRequest,
    /// Describes the commits.
    pub(crate) message: CommitMessage,
    /// The branches, and what goes to each: several when `push.branch` is a template.
    pub(crate) branches: Vec<BranchChoices>,
    /// Those choices by policy, as the status keeps them.
    pub(crate) observed: BTreeMap<String, ImageRef>,
}

/// The policies an automation may use: those of its namespace that its selector matches.
pub(crate) fn policies_of<'r>(
    automation: &'r Object<ImageUpdateAutomationSpec>,
    resources: &'r Resources,
) -> impl Iterator<Item = &'r ObjectName> {
    resources
        .image_policies
        .keys()
        .filter(|policy| resources.is_used_by(policy, automation))
}

/// Puts a run together.
///
/// # Errors
/// A [`Failure`] with Flux's reason and message when something it needs is missing or wrong.
pub(crate) fn prepare<'p>(
    automation: &Object<ImageUpdateAutomationSpec>,
    resources: &Resources,
    settings: &Settings,
    latest: impl Fn(&ObjectName) -> Option<&'p ImageRef>,
    holds: &[Hold],
    now: Timestamp,
) -> Result<Publication, Failure> {
    let spec = &automation.spec;
    let own = automation.key.name.namespace.as_str();
    let git = spec.git.as_ref().ok_or_else(|| {
        Failure::stalled(
            "InvalidSourceConfiguration",
            "source kind 'GitRepository' necessitates field .spec.git: invalid source configuration",
        )
    })?;
    let source = ObjectName::new(
        spec.source_ref.namespace.as_deref().unwrap_or(own),
        spec.source_ref.name.as_str(),
    );
    if settings.no_cross_namespace_refs && source.namespace != own {
        return Err(Failure::stalled(
            "AccessDenied",
            format!(
                "can't access 'GitRepository/{source}', cross-namespace references have been blocked"
            ),
        ));
    }
    let repository = source_of(&source, resources)?;
    if spec.update.strategy == UpdateStrategyName::Annotations {
        return Err(Failure::stalled(
            "InvalidUpdateStrategy",
            "unsupported update strategy: Annotations",
        ));
    }
    if git.pull_request.is_some() {
        return Err(Failure::stalled(
            "InvalidSourceConfiguration",
            "spec.git.pullRequest is not supported by this version: remove it, push to spec.git.push.branch and open the pull request there",
        ));
    }
    let remote = git_access::remote(repository, resources, settings.git_timeout)?;
    let reference = git
        .checkout
        .as_ref()
        .map(|checkout| &checkout.reference)
        .or(repository.spec.reference.as_ref());
    let checkout = checkout(reference).map_err(|error| source_failed(error.to_string()))?;
    let author = &git.commit.author;
    let author = Identity::new(author.name.as_deref().unwrap_or_default(), &author.email);
    let mut request = PublishRequest::new(checkout, author, now);
    if let Some(push) = &git.push {
        request.push = PushTarget {
            branch: push.branch.clone(),
            refspec: push.refspec.clone(),
            options: push
                .options
                .iter()
                .flatten()
                .map(|(key, value)| format!("{key}={value}"))
                .collect(),
        };
    }
    request.path =
        UpdatePath::new(spec.update.path.as_deref().unwrap_or_default()).map_err(|error| {
            Failure::stalled("UpdateFailed", format!("failed to apply policies: {error}"))
        })?;
    request.grouping = match git.commit.grouping {
        CommitGrouping::All => Grouping::Together,
        CommitGrouping::Policy => Grouping::PerPolicy,
    };
    if let Some(key) = &git.commit.signing_key {
        let name = ObjectName::new(own, key.secret_ref.name.as_str());
        let secret = resources.secrets.get(&name).ok_or_else(|| {
            source_failed(format!(
                "failed to get signing key secret '{name}': there is no such Secret"
            ))
        })?;
        request.signer = Some(signer(key.key_type, secret)?);
    }
    if let Some(ignore) = &repository.spec.ignore {
        request.ignore = SourceIgnore::parse(ignore)
            .map_err(|error| source_failed(format!("{}: spec.ignore: {error}", repository.key)))?;
    }
    request.holds = holds.to_vec();
    let (choices, observed) = choices_of(automation, resources, latest);
    let branches = match request.push.branch.as_deref() {
        Some(branch) if branch.contains("{{") => {
            push_branches::divide(branch, automation, &choices)?
        }
        _ => {
            let branch = request.push_branch().map_err(|error| failure(&error))?;
            vec![BranchChoices {
                branch: branch.to_owned(),
                choices,
            }]
        }
    };
    let message = message(automation, git, &request.path, settings)?;
    Ok(Publication {
        remote,
        request,
        message,
        branches,
        observed,
    })
}

/// Whether two automations may share a run although only one of them is due: they write to one push branch, which is
/// made anew from what both have to say.
pub(crate) fn shares_push_branch(
    one: &ImageUpdateAutomationSpec,
    other: &ImageUpdateAutomationSpec,
) -> bool {
    let branch = |spec: &ImageUpdateAutomationSpec| {
        let push = spec.git.as_ref()?.push.as_ref()?;
        push.branch.clone().filter(|branch| !branch.is_empty())
    };
    branch(one).is_some_and(|name| branch(other) == Some(name))
}

/// The address of an automation's repository as its object has it.
pub(crate) fn address_of<'r>(
    automation: &Object<ImageUpdateAutomationSpec>,
    resources: &'r Resources,
) -> Option<&'r str> {
    let source = &automation.spec.source_ref;
    let own = automation.key.name.namespace.as_str();
    let name = ObjectName::new(
        source.namespace.as_deref().unwrap_or(own),
        source.name.as_str(),
    );
    let repository = resources.git_repositories.get(&name)?;
    Some(repository.spec.url.as_str())
}

fn source_of<'r>(
    source: &ObjectName,
    resources: &'r Resources,
) -> Result<&'r Arc<Object<GitRepositorySpec>>, Failure> {
    resources.git_repositories.get(source).ok_or_else(|| {
        let why = resources
            .refused
            .iter()
            .find(|refused| {
                refused.key.kind == crate::resources::Kind::GitRepository
                    && refused.key.name == *source
            })
            .map_or_else(
                || format!("GitRepository {source} not found"),
                |refused| {
                    format!(
                        "GitRepository {source} at {} cannot be used: {}",
                        refused.place, refused.message
                    )
                },
            );
        source_failed(format!("referenced git repository does not exist: {why}"))
    })
}

/// What the automation's policies chose: for the editor, and for the status.
fn choices_of<'p>(
    automation: &Object<ImageUpdateAutomationSpec>,
    resources: &Resources,
    latest: impl Fn(&ObjectName) -> Option<&'p ImageRef>,
) -> (Choices, BTreeMap<String, ImageRef>) {
    let own = automation.key.name.namespace.as_str();
    let mut choices = Choices::new();
    let mut observed = BTreeMap::new();
    let mut groups: BTreeMap<(&str, &str), Vec<PolicyName>> = BTreeMap::new();
    for name in policies_of(automation, resources) {
        let policy = PolicyName::new(name.namespace.as_str(), name.name.as_str());
        if let Some(group) = resources.group_of(name) {
            let members = groups.entry((name.namespace.as_str(), group)).or_default();
            members.push(policy.clone());
        }
        match latest(name) {
            Some(image) => {
                choices.insert(policy, image.into());
                observed.insert(observed_name(own, name), image.clone());
            }
            None => choices.insert_undecided(policy),
        }
    }
    for members in groups.into_values() {
        choices.move_together(members);
    }
    (choices, observed)
}

fn message(
    automation: &Object<ImageUpdateAutomationSpec>,
    git: &GitSpec,
    path: &UpdatePath,
    settings: &Settings,
) -> Result<CommitMessage, Failure> {
    let template = git
        .commit
        .message_template
        .as_deref()
        .filter(|text| !text.is_empty());
    let template = template
        .map(MessageTemplate::parse)
        .transpose()
        .map_err(|error| {
            Failure::retried(
                "GitOperationFailed",
                format!("failed to update source: {error}"),
            )
        })?;
    Ok(CommitMessage {
        namespace: automation.key.name.namespace.clone(),
        name: automation.key.name.name.clone(),
        path: path.clone(),
        template,
        values: git
            .commit
            .message_template_values
            .clone()
            .unwrap_or_default(),
        ci_skip: settings.ci_skip_message.clone(),
    })
}

/// How a policy is named in `status.observedPolicies`: by its name alone in the automation's own namespace,
/// as in Flux.
pub(crate) fn observed_name(own: &str, policy: &ObjectName) -> String {
    if policy.namespace == own {
        policy.name.clone()
    } else {
        policy.to_string()
    }
}

fn checkout(reference: Option<&GitReference>) -> Result<Checkout, GitError> {
    let fields = reference.map_or_else(ReferenceFields::default, |reference| ReferenceFields {
        branch: reference.branch.clone(),
        tag: reference.tag.clone(),
        semver: reference.semver.clone(),
        name: reference.name.clone(),
        commit: reference.commit.clone(),
    });
    Checkout::from_fields(&fields)
}

fn signer(key_type: SigningKeyType, secret: &Object<SecretData>) -> Result<Signer, Failure> {
    use super::registry_access::text;
    let read = |key| {
        text(&secret.spec, key).map_err(|error| source_failed(format!("{}: {error}", secret.key)))
    };
    let required = |key: &'static str, article: &str| {
        read(key)?.ok_or_else(|| {
            source_failed(format!(
                "signing key secret '{}' does not contain {article} '{key}' key",
                secret.key.name
            ))
        })
    };
    let signer = match key_type {
        SigningKeyType::Ssh => {
            Signer::ssh(&required("identity", "an")?, read("password")?.as_ref())
        }
        SigningKeyType::Gpg => {
            Signer::openpgp(&required("git.asc", "a")?, read("passphrase")?.as_ref())
        }
    };
    signer.map_err(|error| source_failed(format!("{}: {error}", secret.key)))
}

fn source_failed(message: impl std::fmt::Display) -> Failure {
    Failure::retried(
        "SourceManagerFailed",
        format!("failed configuring source manager: {message}"),
    )
}

/// What a run did for one automation.
pub(crate) struct Published {
    /// One per branch that could be dealt with.
    pub(crate) outcomes: Vec<PushOutcome>,
    /// The first thing that went wrong, with Flux's reason and message.
    pub(crate) failure: Option<Failure>,
}

impl Published {
    /// Nothing was done.
    pub(crate) fn failed(failure: Failure) -> Self {
        Self {
            outcomes: Vec::new(),
            failure: Some(failure),
        }
    }
}

/// Does the runs of automations that share a remote. Blocks. One answer for each, in their order.
pub(crate) fn run(
    publications: &[SharedPublication],
    storage: &Path,
    cancel: &CancellationToken,
) -> Vec<Published> {
    let Some(first) = publications.first() else {
        return Vec::new();
    };
    let mirror = match Mirror::open(storage, &first.remote) {
        Ok(mirror) => mirror,
        Err(error) => {
            let failed = |_| Published::failed(failure(&error));
            return publications.iter().map(failed).collect();
        }
    };
    let contributions: Vec<Contribution<'_>> = publications
        .iter()
        .map(|publication| Contribution {
            request: &publication.request,
            branches: &publication.branches,
            message: &publication.message,
        })
        .collect();
    publish_together(&mirror, &MarkerEditor::default(), &contributions, cancel)
        .into_iter()
        .map(|result| match result {
            Err(error) => Published::failed(failure(&error)),
            Ok(branches) => {
                let mut published = Published {
                    outcomes: Vec::new(),
                    failure: None,
                };
                for branch in branches {
                    match branch {
                        Ok(outcome) => published.outcomes.push(outcome),
                        Err(error) => {
                            published.failure.get_or_insert_with(|| failure(&error));
                        }
                    }
                }
                published
            }
        })
        .collect()
}

fn failure(error: &GitError) -> Failure {
    match error {
        GitError::InvalidArgument { .. } | GitError::NoPushBranch { .. } | GitError::Sign(_) => {
            source_failed(error.to_string())
        }
        GitError::PathNotFound { .. } | GitError::Edit { .. } => {
            Failure::retried("UpdateFailed", format!("failed to apply policies: {error}"))
        }
        GitError::Message(source) => {
            let reason = source
                .downcast_ref::<MessageError>()
                .and_then(MessageError::condition_reason);
            match reason {
                Some(reason) => Failure::stalled(reason, source.to_string()),
                None => Failure::retried(
                    "GitOperationFailed",
                    format!("failed to update source: {source}"),
                ),
            }
        }
        GitError::Refused { .. } | GitError::Outrun { .. } => Failure::retried(
            "GitOperationFailed",
            format!("failed to update source: {error}"),
        ),
        GitError::Transport { doing, .. } if doing.contains("push") => Failure::retried(
            "GitOperationFailed",
            format!("failed to update source: {error}"),
        ),
        _ => Failure::retried(
            "GitOperationFailed",
            format!("failed to checkout source: {error}"),
        ),
    }
}

/// A publication shared with the task that runs it.
pub(crate) type SharedPublication = Arc<Publication>;
