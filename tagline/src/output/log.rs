//! Log lines on standard error, as text or JSON, never in the middle of a progress bar.

use super::{Color, Progress};
use crate::exit::BadInput;
use std::io::{self, IsTerminal as _, Write};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Starts logging. `level` is a level or a filter in the syntax of `RUST_LOG`; without one, `RUST_LOG`
/// decides, and without that `default`.
///
/// # Errors
/// When `level` is neither.
pub(crate) fn start_logging(
    format: LogFormat,
    level: Option<&str>,
    default: &str,
    color: Color,
    progress: &Progress,
) -> anyhow::Result<()> {
    let filter = match level {
        Some(level) => EnvFilter::try_new(level).map_err(|error| {
            BadInput::error(format!("--log-level {level:?} is not a level or filter ({error}): use error, warn, info, debug or trace"))
        })?,
        None => match std::env::var(EnvFilter::DEFAULT_ENV) {
            Ok(text) if !text.is_empty() => EnvFilter::try_new(&text)
                .map_err(|error| BadInput::error(format!("RUST_LOG {text:?} is not a filter: {error}")))?,
            _ => EnvFilter::new(default),
        },
    };
    let ansi = match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
        }
    };
    let lines = Lines(progress.clone());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(lines)
        .with_target(false);
    match format {
        LogFormat::Text => builder.with_ansi(ansi).init(),
        LogFormat::Json => builder.with_ansi(false).json().flatten_event(true).init(),
    }
    Ok(())
}

struct Lines(Progress);

struct Line<'a>(&'a Progress);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().lock().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}
