//! When the next request may start: a token bucket that shrinks when the registry says so and recovers step by step.
//!
//! The type knows no clock; every call brings the time.

use super::bucket::Bucket;
use crate::settings::RequestRate;
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::time::Instant;

/// The slowest a budget gets: Flux v1's floor.
const LOWEST_RATE: f64 = 0.1;
/// After so long without a refusal the rate goes up one step.
const RECOVER_EVERY: Duration = Duration::from_mins(1);
/// One step up.
const RECOVER_BY: f64 = 1.5;
/// The first pause where the registry does not say how long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause where the registry does not say how long.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// What a registry says about time is believed up to here, the farthest a clock can count with. However long a
/// `Retry-After` is, nothing is asked before: the status shows until when, and `tagline store unblock` or another
/// credential ends it.
const LONGEST_BLOCK: Duration = Duration::from_hours(24 * 365 * 100);
/// The longest window of a registry's own count that is believed: some send a time of day where seconds belong.
const LONGEST_WINDOW: Duration = Duration::from_hours(24);
/// Over this time the rate is measured that an unlimited budget falls back from.
const MEASURED_OVER: Duration = Duration::from_secs(10);

/// What a budget allows at most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BudgetLimits {
    /// Requests per second in the long run.
    pub rate: RequestRate,
    /// Requests at once after a pause.
    pub burst: NonZeroU32,
    /// Requests at the same time.
    pub in_flight: NonZeroU32,
}

/// What registries count together: what one of them says about its limit holds for the kind of request it answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Pings, tokens, tags, catalog.
    List = 0,
    /// Manifests and blobs: Docker Hub counts these, and only these.
    Pull = 1,
}

/// What a registry's headers say about its own limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Requests left.
    pub(crate) remaining: u64,
    /// All requests of a window.
    pub(crate) limit: Option<u64>,
    /// Until the count begins anew.
    pub(crate) reset: Option<Duration>,
    /// The window's length.
    pub(crate) window: Option<Duration>,
}

/// How a request ended, as far as the budget is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Answered.
    Served,
    /// Refused for lack of allowance (429, 503, `TOOMANYREQUESTS`), with what `Retry-After` said.
    Refused(Option<Duration>),
    /// No answer: says nothing about limits.
    Failed,
}

/// What the next request has to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// A point in time; what holds then is found out then.
    Until(Instant),
    /// One of the requests under way.
    ForAnEnd,
}

#[derive(Debug)]
pub(crate) struct BudgetState {
    limits: BudgetLimits,
    /// The rate now; `None` is no limit.
    bucket: Option<Bucket>,
    in_flight: u32,
    blocked_until: Option<Instant>,
    /// Refusals since the last answer.
    refusals: u32,
    reduced_at: Option<Instant>,
    recover_at: Instant,
    quotas: [Option<Quota>; 2],
    measured: Measured,
    pub(crate) started: u64,
    pub(crate) refused: u64,
}

/// A registry's own count, as last told.
#[derive(Debug, Clone, Copy)]
struct Quota {
    remaining: u64,
    spent: u64,
    until: Instant,
    last: Instant,
}

/// Starts per second, for budgets without a limit.
#[derive(Debug, Clone, Copy)]
struct Measured {
    since: Instant,
    starts: u32,
    before: f64,
}

impl BudgetState {
    pub(crate) fn new(limits: BudgetLimits, now: Instant) -> Self {
        Self {
            limits,
            bucket: bucket(limits, now),
            in_flight: 0,
            blocked_until: None,
            refusals: 0,
            reduced_at: None,
            recover_at: now,
            quotas: [None, None],
            measured: Measured {
                since: now,
                starts: 0,
                before: 0.0,
            },
            started: 0,
            refused: 0,
        }
    }

