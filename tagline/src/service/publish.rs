//! From an automation and the policies' choices to a run of the updater.

use super::git_access;
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
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tagline_scanner::ScanTarget;
use tagline_updater::forge::{Forges, KnownBranch, Standing};
use tagline_updater::git::{
    CancellationToken, GitError, GitReference as Checkout, Identity, Mirror, ReferenceFields,
    Remote, Signer, UpdatePath,
};
use tagline_updater::message::{CommitMessage, MessageError, MessageTemplate};
use tagline_updater::{
    BranchChoices, Choices, CommitGrouping as Grouping, Contribution, MarkerEditor, PolicyName,
    PublishRequest, PushOutcome, PushState, PushTarget, SourceIgnore, publish_together,
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
    let remote = git_access::remote(repository, resources, settings.git_timeout)?;
    let mut request = publish_request(automation, git, repository, resources, now)?;
    request.holds.clone_from(&status.holds);
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
        remote,
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

fn source_failed(message: impl std::fmt::Display) -> Failure {
    Failure::retried(
        "SourceManagerFailed",
        format!("failed configuring source manager: {message}"),
    )
}

/// What a run did for one automation.
#[derive(Default)]
pub(crate) struct Published {
    /// One per branch that could be dealt with.
    pub(crate) outcomes: Vec<PushOutcome>,
    /// Branches that were not pushed, because of their pull requests.
    pub(crate) withheld: BTreeMap<String, Standing>,
    /// Branches of earlier runs that are still at the remote and not wanted now.
    pub(crate) known_branches: Vec<KnownBranch>,
    /// The first thing that went wrong, with Flux's reason and message.
    pub(crate) failure: Option<Failure>,
}

impl Published {
    /// Nothing was done.
    pub(crate) fn failed(failure: Failure) -> Self {
        Self {
            failure: Some(failure),
            ..Self::default()
        }
    }

    fn has_something_to_push(&self) -> bool {
        let is_due = |outcome: &PushOutcome| outcome.state == PushState::DryRun;
        self.outcomes.iter().any(is_due)
    }
}

/// Does the runs of automations that share a remote: looks whether pull requests speak against a push, then pushes.
/// One answer for each, in their order.
pub(crate) async fn run(
    publications: Vec<SharedPublication>,
    storage: PathBuf,
    cancel: CancellationToken,
) -> Vec<Published> {
    let pass = |publications: &[SharedPublication],
                held_back: Vec<BTreeMap<String, Standing>>,
                dry_run| {
        let publications = publications.to_vec();
        let (storage, cancel) = (storage.clone(), cancel.clone());
        let work = move || push(&publications, &held_back, dry_run, &storage, &cancel);
        tokio::task::spawn_blocking(work)
    };
    let nothing = vec![BTreeMap::new(); publications.len()];
    let has_pull_requests = |publication: &SharedPublication| publication.pull_requests.is_some();
    let published = if publications.iter().any(has_pull_requests) {
        match pass(&publications, nothing, true).await {
            Ok(looked) if looked.iter().any(Published::has_something_to_push) => {
                let held_back = hold_back(&publications, &looked).await;
                let maps = held_back.iter().map(|held_back| held_back.branches.clone());
                let pushed = pass(&publications, maps.collect(), false).await;
                pushed.map(|pushed| joined(looked, held_back, pushed))
            }
            other => other,
        }
    } else {
        pass(&publications, nothing, false).await
    };
    let mut published = match published {
        Ok(published) => published,
        Err(error) => {
            let stopped = format!("the run stopped unexpectedly: {error}");
            let failed = |_| Published::failed(Failure::retried("GitOperationFailed", &*stopped));
            return publications.iter().map(failed).collect();
        }
    };
    for (publication, published) in publications.iter().zip(&mut published) {
        look_after_branches(publication, published, &storage, &cancel).await;
    }
    published
}

/// What one automation does not push.
#[derive(Default)]
struct HeldBack {
    branches: BTreeMap<String, Standing>,
    failure: Option<Failure>,
}

async fn hold_back(publications: &[SharedPublication], looked: &[Published]) -> Vec<HeldBack> {
    let questions = publications
        .iter()
        .zip(looked)
        .map(async |(publication, looked)| {
            let Some(plan) = &publication.pull_requests else {
                return HeldBack::default();
            };
            match plan.hold_back(&looked.outcomes).await {
                Ok(branches) => HeldBack {
                    branches,
                    failure: None,
                },
                // Its pull requests cannot be told, so nothing of it is pushed.
                Err(failure) => HeldBack {
                    branches: publication
                        .branches
                        .iter()
                        .map(|branch| (branch.branch.clone(), Standing::Deferred))
                        .collect(),
                    failure: Some(failure),
                },
            }
        });
    futures_util::future::join_all(questions).await
}

/// What was pushed, and what was only looked at because it was held back.
fn joined(
    looked: Vec<Published>,
    held_back: Vec<HeldBack>,
    pushed: Vec<Published>,
) -> Vec<Published> {
    let all = looked.into_iter().zip(held_back).zip(pushed);
    all.map(|((looked, held_back), mut pushed)| {
        let only_looked = looked
            .outcomes
            .into_iter()
            .filter(|outcome| held_back.branches.contains_key(&outcome.branch));
        pushed.outcomes.extend(only_looked);
        pushed.withheld = held_back.branches;
        pushed.failure = held_back.failure.or(pushed.failure);
        pushed
    })
    .collect()
}

/// Finds branches of earlier runs that can be tidied up.
async fn look_after_branches(
    publication: &SharedPublication,
    published: &mut Published,
    storage: &Path,
    cancel: &CancellationToken,
) {
    let Some(plan) = &publication.pull_requests else {
        return;
    };
    let stale = plan.stale_branches(&published.outcomes);
    if stale.is_empty() || published.failure.is_some() {
        return;
    }
    let (publication, storage, cancel) =
        (Arc::clone(publication), storage.to_owned(), cancel.clone());
    let look_up = move || {
        let mirror = Mirror::open(&storage, &publication.remote)?;
        KnownBranch::look_up(&mirror, &publication.request, &stale, &cancel)
    };
    match tokio::task::spawn_blocking(look_up).await {
        Ok(Ok(known)) => published.known_branches = known,
        Ok(Err(error)) => published.failure = Some(failure(&error)),
        Err(error) => tracing::error!(%error, "branches cannot be looked up; please report this"),
    }
}

/// Does one pass over automations that share a remote, without the branches that are held back. Blocks. One answer for
/// each, in their order.
fn push(
    publications: &[SharedPublication],
    held_back: &[BTreeMap<String, Standing>],
    dry_run: bool,
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
    let parts: Vec<(PublishRequest, Vec<BranchChoices>)> = publications
        .iter()
        .zip(held_back)
        .map(|(publication, held_back)| {
            let mut request = publication.request.clone();
            request.dry_run |= dry_run;
            let branches = publication.branches.iter();
            let branches = branches.filter(|branch| !held_back.contains_key(&branch.branch));
            (request, branches.cloned().collect())
        })
        .collect();
    let contributions: Vec<Contribution<'_>> = publications
        .iter()
        .zip(&parts)
        .map(|(publication, (request, branches))| Contribution {
            request,
            branches,
            message: &publication.message,
        })
        .collect();
    publish_together(&mirror, &MarkerEditor::default(), &contributions, cancel)
        .into_iter()
        .map(|result| match result {
            Err(error) => Published::failed(failure(&error)),
            Ok(branches) => {
                let mut published = Published::default();
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
