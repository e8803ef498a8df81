//! The one thread that writes. Whoever wants something durable hands it a batch and waits; what has come
//! in meanwhile is committed together, because a commit costs nearly the same for one batch as for a hundred.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::batch::Batch;
use super::database::Database;
use super::error::StoreError;

/// Batches that may wait for the writer before callers have to.
const QUEUE: usize = 512;
/// A transaction takes no more batches once it holds this much.
const TRANSACTION_BATCHES: usize = 512;
/// As [`TRANSACTION_BATCHES`], in bytes.
const TRANSACTION_BYTES: usize = 8 << 20;
/// A transaction that follows one of so many batches waits for more of them …
const BUSY: usize = 8;
/// … for so long at most …
const GATHER: Duration = Duration::from_millis(20);
/// … looking again after this time, and until none has come meanwhile.
const LULL: Duration = Duration::from_millis(2);
/// How long the file's free pages may go unrecorded. Recording them makes a commit three times as dear; without it, the
/// file is walked through when it is opened after a crash.
const RECORD_EVERY: Duration = Duration::from_secs(1);

struct Request {
    batch: Batch,
    done: oneshot::Sender<Result<(), StoreError>>,
}

/// Owns the thread; dropping it ends the thread after the last batch.
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(database: Arc<Database>) -> Result<Self, StoreError> {
        let (queue, requests) = mpsc::channel(QUEUE);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|error| StoreError::write(redb::Error::Io(error)))?;
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || runtime.block_on(run(&database, requests)))
            .map_err(|error| StoreError::write(redb::Error::Io(error)))?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    pub(super) async fn write(&self, batch: Batch) -> Result<(), StoreError> {
        let (done, result) = oneshot::channel();
        self.queue()?
            .send(Request { batch, done })
            .await
            .map_err(|_| StoreError::Closed)?;
        result.await.map_err(|_| StoreError::Closed)?
    }

    pub(super) fn write_blocking(&self, batch: Batch) -> Result<(), StoreError> {
        let (done, result) = oneshot::channel();
        self.queue()?
            .blocking_send(Request { batch, done })
            .map_err(|_| StoreError::Closed)?;
        result.blocking_recv().map_err(|_| StoreError::Closed)?
    }

    fn queue(&self) -> Result<&mpsc::Sender<Request>, StoreError> {
        self.queue.as_ref().ok_or(StoreError::Closed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's writer ended abnormally");
        }
    }
}

async fn run(database: &Database, mut requests: mpsc::Receiver<Request>) {
    let mut work = Work::default();
    let mut last_size = 0;
    let mut has_written = false;
    // When the free pages have to be recorded: a while after the first commit that did not.
    let mut record_at: Option<Instant> = None;
    loop {
        let first = match record_at {
            None => requests.recv().await,
            Some(at) => {
                if let Ok(first) = timeout_at(at, requests.recv()).await {
                    first
                } else {
                    if let Err(error) = database.commit(&[], true) {
                        tracing::warn!(%error, "the store's free pages cannot be recorded");
                    }
                    record_at = None;
                    continue;
                }
            }
        };
        let Some(first) = first else { break };
        work.add(first);
        let until = Instant::now() + GATHER;
        loop {
            let before = work.batches.len();
            work.add_waiting(&mut requests);
            let is_lull = work.batches.len() == before;
            if is_lull || work.is_full() || last_size < BUSY || Instant::now() >= until {
                break;
            }
            // Asleep rather than waiting for the next: nobody has to wake us up for each.
            tokio::time::sleep(LULL).await;
        }
        let now = Instant::now();
        let record = record_at.is_some_and(|at| at <= now);
        let result = database.commit(&work.batches, record);
        has_written |= result.is_ok();
        record_at = if record {
            None
        } else {
            record_at.or(Some(now + RECORD_EVERY))
        };
        last_size = work.finish(&result);
    }
    if has_written {
        database.trim();
    }
}

/// What goes into the next transaction.
#[derive(Default)]
struct Work {
    batches: Vec<Batch>,
    waiting: Vec<oneshot::Sender<Result<(), StoreError>>>,
    bytes: usize,
}

impl Work {
    fn add(&mut self, Request { batch, done }: Request) {
        self.bytes += batch.bytes();
        self.batches.push(batch);
        self.waiting.push(done);
    }

    /// Takes what has come in, as far as there is room.
    fn add_waiting(&mut self, requests: &mut mpsc::Receiver<Request>) {
        while !self.is_full()
            && let Ok(request) = requests.try_recv()
        {
            self.add(request);
        }
    }

    const fn is_full(&self) -> bool {
        self.bytes >= TRANSACTION_BYTES || self.batches.len() >= TRANSACTION_BATCHES
    }

    /// Tells everybody; says how many they were.
    fn finish(&mut self, result: &Result<(), StoreError>) -> usize {
        let size = self.batches.len();
        self.batches.clear();
        self.bytes = 0;
        for done in self.waiting.drain(..) {
            // Somebody who no longer waits has no need of the answer.
            let _ = done.send(result.clone());
        }
        size
    }
}
