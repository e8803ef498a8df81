//! Does what [`reconcile()`] decides: looks, decides, acts, and looks again where somebody was faster.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::content::{body_when_closing, body_when_set_up, set_up_of};
use super::marker::ClosedBy;
use super::reconcile::{Action, CloseReason, Existing, Rules, Standing};
use super::{
    CreatePullRequest, ForgeError, Plan, PullRequest, PullRequestNumber, PullRequestOptions,
    PullRequests, Request, SetUp, Update, reconcile,
};

/// How often to look again after "already exists".
const ROUNDS: usize = 3;

/// Where one wanted pull request stands after the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Its branch.
    pub branch: String,
    /// Where it stands; [`Standing::Missing`] only where a failure is reported for the branch.
    pub standing: Standing,
    /// Its page, if there is one.
    pub url: Option<String>,
}

/// One thing that could not be done. The others were done nevertheless.
#[derive(Debug)]
pub struct Failure {
    /// The branch it was about.
    pub branch: String,
    /// The pull request it was about, if there is one.
    pub number: Option<PullRequestNumber>,
    /// What happened.
    pub error: ForgeError,
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Report {
    /// One for each wanted pull request, in order.
    pub outcomes: Vec<Outcome>,
    /// Made in this run.
    pub created: Vec<PullRequestNumber>,
    /// Changed in this run.
    pub updated: Vec<PullRequestNumber>,
    /// Closed in this run.
    pub closed: Vec<PullRequestNumber>,
    /// Branches deleted in this run.
    pub deleted_branches: Vec<String>,
    /// What could not be done.
    pub failures: Vec<Failure>,
    /// The forge asked to wait until then; the rest of the work was left for the next run.
    pub retry_at: Option<Timestamp>,
}

/// Looks at the forge: the open ones into the base, and of each branch that has none what was before.
///
/// # Errors
/// The first failure; half a view is none.
pub async fn survey(forge: &dyn PullRequests, request: &Request) -> Result<Existing, ForgeError> {
    let mut existing = Existing {
        open: forge.open(&request.base).await?,
        of_branch: BTreeMap::new(),
    };
    let has_open = |branch: &str| existing.open.iter().any(|it| it.branch == branch);
    let mut ask = BTreeSet::new();
    for wanted in &request.wanted {
        if !has_open(&wanted.branch) {
            ask.insert(wanted.branch.as_str());
        }
    }
    for known in &request.branches {
        if !has_open(&known.name) {
            ask.insert(known.name.as_str());
        }
    }
    for branch in ask {
        existing
            .of_branch
            .insert(branch.to_owned(), forge.of_branch(branch).await?);
    }
    Ok(existing)
}

/// What [`bring_about`] would do now, without doing it: asked before a push, and for a dry run.
///
/// # Errors
/// Those of [`survey`].
pub async fn foresee(
    forge: &dyn PullRequests,
    request: &Request,
    options: &PullRequestOptions,
) -> Result<Plan, ForgeError> {
    let existing = survey(forge, request).await?;
    Ok(reconcile(
        request,
        &existing,
        &rules(forge, options, &set_up_of(options)),
    ))
}

fn rules<'o>(
    forge: &dyn PullRequests,
    options: &'o PullRequestOptions,
    set_up: &SetUp,
) -> Rules<'o> {
    Rules {
        options,
        style: forge.marker_style(),
        body_limit: forge.body_limit(),
        needs_set_up: forge.has_more_to_set_up(set_up),
    }
}

