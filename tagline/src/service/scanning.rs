//! Starts scans that are due, and takes their results over into every repository that shares the target.

use super::state::{Done, TagsVersion, remember, repository_key};
use super::status::{Failure, ScanResult, scanned_message, whole_seconds};
use super::{Service, Subject};
use crate::resources::ObjectName;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use tagline_scanner::{
    Operation, Outcome, Priority, Problem, ReadyReason, Revision, Scan, ScanError, ScanRequest,
    TagSet, TargetKey,
};

/// `status.lastScanResult.latestTags` has so many, as in Flux.
const LATEST_TAGS: usize = 10;

/// How much later than its time-out a scan is dropped that has not ended by itself, with what it has read.
const TIMEOUT_GRACE: Duration = Duration::from_secs(5);

/// What a target's last change brought.
pub(super) struct LastChange {
    pub(super) number: u64,
    pub(super) added: Arc<TagSet>,
    pub(super) removed: Arc<TagSet>,
}

impl Service {
    pub(super) fn start_scans(&mut self, now: Timestamp) {
        for ready in self.schedule.next_ready(now, usize::MAX) {
            let Some(target) = self.targets.by_key.get(&ready.key) else {
                continue;
            };
            tracing::debug!(target = %ready.key, reason = ?ready.reason, "scanning");
            let scanner = self.scanner.clone();
            let (scan, timeout) = (target.scan.clone(), target.timeout);
            let key = ready.key.clone();
            let priority = match ready.reason {
                ReadyReason::Requested => Priority::High,
                ReadyReason::New | ReadyReason::Due => Priority::Normal,
            };
            let tenant = target
                .repositories
                .first()
                .map_or("", |name| name.namespace.as_str());
            let request = ScanRequest::from(self.scan_mode(&ready, &target.repositories))
                .with_priority(priority)
                .for_tenant(tenant)
                .within(timeout);
            let cancel = self.cancel.clone();
            self.spawn(Subject::Target(ready.key), async move {
                let failed = |problem| ScanError {
                    operation: Operation::ListTags,
                    subject: scan.image.to_string(),
                    problem,
                };
                let result = tokio::select! {
                    // The scanner keeps to the time-out where it is told to; this is for all else.
                    result = tokio::time::timeout(timeout + TIMEOUT_GRACE, scanner.scan(&scan, request)) => {
                        result.unwrap_or_else(|_| Err(failed(Problem::Timeout {
                            host: scan.image.registry().to_string(),
                            detail: format!("the scan took longer than {}", crate::resources::go_duration(timeout)),
                        })))
                    }
                    () = cancel.cancelled() => Err(failed(Problem::Stopped)),
                };
                Done::Scanned(key, result.map(Box::new))
            });
        }
    }

    pub(super) fn take_scan(&mut self, key: &TargetKey, result: Result<Box<Scan>, ScanError>) {
        let now = self.now();
        let outcome = match &result {
            Ok(_) => Outcome::Done,
            Err(error) => match (&error.problem, error.retry_after()) {
                (Problem::Stopped, _) => return,
                (Problem::RateLimited { .. }, Some(after)) => Outcome::Failed {
                    retryable: true,
                    retry_after: SignedDuration::try_from(after).ok(),
                },
                (_, after) => Outcome::Failed {
                    retryable: error.is_retryable(),
                    retry_after: after.and_then(|after| SignedDuration::try_from(after).ok()),
                },
            },
        };
        if let Some(due) = self.schedule.finished(key, outcome, now) {
            self.write(|batch| batch.due(key, due).asked(key, now));
        }
        if let Some(pass) = &mut self.pass {
            pass.targets.remove(key);
            pass.bar.step();
            pass.bar.budgets(|| self.scanner.budgets());
        }
        let repositories = self
            .targets
            .by_key
            .get(key)
            .map(|target| target.repositories.clone())
            .unwrap_or_default();
        for name in &repositories {
            if let Some(state) = self.states.repositories.get_mut(name) {
                state.tried = true;
            }
        }
        match result {
            Ok(scan) => self.scanned(key, &scan, &repositories),
            Err(error) => {
                let failure =
                    Failure::retried("ReadOperationFailed", format!("scan failed: {error}"));
                for name in &repositories {
                    self.repository_failed(name, &failure, now);
                    self.policies_without_status_are_dirty(name);
                }
            }
        }
    }

