use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::{Outcome, ReadyReason, Schedule, ScheduleOptions, TargetPlan};
use crate::store::Due;
use crate::target_key::TargetKey;

const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn key(host: &str, name: &str) -> TargetKey {
    TargetKey::parse(&format!("{host}/{name}")).unwrap()
}

fn new_target(namespace: &str, interval: SignedDuration) -> TargetPlan<'_> {
    TargetPlan {
        namespace,
        interval,
        due: Due::default(),
    }
}

fn known(namespace: &str, interval: SignedDuration, next: Timestamp) -> TargetPlan<'_> {
    TargetPlan {
        namespace,
        interval,
        due: Due {
            next: Some(next),
            failures: 0,
        },
    }
}

fn schedule() -> Schedule {
    Schedule::new(ScheduleOptions::default(), at(0))
}

fn names(schedule: &mut Schedule, now: Timestamp, limit: usize) -> Vec<String> {
    schedule
        .next_ready(now, limit)
        .into_iter()
        .map(|ready| ready.key.as_str().to_owned())
        .collect()
}

#[test]
fn what_is_known_waits_for_its_time_and_what_is_new_does_not() {
    let mut schedule = schedule();
    schedule.insert(&key("a.io", "old"), &known("ns", HOUR, at(600)), at(0));
    schedule.insert(&key("a.io", "new"), &new_target("ns", HOUR), at(0));
    schedule.insert(&key("a.io", "late"), &known("ns", HOUR, at(-900)), at(0));
    let first = schedule.next_ready(at(0), 10);
    let reasons: Vec<_> = first.iter().map(|r| (r.key.image(), r.reason)).collect();
    assert_eq!(
        reasons,
        [
            ("a.io/new", ReadyReason::New),
            ("a.io/late", ReadyReason::Due)
        ]
    );
    assert_eq!(schedule.next_wakeup(at(0)), Some(at(600)));
    assert!(schedule.next_ready(at(599), 10).is_empty());
    assert_eq!(names(&mut schedule, at(600), 10), ["a.io/old"]);
    assert_eq!(schedule.next_wakeup(at(600)), None);
}

#[test]
fn the_next_time_is_an_interval_away_and_is_given_to_be_stored() {
    let mut schedule = schedule();
    let app = key("a.io", "app");
    schedule.insert(&app, &new_target("ns", HOUR), at(0));
    assert_eq!(schedule.next_ready(at(0), 1).len(), 1);
    let due = schedule.finished(&app, Outcome::Done, at(10)).unwrap();
    let next = due.next.unwrap();
    assert!((at(10 + 3240)..=at(10 + 3960)).contains(&next), "{next}");
    assert_eq!(schedule.due(&app), Some(next));
    // Another process goes on where this one stopped.
    let mut restarted = Schedule::new(ScheduleOptions::default(), at(100));
    let plan = TargetPlan {
        namespace: "ns",
        interval: HOUR,
        due,
    };
    restarted.insert(&app, &plan, at(100));
    assert!(restarted.next_ready(at(100), 1).is_empty());
    assert_eq!(restarted.next_wakeup(at(100)), Some(next));
}

#[test]
fn a_shorter_interval_takes_effect_at_once() {
    let mut schedule = schedule();
    let app = key("a.io", "app");
    schedule.insert(&app, &known("ns", HOUR * 24, at(80_000)), at(0));
    schedule.insert(
        &app,
        &known("ns", SignedDuration::from_mins(1), at(80_000)),
        at(0),
    );
    assert!(schedule.due(&app).unwrap() <= at(66));
}

#[test]
fn no_interval_means_only_when_asked() {
    let mut schedule = schedule();
    let app = key("a.io", "app");
    schedule.insert(&app, &new_target("ns", SignedDuration::ZERO), at(0));
    assert_eq!(schedule.next_ready(at(0), 1).len(), 1);
    let due = schedule.finished(&app, Outcome::Done, at(1)).unwrap();
    assert_eq!(due.next, None);
    assert_eq!(schedule.next_wakeup(at(1)), None);
    assert!(schedule.request(&app, at(2)));
    let ready = schedule.next_ready(at(2), 1);
    assert_eq!(ready[0].reason, ReadyReason::Requested);
}