/// Makes the forge show what is wanted. Can be stopped anywhere and run again.
///
/// When nothing is to be done it costs one request for each hundred open pull requests, and one for each branch, wanted
/// or to be tidied up, that has no open one. So run it when something has changed, and else only now and then.
///
/// # Errors
/// Only where nothing could be looked at; what fails for one pull request is in [`Report::failures`]. A rate limit
/// ends the run with [`Report::retry_at`].
pub async fn bring_about(
    forge: &dyn PullRequests,
    request: &Request,
    options: &PullRequestOptions,
) -> Result<Report, ForgeError> {
    let rules = rules(forge, options, &set_up_of(options));
    let mut run = Run {
        forge,
        rules,
        request,
        report: Report::default(),
        urls: BTreeMap::new(),
    };
    for round in 1..=ROUNDS {
        let existing = survey(forge, request).await?;
        let plan = reconcile(request, &existing, &rules);
        for pull_request in existing
            .open
            .iter()
            .chain(existing.of_branch.values().flatten())
        {
            run.urls
                .insert(pull_request.number, pull_request.url.clone());
        }
        if run.carry_out(plan, round == ROUNDS).await == Next::Done {
            break;
        }
    }
    Ok(run.report)
}

#[derive(PartialEq, Eq)]
enum Next {
    Done,
    /// Somebody made one while we did: look again.
    LookAgain,
}

struct Run<'a> {
    forge: &'a dyn PullRequests,
    rules: Rules<'a>,
    request: &'a Request,
    report: Report,
    urls: BTreeMap<PullRequestNumber, String>,
}

