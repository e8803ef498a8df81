//! A progress bar on standard error for whatever takes longer than a second.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::{Duration, Instant};

/// Shorter work shows no bar.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where bars are drawn; nowhere when standard error is not a terminal.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    bars: Option<MultiProgress>,
}

/// One bar. Gone when dropped.
#[derive(Debug)]
pub(crate) struct Bar {
    bar: Option<ProgressBar>,
    bars: Option<MultiProgress>,
    started: Instant,
}

impl Progress {
    /// Bars on the terminal.
    pub(crate) fn on_terminal() -> Self {
        Self {
            bars: Some(MultiProgress::new()),
        }
    }

    /// No bars.
    pub(crate) const fn hidden() -> Self {
        Self { bars: None }
    }

    /// A bar for `total` steps, shown once the work has taken a second.
    pub(crate) fn bar(&self, what: &str, total: usize) -> Bar {
        let bar = self.bars.as_ref().map(|_| {
            let bar =
                ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::hidden());
            let template = "{msg} {wide_bar} {pos}/{len} {per_sec} {prefix}eta {eta}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_message(what.to_owned());
            bar
        });
        Bar {
            bar,
            bars: self.bars.clone(),
            started: Instant::now(),
        }
    }

    /// Runs something that writes to the terminal, with the bars out of its way.
    pub(crate) fn suspend<R>(&self, write: impl FnOnce() -> R) -> R {
        match &self.bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
    }
}

impl Bar {
    /// One more step is done.
    pub(crate) fn step(&mut self) {
        let Some(bar) = &self.bar else {
            return;
        };
        bar.inc(1);
        if let Some(bars) = self
            .bars
            .as_ref()
            .filter(|_| self.started.elapsed() >= PATIENCE)
        {
            bars.add(bar.clone());
            self.bars = None;
        }
    }

    /// Shows a note beside the rate, for example how much of a budget is left.
    pub(crate) fn note(&self, note: &str) {
        if let Some(bar) = &self.bar {
            bar.set_prefix(format!("{note} "));
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
