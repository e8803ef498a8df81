//! Requests waiting for their budget: first in, first out, in turn between tenants, in lanes by priority.
//!
//! Nobody polls: a waiter sleeps until its permit comes, and one timer per budget wakes up when the next one is due.
//! A thousand waiters cost a thousand small queue entries and one wake-up per request.

use super::state::{Allowance, BudgetLimits, BudgetState, Class, Verdict, Wait};
use crate::credentials::CredentialIdentity;
use crate::sync::lock;
use jiff::{SignedDuration, Timestamp};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Every so many grants the lowest lane goes first, so that it is slow but never starved.
const LOWEST_FIRST_EVERY: u64 = 16;
/// Budgets that are remembered before idle ones are forgotten.
const REMEMBERED: usize = 1024;

/// Blocks that differ by less are the same.
const WORTH_KEEPING: SignedDuration = SignedDuration::from_secs(1);

/// Which requests go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// Somebody waits for it: a webhook, a person, a check before a commit.
    High,
    /// Scans that are due.
    #[default]
    Normal,
    /// What may take its time: manifests read ahead.
    Low,
}

/// Whose budget it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BudgetName {
    /// The host that is asked, `host[:port]`.
    pub host: String,
    /// Whose credential is shown.
    pub identity: CredentialIdentity,
    /// The proxy, where a target brings its own: registries count by address.
    pub proxy: Option<String>,
}

/// A budget at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct BudgetStatus {
    /// Whose it is.
    pub name: BudgetName,
    /// What it allows at most.
    pub limits: BudgetLimits,
    /// Requests per second now; lower than the limit after a refusal. `None` is no limit.
    pub rate: Option<f64>,
    /// Requests under way.
    pub in_flight: u32,
    /// Requests waiting.
    pub waiting: usize,
    /// Until when the registry wants to be left alone.
    pub blocked_until: Option<Timestamp>,
    /// Requests started so far.
    pub started: u64,
    /// Requests the registry refused so far.
    pub refused: u64,
}

/// All budgets.
#[derive(Debug, Default)]
pub(crate) struct Budgets {
    by_name: Mutex<HashMap<BudgetName, Arc<Budget>>>,
    /// What the store holds: registries that want to be left alone, by [`BudgetName::key`].
    blocks: Mutex<HashMap<String, Timestamp>>,
}

/// One budget with its queue.
#[derive(Debug)]
pub(crate) struct Budget {
    name: BudgetName,
    longest_wait: Duration,
    shared: Mutex<Shared>,
    myself: Weak<Self>,
}

#[derive(Debug)]
struct Shared {
    state: BudgetState,
    /// By priority and class.
    lanes: [[Lane; 2]; 3],
    waiting: usize,
    granted: u64,
    /// When the timer will wake up, if one runs.
    timer: Option<(Instant, tokio::task::AbortHandle)>,
}

/// Waiters of one priority and class: a queue per tenant, served in turn.
#[derive(Debug, Default)]
struct Lane {
    turns: VecDeque<Arc<str>>,
    queues: HashMap<Arc<str>, VecDeque<Waiter>>,
}

type Granted = Result<Permit, Blocked>;

#[derive(Debug)]
struct Waiter {
    class: Class,
    sender: oneshot::Sender<Granted>,
}

/// The registry wants to be left alone for longer than a request may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Blocked {
    pub(crate) retry_after: Duration,
}

/// The right to make one request. Counts as under way until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    budget: Arc<Budget>,
    class: Class,
    started: Instant,
}

impl Budgets {
    /// The budget with this name; its limits become those given.
    pub(crate) fn get(
        &self,
        name: &BudgetName,
        limits: BudgetLimits,
        longest_wait: Duration,
    ) -> Arc<Budget> {
        let now = Instant::now();
        let mut by_name = lock(&self.by_name);
        if let Some(budget) = by_name.get(name) {
            lock(&budget.shared).state.set_limits(now, limits);
            return Arc::clone(budget);
        }
        if by_name.len() >= REMEMBERED {
            by_name.retain(|_, budget| {
                Arc::strong_count(budget) > 1 || !lock(&budget.shared).state.is_fresh(now)
            });
        }
        let budget = Arc::new_cyclic(|myself| Budget {
            name: name.clone(),
            longest_wait,
            shared: Mutex::new(Shared::new(BudgetState::new(limits, now))),
            myself: Weak::clone(myself),
        });
        if let Some(until) = lock(&self.blocks).get(&name.key()) {
            let left = Timestamp::now().duration_until(*until);
            if let Ok(left) = Duration::try_from(left) {
                lock(&budget.shared).state.block(now, now + left);
            }
        }
        by_name.insert(name.clone(), Arc::clone(&budget));
        budget
    }

