//! When a target is due next: steady spacing, jitter, growing pauses. All of it is a function of the
//! target, the count and the present, so that a restart changes nothing and tests need no luck.

use jiff::{SignedDuration, Timestamp};

/// Times inside the schedule: tenths of a second since the schedule was made. Thirteen years fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tick(pub(super) u32);

/// Spans inside the schedule, in tenths of a second.
pub(super) type Span = u32;

const MILLIS: i64 = 100;

impl Tick {
    /// Not before the end of time: nothing is planned.
    pub(super) const NEVER: Self = Self(u32::MAX);

    /// Rounds up, so that nothing is ever early.
    pub(super) fn at_or_after(time: Timestamp, epoch: Timestamp) -> Self {
        Self(span(time.duration_since(epoch)).min(u32::MAX - 1))
    }

    /// Rounds down: what is due at this tick is due now.
    pub(super) fn at_or_before(time: Timestamp, epoch: Timestamp) -> Self {
        let ticks = time
            .duration_since(epoch)
            .as_millis()
            .div_euclid(i128::from(MILLIS));
        Self(
            u32::try_from(ticks.max(0))
                .unwrap_or(u32::MAX)
                .min(u32::MAX - 1),
        )
    }

    pub(super) fn to_timestamp(self, epoch: Timestamp) -> Timestamp {
        epoch
            .checked_add(SignedDuration::from_millis(i64::from(self.0) * MILLIS))
            .unwrap_or(Timestamp::MAX)
    }

    pub(super) const fn after(self, span: Span) -> Self {
        let sum = self.0.saturating_add(span);
        Self(if sum == u32::MAX { sum - 1 } else { sum })
    }
}

/// A duration as ticks, rounded up; negative ones are none.
pub(super) fn span(duration: SignedDuration) -> Span {
    let millis = duration.as_millis().max(0);
    let ticks = millis / i128::from(MILLIS) + i128::from(millis % i128::from(MILLIS) != 0);
    u32::try_from(ticks).unwrap_or(u32::MAX)
}

/// The next regular scan after one that ended at `now`.
///
/// Every target has its own phase within the interval, a hash of its name. The gap is the interval, moved
/// by at most a tenth towards that phase: targets that started together drift apart within a few rounds
/// and then keep their distance, also over a restart.
pub(super) fn regular(now: Tick, interval: Span, jitter_permille: u32, seed: u64) -> Tick {
    let interval = u64::from(interval);
    if interval == 0 {
        return Tick::NEVER;
    }
    let phase = seed % interval;
    let position = u64::from(now.0) % interval;
    // How far ahead of `now` the phase is, between minus and plus half an interval.
    let ahead = (phase + interval - position) % interval;
    let most = interval * u64::from(jitter_permille.min(1000)) / 1000;
    let gap = if ahead <= interval / 2 {
        interval + ahead.min(most)
    } else {
        interval - (interval - ahead).min(most)
    };
    now.after(u32::try_from(gap).unwrap_or(u32::MAX))
}

/// The pause after the `failures`th failure in a row: doubled each time, up to `longest`, of which the
/// last quarter is spread by the target's seed.
pub(super) fn backoff(failures: u32, shortest: Span, longest: Span, seed: u64) -> Span {
    let doubled = u64::from(shortest.max(1)) << failures.saturating_sub(1).min(31);
    let pause = doubled.min(u64::from(longest.max(shortest)));
    let spread = pause / 4;
    let pause = pause - spread + fraction(seed, failures, spread);
    u32::try_from(pause).unwrap_or(u32::MAX)
}

/// A pause that was asked for (`Retry-After`), plus up to a tenth and at most a minute, so that not all
/// that wait for the same moment come back in it.
pub(super) fn asked_pause(asked: Span, seed: u64) -> Span {
    let spread = u64::from((asked / 10).min(600));
    let more = fraction(seed, 0, spread);
    asked.saturating_add(u32::try_from(more).unwrap_or_default())
}

/// A number from 0 to `most` that depends on the target and the count.
fn fraction(seed: u64, count: u32, most: u64) -> u64 {
    // SplitMix64's finish: neighbouring counts give unrelated numbers.
    let mut mixed = seed ^ (u64::from(count)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % (most + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn targets_that_start_together_drift_apart() {
        let interval = 3_000;
        let mut dues: Vec<Tick> = vec![Tick(0); 1_000];
        let seeds: Vec<u64> = (0..1_000_u64)
            .map(|i| fraction(i, 1, u64::MAX - 1))
            .collect();
        for _ in 0..8 {
            for (due, seed) in dues.iter_mut().zip(&seeds) {
                *due = regular(*due, interval, 100, *seed);
            }
        }
        let mut buckets = [0; 10];
        for due in &dues {
            buckets[(due.0 % interval / 300) as usize] += 1;
        }
        assert!(
            buckets.iter().all(|&count| (60..140).contains(&count)),
            "{buckets:?}"
        );
        // From then on the gap is the interval exactly.
        for (due, seed) in dues.iter().zip(&seeds) {
            assert_eq!(regular(*due, interval, 100, *seed).0, due.0 + interval);
        }
    }

    #[test]
    fn pauses_grow_to_their_limit() {
        let pauses: Vec<Span> = (1..=12).map(|n| backoff(n, 50, 9_000, 0)).collect();
        assert!(pauses[..9].is_sorted(), "{pauses:?}");
        assert!((38..=50).contains(&pauses[0]));
        assert!((6_750..=9_000).contains(&pauses[11]));
    }

    proptest! {
        #[test]
        fn gaps_stay_within_the_jitter(
            now in 0..1_000_000_u32,
            interval in 1..10_000_000_u32,
            jitter in 0..=1000_u32,
            seed: u64,
        ) {
            let gap = u64::from(regular(Tick(now), interval, jitter, seed).0 - now);
            let interval = u64::from(interval);
            let most = interval * u64::from(jitter) / 1000;
            prop_assert!(gap >= interval - most && gap <= interval + most);
        }

        #[test]
        fn no_pause_is_shorter_than_asked(asked: u32, seed: u64) {
            prop_assert!(asked_pause(asked, seed) >= asked);
        }

        #[test]
        fn pauses_stay_in_bounds(failures: u32, shortest in 1..1_000_u32, longest in 1_000..100_000_u32, seed: u64) {
            let pause = backoff(failures, shortest, longest, seed);
            prop_assert!(pause >= shortest - shortest / 4 && pause <= longest);
        }

        #[test]
        fn nothing_is_early(millis in 0..10_000_000_i64) {
            let epoch = Timestamp::from_second(1_000).unwrap();
            let time = epoch + SignedDuration::from_millis(millis);
            prop_assert!(Tick::at_or_after(time, epoch).to_timestamp(epoch) >= time);
            prop_assert!(Tick::at_or_before(time, epoch).to_timestamp(epoch) <= time);
        }
    }
}
