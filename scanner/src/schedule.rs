//! Which target is scanned when: due times with jitter, pauses after failures, a lane for what is urgent,
//! fairness between namespaces, and a bound per host so that a slow or dead registry delays nobody else.
//!
//! A plain data structure: the present is passed in, and whoever drives it starts the scans.
//!
//! ```text
//! insert -> waiting -> ready -> running -> finished -> waiting ...
//!              ^ due time  ^ a place on the host
//! ```

use jiff::{SignedDuration, Timestamp};

use crate::store::Due;
use crate::target_key::TargetKey;

mod hosts;
mod lanes;
mod targets;
mod timeline;
mod timing;

use hosts::Hosts;
use lanes::Lane;
use targets::{Index, Names, State, Targets, split};
use timeline::Timeline;
use timing::{Span, Tick, span};

/// What of the schedule may be chosen.
#[derive(Debug, Clone)]
pub struct ScheduleOptions {
    /// Scans at the same time on one host.
    pub per_host: u32,
    /// Scans at the same time on a host whose last [`ScheduleOptions::unhealthy_after`] scans all failed.
    pub per_unhealthy_host: u32,
    /// Failures in a row that make a host unhealthy; one success makes it well.
    pub unhealthy_after: u32,
    /// Scans at the same time on all hosts together.
    pub in_flight: usize,
    /// The pause after a first failure; doubled with each further one.
    pub shortest_pause: SignedDuration,
    /// The longest pause after failures, unless the registry asks for more.
    pub longest_pause: SignedDuration,
    /// How far a scan may be from its interval, in thousandths of it, to keep those of equal interval apart.
    pub jitter_permille: u32,
}

impl Default for ScheduleOptions {
    fn default() -> Self {
        Self {
            per_host: 16,
            per_unhealthy_host: 1,
            unhealthy_after: 8,
            in_flight: 1024,
            shortest_pause: SignedDuration::from_secs(2),
            longest_pause: SignedDuration::from_mins(15),
            jitter_permille: 100,
        }
    }
}

/// How a target is to be scanned.
#[derive(Debug, Clone, Copy)]
pub struct TargetPlan<'a> {
    /// Who asks; namespaces take turns. Where several ask for one target, any of them.
    pub namespace: &'a str,
    /// Time between scans; zero for no regular scans. Where several ask, the shortest.
    pub interval: SignedDuration,
    /// What the store knows of the target; without [`Due::next`] it is new and scanned at once.
    pub due: Due,
}

/// A target whose turn has come. It counts as running until [`Schedule::finished`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// The target.
    pub key: TargetKey,
    /// Why now.
    pub reason: ReadyReason,
    /// Since when it has been ready: what lies between that and the present is the schedule's lateness.
    pub since: Timestamp,
}

/// Why a target is scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReadyReason {
    /// A webhook or a person asked for it.
    Requested,
    /// It was never scanned before.
    New,
    /// Its time had come.
    Due,
}

/// How a scan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was complete.
    Done,
    /// It failed.
    Failed {
        /// Whether trying again soon may help; otherwise the next try is a regular one.
        retryable: bool,
        /// How long the registry asks to be left alone.
        retry_after: Option<SignedDuration>,
    },
    /// No request was made: the budget allows none before `until`. Not a failure.
    Postponed {
        /// When there may be requests again.
        until: Timestamp,
    },
}

/// How full the schedule is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScheduleStats {
    /// All targets.
    pub targets: usize,
    /// Those that wait for a place.
    pub ready: usize,
    /// Those being scanned.
    pub running: usize,
    /// Those whose last scan failed.
    pub failing: usize,
    /// Hosts.
    pub hosts: usize,
}

/// The schedule of all targets.
#[derive(Debug)]
pub struct Schedule {
    options: ScheduleOptions,
    epoch: Timestamp,
    targets: Targets,
    namespaces: Names,
    hosts: Hosts,
    timeline: Timeline,
    running: usize,
    ready: usize,
}

