//! What the demo tells while it runs.

use std::io::{self, Write as _};
use std::time::Duration;

use super::git_remote::{ChangedFile, Commit};
use crate::output::{DIM, GOOD, Output, STRONG, unified_diff};

/// The length of an abbreviated commit id, as git's own default.
const SHORT_ID: usize = 7;

/// Tells the steps on standard output.
pub(super) struct Narration<'a> {
    output: &'a Output,
    step: std::cell::Cell<usize>,
}

impl<'a> Narration<'a> {
    pub(super) fn new(output: &'a Output) -> Self {
        Self {
            output,
            step: std::cell::Cell::new(0),
        }
    }

    /// A new step.
    pub(super) fn step(&self, title: &str) -> io::Result<()> {
        self.step.set(self.step.get() + 1);
        let number = self.step.get();
        writeln!(self.output.stdout(), "\n{STRONG}{number}. {title}{STRONG:#}")
    }

    /// A line of the present step.
    pub(super) fn line(&self, text: &str) -> io::Result<()> {
        writeln!(self.output.stdout(), "   {text}")
    }

    /// A commit that arrived, how long it took since `event`, and what it changed.
    pub(super) fn commit(
        &self,
        commit: &Commit,
        files: &[ChangedFile],
        took: Duration,
        event: &str,
    ) -> io::Result<()> {
        let mut out = self.output.stdout();
        let id = &commit.id[..SHORT_ID.min(commit.id.len())];
        let seconds = took.as_secs_f64();
        let Commit { author, message, .. } = commit;
        writeln!(
            out,
            "   {GOOD}Commit {id}{GOOD:#} by {author} arrived {STRONG}{seconds:.2} s{STRONG:#} after {event}.\n"
        )?;
        for line in message.trim_end().lines() {
            writeln!(out, "     {DIM}{line}{DIM:#}")?;
        }
        writeln!(out)?;
        for file in files {
            unified_diff(&mut out, &file.path, file.before.as_bytes(), file.after.as_bytes())?;
        }
        out.flush()
    }
}