    /// A scan that panicked.
    pub(super) fn scan_stopped(&mut self, key: &TargetKey) {
        let now = self.now();
        self.schedule.finished(
            key,
            Outcome::Failed {
                retryable: true,
                retry_after: None,
            },
            now,
        );
        if let Some(pass) = &mut self.pass {
            pass.targets.remove(key);
        }
        let failure = Failure::retried(
            "ReadOperationFailed",
            "scan failed: it stopped unexpectedly",
        );
        for name in self
            .targets
            .by_key
            .get(key)
            .map(|target| target.repositories.clone())
            .unwrap_or_default()
        {
            self.repository_failed(&name, &failure, now);
        }
    }

    fn scanned(&mut self, key: &TargetKey, scan: &Scan, repositories: &[ObjectName]) {
        let changed = scan.is_changed();
        if changed {
            let number = self.tag_versions.entry(key.clone()).or_default();
            *number += 1;
            self.last_changes.insert(
                key.clone(),
                LastChange {
                    number: *number,
                    added: Arc::clone(&scan.added),
                    removed: Arc::clone(&scan.removed),
                },
            );
        }
        if scan.dropped > 0 {
            tracing::warn!(target = %key, dropped = scan.dropped, "the registry lists names that are no legal tags; they are left out");
        }
        for name in repositories {
            let Some(state) = self.states.repositories.get_mut(name) else {
                continue;
            };
            let first =
                state.status.last_scan_result.is_none() || !state.status.conditions.is_ready();
            if changed || first {
                self.repository_scanned(name, &scan.tags, scan.scanned_at);
            } else if let Some(result) = &mut state.status.last_scan_result {
                result.scan_time = whole_seconds(scan.scanned_at);
            }
            if changed || first || self.pass.is_some() {
                self.policies_of_repository_are_dirty(name);
            }
        }
    }

    /// Takes a complete list over into one repository's status.
    pub(super) fn repository_scanned(
        &mut self,
        name: &ObjectName,
        tags: &TagSet,
        scanned_at: Timestamp,
    ) {
        let now = self.now();
        let Some(state) = self.states.repositories.get_mut(name) else {
            return;
        };
        let mut revision = Revision::new();
        let mut tag_count = 0;
        let mut latest_tags = Vec::with_capacity(LATEST_TAGS);
        let mut cursor = tags.cursor();
        while let Some((tag, _)) = cursor.next() {
            if state
                .exclusions
                .as_ref()
                .is_some_and(|exclusions| exclusions.excludes(tag))
            {
                continue;
            }
            revision.push(tag);
            tag_count += 1;
            if latest_tags.len() < LATEST_TAGS {
                latest_tags.push(tag.to_string());
            }
        }
        let result = ScanResult {
            revision: revision.to_string(),
            tag_count,
            scan_time: whole_seconds(scanned_at),
            latest_tags,
        };
        let message = scanned_message(&result);
        let changed = state
            .status
            .conditions
            .ready_condition()
            .is_none_or(|ready| ready.message != message);
        state.status.conditions.ready(message.clone(), now);
        state.status.canonical_image_name =
            self.targets.key_of(name).map(|key| key.image().to_owned());
        state.status.last_scan_result = Some(result);
        state.status.observed_exclusion_list = state.object.spec.exclusions();
        let status = state.status.clone();
        if changed {
            tracing::info!(object = %repository_key(name), "{message}");
        }
        self.write(|batch| remember(batch, &repository_key(name), &status));
    }

    /// The version of a target's tags now.
    pub(super) fn tags_version(&self, key: &TargetKey) -> TagsVersion {
        TagsVersion {
            target: key.clone(),
            number: self.tag_versions.get(key).copied().unwrap_or_default(),
        }
    }
}
