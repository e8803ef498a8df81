use super::*;
use crate::credentials::Credential;
use crate::settings::RequestRate;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

fn budget(rate: f64, burst: u32, in_flight: u32) -> Arc<Budget> {
    let name = BudgetName {
        host: "r.io".to_owned(),
        identity: Credential::anonymous().identity().clone(),
        proxy: None,
    };
    let limits = BudgetLimits {
        rate: RequestRate::per_second(rate).unwrap(),
        burst: NonZeroU32::new(burst).unwrap(),
        in_flight: NonZeroU32::new(in_flight).unwrap(),
    };
    Budgets::default().get(&name, limits, Duration::from_secs(30))
}

fn tenant(name: &str) -> Arc<str> {
    name.into()
}

#[tokio::test(start_paused = true)]
async fn a_thousand_waiters_take_exactly_their_time_in_order() {
    let budget = budget(100.0, 1, 1000);
    let begin = Instant::now();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = tokio::task::JoinSet::new();
    for i in 0..1000 {
        let (budget, order) = (Arc::clone(&budget), Arc::clone(&order));
        tasks.spawn(async move {
            let permit = budget
                .acquire(Class::List, Priority::Normal, &tenant("a"))
                .await
                .unwrap();
            lock(&order).push(i);
            permit.judge(Verdict::Served);
        });
        tokio::task::yield_now().await;
    }
    while tasks.join_next().await.is_some() {}
    let took = begin.elapsed().as_secs_f64();
    assert!((9.99..10.2).contains(&took), "{took}");
    assert!(lock(&order).is_sorted());
}

#[tokio::test(start_paused = true)]
async fn tenants_take_turns_and_priorities_go_first() {
    let budget = budget(10.0, 1, 1000);
    let order = Arc::new(Mutex::new(String::new()));
    let mut tasks = tokio::task::JoinSet::new();
    let mut ask = |name: &'static str, priority| {
        let (budget, order) = (Arc::clone(&budget), Arc::clone(&order));
        tasks.spawn(async move {
            let permit = budget.acquire(Class::List, priority, &tenant(name)).await;
            lock(&order).push_str(name);
            drop(permit);
        });
    };
    for _ in 0..6 {
        ask("a", Priority::Normal);
    }
    for _ in 0..2 {
        ask("b", Priority::Normal);
    }
    ask("l", Priority::Low);
    ask("h", Priority::High);
    while tasks.join_next().await.is_some() {}
    // The first `a` found the budget free; all others were waiting by then.
    assert_eq!(*lock(&order), "ahababaaal");
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_leaves_costs_nothing() {
    let budget = budget(1.0, 1, 1);
    let a = tenant("a");
    let first = budget
        .acquire(Class::List, Priority::Normal, &a)
        .await
        .unwrap();
    let leaving = budget.acquire(Class::List, Priority::Normal, &a);
    assert!(
        tokio::time::timeout(Duration::from_millis(1), leaving)
            .await
            .is_err()
    );
    drop(first);
    let begin = Instant::now();
    let second = budget
        .acquire(Class::List, Priority::Normal, &a)
        .await
        .unwrap();
    assert!(begin.elapsed() <= Duration::from_secs(1));
    drop(second);
    let status = budget.status(Timestamp::UNIX_EPOCH);
    assert_eq!(
        (status.waiting, status.in_flight, status.started),
        (0, 0, 2)
    );
}

#[tokio::test(start_paused = true)]
async fn a_long_block_sends_everybody_away_and_a_short_one_is_waited_for() {
    let budget = budget(10.0, 10, 10);
    let a = tenant("a");
    let permit = budget
        .acquire(Class::List, Priority::Normal, &a)
        .await
        .unwrap();
    permit.judge(Verdict::Refused(Some(Duration::from_secs(5))));
    drop(permit);
    let begin = Instant::now();
    drop(
        budget
            .acquire(Class::List, Priority::Normal, &a)
            .await
            .unwrap(),
    );
    assert_eq!(begin.elapsed().as_secs(), 5);

    let permit = budget
        .acquire(Class::List, Priority::Normal, &a)
        .await
        .unwrap();
    let waiting = tokio::spawn({
        let (budget, a) = (Arc::clone(&budget), Arc::clone(&a));
        async move {
            budget
                .acquire(Class::List, Priority::Normal, &a)
                .await
                .map(drop)
        }
    });
    tokio::task::yield_now().await;
    permit.judge(Verdict::Refused(Some(Duration::from_mins(1))));
    assert_eq!(permit.blocked_for(), Some(Duration::from_mins(1)));
    drop(permit);
    let blocked = Blocked {
        retry_after: Duration::from_mins(1),
    };
    assert_eq!(waiting.await.unwrap(), Err(blocked));
    let again = budget
        .acquire(Class::List, Priority::Normal, &a)
        .await
        .map(drop);
    assert_eq!(again, Err(blocked));
}

#[tokio::test(start_paused = true)]
async fn manifests_that_must_wait_do_not_hold_up_lists() {
    let budget = budget(100.0, 10, 10);
    let a = tenant("a");
    let permit = budget
        .acquire(Class::Pull, Priority::High, &a)
        .await
        .unwrap();
    permit.learn(Allowance {
        remaining: 0,
        limit: None,
        reset: Some(Duration::from_secs(20)),
        window: None,
    });
    drop(permit);
    let begin = Instant::now();
    let pull = budget.acquire(Class::Pull, Priority::High, &a);
    let list = budget.acquire(Class::List, Priority::Low, &a);
    let both = tokio::join!(
        async {
            drop(pull.await);
            begin.elapsed().as_secs()
        },
        async {
            drop(list.await);
            begin.elapsed().as_secs()
        },
    );
    assert_eq!(both, (20, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_under_contention() {
    let budget = budget(0.0, 1, 3);
    let under_way = Arc::new(AtomicU32::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for i in 0..2000_u32 {
        let (budget, under_way) = (Arc::clone(&budget), Arc::clone(&under_way));
        tasks.spawn(async move {
            let name = tenant(if i % 3 == 0 { "a" } else { "b" });
            let acquire = budget.acquire(Class::List, Priority::Normal, &name);
            if i % 7 == 0 {
                // Leaves at once, with or without a permit.
                let _ = futures_util::FutureExt::now_or_never(acquire);
                return;
            }
            let permit = acquire.await.unwrap();
            assert!(under_way.fetch_add(1, Ordering::SeqCst) < 3);
            tokio::task::yield_now().await;
            under_way.fetch_sub(1, Ordering::SeqCst);
            drop(permit);
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let status = budget.status(Timestamp::UNIX_EPOCH);
    assert_eq!((status.waiting, status.in_flight), (0, 0));
}