    /// Blocks from before a restart.
    pub(crate) fn restore(&self, blocks: HashMap<String, Timestamp>) {
        *lock(&self.blocks) = blocks;
    }

    /// Blocks that the store does not hold yet: each is given once.
    pub(crate) fn new_blocks(&self, now: Timestamp) -> Vec<(String, Timestamp)> {
        let blocked = self.status(now);
        let mut known = lock(&self.blocks);
        blocked
            .into_iter()
            .filter_map(|status| Some((status.name.key(), status.blocked_until?)))
            .filter(|(key, until)| {
                let is_new = known
                    .get(key)
                    .is_none_or(|known| until.duration_since(*known) >= WORTH_KEEPING);
                if is_new {
                    known.insert(key.clone(), *until);
                }
                is_new
            })
            .collect()
    }

    /// All budgets, by name.
    pub(crate) fn status(&self, now: Timestamp) -> Vec<BudgetStatus> {
        let mut all: Vec<_> = lock(&self.by_name)
            .values()
            .map(|budget| budget.status(now))
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
}

impl Budget {
    /// Waits for the right to make one request.
    ///
    /// Dropping the future leaves the queue. Waiting for the rate takes as long as it takes; waiting for a blocked
    /// registry ends with [`Blocked`] when it is longer than the longest wait.
    pub(crate) async fn acquire(
        &self,
        class: Class,
        priority: Priority,
        tenant: &Arc<str>,
    ) -> Result<Permit, Blocked> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut shared = lock(&self.shared);
            // Where nobody waits there is nobody to overtake.
            if shared.waiting == 0
                && let Some(permit) = self.start(&mut shared, class)
            {
                return Ok(permit);
            }
            shared.lanes[priority as usize][class as usize].push(tenant, Waiter { class, sender });
            shared.waiting += 1;
        }
        self.pump();
        // The sender lives in the queue, and the queue as long as `self`.
        receiver.await.unwrap_or(Err(Blocked {
            retry_after: Duration::from_secs(1),
        }))
    }

    fn start(&self, shared: &mut Shared, class: Class) -> Option<Permit> {
        let budget = self.myself.upgrade()?;
        let started = Instant::now();
        shared.state.start(started, class).ok()?;
        shared.granted += 1;
        Some(Permit {
            budget,
            class,
            started,
        })
    }

    fn status(&self, now: Timestamp) -> BudgetStatus {
        let shared = lock(&self.shared);
        let instant = Instant::now();
        BudgetStatus {
            name: self.name.clone(),
            limits: shared.state.limits(),
            rate: shared.state.rate(),
            in_flight: shared.state.in_flight(),
            waiting: shared.waiting,
            blocked_until: shared
                .state
                .blocked_until(instant)
                .and_then(|until| now.checked_add(until - instant).ok()),
            started: shared.state.started,
            refused: shared.state.refused,
        }
    }

    /// Gives out all permits that are due, and sees to it that somebody comes back for the next one.
    fn pump(&self) {
        let Some(budget) = self.myself.upgrade() else {
            return;
        };
        let mut deliveries = Vec::new();
        {
            let mut shared = lock(&self.shared);
            let now = Instant::now();
            let wake = shared.grant(now, &budget, &mut deliveries);
            shared.set_timer(wake, &self.myself);
        }
        // Outside the lock: a permit that nobody takes is dropped here, and dropping takes the lock again.
        for (sender, granted) in deliveries {
            let _ = sender.send(granted);
        }
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        if let Some((_, timer)) = lock(&self.shared).timer.take() {
            timer.abort();
        }
    }
}

type Deliveries = Vec<(oneshot::Sender<Granted>, Granted)>;

impl Shared {
    fn new(state: BudgetState) -> Self {
        Self {
            state,
            lanes: Default::default(),
            waiting: 0,
            granted: 0,
            timer: None,
        }
    }

    /// Starts as many requests as are due; says when the next one is.
    fn grant(
        &mut self,
        now: Instant,
        budget: &Arc<Budget>,
        deliveries: &mut Deliveries,
    ) -> Option<Instant> {
        loop {
            let mut wake = None;
            let mut granted = None;
            for (priority, class) in self.order() {
                let lane = &mut self.lanes[priority][class as usize];
                self.waiting -= lane.forget_gone();
                if lane.is_empty() {
                    continue;
                }
                match self.state.start(now, class) {
                    Ok(()) => {
                        granted = lane.pop();
                        break;
                    }
                    // The registry wants to be left alone for longer than a request waits.
                    Err(Wait::Until(at)) if at - now > budget.longest_wait => {
                        let retry_after = at - now;
                        for waiter in lane.drain() {
                            self.waiting -= 1;
                            deliveries.push((waiter.sender, Err(Blocked { retry_after })));
                        }
                    }
                    Err(Wait::Until(at)) => {
                        wake = Some(wake.map_or(at, |wake: Instant| wake.min(at)));
                    }
                    Err(Wait::ForAnEnd) => {}
                }
            }
            let Some(waiter) = granted else {
                return wake;
            };
            self.waiting -= 1;
            self.granted += 1;
            deliveries.push((
                waiter.sender,
                Ok(Permit {
                    budget: Arc::clone(budget),
                    class: waiter.class,
                    started: now,
                }),
            ));
        }
    }