impl Schedule {
    /// An empty schedule. Times before `now` count as due.
    #[must_use]
    pub fn new(options: ScheduleOptions, now: Timestamp) -> Self {
        Self {
            options,
            epoch: now,
            targets: Targets::default(),
            namespaces: Names::default(),
            hosts: Hosts::default(),
            timeline: Timeline::default(),
            running: 0,
            ready: 0,
        }
    }

    /// Takes over other options; due times that are set stay.
    pub const fn set_options(&mut self, options: ScheduleOptions) {
        self.options = options;
    }

    /// Adds a target, or changes the plan of one that is there.
    ///
    /// A shorter interval takes effect at once; a target that is there keeps its failures and its place.
    pub fn insert(&mut self, key: &TargetKey, plan: &TargetPlan<'_>, now: Timestamp) {
        let (host, name) = split(key);
        let host = self.hosts.find_or_add(host);
        let namespace = self.namespaces.find_or_add(plan.namespace);
        let interval = span(plan.interval);
        let now = Tick::at_or_before(now, self.epoch);
        let index = match self.targets.find(host, name) {
            Some(index) => {
                self.replan(index, namespace, interval, now);
                return;
            }
            None => self.targets.add(host, name, namespace, interval),
        };
        let Some(index) = index else {
            tracing::error!(target = %key, "too many targets to be scheduled");
            return;
        };
        let Some(next) = plan.due.next else {
            self.make_ready(index, Lane::New, now);
            return;
        };
        let mut due = Tick::at_or_after(next, self.epoch);
        if plan.due.failures == 0 {
            due = due.min(self.latest_regular(index, now));
        }
        if let Some(target) = self.targets.get_mut(index) {
            target.failures = u8::try_from(plan.due.failures).unwrap_or(u8::MAX);
        }
        self.wait(index, due);
    }

    /// Takes a target out. A scan that runs is let end; its [`Schedule::finished`] is still called.
    pub fn remove(&mut self, key: &TargetKey) {
        let Some(index) = self.find(key) else {
            return;
        };
        self.targets.unlist(index);
        let Some(target) = self.targets.get_mut(index) else {
            return;
        };
        match target.state {
            State::Running | State::RunningAgain => target.state = State::RunningUnwanted,
            State::Ready | State::Requested => {
                self.ready -= 1;
                self.targets.vacate(index);
            }
            _ => self.targets.vacate(index),
        }
    }

    /// Whether the target is there.
    #[must_use]
    pub fn contains(&self, key: &TargetKey) -> bool {
        self.find(key).is_some()
    }

    /// Asks for a scan as soon as possible, whatever the due time and past failures. Any number of
    /// requests before the scan begins are one; those while it runs are one more scan. `false` when there
    /// is no such target.
    pub fn request(&mut self, key: &TargetKey, now: Timestamp) -> bool {
        let Some(index) = self.find(key) else {
            return false;
        };
        let now = Tick::at_or_before(now, self.epoch);
        let Some(target) = self.targets.get_mut(index) else {
            return false;
        };
        match target.state {
            State::Running => target.state = State::RunningAgain,
            State::Ready => {
                // Its place in the slower lane is passed over when it comes up.
                target.state = State::Requested;
                let (host, namespace) = (target.host, target.namespace);
                self.hosts.push(host, Lane::Requested, namespace, index);
            }
            State::Waiting => self.make_ready(index, Lane::Requested, now),
            State::Requested | State::RunningAgain | State::RunningUnwanted | State::Vacant => {}
        }
        true
    }