#[test]
fn requests_go_first_and_coalesce() {
    let mut schedule = schedule();
    for i in 0..100 {
        schedule.insert(
            &key("a.io", &format!("app{i:02}")),
            &known("ns", HOUR, at(0)),
            at(0),
        );
    }
    let urgent = key("a.io", "app57");
    assert!(schedule.next_ready(at(-1), 0).is_empty());
    schedule.next_ready(at(0), 0);
    for _ in 0..5 {
        assert!(schedule.request(&urgent, at(1)));
    }
    assert_eq!(names(&mut schedule, at(1), 1), ["a.io/app57"]);
    // While it runs, any number of requests are one more scan.
    for _ in 0..5 {
        assert!(schedule.request(&urgent, at(2)));
    }
    schedule.finished(&urgent, Outcome::Done, at(3)).unwrap();
    assert_eq!(names(&mut schedule, at(3), 1), ["a.io/app57"]);
    schedule.finished(&urgent, Outcome::Done, at(4)).unwrap();
    assert_ne!(names(&mut schedule, at(4), 1), ["a.io/app57"]);
    assert!(!schedule.request(&key("a.io", "unknown"), at(4)));
}

#[test]
fn a_flood_of_requests_does_not_stop_the_rest() {
    let options = ScheduleOptions {
        per_host: 1,
        ..ScheduleOptions::default()
    };
    let mut schedule = Schedule::new(options, at(0));
    for i in 0..1_000 {
        let target = key("a.io", &format!("hooked{i}"));
        schedule.insert(&target, &known("ns", HOUR, at(9_000)), at(0));
        schedule.request(&target, at(0));
    }
    schedule.insert(&key("a.io", "new"), &new_target("ns", HOUR), at(0));
    schedule.insert(&key("a.io", "due"), &known("ns", HOUR, at(-1)), at(0));
    let mut served = BTreeSet::new();
    for _ in 0..16 {
        for ready in schedule.next_ready(at(1), 1) {
            served.insert(ready.key.image().to_owned());
            schedule.finished(&ready.key, Outcome::Done, at(1));
        }
    }
    assert!(
        served.contains("a.io/new") && served.contains("a.io/due"),
        "{served:?}"
    );
}

#[test]
fn namespaces_take_turns() {
    let mut schedule = schedule();
    for i in 0..1_000 {
        schedule.insert(
            &key("a.io", &format!("big{i}")),
            &new_target("big", HOUR),
            at(0),
        );
    }
    for i in 0..3 {
        schedule.insert(
            &key("a.io", &format!("small{i}")),
            &new_target("small", HOUR),
            at(0),
        );
    }
    let first = names(&mut schedule, at(0), 6);
    let small = first
        .iter()
        .filter(|name| name.starts_with("a.io/small"))
        .count();
    assert_eq!(small, 3, "{first:?}");
}

#[test]
fn a_host_that_never_answers_delays_nobody() {
    let mut schedule = schedule();
    for i in 0..5_000 {
        schedule.insert(
            &key("dead.io", &format!("app{i}")),
            &new_target("ns", HOUR),
            at(0),
        );
    }
    for i in 0..500 {
        schedule.insert(
            &key("b.io", &format!("app{i}")),
            &new_target("ns", HOUR),
            at(0),
        );
    }
    let mut served = 0;
    let mut second = 0;
    while served < 500 {
        second += 1;
        for ready in schedule.next_ready(at(second), 100) {
            if ready.key.registry() == "b.io" {
                served += 1;
                schedule.finished(&ready.key, Outcome::Done, at(second));
            }
        }
        assert!(second < 60, "only {served} of 500 were served");
    }
    assert_eq!(schedule.stats().running, 16);
}

#[test]
fn a_host_that_fails_is_tried_one_at_a_time() {
    let mut schedule = schedule();
    for i in 0..100 {
        schedule.insert(
            &key("down.io", &format!("app{i}")),
            &new_target("ns", HOUR),
            at(0),
        );
    }
    let failed = Outcome::Failed {
        retryable: true,
        retry_after: None,
    };
    let first = schedule.next_ready(at(0), 100);
    assert_eq!(first.len(), 16);
    for ready in &first {
        schedule.finished(&ready.key, failed, at(0));
    }
    let probe = schedule.next_ready(at(1), 100);
    assert_eq!(probe.len(), 1);
    schedule.finished(&probe[0].key, Outcome::Done, at(1));
    assert_eq!(schedule.next_ready(at(1), 100).len(), 16);
}

