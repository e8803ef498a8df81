//! A progress bar on standard error for whatever takes longer than a second.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::time::{Duration, Instant};
use tagline_scanner::BudgetStatus;

/// How often the budgets are looked at.
const NOTE_EVERY: Duration = Duration::from_millis(500);
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
    drawn: Option<ProgressBar>,
    bars: Option<MultiProgress>,
    started: Instant,
    noted: Instant,
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
            let template = "{msg} {wide_bar} {pos}/{len} {rate} {prefix}eta {eta}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.with_key("rate", write_rate));
            }
            bar.set_message(what.to_owned());
            bar
        });
        Bar {
            drawn: bar,
            bars: self.bars.clone(),
            started: Instant::now(),
            noted: Instant::now(),
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
        let Some(bar) = &self.drawn else {
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

    /// Shows the budget that the work waits for, every half second.
    pub(crate) fn budgets(&mut self, budgets: impl FnOnce() -> Vec<BudgetStatus>) {
        let Some(bar) = self
            .drawn
            .as_ref()
            .filter(|_| self.noted.elapsed() >= NOTE_EVERY)
        else {
            return;
        };
        self.noted = Instant::now();
        bar.set_prefix(budget_note(&budgets()));
    }
}

/// The budget with the longest queue: whose it is, its rate, and whether the registry wants to be left alone.
fn budget_note(budgets: &[BudgetStatus]) -> String {
    let Some(budget) = budgets.iter().max_by_key(|budget| budget.waiting) else {
        return String::new();
    };
    let rate = budget.rate.map_or_else(
        || "no limit".to_owned(),
        |rate| format!("at most {rate:.1}/s"),
    );
    match budget.blocked_until {
        Some(until) => format!("{} blocked until {until:.0} ", budget.name),
        None => format!("{} {rate} ", budget.name),
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.drawn {
            bar.finish_and_clear();
        }
    }
}

/// Steps per second, as people read them: the library's own have four decimals.
fn write_rate(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    // A formatter that refuses only leaves the rate out of the bar.
    let _ = write!(out, "{:.1}/s", state.per_sec());
}