    /// Up to `limit` targets to be scanned now. Hosts take turns, on a host namespaces do.
    pub fn next_ready(&mut self, now: Timestamp, limit: usize) -> Vec<Ready> {
        let now = Tick::at_or_before(now, self.epoch);
        while let Some((due, index)) = self.timeline.pop_until(now) {
            if self.is_waiting_for(index, due) {
                self.make_ready(index, Lane::Due, due);
            }
        }
        let limit = limit.min(self.options.in_flight.saturating_sub(self.running));
        let mut ready = Vec::new();
        while ready.len() < limit {
            let targets = &self.targets;
            let taken = self.hosts.take(&self.options, |host, index| {
                targets.get(index).is_some_and(|target| {
                    target.host == host && matches!(target.state, State::Ready | State::Requested)
                })
            });
            let Some((index, lane)) = taken else { break };
            ready.push(self.start(index, lane));
        }
        ready
    }

    /// Says how a target's scan ended, and gives what the store is to remember; `None` when the target was
    /// taken out meanwhile, or was not running.
    pub fn finished(&mut self, key: &TargetKey, outcome: Outcome, now: Timestamp) -> Option<Due> {
        let (host_name, _) = split(key);
        let host = self.hosts.find(host_name)?;
        let Some(index) = self.find(key).filter(|&index| {
            self.targets
                .get(index)
                .is_some_and(|t| matches!(t.state, State::Running | State::RunningAgain))
        }) else {
            self.finish_unwanted(key);
            return None;
        };
        self.running -= 1;
        self.hosts.release(host, outcome);
        let seed = self.targets.seed(index, host_name);
        let options = &self.options;
        let epoch = self.epoch;
        let target = self.targets.get_mut(index)?;
        let again = target.state == State::RunningAgain;
        let now_tick = Tick::at_or_after(now, epoch);
        let due = match outcome {
            Outcome::Done => {
                target.failures = 0;
                timing::regular(now_tick, target.interval, options.jitter_permille, seed)
            }
            Outcome::Failed {
                retryable,
                retry_after,
            } => {
                target.failures = target.failures.saturating_add(1);
                let shortest = span(options.shortest_pause);
                let longest = span(options.longest_pause);
                let own = if retryable {
                    timing::backoff(u32::from(target.failures), shortest, longest, seed)
                } else {
                    // Nothing will be different soon: the next regular time, but not never.
                    match timing::regular(now_tick, target.interval, options.jitter_permille, seed)
                    {
                        Tick::NEVER => longest,
                        due => due.0.saturating_sub(now_tick.0),
                    }
                };
                let asked = retry_after.map_or(0, |asked| timing::asked_pause(span(asked), seed));
                now_tick.after(own.max(asked))
            }
            Outcome::Postponed { until } => {
                let until = Tick::at_or_after(until, epoch);
                let pause = until.0.saturating_sub(now_tick.0);
                now_tick.after(timing::asked_pause(pause.max(1), seed))
            }
        };
        let failures = u32::from(target.failures);
        // What was asked for while the scan ran begins at once, unless the registry wants to be left alone.
        let may_go_again = matches!(
            outcome,
            Outcome::Done
                | Outcome::Failed {
                    retry_after: None,
                    ..
                }
        );
        if again && may_go_again {
            self.make_ready(index, Lane::Requested, now_tick);
        } else {
            self.wait(index, due);
        }
        let next = (due != Tick::NEVER).then(|| due.to_timestamp(epoch));
        Some(Due { next, failures })
    }

    /// When to call [`Schedule::next_ready`] again: `now` when there is something to start, the next due
    /// time when not, `None` when only a request or the end of a scan can bring something.
    pub fn next_wakeup(&mut self, now: Timestamp) -> Option<Timestamp> {
        if self.running >= self.options.in_flight {
            return None;
        }
        if self.hosts.have_work() {
            return Some(now);
        }
        while let Some((due, index)) = self.timeline.peek() {
            if self.is_waiting_for(index, due) {
                return Some(due.to_timestamp(self.epoch).max(now));
            }
            self.timeline.pop();
        }
        None
    }

    /// When a target is due; `None` for one that is ready, running, without regular scans, or not there.
    #[must_use]
    pub fn due(&self, key: &TargetKey) -> Option<Timestamp> {
        let target = self.targets.get(self.find(key)?)?;
        (target.state == State::Waiting && target.due != Tick::NEVER)
            .then(|| target.due.to_timestamp(self.epoch))
    }

