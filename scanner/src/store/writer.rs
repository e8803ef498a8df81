//! The one thread that writes. Whoever wants something durable hands it a batch and waits; what has come
//! in meanwhile is committed together, because a commit costs the same for one batch as for a hundred.

use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use super::batch::Batch;
use super::database::Database;
use super::error::StoreError;

/// Batches that may wait for the writer before callers have to.
const QUEUE: usize = 512;
/// A transaction takes no more batches once it holds this much.
const TRANSACTION_BATCHES: usize = 512;
/// As [`TRANSACTION_BATCHES`], in bytes.
const TRANSACTION_BYTES: usize = 8 << 20;

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
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || run(&database, requests))
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

fn run(database: &Database, mut requests: mpsc::Receiver<Request>) {
    let mut batches = Vec::new();
    let mut waiting = Vec::new();
    let mut has_written = false;
    while let Some(first) = requests.blocking_recv() {
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(Request { batch, done }) = next.take() {
            bytes += batch.bytes();
            batches.push(batch);
            waiting.push(done);
            if bytes < TRANSACTION_BYTES && batches.len() < TRANSACTION_BATCHES {
                next = requests.try_recv().ok();
            }
        }
        let result = database.commit(&batches);
        has_written |= result.is_ok();
        batches.clear();
        for done in waiting.drain(..) {
            // Somebody who no longer waits has no need of the answer.
            let _ = done.send(result.clone());
        }
    }
    if has_written {
        database.trim();
    }
}
