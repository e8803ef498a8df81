//! Rate limits: whether an answer announces one, and until when.

use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// What to wait where a forge says "too many" but not how long; GitHub's advice for its secondary limits.
const DEFAULT_PAUSE: SignedDuration = SignedDuration::from_secs(60);
/// No pause is longer, whatever a header says.
const MAX_PAUSE: SignedDuration = SignedDuration::from_hours(6);

/// Until when nothing may be sent, if this answer says so.
pub(super) fn limited_until(
    status: StatusCode,
    headers: &HeaderMap,
    words: &str,
    now: Timestamp,
) -> Option<Timestamp> {
    let number = |names: [&str; 2]| {
        names.iter().find_map(|name| {
            headers
                .get(*name)?
                .to_str()
                .ok()?
                .trim()
                .parse::<i64>()
                .ok()
        })
    };
    let exhausted = number(["x-ratelimit-remaining", "ratelimit-remaining"]) == Some(0);
    let retry_after = headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| match text.trim().parse::<i64>() {
            Ok(seconds) => now
                .checked_add(SignedDuration::from_secs(seconds.clamp(0, 1 << 30)))
                .ok(),
            Err(_) => jiff::fmt::rfc2822::parse(text)
                .ok()
                .map(|at| at.timestamp()),
        });
    // Seconds since 1970, or, from some proxies, seconds from now.
    let reset =
        number(["x-ratelimit-reset", "ratelimit-reset"]).and_then(|seconds| match seconds {
            1_000_000_000.. => Timestamp::from_second(seconds).ok(),
            0.. => now.checked_add(SignedDuration::from_secs(seconds)).ok(),
            _ => None,
        });
    let limited = match status.as_u16() {
        429 => true,
        // GitHub's limits come as 403 too.
        403 => exhausted || retry_after.is_some() || is_secondary_limit(words),
        503 => retry_after.is_some(),
        200..=299 => exhausted && reset.is_some(),
        _ => false,
    };
    let until = retry_after.max(reset.filter(|_| exhausted || retry_after.is_none()));
    let longest = now.checked_add(MAX_PAUSE).ok()?;
    let shortest = now.checked_add(SignedDuration::from_secs(1)).ok()?;
    let default = now.checked_add(DEFAULT_PAUSE).ok()?;
    limited.then(|| until.unwrap_or(default).clamp(shortest, longest))
}

fn is_secondary_limit(words: &str) -> bool {
    let text = words.to_ascii_lowercase();
    text.contains("secondary rate limit") || text.contains("abuse detection")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use reqwest::header::{HeaderName, HeaderValue};

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect()
    }

    type Row<'r> = (u16, &'r [(&'static str, &'r str)], &'r str, Option<i64>);

    #[test]
    fn limits_are_told_from_refusals() {
        let now: Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
        let reset = (now.as_second() + 600).to_string();
        let far = (now.as_second() + 1_000_000).to_string();
        let table: &[Row<'_>] = &[
            (429, &[], "", Some(60)),
            (429, &[("retry-after", "17")], "", Some(17)),
            (
                429,
                &[("retry-after", "Sat, 21 Nov 2026 00:02:00 GMT")],
                "",
                Some(120),
            ),
            (429, &[("retry-after", "0")], "", Some(1)),
            (429, &[("ratelimit-reset", &reset)], "", Some(600)),
            (429, &[("ratelimit-reset", "30")], "", Some(30)),
            (429, &[("x-ratelimit-reset", &far)], "", Some(6 * 3600)),
            (
                403,
                &[
                    ("x-ratelimit-remaining", "0"),
                    ("x-ratelimit-reset", &reset),
                ],
                "",
                Some(600),
            ),
            (
                403,
                &[("x-ratelimit-remaining", "12"), ("retry-after", "5")],
                "",
                Some(5),
            ),
            (
                403,
                &[],
                "You have exceeded a secondary rate limit.",
                Some(60),
            ),
            (
                403,
                &[("x-ratelimit-remaining", "12")],
                "Resource not accessible",
                None,
            ),
            (503, &[("retry-after", "5")], "", Some(5)),
            (503, &[], "", None),
            (
                200,
                &[
                    ("x-ratelimit-remaining", "0"),
                    ("x-ratelimit-reset", &reset),
                ],
                "",
                Some(600),
            ),
            (
                200,
                &[
                    ("x-ratelimit-remaining", "1"),
                    ("x-ratelimit-reset", &reset),
                ],
                "",
                None,
            ),
            // GitHub's secondary limit names its own pause while the hourly allowance is not used up.
            (
                403,
                &[
                    ("retry-after", "5"),
                    ("x-ratelimit-remaining", "9"),
                    ("x-ratelimit-reset", &reset),
                ],
                "",
                Some(5),
            ),
        ];
        for (status, list, body, seconds) in table {
            let until = limited_until(
                StatusCode::from_u16(*status).unwrap(),
                &headers(list),
                body,
                now,
            );
            assert_eq!(
                until.map(|until| until.as_second() - now.as_second()),
                *seconds,
                "{status} {list:?} {body}"
            );
        }
    }

    proptest! {
        #[test]
        fn foreign_headers_and_bodies_do_no_harm(
            status in 200_u16..600, words in ".{0,60}",
            retry in "[ -~]{0,20}", remaining in "[0-9-]{0,20}", reset in "[0-9-]{0,20}",
        ) {
            let headers = headers(&[("retry-after", &retry), ("x-ratelimit-remaining", &remaining), ("x-ratelimit-reset", &reset)]);
            let now = Timestamp::UNIX_EPOCH;
            if let Some(until) = limited_until(StatusCode::from_u16(status).unwrap(), &headers, &words, now) {
                prop_assert!(until > now && until <= now + MAX_PAUSE);
            }
        }
    }
}
