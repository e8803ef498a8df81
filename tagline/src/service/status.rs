//! What is known about each object: Flux's conditions, reasons and messages, and the fields of its status.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tagline_policy::ImageReference;
use tagline_updater::{Hold, ReleaseHolds};

/// Ready, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Condition {
    /// `Ready` or `Stalled`.
    #[serde(rename = "type")]
    pub(crate) kind: ConditionType,
    /// `True`, `False` or `Unknown`.
    pub(crate) status: ConditionStatus,
    /// A word for programs.
    pub(crate) reason: String,
    /// A sentence for people.
    pub(crate) message: String,
    /// When status, reason or message last changed.
    pub(crate) last_transition_time: Timestamp,
}

/// The condition types of the image kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ConditionType {
    /// Works as asked.
    Ready,
    /// Will not be tried again before somebody changes it.
    Stalled,
}

/// A condition's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ConditionStatus {
    /// Yes.
    True,
    /// No.
    False,
    /// Not known yet.
    Unknown,
}

/// An object's conditions: Ready, and Stalled where trying again is pointless.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Conditions(Vec<Condition>);

/// Why an object is not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// A word for programs, Flux's where it has one.
    pub(crate) reason: &'static str,
    /// A sentence for people.
    pub(crate) message: String,
    /// Whether and when it is tried again.
    pub(crate) retry: Retry,
}

/// When something that failed is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    /// After a pause that grows.
    BackOff,
    /// After this pause.
    After(std::time::Duration),
    /// With the other policies of its group, as soon as the one that it waits for is looked at again.
    WithGroup,
    /// When somebody changes the object or what it refers to.
    Never,
}

/// `Succeeded`.
pub(crate) const SUCCEEDED: &str = "Succeeded";

/// What became of scanning an `ImageRepository`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RepositoryStatus {
    /// The request for work that was answered last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_handled_reconcile_at: Option<String>,
    /// Conditions.
    pub(crate) conditions: Conditions,
    /// For example `index.docker.io/library/alpine`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) canonical_image_name: Option<String>,
    /// The last complete scan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_scan_result: Option<ScanResult>,
    /// The exclusions that its numbers are about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) observed_exclusion_list: Vec<String>,
}

/// `status.lastScanResult`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ScanResult {
    /// Flux's checksum of the tags.
    pub(crate) revision: String,
    /// How many tags the exclusions leave.
    pub(crate) tag_count: usize,
    /// When.
    pub(crate) scan_time: Timestamp,
    /// The first ten in descending order.
    pub(crate) latest_tags: Vec<String>,
}

/// What an `ImagePolicy` chose.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PolicyStatus {
    /// The request for work that was answered last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_handled_reconcile_at: Option<String>,
    /// Conditions.
    pub(crate) conditions: Conditions,
    /// The choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latest_ref: Option<ImageRef>,
    /// The choice before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) observed_previous_ref: Option<ImageRef>,
}

/// `status.latestRef`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImageRef {
    /// The name, as `spec.image` has it.
    pub(crate) name: String,
    /// The tag.
    pub(crate) tag: tagline_policy::Tag,
    /// The digest, where the policy reflects it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<tagline_policy::Digest>,
}

/// What an `ImageUpdateAutomation` did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct AutomationStatus {
    /// The request for work that was answered last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_handled_reconcile_at: Option<String>,
    /// Conditions.
    pub(crate) conditions: Conditions,
    /// When it last ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_automation_run_time: Option<Timestamp>,
    /// The last commit it pushed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_push_commit: Option<String>,
    /// When it pushed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_push_time: Option<Timestamp>,
    /// Where it pushed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_push_branch: Option<String>,
    /// The commit it looked at, `branch@sha1:…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) observed_source_revision: Option<String>,
    /// The choices it has dealt with, by policy.
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub(crate) observed_policies: std::collections::BTreeMap<String, ImageRef>,
    /// Choices that a person took back in git.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) holds: Vec<Hold>,
    /// Which of them are to be written all the same, with the next run.
    #[serde(skip_serializing_if = "ReleaseHolds::is_none")]
    pub(crate) release_holds: ReleaseHolds,
    /// The request to release holds that was answered last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_handled_release_at: Option<String>,
    /// Since when choices wait to be written; none when all have been.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) changes_since: Option<Timestamp>,
    /// Ours: its pull requests, by branch.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) pull_requests: Vec<super::pull_requests::PullRequestStatus>,
    /// Ours: branches that were pushed for pull requests and have not been tidied up.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) pull_request_branches: Vec<String>,
    /// The object's own fields that it has dealt with, as a hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) observed_spec: Option<String>,
}

impl AutomationStatus {
    /// Answers the annotation that releases holds; whether it is one that was not answered yet.
    pub(crate) fn take_release(&mut self, asked: Option<&str>) -> bool {
        let is_new = asked.is_some() && asked != self.last_handled_release_at.as_deref();
        if is_new {
            self.last_handled_release_at = asked.map(str::to_owned);
            self.release_holds = ReleaseHolds::All;
        }
        is_new
    }
}

