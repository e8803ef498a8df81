//! What a pass came to: one entry per object.

use super::Service;
use super::status::{
    AutomationStatus, Condition, Conditions, ImageRef, PolicyStatus, RepositoryStatus,
};
use super::targets::Activity;
use crate::resources::{Kind, ObjectName};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use tagline_policy::ImageReference;
use tagline_updater::PushState;

/// All objects.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// One entry per object, in the order of the flow.
    pub(crate) objects: Vec<ObjectReport>,
    /// Documents of other kinds, by kind.
    pub(crate) passed_over: BTreeMap<String, usize>,
}

/// One object.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ObjectReport {
    /// Its kind.
    pub(crate) kind: Kind,
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
    /// In one word.
    pub(crate) state: ObjectState,
    /// The condition's reason.
    pub(crate) reason: String,
    /// The condition's message.
    pub(crate) message: String,
    /// What came of it, for the table.
    #[serde(skip)]
    pub(crate) result: String,
    /// Its status, as Flux has it.
    pub(crate) status: Status,
    /// What an automation's run wrote, by branch.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) pushes: Vec<Push>,
    /// What was done to its pull requests, in words; they themselves are in the status.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) pull_request_actions: Vec<String>,
    /// In a dry run: what would be done to its pull requests.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) pull_request_plan: Vec<String>,
}

/// An object's state in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum ObjectState {
    /// Works as asked.
    Ready,
    /// Does not.
    Failed,
    /// Is suspended.
    Suspended,
    /// Is left out by include and exclude globs.
    LeftOut,
    /// Not known yet.
    Unknown,
}

/// An object's status.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Status {
    /// Of an `ImageRepository`.
    Repository(RepositoryStatus),
    /// Of an `ImagePolicy`.
    Policy(PolicyStatus),
    /// Of an `ImageUpdateAutomation`.
    Automation(AutomationStatus),
    /// Of an object that cannot be used.
    None {},
}

/// What a run of the updater wrote.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Push {
    /// The remote.
    pub(crate) remote: String,
    /// The branch.
    pub(crate) branch: String,
    /// The commit; none when there was nothing to change.
    pub(crate) commit: Option<String>,
    /// The commit message.
    pub(crate) message: Option<String>,
    /// The changes.
    pub(crate) changes: Vec<PushedChange>,
    /// Markers that were not followed.
    pub(crate) skipped: Vec<PushSkip>,
    /// In a dry run: what would be written, as a unified diff.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) patch: Option<String>,
    /// Choices that a person took back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) held: Vec<tagline_updater::Hold>,
}

/// One change.
#[derive(Debug, Serialize)]
pub(crate) struct PushedChange {
    /// The file.
    pub(crate) file: String,
    /// The line.
    pub(crate) line: usize,
    /// The policy, `namespace/name`.
    pub(crate) policy: String,
    /// Before.
    pub(crate) old: String,
    /// After.
    pub(crate) new: String,
}

/// One marker that was not followed.
#[derive(Debug, Serialize)]
pub(crate) struct PushSkip {
    /// The file.
    pub(crate) file: String,
    /// The line.
    pub(crate) line: usize,
    /// Why, as a word.
    pub(crate) reason: &'static str,
    /// Why, as a sentence.
    pub(crate) message: String,
}

impl Report {
    /// Whether any object failed.
    pub(crate) fn has_failures(&self) -> bool {
        self.objects
            .iter()
            .any(|object| matches!(object.state, ObjectState::Failed | ObjectState::Unknown))
    }
}

impl Service {
    /// What every policy wants, or why it wants nothing.
    pub(crate) fn choices(&self) -> Vec<(ObjectName, Result<ImageReference, String>)> {
        let choice = |state: &super::state::PolicyState| {
            let ready = state.status.conditions.ready_condition();
            match (&state.status.latest_ref, ready) {
                (Some(latest), _) if state.status.conditions.is_ready() => Ok(latest.into()),
                (_, Some(ready)) => Err(ready.message.clone()),
                (_, None) => Err("it was not evaluated".to_owned()),
            }
        };
        self.states
            .policies
            .iter()
            .map(|(name, state)| (name.clone(), choice(state)))
            .collect()
    }

