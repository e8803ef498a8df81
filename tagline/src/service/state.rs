//! The state of every object while the service runs, and the part of it that outlives the process.

use super::proposing::Proposal;
use super::publish::SharedPublication;
use super::publish_run::Published;
use super::status::{AutomationStatus, PolicyStatus, RepositoryStatus};
use crate::resources::{
    ImagePolicySpec, ImageRepositorySpec, ImageUpdateAutomationSpec, Kind, Object, ObjectKey,
    ObjectName,
};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::Arc;
use tagline_policy::{Evaluation, ExclusionSet, Policy};
use tagline_scanner::{Batch, StateTable, StoreError, TagStore, TargetKey};
use tagline_updater::PushOutcome;

/// Where statuses are kept in the store.
const STATUS_TABLE: &str = "status";

/// An `ImageRepository` and what is known of it.
#[derive(Debug)]
pub(crate) struct RepositoryState {
    pub(crate) object: Arc<Object<ImageRepositorySpec>>,
    pub(crate) exclusions: Option<Arc<ExclusionSet>>,
    pub(crate) status: RepositoryStatus,
    /// Whether this process has tried to scan it.
    pub(crate) tried: bool,
}

/// An `ImagePolicy` and what is known of it.
#[derive(Debug)]
pub(crate) struct PolicyState {
    pub(crate) object: Arc<Object<ImagePolicySpec>>,
    /// With the exclusions of its repository; `None` until the repository is known.
    pub(crate) compiled: Option<Arc<Policy>>,
    pub(crate) status: PolicyStatus,
    /// The last evaluation, and the version of the tags that it was about.
    pub(crate) evaluation: Option<(Arc<Evaluation>, TagsVersion)>,
    pub(crate) counts: (usize, usize),
    pub(crate) failures: u32,
    pub(crate) running: bool,
}

/// An `ImageUpdateAutomation` and what is known of it.
#[derive(Debug)]
pub(crate) struct AutomationState {
    pub(crate) object: Arc<Object<ImageUpdateAutomationSpec>>,
    pub(crate) status: AutomationStatus,
    /// What the last run of this process did.
    pub(crate) outcomes: Arc<Vec<PushOutcome>>,
    /// What was pushed and has no pull request yet.
    pub(crate) proposal: Option<Proposal>,
    /// A task is at work on pull requests.
    pub(crate) proposing: bool,
    /// What the last run did to pull requests, in words.
    pub(crate) proposed: Vec<String>,
    pub(crate) remote: Option<String>,
    pub(crate) failures: u32,
    pub(crate) running: bool,
}

/// Which state of a target's tags: counts the changes this process has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TagsVersion {
    pub(crate) target: TargetKey,
    pub(crate) number: u64,
}

/// All objects.
#[derive(Debug, Default)]
pub(crate) struct States {
    pub(crate) repositories: BTreeMap<ObjectName, RepositoryState>,
    pub(crate) policies: BTreeMap<ObjectName, PolicyState>,
    pub(crate) automations: BTreeMap<ObjectName, AutomationState>,
}

/// Statuses in the store: what lets a second run know what the first did.
#[derive(Debug, Clone)]
pub(crate) struct StatusMemory {
    table: StateTable,
}

impl StatusMemory {
    /// The statuses of a store.
    pub(crate) fn new(store: &TagStore) -> Self {
        Self {
            table: store.state(STATUS_TABLE),
        }
    }

    /// The status an object had; the default when there is none, or none that can be read.
    pub(crate) fn load<T: DeserializeOwned + Default>(
        &self,
        key: &ObjectKey,
    ) -> Result<T, StoreError> {
        let Some(bytes) = self.table.get(&key.to_string())? else {
            return Ok(T::default());
        };
        Ok(serde_json::from_slice(&bytes).unwrap_or_else(|error| {
            tracing::warn!(object = %key, %error, "the stored status cannot be read; starting without it");
            T::default()
        }))
    }

    /// The keys of all objects that have a status, as text.
    pub(crate) fn objects(&self) -> Result<Vec<String>, StoreError> {
        Ok(self
            .table
            .entries()?
            .into_iter()
            .map(|(key, _)| key)
            .collect())
    }
}

/// Adds a status to what is written next.
pub(crate) fn remember<T: Serialize>(batch: Batch, key: &ObjectKey, status: &T) -> Batch {
    match serde_json::to_vec(status) {
        Ok(bytes) => batch.state(STATUS_TABLE, &key.to_string(), Some(bytes)),
        Err(error) => {
            tracing::error!(object = %key, %error, "the status cannot be written");
            batch
        }
    }
}

/// Removes a status with what is written next.
pub(crate) fn forget(batch: Batch, key: &str) -> Batch {
    batch.state(STATUS_TABLE, key, None)
}

/// The key of a repository.
pub(crate) fn repository_key(name: &ObjectName) -> ObjectKey {
    ObjectKey::new(Kind::ImageRepository, name.clone())
}

/// The key of a policy.
pub(crate) fn policy_key(name: &ObjectName) -> ObjectKey {
    ObjectKey::new(Kind::ImagePolicy, name.clone())
}

/// The key of an automation.
pub(crate) fn automation_key(name: &ObjectName) -> ObjectKey {
    ObjectKey::new(Kind::ImageUpdateAutomation, name.clone())
}

/// What came of evaluating one policy.
pub(crate) struct Evaluated {
    pub(crate) policy: ObjectName,
    /// The tags that were looked at.
    pub(crate) version: TagsVersion,
    pub(crate) answer: super::evaluate::Answer,
}

/// How a task ended.
pub(crate) enum Done {
    /// A scan.
    Scanned(
        TargetKey,
        Result<Box<tagline_scanner::Scan>, tagline_scanner::ScanError>,
    ),
    /// An evaluation of one policy, or of all that move together.
    Evaluated(Vec<Evaluated>),
    /// Runs of the updater on one remote, and when they began.
    Published(Vec<Run>, Timestamp),
    /// Work on pull requests; nothing when it was cancelled.
    Proposed(ObjectName, Option<Box<super::pull_requests::Proposed>>),
    /// A write to the store.
    Stored(Result<(), StoreError>),
    /// A look for what nobody asks for any more.
    Collected(Result<super::garbage::Collected, StoreError>),
}

/// A run of the updater for one automation.
pub(crate) struct Run {
    pub(crate) name: ObjectName,
    pub(crate) publication: SharedPublication,
    pub(crate) published: Published,
}
