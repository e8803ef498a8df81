//! Everything that reaches a person's terminal or another program goes through here.
//!
//! Results go to standard output, as a table, JSON or YAML; problems, logs and progress to standard error.

mod diff;
mod log;
mod progress;
mod table;
mod text;

pub(crate) use diff::colored_diff;
pub(crate) use log::{LogFormat, start_logging};
pub(crate) use progress::{Bar, Progress};
pub(crate) use table::{Column, Table};
pub(crate) use text::{age, counted_noun, printable, with_causes};

use crate::manifest::{Problem, Severity};
use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use std::io::{self, IsTerminal as _, Write};

/// How results are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
    /// For people and programs.
    Yaml,
}

/// Whether colours are used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Good news.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Bad news.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// Worth a look.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default().bold();
/// Less important.
pub(crate) const DIM: Style = Style::new().dimmed();
/// Headings.
pub(crate) const STRONG: Style = Style::new().bold();

/// Where a command's results go.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    format: Format,
    color: Color,
    progress: Progress,
}

impl Output {
    /// An output; progress bars appear only on a terminal.
    pub(crate) fn new(format: Format, color: Color) -> Self {
        let progress = if io::stderr().is_terminal() && format == Format::Table {
            Progress::on_terminal()
        } else {
            Progress::hidden()
        };
        Self {
            format,
            color,
            progress,
        }
    }

    /// How results are printed.
    pub(crate) const fn format(&self) -> Format {
        self.format
    }

    /// Progress bars.
    pub(crate) const fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Standard output, with colours where they are wanted.
    pub(crate) fn stdout(&self) -> AutoStream<io::StdoutLock<'static>> {
        AutoStream::new(io::stdout().lock(), self.color.choice())
    }

    /// Standard error, with colours where they are wanted.
    pub(crate) fn stderr(&self) -> AutoStream<io::StderrLock<'static>> {
        AutoStream::new(io::stderr().lock(), self.color.choice())
    }

    /// Prints a value as JSON or YAML, or, for people, what `table` writes.
    ///
    /// # Errors
    /// When standard output is closed or full.
    pub(crate) fn print<T: serde::Serialize + ?Sized>(
        &self,
        value: &T,
        table: impl FnOnce(&mut dyn Write, &Self) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut out = self.stdout();
        match self.format {
            Format::Table => table(&mut out, self)?,
            Format::Json => {
                serde_json::to_writer_pretty(&mut out, value)?;
                writeln!(out)?;
            }
            Format::Yaml => {
                let text = serde_saphyr::to_string(&value).map_err(io::Error::other)?;
                writeln!(out, "{}", text.trim_end())?;
            }
        }
        out.flush()
    }

    /// Prints a unified diff: coloured where colours are wanted, otherwise its very bytes (carriage returns, too), so
    /// that it can be applied.
    ///
    /// # Errors
    /// When standard output is closed or full.
    pub(crate) fn print_diff(&self, diff: &str) -> io::Result<()> {
        let mut out = self.stdout();
        if out.current_choice() == anstream::ColorChoice::Never {
            let mut out = out.into_inner();
            out.write_all(diff.as_bytes())?;
            return out.flush();
        }
        colored_diff(&mut out, diff)?;
        out.flush()
    }

    /// Says something to a person on standard error.
    pub(crate) fn say(&self, text: &str) {
        self.progress.suspend(|| {
            // A closed standard error must not stop the work.
            let _ = writeln!(self.stderr(), "{text}");
        });
    }

    /// Tells a problem: what, where, what to do.
    pub(crate) fn problem(&self, problem: &Problem) {
        let (style, word) = match problem.severity {
            Severity::Error => (BAD, "error"),
            Severity::Warning => (WARN, "warning"),
        };
        self.say(&format!("{style}{word}:{style:#} {problem}"));
    }

    /// Tells an error that is about no place in a file.
    pub(crate) fn error(&self, message: &str) {
        self.say(&format!("{BAD}error:{BAD:#} {message}"));
    }

    /// Tells a warning that is about no place in a file.
    pub(crate) fn warning(&self, message: &str) {
        self.say(&format!("{WARN}warning:{WARN:#} {message}"));
    }

    /// Says something that only a person at a terminal wants to know.
    pub(crate) fn note(&self, text: &str) {
        if self.format == Format::Table && io::stderr().is_terminal() {
            self.say(&format!("{DIM}{text}{DIM:#}"));
        }
    }

    /// Columns of the terminal on standard output; `None` when it is not one.
    pub(crate) fn width() -> Option<usize> {
        terminal_size::terminal_size_of(io::stdout())
            .map(|(width, _)| usize::from(width.0))
            .filter(|width| *width >= 20)
    }
}

impl Color {
    /// As anstream takes it.
    pub(crate) const fn choice(self) -> anstream::ColorChoice {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::AlwaysAnsi,
            Self::Never => anstream::ColorChoice::Never,
        }
    }
}