#[test]
fn failures_wait_longer_each_time_and_as_long_as_asked() {
    let mut schedule = schedule();
    let app = key("a.io", "app");
    schedule.insert(&app, &new_target("ns", HOUR), at(0));
    let mut now = at(0);
    let mut pauses = Vec::new();
    for failures in 1..=12 {
        assert_eq!(schedule.next_ready(now, 1).len(), 1, "after {failures}");
        let failed = Outcome::Failed {
            retryable: true,
            retry_after: None,
        };
        let due = schedule.finished(&app, failed, now).unwrap();
        assert_eq!(due.failures, failures);
        let next = due.next.unwrap();
        pauses.push(next.duration_since(now).as_secs());
        now = next;
    }
    assert!(
        pauses[0] <= 2 && pauses[11] >= 675 && pauses[11] <= 900,
        "{pauses:?}"
    );

    assert_eq!(schedule.next_ready(now, 1).len(), 1);
    let limited = Outcome::Failed {
        retryable: true,
        retry_after: Some(HOUR * 6),
    };
    schedule.request(&app, now);
    let next = schedule.finished(&app, limited, now).unwrap().next.unwrap();
    assert!(
        next >= now + HOUR * 6,
        "a request does not break Retry-After"
    );
    assert!(next <= now + HOUR * 6 + SignedDuration::from_secs(61));

    schedule.next_ready(next, 1);
    let gone = Outcome::Failed {
        retryable: false,
        retry_after: None,
    };
    let later = schedule.finished(&app, gone, next).unwrap().next.unwrap();
    assert!(later >= next + SignedDuration::from_mins(54));

    schedule.next_ready(later, 1);
    let due = schedule.finished(&app, Outcome::Done, later).unwrap();
    assert_eq!(due.failures, 0);
}

#[test]
fn a_postponed_scan_is_no_failure() {
    let mut schedule = schedule();
    let app = key("a.io", "app");
    schedule.insert(&app, &new_target("ns", HOUR), at(0));
    schedule.next_ready(at(0), 1);
    let postponed = Outcome::Postponed { until: at(500) };
    let due = schedule.finished(&app, postponed, at(1)).unwrap();
    assert_eq!(due.failures, 0);
    assert!((at(500)..=at(551)).contains(&due.next.unwrap()));
}

#[test]
fn what_is_removed_while_it_runs_frees_its_place() {
    let mut schedule = schedule();
    let app = key("a.io", "app");
    schedule.insert(&app, &new_target("ns", HOUR), at(0));
    schedule.next_ready(at(0), 1);
    schedule.remove(&app);
    assert!(!schedule.contains(&app));
    schedule.insert(&app, &new_target("ns", HOUR), at(1));
    assert_eq!(schedule.finished(&app, Outcome::Done, at(2)), None);
    assert_eq!(schedule.stats().running, 0);
    assert_eq!(names(&mut schedule, at(2), 1), ["a.io/app"]);
}

#[derive(Debug, Clone)]
enum Step {
    Insert {
        target: u8,
        minutes: u8,
        due_in: Option<i16>,
    },
    Remove(u8),
    Request(u8),
    Finish {
        nth: prop::sample::Index,
        how: u8,
    },
    Advance(u16),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..40_u8, 0..3_u8, prop::option::of(-500..500_i16)).prop_map(|(target, minutes, due_in)| {
            Step::Insert { target, minutes, due_in }
        }),
        1 => (0..40_u8).prop_map(Step::Remove),
        1 => (0..40_u8).prop_map(Step::Request),
        4 => (any::<prop::sample::Index>(), 0..4_u8).prop_map(|(nth, how)| Step::Finish { nth, how }),
        3 => (0..200_u16).prop_map(Step::Advance),
    ]
}

fn target(number: u8) -> TargetKey {
    key(&format!("host{}.io", number % 3), &format!("app{number}"))
}

