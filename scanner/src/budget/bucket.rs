//! The token bucket of a budget: governor's rate limiter, with a clock and a state that we hold.
//!
//! governor's quota is fixed for a limiter's life, and a new limiter begins with a full burst: just what must not happen
//! when a registry asks for less. So a limiter's state lives here; a change of the rate builds a limiter with the new
//! quota around the old state, in which as many requests are missing as before. The clock stands where the caller puts
//! it: the bucket is a function of the times it is given.

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use governor::{Quota, RateLimiter};
use std::cell::Cell;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// A bucket that takes longer to fill is as good as one that takes this long; governor counts nanoseconds in 64 bits.
const LONGEST_TO_FILL: Duration = Duration::from_hours(24 * 365);

type Limiter = RateLimiter<NotKeyed, FullAt, GivenTime, NoOpMiddleware<Duration>>;

/// Requests that may start at once, and how fast more are added.
#[derive(Debug)]
pub(super) struct Bucket {
    limiter: Limiter,
    full_at: FullAt,
    /// Times are counted from here.
    epoch: Instant,
    rate: f64,
    burst: NonZeroU32,
}

/// When the bucket will be full again, in nanoseconds after the epoch: GCRA's "theoretical arrival time".
#[derive(Debug, Clone, Default)]
struct FullAt(Arc<AtomicU64>);

/// Nanoseconds after the epoch, as told.
#[derive(Debug, Default)]
struct GivenTime(Cell<Duration>);

impl Bucket {
    /// A full bucket.
    pub(super) fn new(now: Instant, rate: f64, burst: NonZeroU32) -> Self {
        let full_at = FullAt::default();
        Self {
            limiter: limiter(rate, burst, &full_at),
            full_at,
            epoch: now,
            rate,
            burst,
        }
    }

    /// Requests per second.
    pub(super) const fn rate(&self) -> f64 {
        self.rate
    }

    /// Takes one request out of the bucket.
    ///
    /// # Errors
    /// When there is none: the time at which there will be one.
    pub(super) fn take(&self, now: Instant) -> Result<(), Instant> {
        let clock = self.limiter.clock();
        clock.0.set(now.saturating_duration_since(self.epoch));
        self.limiter
            .check()
            .map_err(|not_until| self.epoch + not_until.earliest_possible())
    }

    /// Whether nothing is missing.
    pub(super) fn is_full(&self, now: Instant) -> bool {
        self.full_at.get() <= now.saturating_duration_since(self.epoch)
    }

    /// Changes the rate and the burst; as many requests are missing as before, counted at `from`.
    pub(super) fn change(&mut self, from: Instant, rate: f64, burst: NonZeroU32) {
        let from = from.saturating_duration_since(self.epoch);
        let missing = self.full_at.get().saturating_sub(from).as_secs_f64() * self.rate;
        let to_fill = Duration::try_from_secs_f64(missing / rate)
            .unwrap_or(LONGEST_TO_FILL)
            .min(LONGEST_TO_FILL);
        self.full_at.set(from.saturating_add(to_fill));
        self.limiter = limiter(rate, burst, &self.full_at);
        self.rate = rate;
        self.burst = burst;
    }

    /// Empties the bucket as of `until`: what follows a pause is one request, not a burst.
    pub(super) fn empty(&self, until: Instant) {
        let until = until.saturating_duration_since(self.epoch);
        let to_fill = interval(self.rate).saturating_mul(self.burst().get() - 1);
        self.full_at
            .set(self.full_at.get().max(until.saturating_add(to_fill)));
    }

    fn burst(&self) -> NonZeroU32 {
        bounded(self.rate, self.burst)
    }
}

fn limiter(rate: f64, burst: NonZeroU32, full_at: &FullAt) -> Limiter {
    let quota = Quota::with_period(interval(rate))
        .unwrap_or(Quota::per_second(NonZeroU32::MIN))
        .allow_burst(bounded(rate, burst));
    RateLimiter::new(quota, full_at.clone(), GivenTime::default())
}

/// The time between two requests. Rounded up: the rate is never exceeded.
fn interval(rate: f64) -> Duration {
    let seconds = Duration::try_from_secs_f64(1.0 / rate).unwrap_or(LONGEST_TO_FILL);
    let rounded = if seconds.as_secs_f64() * rate < 1.0 {
        seconds.saturating_add(Duration::from_nanos(1))
    } else {
        seconds
    };
    rounded.clamp(Duration::from_nanos(1), LONGEST_TO_FILL)
}

/// The burst, as far as it can be counted.
fn bounded(rate: f64, burst: NonZeroU32) -> NonZeroU32 {
    let most = LONGEST_TO_FILL.as_nanos() / interval(rate).as_nanos();
    u32::try_from(most)
        .ok()
        .and_then(NonZeroU32::new)
        .map_or(burst, |most| most.min(burst))
}

impl FullAt {
    fn get(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }

    fn set(&self, at: Duration) {
        let nanos = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX / 2);
        self.0.store(nanos, Ordering::Relaxed);
    }
}

impl StateStore for FullAt {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        // The budget's lock is held: nobody else changes it meanwhile.
        let (outcome, next) = decide(Some(self.get().into()))?;
        self.set(next.into());
        Ok(outcome)
    }
}

impl Clock for GivenTime {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.get()
    }
}
