//! From an automation's runs to its pull requests: what is wanted, what is held back before a push, what was done.

use super::forge_access;
use super::image_sources::ImageSources;
use super::status::{AutomationStatus, Failure};
use crate::resources::{
    GitRepositorySpec, ImageUpdateAutomationSpec, Object, ObjectName, PullRequestData,
    PullRequestSpec, Resources, into_itself,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tagline_scanner::{Clock, ScanTarget};
use tagline_updater::forge::{
    Existing, Fingerprint, ForgeError, Forges, KnownBranch, Plan, PullRequestNumber,
    PullRequestOptions, PullRequests, Report, Request, Standing, Wanted, bring_about, foresee,
    refusal,
};
use tagline_updater::message::Changed;
use tagline_updater::message::template::{Template, Value};
use tagline_updater::{Choices, PolicyName, PublishRequest, PushOutcome};

/// How long a push waits to hear whether a person has refused it. A forge that is down does not stop pushes.
const ASK_PATIENCE: Duration = Duration::from_secs(10);

/// What an automation's pull requests are made of.
pub(crate) struct PullRequestPlan {
    forge: Box<dyn PullRequests>,
    options: PullRequestOptions,
    automation: ObjectName,
    choices: Choices,
    pub(crate) base: String,
    title: Option<Template>,
    body: Option<Template>,
    /// Where the policies' images are.
    targets: BTreeMap<PolicyName, ScanTarget>,
    /// Branches that earlier runs have pushed, and changes that people have refused.
    memory: PullRequestMemory,
    /// Everything is known that could be wanted.
    complete: bool,
    now: Timestamp,
}

/// What is remembered of an automation's pull requests: in its status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PullRequestMemory {
    /// Branches that were pushed and may have to be tidied up.
    pub(crate) branches: BTreeSet<String>,
    /// Refused changes.
    pub(crate) refused: BTreeSet<Fingerprint>,
}

/// One pull request as the status and the report show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PullRequestStatus {
    /// Its branch.
    pub(crate) branch: String,
    /// Where it stands.
    pub(crate) state: PullRequestStateName,
    /// Its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) number: Option<u64>,
    /// Its page.
    #[serde(skip_serializing_if = "Option::is_none", rename = "url")]
    pub(crate) page: Option<String>,
    /// Of a refused one: the changes that a person does not want, as fingerprints.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) refused: Vec<String>,
}

/// Where a pull request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PullRequestStateName {
    /// Open.
    Open,
    /// Merged.
    Merged,
    /// A person closed it: not this version.
    Refused,
    /// The limit of open ones is reached.
    Waiting,
    /// It belongs to another automation.
    Foreign,
    /// It could not be opened.
    Missing,
}

impl PullRequestStateName {
    /// The word.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Merged => "merged",
            Self::Refused => "refused",
            Self::Waiting => "waiting",
            Self::Foreign => "of another automation",
            Self::Missing => "missing",
        }
    }
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Proposed {
    /// One for each branch that is wanted; nothing when the forge could not be asked.
    pub(crate) pull_requests: Option<Vec<PullRequestStatus>>,
    /// The branches to remember.
    pub(crate) branches: BTreeSet<String>,
    /// What was done, or (dry run) would be.
    pub(crate) actions: Vec<String>,
    /// The first thing that went wrong.
    pub(crate) failure: Option<Failure>,
}

impl PullRequestMemory {
    /// What a status remembers.
    pub(crate) fn of(status: &AutomationStatus) -> Self {
        let refused = status.pull_requests.iter().flat_map(|it| &it.refused);
        Self {
            branches: status.pull_request_branches.iter().cloned().collect(),
            refused: refused
                .filter_map(|text| Fingerprint::parse(text))
                .collect(),
        }
    }
}

/// What the forge has to be asked with.
pub(crate) struct PlanContext<'a> {
    pub(crate) automation: &'a Object<ImageUpdateAutomationSpec>,
    pub(crate) spec: &'a PullRequestSpec,
    pub(crate) repository: &'a Object<GitRepositorySpec>,
    pub(crate) resources: &'a Resources,
    pub(crate) forges: &'a Forges,
    pub(crate) clock: &'a Clock,
    pub(crate) memory: PullRequestMemory,
    pub(crate) targets: BTreeMap<PolicyName, ScanTarget>,
    pub(crate) now: Timestamp,
}

/// The push branch where the automation names none.
pub(crate) fn default_branch(automation: &Object<ImageUpdateAutomationSpec>) -> String {
    let name = &automation.key.name;
    format!("tagline/{}/{}", name.namespace, name.name)
}