    /// The lanes in the order they are served now.
    fn order(&self) -> [(usize, Class); 6] {
        let lowest_first = self.granted % LOWEST_FIRST_EVERY == LOWEST_FIRST_EVERY - 1;
        let priorities = if lowest_first { [2, 0, 1] } else { [0, 1, 2] };
        let [first, second, last] = priorities;
        // Of two kinds with the same priority, neither may starve the other.
        let [one, other] = if self.granted.is_multiple_of(2) {
            [Class::List, Class::Pull]
        } else {
            [Class::Pull, Class::List]
        };
        [
            (first, one),
            (first, other),
            (second, one),
            (second, other),
            (last, one),
            (last, other),
        ]
    }

    fn set_timer(&mut self, wake: Option<Instant>, budget: &Weak<Budget>) {
        match (wake, &self.timer) {
            (None, None) => {}
            (Some(wake), Some((at, _))) if *at <= wake => {}
            _ => {
                if let Some((_, timer)) = self.timer.take() {
                    timer.abort();
                }
                if let Some(wake) = wake {
                    let budget = Weak::clone(budget);
                    let timer = tokio::spawn(async move {
                        tokio::time::sleep_until(wake).await;
                        if let Some(budget) = budget.upgrade() {
                            lock(&budget.shared).timer = None;
                            budget.pump();
                        }
                    });
                    self.timer = Some((wake, timer.abort_handle()));
                }
            }
        }
    }
}

impl Lane {
    fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    fn push(&mut self, tenant: &Arc<str>, waiter: Waiter) {
        let queue = self.queues.entry(Arc::clone(tenant)).or_default();
        if queue.is_empty() {
            self.turns.push_back(Arc::clone(tenant));
        }
        queue.push_back(waiter);
    }

    /// Takes out waiters who have left, as far as they stand in front; says how many.
    fn forget_gone(&mut self) -> usize {
        let mut gone = 0;
        while let Some(tenant) = self.turns.front()
            && let Some(queue) = self.queues.get_mut(tenant)
        {
            while queue
                .front()
                .is_some_and(|waiter| waiter.sender.is_closed())
            {
                queue.pop_front();
                gone += 1;
            }
            if !queue.is_empty() {
                break;
            }
            self.queues.remove(tenant);
            self.turns.pop_front();
        }
        gone
    }

    /// The first waiter of the tenant whose turn it is.
    fn pop(&mut self) -> Option<Waiter> {
        let tenant = self.turns.pop_front()?;
        let queue = self.queues.get_mut(&tenant)?;
        let waiter = queue.pop_front();
        if queue.is_empty() {
            self.queues.remove(&tenant);
        } else {
            self.turns.push_back(tenant);
        }
        waiter
    }

    fn drain(&mut self) -> impl Iterator<Item = Waiter> {
        self.turns.clear();
        self.queues.drain().flat_map(|(_, queue)| queue)
    }
}

impl Permit {
    /// Tells the budget how the request ended.
    pub(crate) fn judge(&self, verdict: Verdict) {
        let mut shared = lock(&self.budget.shared);
        shared.state.judge(Instant::now(), self.started, verdict);
    }

    /// Tells the budget what the registry says about its limit.
    pub(crate) fn learn(&self, allowance: Allowance) {
        let mut shared = lock(&self.budget.shared);
        shared.state.learn(Instant::now(), self.class, allowance);
    }

    /// How long nothing may start, after a refusal.
    pub(crate) fn blocked_for(&self) -> Option<Duration> {
        let now = Instant::now();
        let until = lock(&self.budget.shared).state.blocked_until(now)?;
        Some(until - now)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let is_awaited = {
            let mut shared = lock(&self.budget.shared);
            shared.state.end();
            shared.waiting > 0
        };
        if is_awaited {
            self.budget.pump();
        }
    }
}

impl BudgetName {
    /// Its key in the store.
    fn key(&self) -> String {
        format!(
            "{}\n{}\n{}",
            self.host,
            self.identity,
            self.proxy.as_deref().unwrap_or_default()
        )
    }
}

impl fmt::Display for BudgetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.host, self.identity)?;
        if let Some(proxy) = &self.proxy {
            write!(f, " through {proxy}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