    /// Starts a request of this class.
    ///
    /// # Errors
    /// What it has to wait for; nothing has changed then.
    pub(crate) fn start(&mut self, now: Instant, class: Class) -> Result<(), Wait> {
        self.recover(now);
        if let Some(until) = self.blocked_until(now) {
            return Err(Wait::Until(until));
        }
        if self.in_flight >= self.in_flight_limit() {
            return Err(Wait::ForAnEnd);
        }
        if let Some(quota) = &self.quotas[class as usize] {
            let at = quota.next(now);
            if at > now {
                return Err(Wait::Until(at));
            }
        }
        if let Some(bucket) = &self.bucket {
            // Last: where it has one left, it is taken.
            bucket.take(now).map_err(Wait::Until)?;
        }
        self.started += 1;
        self.in_flight += 1;
        self.measured.count(now);
        if let Some(quota) = &mut self.quotas[class as usize] {
            quota.spent += 1;
            quota.last = now;
        }
        Ok(())
    }

    /// A request has ended.
    pub(crate) fn end(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// A registry's answer to a request that started at `started`.
    pub(crate) fn judge(&mut self, now: Instant, started: Instant, verdict: Verdict) {
        match verdict {
            Verdict::Failed => {}
            Verdict::Served => {
                // Answers to what was asked before the refusal say nothing about now.
                if self.reduced_at.is_none_or(|at| started >= at) {
                    self.refusals = 0;
                }
            }
            Verdict::Refused(retry_after) => {
                self.refused += 1;
                // Requests that were under way together are one refusal.
                let is_news = self.reduced_at.is_none_or(|at| started >= at);
                if is_news {
                    self.refusals = self.refusals.saturating_add(1);
                    self.reduced_at = Some(now);
                    self.halve(now);
                }
                let pause = match retry_after {
                    Some(pause) => pause.min(LONGEST_BLOCK),
                    None => growing_pause(self.refusals),
                };
                self.block(now, now + pause);
            }
        }
    }

    /// A registry's word about its own limit, in an answer to a request of this class.
    pub(crate) fn learn(&mut self, now: Instant, class: Class, allowance: Allowance) {
        let Allowance {
            remaining,
            limit,
            reset,
            window,
        } = allowance;
        // Requests that are under way are not yet counted over there.
        let remaining = remaining.saturating_sub(u64::from(self.in_flight.saturating_sub(1)));
        let until = match (reset, window, limit) {
            (Some(reset), _, _) => reset,
            // A window that slides gives back one request at a time.
            (None, Some(window), Some(limit @ 1..)) if remaining == 0 => {
                window.div_f64(approximate(limit))
            }
            (None, Some(window), _) => window,
            (None, None, _) => return,
        };
        self.quotas[class as usize] = Some(Quota {
            remaining,
            spent: 0,
            until: now + until.min(LONGEST_WINDOW),
            last: now,
        });
    }

    /// Nothing starts before this.
    pub(crate) fn block(&mut self, now: Instant, until: Instant) {
        let until = until.min(now + LONGEST_BLOCK);
        if self.blocked_until.is_none_or(|at| at < until) {
            self.blocked_until = Some(until);
        }
        // The pause does not fill the bucket: what follows it is one request, not a burst.
        if let Some(bucket) = &self.bucket {
            bucket.empty(until);
        }
    }

    /// Until when nothing starts; `None` when it is not blocked.
    pub(crate) fn blocked_until(&self, now: Instant) -> Option<Instant> {
        self.blocked_until.filter(|until| *until > now)
    }

    /// Requests per second now; `None` is no limit.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.bucket.as_ref().map(Bucket::rate)
    }

    pub(crate) const fn in_flight(&self) -> u32 {
        self.in_flight
    }

    pub(crate) const fn limits(&self) -> BudgetLimits {
        self.limits
    }