impl Run<'_> {
    async fn carry_out(&mut self, plan: Plan, last_round: bool) -> Next {
        let mut standings = plan.standings;
        let mut again = false;
        for action in plan.actions {
            let (branch, number) = subject(&action);
            let error = match self.act(action, &mut standings).await {
                Ok(()) => continue,
                Err(error) => error,
            };
            if matches!(error, ForgeError::AlreadyExists { .. }) && !last_round {
                again = true;
                continue;
            }
            let stop = error.retry_at();
            self.report.failures.push(Failure {
                branch,
                number,
                error,
            });
            if stop.is_some() {
                self.report.retry_at = stop;
                again = false;
                break;
            }
        }
        self.report.outcomes = self
            .request
            .wanted
            .iter()
            .zip(standings)
            .map(|(wanted, standing)| Outcome {
                branch: wanted.branch.clone(),
                standing,
                url: number_of(standing).and_then(|number| self.urls.get(&number).cloned()),
            })
            .collect();
        if again { Next::LookAgain } else { Next::Done }
    }

    async fn act(&mut self, action: Action, standings: &mut [Standing]) -> Result<(), ForgeError> {
        match action {
            Action::Create { wanted, new } => {
                let made = self.forge.create(&new).await?;
                tracing::info!(forge = %self.forge.provider(), number = %made.number, branch = %made.branch, "opened a pull request");
                self.report.created.push(made.number);
                self.urls.insert(made.number, made.url.clone());
                if let Some(standing) = standings.get_mut(wanted) {
                    *standing = Standing::Open(made.number);
                }
                self.set_up_new(&made, &new).await
            }
            Action::Update {
                pull_request,
                update,
            } => {
                self.forge.update(&pull_request, &update).await?;
                self.report.updated.push(pull_request.number);
                Ok(())
            }
            Action::SetUp { pull_request, body } => self.set_up(&pull_request, body).await,
            Action::Close {
                pull_request,
                reason,
                marked,
                delete_branch_at,
            } => {
                let reason = self.reason(&reason, standings);
                if self.close(&pull_request, &reason, marked).await?
                    && let Some(commit) = delete_branch_at
                {
                    self.delete_branch(&pull_request.branch, &commit).await?;
                }
                Ok(())
            }
            Action::DeleteBranch { branch, commit } => self.delete_branch(&branch, &commit).await,
        }
    }

    async fn set_up_new(
        &mut self,
        made: &PullRequest,
        new: &CreatePullRequest,
    ) -> Result<(), ForgeError> {
        match body_when_set_up(&new.body, &self.rules) {
            Some(body) => self.set_up(made, body).await,
            None => Ok(()),
        }
    }

    /// Sets it up, then takes the mark away. What this forge cannot do at all is reported once and not tried again.
    async fn set_up(&mut self, pull_request: &PullRequest, body: String) -> Result<(), ForgeError> {
        match self
            .forge
            .set_up(pull_request, &set_up_of(self.rules.options))
            .await
        {
            Err(error @ ForgeError::Unsupported { .. }) => self.report.failures.push(Failure {
                branch: pull_request.branch.clone(),
                number: Some(pull_request.number),
                error,
            }),
            other => other?,
        }
        self.forge
            .update(
                pull_request,
                &Update {
                    title: None,
                    body: Some(body),
                },
            )
            .await
    }

    /// The mark first, so that the closed one is never taken for a person's refusal; the comment last, so that it
    /// is written once at most. Whether it was closed.
    async fn close(
        &mut self,
        pull_request: &PullRequest,
        reason: &Reason,
        marked: bool,
    ) -> Result<bool, ForgeError> {
        if marked {
            // We were stopped between mark and close; or a person opened it again, then our comment is there.
            let comments = self.forge.comments(pull_request).await?;
            if comments.iter().any(|comment| comment.contains(CLOSING)) {
                return Ok(false);
            }
        } else if let Some(body) =
            body_when_closing(&pull_request.body, reason.by, &reason.sentence, &self.rules)
        {
            self.forge
                .update(
                    pull_request,
                    &Update {
                        title: None,
                        body: Some(body),
                    },
                )
                .await?;
        }
        self.forge.close(pull_request).await?;
        tracing::info!(forge = %self.forge.provider(), number = %pull_request.number, "closed a pull request");
        self.report.closed.push(pull_request.number);
        self.forge
            .comment(pull_request, &format!("{} {CLOSING}", reason.sentence))
            .await?;
        Ok(true)
    }

    async fn delete_branch(&mut self, branch: &str, commit: &str) -> Result<(), ForgeError> {
        // Most forges delete by name alone, so look right before: a branch with new commits is somebody's work.
        if self.forge.branch(branch).await?.as_deref() != Some(commit) {
            return Ok(());
        }
        self.forge.delete_branch(branch, commit).await?;
        self.report.deleted_branches.push(branch.to_owned());
        Ok(())
    }

    fn reason(&self, reason: &CloseReason, standings: &[Standing]) -> Reason {
        match reason {
            CloseReason::SupersededBy { branch } => {
                let position = self
                    .request
                    .wanted
                    .iter()
                    .position(|wanted| wanted.branch == *branch);
                let number = position
                    .and_then(|index| standings.get(index))
                    .copied()
                    .and_then(number_of);
                let by = match number {
                    Some(number) => {
                        format!("{}{}", self.forge.provider().reference_sign(), number.0)
                    }
                    None => "a newer update".to_owned(),
                };
                Reason {
                    by: ClosedBy::Superseded,
                    sentence: format!("Superseded by {by}."),
                }
            }
            CloseReason::NoLongerNeeded => Reason {
                by: ClosedBy::NoLongerNeeded,
                sentence: "This update is no longer needed.".to_owned(),
            },
        }
    }
}

struct Reason {
    by: ClosedBy,
    sentence: String,
}

/// The words our closing comment is known by.
const CLOSING: &str = "Tagline closes this pull request; open it again to keep it.";

fn number_of(standing: Standing) -> Option<PullRequestNumber> {
    match standing {
        Standing::Open(number) | Standing::Foreign(number) | Standing::Merged(number) => {
            Some(number)
        }
        Standing::Refused(number) => number,
        Standing::Missing | Standing::Deferred => None,
    }
}

fn subject(action: &Action) -> (String, Option<PullRequestNumber>) {
    match action {
        Action::Create { new, .. } => (new.branch.clone(), None),
        Action::Update { pull_request, .. }
        | Action::SetUp { pull_request, .. }
        | Action::Close { pull_request, .. } => {
            (pull_request.branch.clone(), Some(pull_request.number))
        }
        Action::DeleteBranch { branch, .. } => (branch.clone(), None),
    }
}
