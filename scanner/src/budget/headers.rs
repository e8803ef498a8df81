//! What registries say about their limits: `Retry-After`, `RateLimit-*` (the IETF drafts), `X-RateLimit-*`, and Docker
//! Hub's `ratelimit-remaining: 76;w=21600`.

use super::state::Allowance;
use http::header::{HeaderMap, RETRY_AFTER};
use std::time::{Duration, SystemTime};

/// Numbers above this are points in time (seconds since 1970), not spans.
const EPOCH: u64 = 1_000_000_000;

/// How long to wait before the next request: seconds, or a date.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        // GHCR gives fractions of a millisecond; nobody means less than a moment.
        return (seconds.is_finite() && seconds >= 0.0)
            .then(|| Duration::from_secs_f64(seconds.clamp(0.1, 1e9)));
    }
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Duration::from_secs(1_000_000_000));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(
        date.duration_since(now)
            .unwrap_or_default()
            .max(Duration::from_millis(100)),
    )
}

/// What is left of the registry's own limit.
pub(crate) fn allowance(headers: &HeaderMap, now: SystemTime) -> Option<Allowance> {
    combined(headers, now).or_else(|| {
        ["ratelimit", "x-ratelimit", "x-rate-limit"]
            .into_iter()
            .find_map(|family| separate(headers, family, now))
    })
}

/// `RateLimit-Remaining`, `-Limit`, `-Reset`; each may carry `;w=<seconds>`.
fn separate(headers: &HeaderMap, family: &str, now: SystemTime) -> Option<Allowance> {
    let read = |name: &str| headers.get(format!("{family}-{name}"))?.to_str().ok();
    let (remaining, window) = number_and_window(read("remaining")?)?;
    let limit = read("limit").and_then(number_and_window);
    let window = window.or_else(|| limit.and_then(|(_, window)| window));
    Some(Allowance {
        remaining,
        limit: limit.map(|(limit, _)| limit),
        reset: read("reset")
            .and_then(number)
            .map(|reset| until(reset, now)),
        window: window.map(Duration::from_secs),
    })
}

/// `RateLimit: limit=100, remaining=50, reset=30` and the newer `RateLimit: "default";r=50;t=30`.
fn combined(headers: &HeaderMap, now: SystemTime) -> Option<Allowance> {
    let text = headers.get("ratelimit")?.to_str().ok()?;
    let mut found = Allowance {
        remaining: u64::MAX,
        limit: None,
        reset: None,
        window: None,
    };
    for part in text.split([',', ';']) {
        let Some((key, value)) = part.split_once('=') else {
            continue;
        };
        let Some(value) = number(value) else { continue };
        match key.trim().to_ascii_lowercase().as_str() {
            // Several policies: the one with the least left counts.
            "remaining" | "r" if value < found.remaining => found.remaining = value,
            "limit" | "q" => found.limit = Some(value),
            "reset" | "t" => found.reset = Some(until(value, now)),
            "w" => found.window = Some(Duration::from_secs(value)),
            _ => {}
        }
    }
    (found.remaining != u64::MAX).then_some(found)
}

fn number(text: &str) -> Option<u64> {
    let text = text.trim().trim_matches('"');
    let digits = text.split('.').next().unwrap_or_default();
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // More digits than a number has: as good as no limit.
    Some(digits.parse().unwrap_or(u64::MAX - 1))
}

fn number_and_window(text: &str) -> Option<(u64, Option<u64>)> {
    // Several windows in one header: the first is the one in force.
    let mut parts = text.split(',').next().unwrap_or_default().split(';');
    let value = number(parts.next()?)?;
    let window = parts.find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim()
            .eq_ignore_ascii_case("w")
            .then(|| number(value))
            .flatten()
    });
    Some((value, window))
}

/// A reset is given as a span or as a point in time.
fn until(reset: u64, now: SystemTime) -> Duration {
    if reset < EPOCH {
        return Duration::from_secs(reset);
    }
    let now = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Duration::from_secs(reset).saturating_sub(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_hours(500_000)
    }

    fn headers(list: &[(&str, &str)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_bytes(name.as_bytes()).unwrap(),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect()
    }

    #[test]
    fn reads_retry_after_in_both_forms() {
        for (value, expected) in [
            ("0", Some(100)),
            ("7", Some(7_000)),
            ("0.0004", Some(100)),
            ("1.5", Some(1_500)),
            ("Fri, 15 Jan 2027 08:01:40 GMT", Some(100_000)),
            ("Fri, 15 Jan 2016 08:01:40 GMT", Some(100)),
            ("99999999999999999999999999", Some(1_000_000_000_000)),
            ("-1", None),
            ("soon", None),
            ("", None),
            ("NaN", None),
        ] {
            assert_eq!(
                retry_after(&headers(&[("retry-after", value)]), now()),
                expected.map(Duration::from_millis),
                "{value}"
            );
        }
    }

    #[test]
    fn reads_what_registries_say_about_their_limits() {
        let seconds = |s| Some(Duration::from_secs(s));
        let allowance_of = |remaining, limit, reset, window| {
            Some(Allowance {
                remaining,
                limit,
                reset,
                window,
            })
        };
        // Docker Hub
        assert_eq!(
            allowance(
                &headers(&[
                    ("ratelimit-limit", "100;w=21600"),
                    ("ratelimit-remaining", "76;w=21600"),
                    ("docker-ratelimit-source", "192.0.2.1"),
                ]),
                now()
            ),
            allowance_of(76, Some(100), None, seconds(21600))
        );
        // GitLab
        assert_eq!(
            allowance(
                &headers(&[
                    ("RateLimit-Limit", "2000"),
                    ("RateLimit-Remaining", "1999"),
                    ("RateLimit-Reset", "1800000060"),
                ]),
                now()
            ),
            allowance_of(1999, Some(2000), seconds(60), None)
        );
        // GitHub
        assert_eq!(
            allowance(
                &headers(&[
                    ("X-RateLimit-Limit", "60"),
                    ("X-RateLimit-Remaining", "0"),
                    ("X-RateLimit-Reset", "1800003600"),
                ]),
                now()
            ),
            allowance_of(0, Some(60), seconds(3600), None)
        );
        for (value, expected) in [
            (
                "limit=100, remaining=50, reset=30",
                allowance_of(50, Some(100), seconds(30), None),
            ),
            (
                "\"default\";r=50;t=30",
                allowance_of(50, None, seconds(30), None),
            ),
            (
                "\"a\";r=50;t=30, \"b\";r=3;t=5",
                allowance_of(3, None, seconds(5), None),
            ),
            ("nonsense", None),
        ] {
            assert_eq!(
                allowance(&headers(&[("RateLimit", value)]), now()),
                expected,
                "{value}"
            );
        }
        for value in ["", "-1", "x", ";w=1", "many;w=21600"] {
            assert_eq!(
                allowance(&headers(&[("ratelimit-remaining", value)]), now()),
                None,
                "{value}"
            );
        }
        assert_eq!(
            allowance(
                &headers(&[("ratelimit-remaining", "99999999999999999999999;w=1")]),
                now()
            ),
            allowance_of(u64::MAX - 1, None, None, seconds(1))
        );
    }
}
