//! Redirects and token realms that lead astray.

use super::{
    CHALLENGES, Case,
    Expected::{OneOf, Reason},
    any, challenge, number, realm, status,
};
use crate::registries::raw_server::{Part, answer, json, open_ended};
use std::sync::atomic::Ordering;

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn cases() -> Vec<Case> {
    vec![
        // Redirects.
        status(
            "a redirect to itself",
            Reason("Loop"),
            "302 Found",
            "Location: ?\r\n",
            "",
        ),
        any("redirects without end", Reason("Loop"), |request, _| {
            if request.target == "/v2/" {
                return json("{}");
            }
            let n = number(&request.target) + 1;
            answer(
                "307 Temporary Redirect",
                &format!("Location: /v2/a/b/tags/list?x={n}\r\n"),
                "",
            )
        }),
        status(
            "a redirect to the metadata service",
            Reason("RefusedLocation"),
            "302 Found",
            "Location: http://169.254.169.254/latest/meta-data/\r\n",
            "",
        ),
        status(
            "a redirect to an inner address",
            Reason("RefusedLocation"),
            "302 Found",
            "Location: http://10.0.0.1/v2/a/b/tags/list\r\n",
            "",
        ),
        status(
            "a redirect to another scheme",
            Reason("RefusedLocation"),
            "302 Found",
            "Location: gopher://127.0.0.1/\r\n",
            "",
        ),
        status(
            "a redirect with a password",
            Reason("RefusedLocation"),
            "302 Found",
            "Location: http://me:pw@127.0.0.1/\r\n",
            "",
        ),
        status(
            "a redirect to nowhere",
            Reason("MalformedAnswer"),
            "302 Found",
            "",
            "",
        ),
        status(
            "a redirect to nonsense",
            Reason("MalformedAnswer"),
            "302 Found",
            "Location: http://[::1\r\n",
            "",
        ),
        // Authentication.
        challenge(
            "401 again and again",
            Reason("Unauthorized"),
            "Basic realm=\"x\"",
        ),
        challenge(
            "a realm on the metadata service",
            Reason("RefusedLocation"),
            "Bearer realm=\"http://169.254.169.254/token\"",
        ),
        challenge(
            "a realm on an inner address",
            Reason("RefusedLocation"),
            "Bearer realm=\"http://10.0.0.1/token\"",
        ),
        challenge(
            "a realm that is a file",
            Reason("RefusedLocation"),
            "Bearer realm=\"file:///etc/passwd\"",
        ),
        challenge(
            "a realm that is no address",
            Reason("MalformedAnswer"),
            "Bearer realm=\"not an address\"",
        ),
        challenge("an unknown challenge", Reason("Unauthorized"), "Negotiate"),
        any("401 without a challenge", Reason("Unauthorized"), |_, _| {
            answer("401 Unauthorized", "", "")
        }),
        any(
            "ever new challenges",
            OneOf(&["Loop", "Unauthorized"]),
            |request, authority| {
                if request.target.starts_with("/token") {
                    return json(r#"{"token":"t"}"#);
                }
                let n = CHALLENGES.fetch_add(1, Ordering::SeqCst);
                answer(
                    "401 Unauthorized",
                    &format!("WWW-Authenticate: Bearer realm=\"http://{authority}/token/{n}\"\r\n"),
                    "",
                )
            },
        ),
        realm("a token that does not help", Reason("Unauthorized"), || {
            json(r#"{"token":"t"}"#)
        }),
        realm(
            "a realm that gives a web page",
            Reason("MalformedAnswer"),
            || answer("200 OK", "Content-Type: text/html\r\n", "<html>"),
        ),
        realm("a realm without token", Reason("MalformedAnswer"), || {
            json("{}")
        }),
        realm(
            "a token with line breaks",
            Reason("MalformedAnswer"),
            || json(r#"{"token":"t\r\nX-Evil: 1"}"#),
        ),
        realm("a giant token", Reason("MalformedAnswer"), || {
            json(format!(r#"{{"token":"{}"}}"#, "t".repeat(100_000)))
        }),
        realm("an endless token", Reason("TooLarge"), || {
            vec![
                open_ended(""),
                Part::Bytes(b"{\"token\":\"".to_vec()),
                Part::Endless(b"t".to_vec()),
            ]
        }),
        realm("a realm that refuses", Reason("Unauthorized"), || {
            answer("401 Unauthorized", "", "")
        }),
        realm("a realm that denies", Reason("Forbidden"), || {
            answer("403 Forbidden", "", "")
        }),
        realm("a realm in a circle", Reason("Loop"), || {
            answer("302 Found", "Location: /token\r\n", "")
        }),
    ]
}
