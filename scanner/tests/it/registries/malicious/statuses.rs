//! Statuses and pages that mean something else.

use super::{
    Case,
    Expected::{Dropped, OneOf, Reason},
    any, status,
};
use crate::registries::raw_server::answer;

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn cases() -> Vec<Case> {
    vec![
        // Pages for people.
        status(
            "a web page",
            Reason("NotARegistry"),
            "200 OK",
            "Content-Type: text/html\r\n",
            "<!DOCTYPE html><title>Log in</title>",
        ),
        status(
            "a web page that says it is JSON",
            Reason("NotARegistry"),
            "200 OK",
            "Content-Type: application/json\r\n",
            "<html><body>hello",
        ),
        any(
            "a redirect to a log-in page",
            Reason("NotARegistry"),
            |request, _| {
                if request.target.contains("/tags/list") {
                    answer("302 Found", "Location: /login\r\n", "")
                } else {
                    answer(
                        "200 OK",
                        "Content-Type: text/html\r\n",
                        "<html><title>Sign in</title>",
                    )
                }
            },
        ),
        // Other statuses.
        status(
            "403",
            Reason("Forbidden"),
            "403 Forbidden",
            "",
            r#"{"errors":[{"code":"DENIED","message":"no"}]}"#,
        ),
        status(
            "403 that means 429",
            Reason("RateLimited"),
            "403 Forbidden",
            "",
            r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"no"}]}"#,
        ),
        status(
            "404",
            Reason("NotFound"),
            "404 Not Found",
            "",
            r#"{"errors":[{"code":"NAME_UNKNOWN","message":"no"}]}"#,
        ),
        status(
            "404 with a web page",
            Reason("NotARegistry"),
            "404 Not Found",
            "Content-Type: text/html\r\n",
            "<html><title>Apache2 Debian Default Page</title>",
        ),
        status(
            "429 for ever",
            Reason("RateLimited"),
            "429 Too Many Requests",
            "Retry-After: 99999999999999999999\r\n",
            "",
        ),
        status(
            "429 until a wrong date",
            Reason("RateLimited"),
            "429 Too Many Requests",
            "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n",
            "",
        ),
        status(
            "500",
            Reason("ServerError"),
            "500 Internal Server Error",
            "",
            "{\"message\":\"\u{1b}[2Jboom\u{202e}\"}",
        ),
        status(
            "502 with a web page",
            Reason("ServerError"),
            "502 Bad Gateway",
            "Content-Type: text/html\r\n",
            "<html><title>502 Bad Gateway</title>",
        ),
        status(
            "304 to a question that was none",
            Reason("UnexpectedStatus"),
            "304 Not Modified",
            "",
            "",
        ),
        status("204", Reason("UnexpectedStatus"), "204 No Content", "", ""),
        status(
            "206",
            Reason("UnexpectedStatus"),
            "206 Partial Content",
            "",
            r#"{"tags":[]}"#,
        ),
        status(
            "a status that does not exist",
            OneOf(&["UnexpectedStatus", "ConnectionBroken"]),
            "999 What",
            "",
            "",
        ),
        status(
            "an absurd allowance",
            Dropped {
                legal: &["1"],
                dropped: 0,
            },
            "200 OK",
            "RateLimit-Remaining: 99999999999999999999999999\r\nRateLimit-Reset: -1\r\nRetry-After: soon\r\n",
            r#"{"tags":["1"]}"#,
        ),
        status(
            "a giant ETag",
            Dropped {
                legal: &["1"],
                dropped: 0,
            },
            "200 OK",
            concat!(
                "ETag: \"",
                "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
                "\"\r\n"
            ),
            r#"{"tags":["1"]}"#,
        ),
    ]
}
