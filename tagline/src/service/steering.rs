//! Does what requests ask for.

use super::Service;
use super::requests::{self, Answer, Request, Steered};
use super::state::{automation_key, remember};
use super::targets::Activity;
use crate::resources::ObjectName;
use jiff::Timestamp;
use std::path::PathBuf;
use tagline_updater::ReleaseHolds;

/// Requests that have been taken, until the store has what they ask for.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// To be stored with the next write.
    waiting: Vec<(PathBuf, Answer)>,
    /// In the write that is under way.
    storing: Vec<(PathBuf, Answer)>,
}

impl Taken {
    fn holds(&self, path: &PathBuf) -> bool {
        let mut all = self.waiting.iter().chain(&self.storing);
        all.any(|(known, _)| known == path)
    }

    /// A write begins that holds all that was asked for so far.
    pub(super) fn store(&mut self) {
        self.storing.append(&mut self.waiting);
    }

    /// That write has ended.
    pub(super) fn stored(&mut self) {
        for (path, answer) in self.storing.drain(..) {
            requests::finish(&path, &answer);
        }
    }
}

impl Service {
    /// Takes the requests that wait.
    pub(super) fn take_requests(&mut self) {
        let now = self.now();
        let pending = match requests::pending(&self.settings.storage_path) {
            Ok(pending) => pending,
            Err(error) => {
                tracing::warn!(%error, "requests cannot be read");
                return;
            }
        };
        for (path, request) in pending {
            if self.taken.holds(&path) {
                continue;
            }
            tracing::info!(
                object = %format!("{}/{}", request.kind.kind().as_str(), request.object()),
                "asked to reconcile"
            );
            let answer = self.follow(&request, now);
            self.taken.waiting.push((path, answer));
        }
        if self.unwritten.is_empty() {
            // There is nothing to store.
            self.taken.store();
            if !self.writing {
                self.taken.stored();
            }
        }
    }

    fn follow(&mut self, request: &Request, now: Timestamp) -> Answer {
        let name = request.object();
        let done = match request.kind {
            Steered::Repository => self.scan_on_request(&name, now),
            Steered::Policy => self.choose_on_request(&name),
            Steered::Update => self.update_on_request(&name, &request.release_holds),
        };
        done.map_or_else(
            || {
                Answer::Refused(format!(
                    "the service knows no {} {name} that it could reconcile",
                    request.kind.kind().as_str()
                ))
            },
            |()| Answer::Taken,
        )
    }

    fn scan_on_request(&mut self, name: &ObjectName, now: Timestamp) -> Option<()> {
        let Activity::Scanned(key) = self.targets.of_repository.get(name)? else {
            return None;
        };
        self.schedule.request(key, now);
        Some(())
    }

    fn choose_on_request(&mut self, name: &ObjectName) -> Option<()> {
        let state = self.states.policies.get(name)?;
        if state.object.spec.suspend {
            return None;
        }
        self.dirty_policies.insert(name.clone());
        Some(())
    }

    fn update_on_request(&mut self, name: &ObjectName, release: &ReleaseHolds) -> Option<()> {
        let state = self.states.automations.get_mut(name)?;
        if state.object.spec.suspend {
            return None;
        }
        state.failures = 0;
        state.status.release_holds.add(release);
        // Long over: it is done at the next start when this process does not get to it.
        state.status.changes_since = Some(Timestamp::UNIX_EPOCH);
        let status = state.status.clone();
        self.write(|batch| remember(batch, &automation_key(name), &status));
        self.due_automations.insert(name.clone());
        Some(())
    }
}
