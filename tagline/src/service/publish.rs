//! From an automation and the policies' choices to a run of the updater.

use super::git_access::{self, GitAccess};
use super::publish_run::failure;
use super::pull_requests::{self, PlanContext, PullRequestMemory, PullRequestPlan};
use super::push_branches;
use super::status::{AutomationStatus, Failure, ImageRef};
use super::targets::Targets;
use crate::resources::{
    CommitGrouping, GitReference, GitRepositorySpec, GitSpec, ImageUpdateAutomationSpec, Object,
    ObjectName, Resources, SecretData, SigningKeyType, UpdateStrategyName,
};
use crate::settings::Settings;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use tagline_scanner::ScanTarget;
use tagline_updater::forge::Forges;
use tagline_updater::git::{
    GitError, GitReference as Checkout, Identity, ReferenceFields, Signer, UpdatePath,
};
use tagline_updater::message::{CommitMessage, MessageTemplate};
use tagline_updater::{
    BranchChoices, Choices, CommitGrouping as Grouping, PolicyName, PublishRequest, PushTarget,
    SourceIgnore,
};

/// A run that is ready to go.
pub(crate) struct Publication {
    /// The remote.
    pub(crate) access: GitAccess,
    /// What is checked out, changed, committed and pushed.
    pub(crate) request: PublishRequest,
    /// Describes the commits.
    pub(crate) message: CommitMessage,
    /// The branches, and what goes to each: several when `push.branch` is a template.
    pub(crate) branches: Vec<BranchChoices>,
    /// The pull requests for what is pushed.
    pub(crate) pull_requests: Option<PullRequestPlan>,
    /// The choices by policy, as the status keeps them.
    pub(crate) observed: BTreeMap<String, ImageRef>,
}

/// What is around an automation.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) resources: &'a Resources,
    pub(crate) settings: &'a Settings,
    pub(crate) targets: &'a Targets,
    pub(crate) forges: &'a Forges,
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
    surroundings: Surroundings<'_>,
    latest: impl Fn(&ObjectName) -> Option<&'p ImageRef>,
    status: &AutomationStatus,
    now: Timestamp,
) -> Result<Publication, Failure> {
    let Surroundings {
        resources,
        settings,
        ..
    } = surroundings;
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
    let access = git_access::access(
        repository,
        resources,
        settings.git_timeout,
        surroundings.forges,
        &settings.scanner.clock,
    )?;
    let mut request = publish_request(automation, git, repository, resources, now)?;
    request.holds.clone_from(&status.holds);
    request.release_holds.clone_from(&status.release_holds);
    let (choices, observed) = choices_of(automation, resources, latest);
    let pull_requests = git
        .pull_request
        .as_ref()
        .map(|spec| {
            let context = PlanContext {
                automation,
                spec,
                repository,
                resources,
                forges: surroundings.forges,
                clock: &settings.scanner.clock,
                memory: PullRequestMemory::of(status),
                targets: targets_of(automation, resources, surroundings.targets),
                now,
            };
            PullRequestPlan::new(context, &request, &choices)
        })
        .transpose()?;
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
        access,
        request,
        message,
        branches,
        pull_requests,
        observed,
    })
}

/// What is checked out, who commits, what may change, where it goes.
fn publish_request(
    automation: &Object<ImageUpdateAutomationSpec>,
    git: &GitSpec,
    repository: &Object<GitRepositorySpec>,
    resources: &Resources,
    now: Timestamp,
) -> Result<PublishRequest, Failure> {
    let update = &automation.spec.update;
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
        UpdatePath::new(update.path.as_deref().unwrap_or_default()).map_err(|error| {
            Failure::stalled("UpdateFailed", format!("failed to apply policies: {error}"))
        })?;
    request.grouping = match git.commit.grouping {
        CommitGrouping::All => Grouping::Together,
        CommitGrouping::Policy => Grouping::PerPolicy,
    };
    if let Some(key) = &git.commit.signing_key {
        let name = ObjectName::new(
            automation.key.name.namespace.as_str(),
            key.secret_ref.name.as_str(),
        );
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
    request.edit.formats = update.formats();
    if git.pull_request.is_some() && request.push.branch.is_none() {
        request.push.branch = Some(pull_requests::default_branch(automation));
    }
    Ok(request)
}

/// Where the images of the automation's policies are.
fn targets_of(
    automation: &Object<ImageUpdateAutomationSpec>,
    resources: &Resources,
    targets: &Targets,
) -> BTreeMap<PolicyName, ScanTarget> {
    policies_of(automation, resources)
        .filter_map(|name| {
            let policy = resources.image_policies.get(name)?;
            let repository = policy
                .spec
                .image_repository_ref
                .in_namespace(&name.namespace);
            let target = targets.scan_of(targets.key_of(&repository)?)?;
            let policy = PolicyName::new(name.namespace.as_str(), name.name.as_str());
            Some((policy, target.clone()))
        })
        .collect()
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

/// What keeps the source from being used, in Flux's words.
pub(crate) fn source_failed(message: impl std::fmt::Display) -> Failure {
    Failure::retried(
        "SourceManagerFailed",
        format!("failed configuring source manager: {message}"),
    )
}

/// A publication shared with the task that runs it.
pub(crate) type SharedPublication = Arc<Publication>;