proptest! {
    /// Whatever happens: no host beyond its places, nothing runs twice, nothing runs that is not wanted,
    /// nothing before its time, and the counts agree with what was handed out.
    #[test]
    fn keeps_its_promises(steps in prop::collection::vec(any_step(), 1..200)) {
        let options = ScheduleOptions {
            per_host: 3,
            in_flight: 7,
            unhealthy_after: 2,
            ..ScheduleOptions::default()
        };
        let mut schedule = Schedule::new(options, at(0));
        let mut now = at(0);
        let mut wanted: BTreeSet<TargetKey> = BTreeSet::new();
        let mut running: Vec<TargetKey> = Vec::new();
        // Not before this time, unless requested.
        let mut not_before: BTreeMap<TargetKey, Timestamp> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Insert { target: number, minutes, due_in } => {
                    let key = target(number);
                    let next = due_in.map(|seconds| now + SignedDuration::from_secs(seconds.into()));
                    if wanted.insert(key.clone()) {
                        not_before.remove(&key);
                    }
                    let plan = TargetPlan {
                        namespace: if number % 2 == 0 { "even" } else { "odd" },
                        interval: SignedDuration::from_mins(minutes.into()),
                        due: Due { next, failures: 0 },
                    };
                    schedule.insert(&key, &plan, now);
                    not_before.remove(&key);
                }
                Step::Remove(number) => {
                    wanted.remove(&target(number));
                    schedule.remove(&target(number));
                }
                Step::Request(number) => {
                    let key = target(number);
                    prop_assert_eq!(schedule.request(&key, now), wanted.contains(&key));
                    not_before.remove(&key);
                }
                Step::Finish { nth, how } => {
                    if running.is_empty() {
                        continue;
                    }
                    let key = running.swap_remove(nth.index(running.len()));
                    let outcome = match how {
                        0 => Outcome::Done,
                        1 => Outcome::Failed { retryable: true, retry_after: None },
                        2 => Outcome::Failed {
                            retryable: true,
                            retry_after: Some(SignedDuration::from_secs(100)),
                        },
                        _ => Outcome::Postponed { until: now + SignedDuration::from_secs(50) },
                    };
                    if let Some(due) = schedule.finished(&key, outcome, now) {
                        prop_assert!(due.next.is_none_or(|next| next >= now));
                        if how >= 2 && let Some(next) = due.next {
                            not_before.insert(key, next);
                        }
                    }
                }
                Step::Advance(seconds) => {
                    now += SignedDuration::from_secs(seconds.into());
                }
            }
            for ready in schedule.next_ready(now, 100) {
                prop_assert!(wanted.contains(&ready.key), "{} is not wanted", ready.key);
                prop_assert!(ready.since <= now);
                if let Some(time) = not_before.remove(&ready.key) {
                    prop_assert!(now >= time, "{} began before {}", ready.key, time);
                }
                running.push(ready.key);
            }
            let stats = schedule.stats();
            prop_assert_eq!(stats.running, running.len());
            prop_assert_eq!(stats.targets, wanted.len());
            prop_assert!(running.len() <= 7);
            for host in 0..3 {
                let host = format!("host{host}.io");
                prop_assert!(running.iter().filter(|key| key.registry() == host).count() <= 3);
            }
            // Nothing that could run is left lying: either all places are taken or nothing is due.
            if running.is_empty() {
                prop_assert_eq!(stats.ready, 0);
                prop_assert!(schedule.next_wakeup(now).is_none_or(|next| next > now));
            }
        }
        // In the end everything wanted with an interval gets its turn.
        let mut seen: BTreeSet<TargetKey> = BTreeSet::new();
        for _ in 0..4_000 {
            for key in running.drain(..) {
                schedule.finished(&key, Outcome::Done, now);
            }
            for ready in schedule.next_ready(now, 100) {
                seen.insert(ready.key.clone());
                running.push(ready.key);
            }
            if running.is_empty() {
                match schedule.next_wakeup(now) {
                    Some(next) => now = next,
                    None => break,
                }
            }
            if seen.len() == wanted.len() {
                break;
            }
        }
        for key in &wanted {
            prop_assert!(
                seen.contains(key) || schedule.due(key).is_none(),
                "{} never had its turn", key
            );
        }
    }
}
