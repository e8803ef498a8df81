//! When what failed is tried again: after pauses that grow with each failure, as in Flux's work queue, spread so that
//! objects do not march in step.

use super::status::Retry;
use crate::resources::ObjectKey;
use crate::settings::Settings;
use jiff::{SignedDuration, Timestamp};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

/// When an object is tried again after the `failures`-th failure in a row; `None` when something else has to happen first.
pub(super) fn retry_at(
    retry: Retry,
    failures: u32,
    object: &ObjectKey,
    now: Timestamp,
    settings: &Settings,
) -> Option<Timestamp> {
    match retry {
        Retry::BackOff => {
            let (first, longest) = (settings.min_retry_delay, settings.max_retry_delay);
            after(now, pause(failures, first, longest, object))
        }
        Retry::After(pause) => after(now, pause),
        Retry::WithGroup | Retry::Never => None,
    }
}

/// The moment a pause from now.
pub(super) fn after(now: Timestamp, pause: Duration) -> Option<Timestamp> {
    now.checked_add(SignedDuration::try_from(pause).ok()?).ok()
}

/// The pause after the `failures`-th failure in a row: `first`, doubled with each further one up to
/// `longest`, less up to a fifth that depends on the object.
fn pause(failures: u32, first: Duration, longest: Duration, object: &ObjectKey) -> Duration {
    let doubled = first.saturating_mul(
        1_u32
            .checked_shl(failures.saturating_sub(1))
            .unwrap_or(u32::MAX),
    );
    let mut hasher = DefaultHasher::new();
    (object, failures).hash(&mut hasher);
    let share = u32::try_from(hasher.finish() % 200).unwrap_or(0);
    doubled.min(longest) * (1000 - share) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::{Kind, ObjectName};

    #[test]
    fn pauses_double_up_to_the_longest() {
        let object = ObjectKey::new(Kind::ImagePolicy, ObjectName::new("a", "b"));
        let (first, longest) = (Duration::from_millis(750), Duration::from_mins(15));
        let mut last = Duration::ZERO;
        for failures in 1..8 {
            let pause = pause(failures, first, longest, &object);
            assert!(pause > last, "{failures}: {pause:?}");
            last = pause;
        }
        for failures in [20, 33, 1000, u32::MAX] {
            let pause = pause(failures, first, longest, &object);
            assert!(
                pause <= longest && pause >= longest * 4 / 5,
                "{failures}: {pause:?}"
            );
        }
    }
}
