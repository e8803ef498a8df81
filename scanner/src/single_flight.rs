//! One run for all who want the same thing at the same time.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::WeakShared;

type Run<V> = Pin<Box<dyn Future<Output = V> + Send>>;

/// Runs in progress, by what they are for.
///
/// Whoever asks while a run is in progress waits for its result; whoever asks after it has ended starts
/// another. The run is driven by those who wait: it goes on as long as one of them does, and is dropped
/// with the last.
pub struct SingleFlight<K, V> {
    runs: Mutex<Runs<K, V>>,
}

struct Runs<K, V> {
    by_key: HashMap<K, (u64, WeakShared<Run<V>>)>,
    /// Numbers the runs: one that ends late must not take the next one's place from the list.
    started: u64,
}

impl<K, V> Default for SingleFlight<K, V> {
    fn default() -> Self {
        Self {
            runs: Mutex::new(Runs {
                by_key: HashMap::new(),
                started: 0,
            }),
        }
    }
}

impl<K, V> SingleFlight<K, V>
where
    K: Eq + Hash + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// The result of the run for `key`, which is `start`ed unless one is in progress.
    pub fn run<S, F>(
        self: &Arc<Self>,
        key: K,
        start: S,
    ) -> impl Future<Output = V> + Send + use<K, V, S, F>
    where
        S: FnOnce() -> F,
        F: Future<Output = V> + Send + 'static,
    {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let in_progress = runs.by_key.get(&key).and_then(|(_, run)| run.upgrade());
        if let Some(run) = in_progress {
            return run;
        }
        let work = start();
        runs.started += 1;
        let number = runs.started;
        let ended = Ended {
            flight: Arc::clone(self),
            key: key.clone(),
            number,
        };
        let run: Run<V> = Box::pin(async move {
            let result = work.await;
            // Before anybody sees the result: who asks after that wants a newer one.
            drop(ended);
            result
        });
        let run = run.shared();
        if let Some(weak) = run.downgrade() {
            runs.by_key.insert(key, (number, weak));
        }
        run
    }

    /// How many runs are in progress.
    #[must_use]
    pub fn len(&self) -> usize {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.by_key.retain(|_, (_, run)| run.upgrade().is_some());
        runs.by_key.len()
    }

    /// Whether nothing is in progress.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Takes a run from the list when it ends, or is dropped before.
struct Ended<K: Eq + Hash, V> {
    flight: Arc<SingleFlight<K, V>>,
    key: K,
    number: u64,
}

impl<K: Eq + Hash, V> Drop for Ended<K, V> {
    fn drop(&mut self) {
        let runs = self.flight.runs.lock();
        let mut runs = runs.unwrap_or_else(PoisonError::into_inner);
        let is_own = |(number, _): &(u64, _)| *number == self.number;
        if runs.by_key.get(&self.key).is_some_and(is_own) {
            runs.by_key.remove(&self.key);
        }
    }
}

impl<K, V> fmt::Debug for SingleFlight<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SingleFlight").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::future::join_all;
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn many_who_ask_share_one_run() {
        let flight = Arc::new(SingleFlight::default());
        let (runs, open) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let ask = |key: &'static str| {
            let (runs, open) = (Arc::clone(&runs), Arc::clone(&open));
            flight.run(key, move || async move {
                runs.fetch_add(1, Ordering::SeqCst);
                open.notified().await;
                key.len()
            })
        };
        let asked = join_all((0..100).map(|_| ask("app")));
        let (lengths, ()) = tokio::join!(asked, async {
            tokio::task::yield_now().await;
            open.notify_one();
        });
        assert_eq!(lengths, vec![3; 100]);
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        assert!(flight.is_empty());
        // Afterwards it is done anew.
        open.notify_one();
        assert_eq!(ask("app").await, 3);
        assert_eq!(runs.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_run_that_nobody_waits_for_ends() {
        let flight: Arc<SingleFlight<u8, ()>> = Arc::default();
        let run = tokio::spawn({
            let flight = Arc::clone(&flight);
            async move { flight.run(1, std::future::pending).await }
        });
        while flight.is_empty() {
            tokio::task::yield_now().await;
        }
        run.abort();
        assert!(run.await.unwrap_err().is_cancelled());
        assert!(flight.is_empty());
        flight.run(1, || async {}).await;
    }

    #[tokio::test]
    async fn the_first_who_asked_may_leave() {
        let flight: Arc<SingleFlight<u8, u8>> = Arc::default();
        let open = Arc::new(Notify::new());
        let ask = || {
            let (flight, open) = (Arc::clone(&flight), Arc::clone(&open));
            tokio::spawn(async move {
                flight
                    .run(1, || async move {
                        open.notified().await;
                        7
                    })
                    .await
            })
        };
        let first = ask();
        while flight.is_empty() {
            tokio::task::yield_now().await;
        }
        let second = ask();
        tokio::task::yield_now().await;
        first.abort();
        assert!(first.await.is_err());
        open.notify_one();
        assert_eq!(second.await.unwrap(), 7);
    }
}
