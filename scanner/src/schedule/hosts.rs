//! The hosts take turns; each has so many places and no more.

use std::collections::VecDeque;

use super::lanes::{Lane, Lanes};
use super::targets::{HostIndex, Index, Names, NamespaceIndex};
use super::{Outcome, ScheduleOptions};

#[derive(Debug, Default)]
pub(super) struct Hosts {
    names: Names,
    list: Vec<Host>,
    /// Hosts that have something ready and a free place, each once.
    round: VecDeque<HostIndex>,
}

#[derive(Debug, Default)]
struct Host {
    lanes: Lanes,
    running: u32,
    /// Scans that failed in a row, for reasons that may be the host's.
    failures: u32,
    in_round: bool,
}

impl Hosts {
    pub(super) fn find(&self, name: &str) -> Option<HostIndex> {
        self.names.find(name)
    }

    pub(super) fn find_or_add(&mut self, name: &str) -> HostIndex {
        let host = self.names.find_or_add(name);
        if self.list.len() < self.names.len() {
            self.list.push(Host::default());
        }
        host
    }

    pub(super) fn name(&self, host: HostIndex) -> &str {
        self.names.get(host)
    }

    pub(super) const fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn push(
        &mut self,
        host: HostIndex,
        lane: Lane,
        namespace: NamespaceIndex,
        target: Index,
    ) {
        if let Some(found) = self.list.get_mut(host as usize) {
            found.lanes.push(lane, namespace, target);
            enter_round(&mut self.round, found, host);
        }
    }

    /// Gives the next target a place on its host; `is_ready` says which queued ones still want one.
    pub(super) fn take(
        &mut self,
        options: &ScheduleOptions,
        is_ready: impl Fn(HostIndex, Index) -> bool,
    ) -> Option<(Index, Lane)> {
        while let Some(index) = self.round.pop_front() {
            let Some(host) = self.list.get_mut(index as usize) else {
                continue;
            };
            host.in_round = false;
            if host.running >= host.places(options) {
                // Comes back into the round when a place is free again.
                continue;
            }
            if let Some(taken) = host.lanes.pop(|target| is_ready(index, target)) {
                host.running += 1;
                if !host.lanes.is_empty() {
                    enter_round(&mut self.round, host, index);
                }
                return Some(taken);
            }
        }
        None
    }

    /// Frees a place.
    pub(super) fn release(&mut self, index: HostIndex, outcome: Outcome) {
        let Some(host) = self.list.get_mut(index as usize) else {
            return;
        };
        host.running = host.running.saturating_sub(1);
        match outcome {
            Outcome::Failed {
                retryable: true, ..
            } => host.failures = host.failures.saturating_add(1),
            Outcome::Done
            | Outcome::Failed {
                retryable: false, ..
            } => host.failures = 0,
            Outcome::Postponed { .. } => {}
        }
        if !host.lanes.is_empty() {
            enter_round(&mut self.round, host, index);
        }
    }

    /// Whether some host may have something to start.
    pub(super) fn have_work(&self) -> bool {
        !self.round.is_empty()
    }
}

impl Host {
    fn places(&self, options: &ScheduleOptions) -> u32 {
        if self.failures >= options.unhealthy_after {
            options.per_unhealthy_host.min(options.per_host)
        } else {
            options.per_host
        }
        .max(1)
    }
}

fn enter_round(round: &mut VecDeque<HostIndex>, host: &mut Host, index: HostIndex) {
    if !host.in_round {
        host.in_round = true;
        round.push_back(index);
    }
}
