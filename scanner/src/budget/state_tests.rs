use super::*;
use proptest::prelude::*;

fn limits(rate: f64, burst: u32, in_flight: u32) -> BudgetLimits {
    BudgetLimits {
        rate: RequestRate::per_second(rate).unwrap(),
        burst: NonZeroU32::new(burst).unwrap(),
        in_flight: NonZeroU32::new(in_flight).unwrap(),
    }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Starts and ends requests as fast as the budget allows until `end`; gives the times of the starts.
fn starts_until(budget: &mut BudgetState, mut now: Instant, end: Instant) -> Vec<Instant> {
    let mut starts = Vec::new();
    loop {
        match budget.start(now, Class::List) {
            Ok(()) => {
                budget.judge(now, now, Verdict::Served);
                budget.end();
                starts.push(now);
                assert!(starts.len() < 100_000);
            }
            Err(Wait::Until(at)) => now = at,
            Err(Wait::ForAnEnd) => unreachable!("nothing is under way"),
        }
        if now >= end {
            return starts;
        }
    }
}

#[test]
fn a_burst_and_then_the_rate() {
    let t0 = Instant::now();
    let mut budget = BudgetState::new(limits(10.0, 5, 9), t0);
    let starts = starts_until(&mut budget, t0, t0 + seconds(2));
    assert_eq!(starts.iter().filter(|at| **at == t0).count(), 5);
    assert_eq!(starts.len(), 5 + 19);
}

#[test]
fn in_flight_is_capped() {
    let t0 = Instant::now();
    let mut budget = BudgetState::new(limits(0.0, 1, 2), t0);
    for _ in 0..2 {
        assert_eq!(budget.start(t0, Class::List), Ok(()));
    }
    assert_eq!(budget.start(t0, Class::List), Err(Wait::ForAnEnd));
    budget.end();
    assert_eq!(budget.start(t0, Class::List), Ok(()));
}

#[test]
fn a_refusal_blocks_halves_and_recovers_in_steps() {
    let t0 = Instant::now();
    let mut budget = BudgetState::new(limits(8.0, 4, 4), t0);
    budget.start(t0, Class::List).unwrap();
    budget.start(t0, Class::List).unwrap();
    budget.judge(t0, t0, Verdict::Refused(Some(seconds(30))));
    // The second one was under way at the same time: no second halving.
    budget.judge(
        t0 + seconds(1),
        t0 - seconds(1),
        Verdict::Refused(Some(seconds(10))),
    );
    budget.end();
    budget.end();
    assert_eq!(budget.rate(), Some(4.0));
    let t30 = t0 + seconds(30);
    assert_eq!(
        budget.start(t30 - Duration::from_nanos(1), Class::List),
        Err(Wait::Until(t30))
    );
    // One request finds out; no burst after the pause.
    assert_eq!(budget.start(t30, Class::List), Ok(()));
    assert_eq!(budget.start(t30, Class::List), Err(Wait::ForAnEnd));
    budget.judge(t30, t30, Verdict::Served);
    budget.end();
    assert!(
        matches!(budget.start(t30, Class::List), Err(Wait::Until(at)) if at == t30 + Duration::from_millis(250))
    );
    let starts = starts_until(&mut budget, t30, t30 + seconds(4));
    assert!(starts.len() <= 17, "{}", starts.len());
    // Steps of 1.5 each minute, up to the limit and not beyond.
    for (minutes, rate) in [(1, 6.0), (2, 8.0), (3, 8.0)] {
        budget
            .start(t0 + seconds(minutes * 60), Class::List)
            .unwrap();
        budget.end();
        assert_eq!(budget.rate(), Some(rate));
    }
}

#[test]
fn pauses_grow_while_the_registry_keeps_refusing() {
    let mut now = Instant::now();
    let mut budget = BudgetState::new(limits(100.0, 1, 1), now);
    let mut pauses = Vec::new();
    for _ in 0..12 {
        assert_eq!(budget.start(now, Class::List), Ok(()));
        budget.judge(now, now, Verdict::Refused(None));
        budget.end();
        let until = budget.blocked_until(now).unwrap();
        pauses.push((until - now).as_secs());
        now = until;
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    assert_eq!(budget.rate(), Some(LOWEST_RATE));
    budget.start(now, Class::List).unwrap();
    budget.judge(now, now, Verdict::Served);
    budget.end();
    let later = now + seconds(10);
    budget.start(later, Class::List).unwrap();
    budget.judge(later, later, Verdict::Refused(None));
    assert_eq!(budget.blocked_until(later), Some(later + seconds(1)));
}

#[test]
fn a_retry_after_of_any_length_is_honoured() {
    let t0 = Instant::now();
    let mut budget = BudgetState::new(limits(1.0, 1, 1), t0);
    let week = seconds(7 * 24 * 3600);
    budget.start(t0, Class::List).unwrap();
    budget.judge(t0, t0, Verdict::Refused(Some(week)));
    budget.end();
    assert_eq!(
        budget.start(t0 + week - seconds(1), Class::List),
        Err(Wait::Until(t0 + week))
    );
    budget.start(t0 + week, Class::List).unwrap();
    // More than any clock counts is for ever.
    let now = t0 + week;
    budget.judge(now, now, Verdict::Refused(Some(Duration::MAX)));
    budget.end();
    assert_eq!(budget.blocked_until(now), Some(now + LONGEST_BLOCK));
}

#[test]
fn without_a_limit_a_refusal_finds_one_and_it_goes_away_again() {
    let t0 = Instant::now();
    let mut budget = BudgetState::new(limits(0.0, 1, 100), t0);
    for i in 0..400 {
        let at = t0 + Duration::from_millis(10 * i);
        assert_eq!(budget.start(at, Class::List), Ok(()));
        budget.end();
    }
    let t4 = t0 + seconds(4);
    budget.judge(t4, t4, Verdict::Refused(None));
    let rate = budget.rate().unwrap();
    assert!((49.0..51.0).contains(&rate), "{rate}");
    let later = t4 + seconds(1);
    assert_eq!(budget.start(later, Class::List), Ok(()));
    budget.judge(later, later, Verdict::Served);
    budget.end();
    budget.start(later + seconds(3600), Class::List).unwrap();
    assert_eq!(budget.rate(), None);
}

#[test]
fn the_registrys_own_count_is_not_overdrawn() {
    let t0 = Instant::now();
    let mut budget = BudgetState::new(limits(100.0, 100, 100), t0);
    budget.learn(
        t0,
        Class::List,
        Allowance {
            remaining: 10,
            limit: Some(100),
            reset: Some(seconds(60)),
            window: None,
        },
    );
    let starts = starts_until(&mut budget, t0, t0 + seconds(60) - Duration::from_millis(1));
    // Half at once, the rest spread; the last one coincides with the reset.
    assert_eq!(starts.len(), 9);
    assert_eq!(starts.iter().filter(|at| **at == t0).count(), 5);
    assert!(starts.last().unwrap().duration_since(t0) > seconds(40));
    // Other kinds of requests are not concerned.
    assert_eq!(budget.start(t0 + seconds(59), Class::Pull), Ok(()));
    // And after the reset all is as before.
    assert_eq!(budget.start(t0 + seconds(61), Class::List), Ok(()));
}

#[test]
fn docker_hubs_sliding_window_at_zero_gives_back_one_by_one() {
    let t0 = Instant::now();
    let mut budget = BudgetState::new(limits(100.0, 100, 100), t0);
    budget.learn(
        t0,
        Class::Pull,
        Allowance {
            remaining: 0,
            limit: Some(100),
            reset: None,
            window: Some(seconds(21600)),
        },
    );
    assert_eq!(
        budget.start(t0, Class::Pull),
        Err(Wait::Until(t0 + seconds(216)))
    );
    assert_eq!(budget.start(t0, Class::List), Ok(()));
}

#[test]
fn changed_limits_keep_a_reduction() {
    let t0 = Instant::now();
    let mut budget = BudgetState::new(limits(8.0, 4, 4), t0);
    budget.start(t0, Class::List).unwrap();
    budget.judge(t0, t0, Verdict::Refused(None));
    budget.set_limits(t0, limits(20.0, 4, 4));
    assert_eq!(budget.rate(), Some(4.0));
    budget.set_limits(t0, limits(2.0, 4, 4));
    assert_eq!(budget.rate(), Some(2.0));
}

#[derive(Debug, Clone)]
enum Event {
    Pass(u64),
    Ask,
    End,
    Refuse(Option<u64>),
    /// Other settings: rate and burst.
    Settings(f64, u32),
    /// A registry's own count: remaining, and seconds to its reset.
    Count(u64, u64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => (0..400_u64).prop_map(Event::Pass),
        1 => (10_000..200_000_u64).prop_map(Event::Pass),
        16 => Just(Event::Ask),
        12 => Just(Event::End),
        2 => proptest::option::of(0..20_u64).prop_map(Event::Refuse),
        1 => (0.5..50.0_f64, 1..20_u32).prop_map(|(rate, burst)| Event::Settings(rate, burst)),
        1 => (0..20_u64, 1..60_u64).prop_map(|(remaining, reset)| Event::Count(remaining, reset)),
    ];
    proptest::collection::vec(event, 1..400)
}

proptest! {
    /// Promise 1: whatever happens, no window of time sees more than a burst and what the rates of that time add up
    /// to, however often the rate is halved, recovers or is set anew; no request starts while the budget is blocked,
    /// and no more are under way than allowed.
    #[test]
    fn never_over_the_limit(rate in 0.5..50.0_f64, burst in 1..20_u32, in_flight in 1..10_u32, events in events()) {
        let t0 = Instant::now();
        let mut budget = BudgetState::new(limits(rate, burst, in_flight), t0);
        let mut now = t0;
        let mut most_burst = burst;
        // What the rate so far adds up to, at each start.
        let mut gained = 0.0;
        let mut starts: Vec<f64> = Vec::new();
        let mut last = t0;
        let mut open = 0_u32;
        let mut blocked_until = t0;
        let mut counted: Option<(u64, Instant)> = None;
        for event in events {
            match event {
                Event::Pass(millis) => {
                    // In steps, because the rate recovers on the way.
                    let end = now + Duration::from_millis(millis);
                    while now < end {
                        let step = (end - now).min(Duration::from_millis(100));
                        now += step;
                        budget.recover(now);
                        gained += budget.rate().unwrap() * step.as_secs_f64();
                    }
                }
                Event::Ask => if budget.start(now, Class::List).is_ok() {
                    prop_assert!(now >= blocked_until);
                    open += 1;
                    starts.push(gained);
                    last = now;
                    prop_assert!(open <= in_flight);
                    if let Some((left, until)) = &mut counted && now < *until {
                        prop_assert!(*left > 0, "more than the registry's own count");
                        *left -= 1;
                    }
                },
                Event::End if open > 0 => {
                    open -= 1;
                    budget.judge(now, last, Verdict::Served);
                    budget.end();
                }
                Event::Refuse(after) if open > 0 => {
                    open -= 1;
                    budget.judge(now, last, Verdict::Refused(after.map(Duration::from_secs)));
                    budget.end();
                    if let Some(after) = after {
                        blocked_until = blocked_until.max(now + Duration::from_secs(after));
                    }
                }
                Event::Settings(rate, burst) => {
                    most_burst = most_burst.max(burst);
                    budget.set_limits(now, limits(rate, burst, in_flight));
                }
                Event::Count(remaining, reset) if open > 0 => {
                    let reset = Duration::from_secs(reset);
                    let allowance = Allowance { remaining, limit: None, reset: Some(reset), window: None };
                    budget.learn(now, Class::List, allowance);
                    counted = Some((remaining, now + reset));
                }
                Event::End | Event::Refuse(_) | Event::Count(..) => {}
            }
        }
        for (i, from) in starts.iter().enumerate() {
            for (count, to) in (1_u32..).zip(&starts[i..]) {
                let allowed = f64::from(most_burst) + to - from + 1e-6;
                prop_assert!(f64::from(count) <= allowed, "{count} starts, {allowed} allowed");
            }
        }
    }
}