impl PullRequestPlan {
    /// Puts a plan together.
    ///
    /// # Errors
    /// A [`Failure`] that names the field or the Secret.
    pub(crate) fn new(
        context: PlanContext<'_>,
        request: &PublishRequest,
        choices: &Choices,
    ) -> Result<Self, Failure> {
        let spec = context.spec;
        let misconfigured = |message: String| {
            Failure::stalled(
                "InvalidSourceConfiguration",
                format!("spec.git.pullRequest: {message}"),
            )
        };
        let base = spec
            .base
            .as_deref()
            .or_else(|| request.checkout.inferred_push_branch());
        let base = base.ok_or_else(|| {
            misconfigured(format!(
                "{} is no branch that could be merged into: set base",
                request.checkout
            ))
        })?;
        if request.push.branch.as_deref() == Some(base) {
            return Err(misconfigured(into_itself(base)));
        }
        let template = |field: &'static str, text: Option<&String>| {
            text.map(|text| Template::parse("pull request", text))
                .transpose()
                .map_err(|error| misconfigured(format!("{field}: {error}")))
        };
        let connection = forge_access::connection(
            context.automation,
            spec,
            context.repository,
            context.resources,
            context.forges,
            context.clock,
        )?;
        let forge = context
            .forges
            .connect(connection)
            .map_err(|error| forge_failure(&error, context.now))?;
        let chosen = choices.chosen().count();
        Ok(Self {
            forge,
            options: spec.options(),
            automation: context.automation.key.name.clone(),
            choices: choices.clone(),
            base: base.to_owned(),
            title: template("title", spec.title.as_ref())?,
            body: template("body", spec.body.as_ref())?,
            targets: context.targets,
            memory: context.memory,
            complete: chosen == choices.policies().count(),
            now: context.now,
        })
    }

    /// Whether there are branches of earlier runs to look after.
    pub(crate) fn stale_branches(&self, outcomes: &[PushOutcome]) -> Vec<String> {
        let wanted = |branch: &String| {
            outcomes
                .iter()
                .any(|outcome| outcome.branch == *branch && !outcome.files.is_empty())
        };
        let standing = outcomes
            .iter()
            .filter(|outcome| outcome.is_up_to_date_at().is_some())
            .map(|outcome| outcome.branch.clone());
        let all: BTreeSet<String> = self
            .memory
            .branches
            .iter()
            .cloned()
            .chain(standing)
            .collect();
        all.into_iter().filter(|branch| !wanted(branch)).collect()
    }

    fn request(
        &self,
        outcomes: &[PushOutcome],
        branches: &[KnownBranch],
    ) -> Result<Request, Failure> {
        let mut wanted = Vec::new();
        for outcome in outcomes {
            let Some(mut pull_request) = Wanted::from_push(outcome, &self.choices) else {
                continue;
            };
            let data = self.data(outcome);
            let render = |field: &'static str, template: Option<&Template>| {
                template
                    .map(|template| template.render(&data))
                    .transpose()
                    .map_err(|error| {
                        Failure::stalled(
                            "InvalidSourceConfiguration",
                            format!("spec.git.pullRequest.{field}: {error}"),
                        )
                    })
            };
            pull_request.title = render("title", self.title.as_ref())?;
            pull_request.introduction = render("body", self.body.as_ref())?;
            wanted.push(pull_request);
        }
        Ok(Request {
            wanted,
            complete: self.complete,
            branches: branches.to_vec(),
            refused: self.memory.refused.clone(),
            ..Request::new(self.automation.to_string(), &*self.base)
        })
    }

    fn data(&self, outcome: &PushOutcome) -> Value {
        let mut changed = Changed::default();
        for file in &outcome.files {
            changed.add(file.path.as_str(), &file.changes);
        }
        let policies: BTreeSet<&PolicyName> = outcome
            .changes()
            .map(|(_, change)| &change.policy)
            .collect();
        let only = self
            .choices
            .chosen()
            .find(|(policy, _)| policies.len() == 1 && policies.contains(policy));
        let data = PullRequestData {
            automation: &self.automation,
            branch: &outcome.branch,
            base: &self.base,
            changed: &changed,
            only,
        };
        data.to_value()
    }

    /// Which branches are not to be pushed, and why: a person has refused them, or too many are open. Where the forge
    /// cannot be asked, what is remembered counts.
    pub(crate) async fn hold_back(
        &self,
        looked: &[PushOutcome],
    ) -> Result<BTreeMap<String, Standing>, Failure> {
        let request = self.request(looked, &[])?;
        let asked = foresee(&*self.forge, &request, &self.options);
        let standings = match tokio::time::timeout(ASK_PATIENCE, asked).await {
            Ok(Ok(plan)) => plan.standings,
            Ok(Err(error)) => {
                tracing::warn!(automation = %self.automation, %error, "the forge cannot be asked before the push");
                remembered(&request)
            }
            Err(_) => {
                tracing::warn!(
                    automation = %self.automation,
                    "the forge does not answer before the push"
                );
                remembered(&request)
            }
        };
        let pairs = request.wanted.into_iter().zip(standings);
        Ok(pairs
            .filter(|(_, standing)| matches!(standing, Standing::Refused(_) | Standing::Deferred))
            .map(|(wanted, standing)| (wanted.branch, standing))
            .collect())
    }

    /// Opens, updates, closes and tidies up. `withheld` are the branches that were not pushed, `failure` is what went
    /// wrong when the others were.
    pub(crate) async fn propose(
        &self,
        outcomes: &[PushOutcome],
        withheld: &BTreeMap<String, Standing>,
        branches: &[KnownBranch],
        failure: Option<Failure>,
        sources: &ImageSources,
        dry_run: bool,
    ) -> Proposed {
        let mut request = match self.request(outcomes, branches) {
            Ok(request) => request,
            Err(failure) => return self.failed(&[], failure),
        };
        request.complete &= failure.is_none();
        request.withheld = withheld.keys().cloned().collect();
        sources.fill_in(&mut request.wanted, &self.targets).await;
        let done = if dry_run {
            let plan = foresee(&*self.forge, &request, &self.options).await;
            plan.map(|plan| self.foreseen(&plan))
        } else {
            let report = bring_about(&*self.forge, &request, &self.options).await;
            report.map(|report| self.proposed(&request, report))
        };
        let mut proposed = match done {
            Ok(proposed) => proposed,
            Err(error) => self.failed(&request.wanted, forge_failure(&error, self.now)),
        };
        proposed.failure = failure.or(proposed.failure);
        proposed
    }

    fn foreseen(&self, plan: &Plan) -> Proposed {
        Proposed {
            pull_requests: None,
            branches: self.memory.branches.clone(),
            actions: plan.actions.iter().map(ToString::to_string).collect(),
            failure: None,
        }
    }

    fn failed(&self, wanted: &[Wanted], failure: Failure) -> Proposed {
        let branches = self.memory.branches.iter();
        Proposed {
            pull_requests: None,
            branches: pushed(wanted).chain(branches).cloned().collect(),
            actions: Vec::new(),
            failure: Some(failure),
        }
    }

    fn proposed(&self, request: &Request, report: Report) -> Proposed {
        let rows = request.wanted.iter().zip(&report.outcomes);
        let pull_requests: Vec<PullRequestStatus> = rows
            .map(|(wanted, outcome)| status(wanted, outcome.standing, outcome.url.clone()))
            .collect();
        // A branch is remembered until it is gone: those that were pushed now, and those that are still there.
        let branches = pushed(&request.wanted)
            .chain(request.branches.iter().map(|known| &known.name))
            .filter(|branch| !report.deleted_branches.contains(branch))
            .cloned()
            .collect();
        let failure = report
            .failures
            .into_iter()
            .max_by_key(|failure| severity(&failure.error))
            .map(|failed| {
                let mut failure = forge_failure(&failed.error, self.now);
                let number = failed.number.map(|number| format!(" ({number})"));
                failure.message = format!(
                    "{}: branch {}{}",
                    failure.message,
                    failed.branch,
                    number.unwrap_or_default()
                );
                failure
            });
        Proposed {
            pull_requests: Some(pull_requests),
            branches,
            actions: told(&report.created, "opened")
                .chain(told(&report.updated, "updated"))
                .chain(told(&report.closed, "closed"))
                .chain(
                    report
                        .deleted_branches
                        .iter()
                        .map(|branch| format!("deleted branch {branch}")),
                )
                .collect(),
            failure,
        }
    }
}

