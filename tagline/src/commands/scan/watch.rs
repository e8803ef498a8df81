//! `tagline scan --watch`: scans again and again, and shows what comes and goes.

use super::{AT_ONCE, Wanted};
use crate::exit::Exit;
use crate::output::{BAD, DIM, Format, GOOD, Output, counted_noun, printable};
use crate::resources::go_duration;
use jiff::Timestamp;
use serde::Serialize;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tagline_policy::Tag;
use tagline_scanner::{Scan, ScanMode, Scanner, TagSet};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Events that wait to be printed.
const WAITING_EVENTS: usize = 64;

/// Something that happened to an image, as other programs rely on it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    image: String,
    canonical: String,
    #[serde(rename = "event")]
    change: Change,
    tag: Option<Tag>,
    at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Change {
    Added,
    Removed,
    /// It cannot be scanned, for a new reason.
    Failed,
    /// It can be scanned again.
    Recovered,
}

/// Watches until it is cancelled. Every image goes its own way: one that is slow or gone holds up no other.
///
/// # Errors
/// When nothing can be printed.
pub(super) async fn watch(
    wanted: Vec<Wanted>,
    scanner: &Scanner,
    interval: Duration,
    output: &Output,
    cancel: &CancellationToken,
) -> anyhow::Result<Exit> {
    output.note(&format!(
        "watching {}, each scanned every {}; Ctrl-C ends",
        counted_noun(wanted.len(), "image"),
        go_duration(interval)
    ));
    let (sender, mut events) = mpsc::channel(WAITING_EVENTS);
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut watchers = JoinSet::new();
    for wanted in wanted {
        let watcher = Watcher {
            wanted,
            scanner: scanner.clone(),
            events: sender.clone(),
            has_list: false,
            failure: None,
        };
        watchers.spawn(watcher.run(interval, Arc::clone(&permits)));
    }
    drop(sender);
    let ended = loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = cancel.cancelled() => None,
        };
        match event {
            Some(event) => {
                if let Err(error) = print(&event, output) {
                    break Err(error.into());
                }
            }
            None => break Ok(Exit::Done),
        }
    };
    watchers.shutdown().await;
    ended
}

/// One image and what was told about it.
struct Watcher {
    wanted: Wanted,
    scanner: Scanner,
    events: mpsc::Sender<Event>,
    /// A first list is what there is, not what changed.
    has_list: bool,
    failure: Option<String>,
}

impl Watcher {
    async fn run(mut self, interval: Duration, permits: Arc<Semaphore>) {
        loop {
            let scanned = {
                let Ok(_permit) = permits.acquire().await else {
                    return;
                };
                let target = &self.wanted.target;
                self.scanner.scan(target, ScanMode::Conditional).await
            };
            let told = match scanned {
                Ok(scan) => self.scanned(&scan).await,
                Err(error) => self.failed(error.to_string()).await,
            };
            // Nobody listens any more.
            if told.is_err() {
                return;
            }
            tokio::time::sleep(interval).await;
        }
    }

    async fn scanned(&mut self, scan: &Scan) -> Result<(), mpsc::error::SendError<Event>> {
        if self.failure.take().is_some() {
            let recovered = self.event(Change::Recovered, None, None);
            self.events.send(recovered).await?;
        }
        let is_first = !self.has_list && scan.added.len() == scan.tags.len();
        self.has_list = true;
        if is_first {
            return Ok(());
        }
        self.tell(&scan.added, Change::Added).await?;
        self.tell(&scan.removed, Change::Removed).await
    }

    async fn tell(
        &self,
        tags: &TagSet,
        change: Change,
    ) -> Result<(), mpsc::error::SendError<Event>> {
        for (tag, _) in tags.unpack().iter() {
            let event = self.event(change, Some(tag.to_owned()), None);
            self.events.send(event).await?;
        }
        Ok(())
    }

    /// The same failure is told once.
    async fn failed(&mut self, error: String) -> Result<(), mpsc::error::SendError<Event>> {
        if self.failure.as_ref() == Some(&error) {
            return Ok(());
        }
        let event = self.event(Change::Failed, None, Some(error.clone()));
        self.failure = Some(error);
        self.events.send(event).await
    }

    fn event(&self, change: Change, tag: Option<Tag>, error: Option<String>) -> Event {
        Event {
            image: self.wanted.shown.clone(),
            canonical: self.wanted.target.image.to_string(),
            change,
            tag,
            at: Timestamp::now(),
            error,
        }
    }
}

fn print(event: &Event, output: &Output) -> std::io::Result<()> {
    let mut out = output.stdout();
    match output.format() {
        Format::Table => {
            let tag = event.tag.as_ref().map_or("", Tag::as_str);
            let image = &event.image;
            match event.change {
                Change::Added => writeln!(out, "{GOOD}+ {image}:{tag}{GOOD:#}")?,
                Change::Removed => writeln!(out, "{DIM}- {image}:{tag}{DIM:#}")?,
                Change::Failed => {
                    let error = event.error.as_deref().unwrap_or_default();
                    writeln!(out, "{BAD}! {image}: {}{BAD:#}", printable(error))?;
                }
                Change::Recovered => writeln!(out, "  {image} can be scanned again")?,
            }
        }
        Format::Json => {
            serde_json::to_writer(&mut out, event)?;
            writeln!(out)?;
        }
        Format::Yaml => {
            drop(out);
            return output.print(&[event], |_, _| Ok(()));
        }
    }
    out.flush()
}
