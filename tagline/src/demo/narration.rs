//! What the demo tells while it runs.

use std::cell::Cell;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use super::Place;
use super::git_remote::{ChangedFile, Commit, GitRemote};
use super::images::Pushed;
use tagline_updater::diff;

use crate::output::{DIM, Format, GOOD, Output, STRONG, colored_diff};

/// The length of an abbreviated commit id, as git's own default.
const SHORT_ID: usize = 7;

/// Tells the steps on standard output.
pub(super) struct Narration<'a> {
    output: &'a Output,
    step: Cell<usize>,
}

impl<'a> Narration<'a> {
    pub(super) fn new(output: &'a Output) -> Self {
        Self {
            output,
            step: Cell::new(0),
        }
    }

    /// Standard output, unless that is for a program: then standard error.
    fn out(&self) -> Box<dyn Write> {
        match self.output.format() {
            Format::Table => Box::new(self.output.stdout()),
            Format::Json | Format::Yaml => Box::new(self.output.stderr()),
        }
    }

    /// A new step.
    pub(super) fn step(&self, title: &str) -> io::Result<()> {
        let number = self.step.get() + 1;
        self.step.set(number);
        let gap = if number == 1 { "" } else { "\n" };
        writeln!(self.out(), "{gap}{STRONG}{number}. {title}{STRONG:#}")
    }

    /// A line of the present step.
    pub(super) fn line(&self, text: &str) -> io::Result<()> {
        writeln!(self.out(), "   {text}")
    }

    /// A command that does the same.
    pub(super) fn command(&self, command: &str) -> io::Result<()> {
        writeln!(self.out(), "   {DIM}$ {command}{DIM:#}")
    }

    /// The tags of some images.
    pub(super) fn images(&self, pushed: &Pushed) -> io::Result<()> {
        let mut out = self.out();
        for (repository, tags) in pushed {
            writeln!(out, "   {repository:<16} {DIM}{}{DIM:#}", tags.join("  "))?;
        }
        Ok(())
    }

    /// The marked lines of all files below a directory.
    pub(super) fn markers(&self, directory: &Path) -> io::Result<()> {
        let mut out = self.out();
        let mut directories = vec![directory.to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory)? {
                let path = entry?.path();
                if path.is_dir() {
                    directories.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path)?;
                for line in text.lines().filter(|line| line.contains("$imagepolicy")) {
                    writeln!(out, "   {DIM}{}{DIM:#}", line.trim_start())?;
                }
            }
        }
        Ok(())
    }

    /// A commit that arrived, how long it took since `event`, and what it changed.
    pub(super) fn commit(
        &self,
        commit: &Commit,
        files: &[ChangedFile],
        took: Duration,
        event: &str,
    ) -> io::Result<()> {
        let mut out = self.out();
        let Commit {
            id,
            author,
            message,
        } = commit;
        let id = id.get(..SHORT_ID).unwrap_or(id);
        let seconds = took.as_secs_f64();
        writeln!(
            out,
            "   {GOOD}Commit {id} by {author}{GOOD:#} arrived {STRONG}{seconds:.2} s{STRONG:#} after {event}:\n"
        )?;
        for line in message.trim_end().lines() {
            writeln!(out, "     {line}")?;
        }
        writeln!(out)?;
        for file in files {
            let difference =
                diff::unified(&file.path, file.before.as_bytes(), file.after.as_bytes());
            colored_diff(&mut out, &difference)?;
        }
        out.flush()
    }

    /// Where to look when the files are kept.
    pub(super) fn end(&self, place: &Place, remote: &GitRemote) -> io::Result<()> {
        let Place::Kept(directory) = place else {
            return Ok(());
        };
        let directory = directory.display();
        self.step(&format!("Everything is kept in {directory}"))?;
        self.command(&format!("git --git-dir {} log -p", remote.path().display()))?;
        self.command(&format!(
            "tagline check -f {directory}/manifests --path {directory}/fleet"
        ))
    }
}