    /// Where everything stands.
    pub(crate) fn report(&self) -> Report {
        let mut objects = Vec::new();
        for (name, state) in &self.states.repositories {
            let mut entry = entry(
                Kind::ImageRepository,
                name,
                state.object.spec.suspend,
                &state.status.conditions,
            );
            if let Some(Activity::LeftOut(why)) = self.targets.of_repository.get(name) {
                entry.state = ObjectState::LeftOut;
                "Excluded".clone_into(&mut entry.reason);
                entry.message.clone_from(why);
            }
            if let Some(result) = &state.status.last_scan_result {
                entry.result = format!("{} tags", result.tag_count);
            }
            entry.status = Status::Repository(state.status.clone());
            objects.push(entry);
        }
        for (name, state) in &self.states.policies {
            let suspended = state.object.spec.suspend;
            let mut entry = entry(Kind::ImagePolicy, name, suspended, &state.status.conditions);
            if let Some(latest) = &state.status.latest_ref {
                entry.result = short_image(latest);
            }
            entry.status = Status::Policy(state.status.clone());
            objects.push(entry);
        }
        for (name, state) in &self.states.automations {
            let suspended = state.object.spec.suspend;
            let mut entry = entry(
                Kind::ImageUpdateAutomation,
                name,
                suspended,
                &state.status.conditions,
            );
            if let Some(remote) = &state.remote {
                entry.pushes = state
                    .outcomes
                    .iter()
                    .map(|outcome| push(outcome, remote, self.dry_run))
                    .collect();
                entry.result = summary(&entry.pushes, remote);
            }
            for pull_request in state.status.pull_requests.iter().filter(|_| !self.dry_run) {
                entry.result = format!("{}; {pull_request}", entry.result);
            }
            if self.dry_run {
                entry.pull_request_plan.clone_from(&state.proposed);
            } else {
                entry.pull_request_actions.clone_from(&state.proposed);
            }
            entry.status = Status::Automation(state.status.clone());
            objects.push(entry);
        }
        for refused in &self.resources.refused {
            objects.push(ObjectReport {
                kind: refused.key.kind,
                namespace: refused.key.name.namespace.clone(),
                name: refused.key.name.name.clone(),
                state: ObjectState::Failed,
                reason: refused.reason.to_owned(),
                message: format!("{}: {}", refused.place, refused.message),
                result: String::new(),
                status: Status::None {},
                pushes: Vec::new(),
                pull_request_actions: Vec::new(),
                pull_request_plan: Vec::new(),
            });
        }
        objects
            .sort_by(|a, b| (a.kind, &a.namespace, &a.name).cmp(&(b.kind, &b.namespace, &b.name)));
        Report {
            objects,
            passed_over: self.resources.passed_over.clone(),
        }
    }
}

fn entry(kind: Kind, name: &ObjectName, suspended: bool, conditions: &Conditions) -> ObjectReport {
    let ready = conditions.ready_condition();
    let state = match ready {
        _ if suspended => ObjectState::Suspended,
        None => ObjectState::Unknown,
        Some(_) if conditions.is_ready() => ObjectState::Ready,
        Some(_) => ObjectState::Failed,
    };
    let part = |part: fn(&Condition) -> &String| ready.map(part).cloned().unwrap_or_default();
    ObjectReport {
        kind,
        namespace: name.namespace.clone(),
        name: name.name.clone(),
        state,
        reason: part(|ready| &ready.reason),
        message: part(|ready| &ready.message),
        result: String::new(),
        status: Status::None {},
        pushes: Vec::new(),
        pull_request_actions: Vec::new(),
        pull_request_plan: Vec::new(),
    }
}

fn push(outcome: &tagline_updater::PushOutcome, remote: &str, dry_run: bool) -> Push {
    let is_due = dry_run && outcome.state == PushState::DryRun;
    Push {
        remote: remote.to_owned(),
        branch: outcome.branch.clone(),
        commit: match outcome.state {
            PushState::Pushed(commit) | PushState::Standing(commit) => Some(commit.to_string()),
            PushState::UpToDate(_) | PushState::DryRun => None,
        },
        message: outcome.message.clone(),
        changes: outcome
            .files
            .iter()
            .flat_map(|file| {
                file.changes.iter().map(|change| PushedChange {
                    file: file.path.clone(),
                    line: change.line,
                    policy: change.policy.to_string(),
                    old: change.old.clone(),
                    new: change.new.clone(),
                })
            })
            .collect(),
        skipped: outcome
            .skipped
            .iter()
            .map(|skipped| PushSkip {
                file: skipped.path.clone(),
                line: skipped.skip.line,
                reason: skipped.skip.reason.as_str(),
                message: skipped.skip.detail.clone(),
            })
            .collect(),
        patch: is_due.then(|| outcome.patch()),
        held: outcome.held.clone(),
    }
}

/// An image with its digest cut to what people compare.
fn short_image(image: &ImageRef) -> String {
    match &image.digest {
        None => image.to_string(),
        Some(digest) => {
            let digest: String = digest.as_str().chars().take(19).collect();
            format!("{}:{}@{digest}", image.name, image.tag)
        }
    }
}

/// What an automation's run wrote, in a few words.
fn summary(pushes: &[Push], remote: &str) -> String {
    let written: Vec<String> = pushes.iter().filter_map(Push::summary).collect();
    let mut text = if written.is_empty() {
        let branches: Vec<&str> = pushes.iter().map(|push| push.branch.as_str()).collect();
        let branches = if branches.is_empty() {
            "no branch".to_owned()
        } else {
            branches.join(", ")
        };
        format!("nothing to change on {branches} of {remote}")
    } else {
        format!("{} of {remote}", written.join("; "))
    };
    // The automation is as it should be, and yet a tag is not the newest: say why.
    let held: BTreeSet<&str> = pushes
        .iter()
        .flat_map(|push| push.held.iter().map(|hold| hold.image.as_str()))
        .collect();
    if !held.is_empty() {
        let held: Vec<&str> = held.into_iter().collect();
        text.push_str("; taken back in git: ");
        text.push_str(&held.join(", "));
    }
    text
}

impl Push {
    fn summary(&self) -> Option<String> {
        let count = self.changes.len();
        let changes = if count == 1 { "change" } else { "changes" };
        if self.patch.is_some() {
            return Some(format!("{count} {changes} due on {}", self.branch));
        }
        let commit: String = self.commit.as_ref()?.chars().take(7).collect();
        Some(format!("{count} {changes} in {commit} on {}", self.branch))
    }
}