impl Conditions {
    /// Everything is as asked.
    pub(crate) fn ready(&mut self, message: impl Into<String>, now: Timestamp) {
        self.remove(ConditionType::Stalled);
        self.set(
            ConditionType::Ready,
            ConditionStatus::True,
            SUCCEEDED,
            message.into(),
            now,
        );
    }

    /// Not everything is done yet.
    pub(crate) fn progressing(&mut self, message: impl Into<String>, now: Timestamp) {
        self.remove(ConditionType::Stalled);
        self.set(
            ConditionType::Ready,
            ConditionStatus::Unknown,
            "Progressing",
            message.into(),
            now,
        );
    }

    /// Something failed.
    pub(crate) fn failed(&mut self, failure: &Failure, now: Timestamp) {
        let message = failure.message.clone();
        if failure.retry == Retry::Never {
            self.set(
                ConditionType::Stalled,
                ConditionStatus::True,
                failure.reason,
                message.clone(),
                now,
            );
        } else {
            self.remove(ConditionType::Stalled);
        }
        self.set(
            ConditionType::Ready,
            ConditionStatus::False,
            failure.reason,
            message,
            now,
        );
    }

    /// The Ready condition.
    pub(crate) fn ready_condition(&self) -> Option<&Condition> {
        self.0
            .iter()
            .find(|condition| condition.kind == ConditionType::Ready)
    }

    /// Whether Ready is True.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready_condition()
            .is_some_and(|condition| condition.status == ConditionStatus::True)
    }

    fn remove(&mut self, condition_type: ConditionType) {
        self.0.retain(|condition| condition.kind != condition_type);
    }

    fn set(
        &mut self,
        condition_type: ConditionType,
        status: ConditionStatus,
        reason: &str,
        message: String,
        now: Timestamp,
    ) {
        let old = self
            .0
            .iter()
            .find(|condition| condition.kind == condition_type);
        let unchanged = old.is_some_and(|old| {
            old.status == status && old.reason == reason && old.message == message
        });
        if unchanged {
            return;
        }
        self.remove(condition_type);
        self.0.push(Condition {
            kind: condition_type,
            status,
            reason: reason.to_owned(),
            message,
            last_transition_time: whole_seconds(now),
        });
        self.0
            .sort_by_key(|condition| condition.kind == ConditionType::Ready);
    }
}

/// A moment as statuses have it: Kubernetes' times have no fractions of seconds.
pub(crate) fn whole_seconds(moment: Timestamp) -> Timestamp {
    Timestamp::from_second(moment.as_second()).unwrap_or(moment)
}

impl Failure {
    /// A failure that is tried again after a growing pause.
    pub(crate) fn retried(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            retry: Retry::BackOff,
        }
    }

    /// A policy stays as it is because its group does.
    pub(crate) fn held(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            retry: Retry::WithGroup,
        }
    }

    /// A failure that stays until somebody changes something.
    pub(crate) fn stalled(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            retry: Retry::Never,
        }
    }
}

impl From<&ImageReference> for ImageRef {
    fn from(image: &ImageReference) -> Self {
        Self {
            name: image.name.clone(),
            tag: image.tag.clone(),
            digest: image.digest.clone(),
        }
    }
}

impl From<&ImageRef> for ImageReference {
    fn from(image: &ImageRef) -> Self {
        Self {
            name: image.name.clone(),
            tag: image.tag.clone(),
            digest: image.digest.clone(),
        }
    }
}

impl std::fmt::Display for ImageRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        ImageReference::from(self).fmt(f)
    }
}

/// The Ready message of a policy with a choice, as Flux writes it.
pub(crate) fn resolved_message(latest: &ImageRef, previous: Option<&ImageRef>) -> String {
    let mut message = format!(
        "Latest image tag for {} resolved to {}",
        latest.name, latest.tag
    );
    if let Some(digest) = &latest.digest {
        message = format!("{message} with digest {digest}");
    }
    if let Some(previous) = previous.filter(|previous| *previous != latest) {
        message = format!("{message} (previously {previous})");
    }
    message
}

/// The Ready message of a scanned repository, as Flux writes it.
pub(crate) fn scanned_message(result: &ScanResult) -> String {
    format!(
        "successful scan: found {} tags with checksum {}",
        result.tag_count, result.revision
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tagline_policy::Tag;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_transition_is_dated_once() {
        let mut conditions = Conditions::default();
        conditions.ready("fine", at(1));
        conditions.ready("fine", at(2));
        assert_eq!(
            conditions.ready_condition().unwrap().last_transition_time,
            at(1)
        );
        conditions.failed(&Failure::stalled("InvalidPolicy", "no"), at(3));
        assert!(!conditions.is_ready());
        assert_eq!(conditions.0.len(), 2);
        conditions.ready("fine", at(4));
        assert_eq!(conditions.0.len(), 1);
    }

    #[test]
    fn messages_are_those_of_flux() {
        let image = |tag: &str| ImageRef {
            name: "repo".into(),
            tag: Tag::new(tag).unwrap(),
            digest: None,
        };
        assert_eq!(
            resolved_message(&image("1.1"), Some(&image("1.0"))),
            "Latest image tag for repo resolved to 1.1 (previously repo:1.0)"
        );
        assert_eq!(
            resolved_message(&image("1.1"), Some(&image("1.1"))),
            "Latest image tag for repo resolved to 1.1"
        );
    }
}