/// Where pull requests stand as far as it is known without the forge.
fn remembered(request: &Request) -> Vec<Standing> {
    let nothing = Existing::default();
    let standing = |wanted| match refusal(request, &nothing, wanted) {
        Some(by) => Standing::Refused(by),
        None => Standing::Missing,
    };
    request.wanted.iter().map(standing).collect()
}

fn forge_failure(error: &ForgeError, now: Timestamp) -> Failure {
    let failure = forge_access::failure(error, now);
    Failure {
        message: format!("pull request: {}", failure.message),
        ..failure
    }
}

/// The branches that are at the remote.
fn pushed(wanted: &[Wanted]) -> impl Iterator<Item = &String> {
    wanted
        .iter()
        .filter(|wanted| wanted.commit.is_some())
        .map(|wanted| &wanted.branch)
}

/// Those that end a run are told before those that one pull request has, and those before what a forge cannot do.
fn severity(error: &ForgeError) -> u8 {
    match error {
        ForgeError::RateLimited { .. } => 3,
        ForgeError::Unsupported { .. } => 0,
        error if error.is_retryable() => 2,
        _ => 1,
    }
}

fn told<'a>(
    numbers: &'a [PullRequestNumber],
    what: &'static str,
) -> impl Iterator<Item = String> + 'a {
    numbers.iter().map(move |number| format!("{what} {number}"))
}

fn status(wanted: &Wanted, standing: Standing, page: Option<String>) -> PullRequestStatus {
    let (state, number) = match standing {
        Standing::Open(number) => (PullRequestStateName::Open, Some(number)),
        Standing::Foreign(number) => (PullRequestStateName::Foreign, Some(number)),
        Standing::Merged(number) => (PullRequestStateName::Merged, Some(number)),
        Standing::Refused(number) => (PullRequestStateName::Refused, number),
        Standing::Deferred => (PullRequestStateName::Waiting, None),
        Standing::Missing => (PullRequestStateName::Missing, None),
    };
    let refused = match state {
        PullRequestStateName::Refused => wanted.fingerprints(),
        _ => BTreeSet::new(),
    };
    PullRequestStatus {
        branch: wanted.branch.clone(),
        state,
        number: number.map(|number| number.0),
        page,
        refused: refused.iter().map(ToString::to_string).collect(),
    }
}
