//! Durations as Flux writes them: `1h30m`, `500ms`, `1.5h`.

use std::fmt;
use std::time::Duration;

/// A span of time with Flux's grammar `([0-9]+(\.[0-9]+)?(ms|s|m|h))+`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Span(pub(crate) Duration);

/// A [`Span`] without hours, as Flux's time-outs have it (`([0-9]+(\.[0-9]+)?(ms|s|m))+`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Timeout(pub(crate) Duration);

/// A text that is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidSpan {
    /// Not the grammar at all.
    #[error(
        "{0:?} is not a duration: write numbers with units, for example 30s, 5m or 1h30m (units: {1})"
    )]
    Grammar(String, &'static str),
    /// Too long to count.
    #[error("{0:?} is too long a duration")]
    TooLong(String),
}

impl Span {
    /// Reads a duration.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidSpan> {
        read(text, &["ms", "s", "m", "h"], "ms, s, m, h").map(Self)
    }

    /// Reads a duration that may also be given in days or weeks, as Tagline's own fields and flags allow.
    pub(crate) fn parse_with_days(text: &str) -> Result<Self, InvalidSpan> {
        read(text, &["ms", "s", "m", "h", "d", "w"], "ms, s, m, h, d, w").map(Self)
    }
}

impl Timeout {
    /// Reads a time-out.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidSpan> {
        read(text, &["ms", "s", "m"], "ms, s, m").map(Self)
    }
}

fn read(text: &str, units: &[&str], unit_names: &'static str) -> Result<Duration, InvalidSpan> {
    let wrong = || InvalidSpan::Grammar(text.chars().take(80).collect(), unit_names);
    let too_long = || InvalidSpan::TooLong(text.chars().take(80).collect());
    if text.is_empty() {
        return Err(wrong());
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| c.is_ascii_alphabetic())
            .ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(end);
        let unit_end = tail
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        if !units.contains(&unit) {
            return Err(wrong());
        }
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            return Err(wrong());
        }
        let nanos_per_unit: u64 = match unit {
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => 86_400_000_000_000,
            _ => 604_800_000_000_000,
        };
        let whole: u64 = whole.parse().map_err(|_| too_long())?;
        let fraction: f64 = format!("0.{fraction}").parse().map_err(|_| wrong())?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a fraction of one unit: below 2^63 nanoseconds"
        )]
        let fraction_nanos = (fraction * nanos_per_unit as f64) as u64;
        let nanos = whole
            .checked_mul(nanos_per_unit)
            .and_then(|n| n.checked_add(fraction_nanos))
            .ok_or_else(too_long)?;
        total = total
            .checked_add(Duration::from_nanos(nanos))
            .ok_or_else(too_long)?;
        rest = tail;
    }
    Ok(total)
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&go_duration(self.0))
    }
}

/// A duration as Go prints it: `1m30s`, `500ms`, `0s`.
pub(crate) fn go_duration(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.subsec_millis());
    if seconds == 0 && millis > 0 {
        return format!("{millis}ms");
    }
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = if millis == 0 {
        String::new()
    } else {
        format!(".{millis:03}").trim_end_matches('0').to_owned()
    };
    match (hours, minutes) {
        (0, 0) => format!("{rest}{fraction}s"),
        (0, _) => format!("{minutes}m{rest}{fraction}s"),
        _ => format!("{hours}h{minutes}m{rest}{fraction}s"),
    }
}

/// Takes a text, and says what sort of text where there is none.
struct DurationText;

impl serde::de::Visitor<'_> for DurationText {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration with its unit, for example 30s or 5m")
    }

    fn visit_str<E>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }
}

macro_rules! serde_by_text {
    ($type:ty) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer
                    .deserialize_str(DurationText)
                    .and_then(|text| Self::parse(&text).map_err(serde::de::Error::custom))
            }
        }
    };
}
serde_by_text!(Span);
serde_by_text!(Timeout);

/// A duration in which days and weeks may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LongSpan(pub(crate) Duration);

impl LongSpan {
    fn parse(text: &str) -> Result<Self, InvalidSpan> {
        Span::parse_with_days(text).map(|span| Self(span.0))
    }
}
serde_by_text!(LongSpan);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flux_grammar() {
        for (text, millis) in [
            ("0s", 0),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("1.5h", 5_400_000),
            ("250ms", 250),
            ("1m0.5s", 60_500),
        ] {
            assert_eq!(
                Span::parse(text).unwrap().0,
                Duration::from_millis(millis),
                "{text}"
            );
        }
        for text in [
            "", "5", "5 m", "m", "1d", "-5m", "1.m", ".5m", "5M", "1h 30m", "5ミ",
        ] {
            assert!(Span::parse(text).is_err(), "{text}");
        }
        assert!(Timeout::parse("1h").is_err());
        assert!(Span::parse("99999999999999999999h").is_err());
        assert_eq!(Span::parse_with_days("7d").unwrap().0.as_secs(), 604_800);
    }

    #[test]
    fn prints_as_go_does() {
        for (millis, text) in [
            (0, "0s"),
            (250, "250ms"),
            (60_500, "1m0.5s"),
            (5_400_000, "1h30m0s"),
        ] {
            assert_eq!(go_duration(Duration::from_millis(millis)), text);
        }
    }
}