    /// Whether forgetting it would change nothing.
    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        self.in_flight == 0
            && self.blocked_until(now).is_none()
            && self
                .bucket
                .as_ref()
                .is_none_or(|bucket| bucket.is_full(now))
            && self.rate() == self.limits.rate.as_per_second()
            && self.quotas.iter().flatten().all(|quota| quota.until <= now)
    }

    /// New limits, for example from changed settings. What is owed stays.
    pub(crate) fn set_limits(&mut self, now: Instant, limits: BudgetLimits) {
        if self.limits == limits {
            return;
        }
        let before = self.rate();
        let reduced = before != self.limits.rate.as_per_second();
        self.limits = limits;
        let limit = limits.rate.as_per_second();
        let rate = match (before, limit) {
            (Some(rate), Some(limit)) if reduced => Some(rate.min(limit)),
            _ => limit,
        };
        self.set_rate(now, rate);
    }

    /// While refused, one request at a time finds out whether the registry serves again.
    const fn in_flight_limit(&self) -> u32 {
        if self.refusals > 0 {
            1
        } else {
            self.limits.in_flight.get()
        }
    }

    fn halve(&mut self, now: Instant) {
        let rate = self.rate().unwrap_or_else(|| self.measured.rate(now));
        let lowest = match self.limits.rate.as_per_second() {
            Some(limit) => LOWEST_RATE.min(limit),
            None => LOWEST_RATE,
        };
        self.set_rate(now, Some((rate / 2.0).max(lowest)));
        self.recover_at = now + RECOVER_EVERY;
    }

    fn recover(&mut self, now: Instant) {
        let limit = self.limits.rate.as_per_second();
        if self.rate() == limit || self.refusals > 0 {
            return;
        }
        while now >= self.recover_at {
            let Some(rate) = self.rate() else { return };
            let next = rate * RECOVER_BY;
            // A budget without a limit has one again only for as long as it is far below what it did before.
            let ceiling = limit.unwrap_or_else(|| 4.0 * self.measured.before.max(1.0));
            if next >= ceiling {
                self.set_rate(now, limit);
                return;
            }
            self.set_rate(now, Some(next));
            self.recover_at += RECOVER_EVERY;
        }
    }

    /// Changes the rate, keeping the number of requests the bucket lacks.
    fn set_rate(&mut self, now: Instant, rate: Option<f64>) {
        let from = self.blocked_until(now).unwrap_or(now);
        match (&mut self.bucket, rate) {
            (Some(bucket), Some(rate)) => bucket.change(from, rate, self.limits.burst),
            (bucket, rate) => {
                *bucket = rate.map(|rate| Bucket::new(now, rate, self.limits.burst));
            }
        }
    }
}

fn bucket(limits: BudgetLimits, now: Instant) -> Option<Bucket> {
    let rate = limits.rate.as_per_second()?;
    Some(Bucket::new(now, rate, limits.burst))
}

impl Quota {
    /// When the next request may start. Half of what is left may be spent at once; then requests are spread over the
    /// time that is left, so that the registry never has to say 429.
    fn next(&self, now: Instant) -> Instant {
        if now >= self.until {
            return now;
        }
        let left = self.remaining.saturating_sub(self.spent);
        if left == 0 {
            self.until
        } else if self.spent < self.remaining.div_ceil(2) {
            now
        } else {
            self.last + (self.until - self.last).div_f64(approximate(left))
        }
    }
}

impl Measured {
    fn count(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.since);
        if elapsed >= MEASURED_OVER {
            self.before = f64::from(self.starts) / elapsed.as_secs_f64();
            self.since = now;
            self.starts = 0;
        }
        self.starts += 1;
    }

    fn rate(&mut self, now: Instant) -> f64 {
        let elapsed = now.saturating_duration_since(self.since).as_secs_f64();
        let rate = (f64::from(self.starts) / elapsed.max(1.0))
            .max(self.before)
            .max(1.0);
        self.before = rate;
        rate
    }
}

fn growing_pause(refusals: u32) -> Duration {
    let doublings = refusals.saturating_sub(1).min(16);
    FIRST_PAUSE
        .saturating_mul(1 << doublings)
        .min(LONGEST_PAUSE)
}

/// Counts of requests are far below the 2^53 that a float holds exactly, and need not be exact.
#[expect(clippy::cast_precision_loss, reason = "an allowance need not be exact")]
const fn approximate(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
