//! Spans of time.

use super::super::function::{Function, Kind, fixed};
use super::super::run::{Fault, Run};
use super::super::value::Value;
use std::fmt::Write;

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "duration" => fixed(&[Kind::Any], |run, values| {
            let seconds = match &values[0] {
                Value::Text(text) => text.parse().unwrap_or(0),
                Value::Int64(seconds) => *seconds,
                _ => 0,
            };
            run.text(seconds_text(seconds))
        }),
        "durationRound" => fixed(&[Kind::Any], rounded),
        _ => return None,
    })
}

/// `1h2m3s`, as Go prints a duration of whole seconds.
fn seconds_text(seconds: i64) -> String {
    let mut text = String::new();
    if seconds < 0 {
        text.push('-');
    }
    let total = seconds.unsigned_abs();
    let (hours, minutes, seconds) = (total / 3600, total / 60 % 60, total % 60);
    if hours > 0 {
        let _ = write!(text, "{hours}h");
    }
    if total >= 60 {
        let _ = write!(text, "{minutes}m");
    }
    let _ = write!(text, "{seconds}s");
    text
}

fn rounded(run: &mut Run, values: &[Value]) -> Result<Value, Fault> {
    const SECOND: u64 = 1_000_000_000;
    let nanoseconds = match &values[0] {
        Value::Text(text) => go_duration(text).unwrap_or(0),
        Value::Int64(nanoseconds) => nanoseconds.unsigned_abs(),
        _ => 0,
    };
    let units = [
        (365 * 24 * 3600, "y"),
        (30 * 24 * 3600, "mo"),
        (24 * 3600, "d"),
        (3600, "h"),
        (60, "m"),
        (1, "s"),
    ];
    let unit = units
        .iter()
        .find(|(seconds, _)| nanoseconds > seconds * SECOND);
    run.text(match unit {
        Some((seconds, name)) => format!("{}{name}", nanoseconds / (seconds * SECOND)),
        None => "0s".to_owned(),
    })
}

/// Go's `time.ParseDuration`, without its sign, in nanoseconds.
fn go_duration(text: &str) -> Option<u64> {
    let mut rest = text.trim_start_matches(['-', '+']);
    let mut total = 0.0_f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        total += number * unit;
        rest = &rest[letters..];
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the sum is not negative, and the cast saturates"
    )]
    Some(total as u64)
}