    /// How full the schedule is. Walks over all targets.
    #[must_use]
    pub fn stats(&self) -> ScheduleStats {
        ScheduleStats {
            targets: self.targets.len(),
            ready: self.ready,
            running: self.running,
            failing: self
                .targets
                .iter()
                .filter(|(_, target)| target.state != State::Vacant && target.failures > 0)
                .count(),
            hosts: self.hosts.len(),
        }
    }

    fn find(&self, key: &TargetKey) -> Option<Index> {
        let (host, name) = split(key);
        self.targets.find(self.hosts.find(host)?, name)
    }

    fn is_waiting_for(&self, index: Index, due: Tick) -> bool {
        self.targets
            .get(index)
            .is_some_and(|target| target.state == State::Waiting && target.due == due)
    }

    fn make_ready(&mut self, index: Index, lane: Lane, since: Tick) {
        let Some(target) = self.targets.get_mut(index) else {
            return;
        };
        target.state = match lane {
            Lane::Requested => State::Requested,
            Lane::New | Lane::Due => State::Ready,
        };
        target.due = since;
        let (host, namespace) = (target.host, target.namespace);
        self.ready += 1;
        self.hosts.push(host, lane, namespace, index);
    }

    fn wait(&mut self, index: Index, due: Tick) {
        let Some(target) = self.targets.get_mut(index) else {
            return;
        };
        target.state = State::Waiting;
        target.due = due;
        if due != Tick::NEVER {
            self.timeline.push(due, index);
            let targets = &self.targets;
            self.timeline.tidy(targets.len(), |due, index| {
                targets
                    .get(index)
                    .is_some_and(|t| t.state == State::Waiting && t.due == due)
            });
        }
    }

    fn start(&mut self, index: Index, lane: Lane) -> Ready {
        self.ready -= 1;
        self.running += 1;
        let mut since = self.epoch;
        let mut host = "";
        if let Some(target) = self.targets.get_mut(index) {
            target.state = State::Running;
            since = target.due.to_timestamp(self.epoch);
            host = self.hosts.name(target.host);
        }
        Ready {
            key: TargetKey::join(host, self.targets.name(index)),
            reason: lane.into(),
            since,
        }
    }

    fn replan(&mut self, index: Index, namespace: u32, interval: Span, now: Tick) {
        let Some(target) = self.targets.get_mut(index) else {
            return;
        };
        target.namespace = namespace;
        if target.interval == interval {
            return;
        }
        target.interval = interval;
        if target.state == State::Waiting && target.failures == 0 {
            let due = target.due.min(self.latest_regular(index, now));
            self.wait(index, due);
        }
    }

    /// No regular due time is later than this.
    fn latest_regular(&self, index: Index, now: Tick) -> Tick {
        let Some(target) = self.targets.get(index) else {
            return Tick::NEVER;
        };
        let seed = self.targets.seed(index, self.hosts.name(target.host));
        timing::regular(now, target.interval, self.options.jitter_permille, seed)
    }

    /// A removed target's name may have been added again meanwhile: look for the old record by its state.
    fn finish_unwanted(&mut self, key: &TargetKey) {
        let (host, name) = split(key);
        let Some(host) = self.hosts.find(host) else {
            return;
        };
        let unwanted = self.targets.iter().find_map(|(index, target)| {
            (target.state == State::RunningUnwanted
                && target.host == host
                && self.targets.name(index) == name)
                .then_some(index)
        });
        if let Some(index) = unwanted {
            self.running -= 1;
            self.hosts.release(host, Outcome::Done);
            self.targets.vacate(index);
        }
    }
}

impl From<Lane> for ReadyReason {
    fn from(lane: Lane) -> Self {
        match lane {
            Lane::Requested => Self::Requested,
            Lane::New => Self::New,
            Lane::Due => Self::Due,
        }
    }
}

#[cfg(test)]
mod tests;
