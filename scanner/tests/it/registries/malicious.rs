//! What a malicious or broken registry may answer. Each costs an error for its own target, with a text that says what
//! to do, and nothing else.

use super::raw_server::{Part, RawRequest, RawServer, answer, json, open_ended};
use super::support::*;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tagline_scanner::{AnswerLimits, RequestRate, Scan, ScanError, ScanMode, ScannerOptions};
use tagline_testservers::{HttpServer, Response};

/// Ends as an error with this reason, or as a list without the illegal names.
enum Expected {
    Reason(&'static str),
    OneOf(&'static [&'static str]),
    Dropped {
        legal: &'static [&'static str],
        dropped: u64,
    },
}

use Expected::{Dropped, OneOf, Reason};

type Handler = Box<dyn Fn(&RawRequest, &str) -> Vec<Part> + Send + Sync>;

struct Case {
    name: &'static str,
    expected: Expected,
    handler: Handler,
}

/// Answers the list with these parts, and everything else with an empty object.
fn list(
    name: &'static str,
    expected: Expected,
    parts: impl Fn() -> Vec<Part> + Send + Sync + 'static,
) -> Case {
    any(name, expected, move |request, _| {
        if request.target.contains("/tags/list") {
            parts()
        } else {
            json("{}")
        }
    })
}

fn page(
    name: &'static str,
    expected: Expected,
    body: impl AsRef<[u8]> + Send + Sync + 'static,
) -> Case {
    list(name, expected, move || json(&body))
}

fn linking(name: &'static str, expected: Expected, link: &'static str) -> Case {
    list(name, expected, move || {
        answer("200 OK", &format!("Link: {link}\r\n"), r#"{"tags":["1"]}"#)
    })
}

fn status(
    name: &'static str,
    expected: Expected,
    line: &'static str,
    headers: &'static str,
    body: &'static str,
) -> Case {
    list(name, expected, move || answer(line, headers, body))
}

fn any(
    name: &'static str,
    expected: Expected,
    handler: impl Fn(&RawRequest, &str) -> Vec<Part> + Send + Sync + 'static,
) -> Case {
    Case {
        name,
        expected,
        handler: Box::new(handler),
    }
}

/// 401 for everything but the realm.
fn realm(
    name: &'static str,
    expected: Expected,
    realm_answer: impl Fn() -> Vec<Part> + Send + Sync + 'static,
) -> Case {
    any(name, expected, move |request, authority| {
        if request.target.starts_with("/token") {
            realm_answer()
        } else {
            answer(
                "401 Unauthorized",
                &format!(
                    "WWW-Authenticate: Bearer realm=\"http://{authority}/token\",service=\"s\"\r\n"
                ),
                "",
            )
        }
    })
}

fn challenge(name: &'static str, expected: Expected, value: &'static str) -> Case {
    any(name, expected, move |_, _| {
        answer(
            "401 Unauthorized",
            &format!("WWW-Authenticate: {value}\r\n"),
            "",
        )
    })
}

fn number(target: &str) -> u32 {
    let digits = target.rsplit('=').next().unwrap_or_default();
    digits.parse().unwrap_or_default()
}

/// Tells one challenge from the next.
static CHALLENGES: AtomicU32 = AtomicU32::new(0);

/// 16 MiB of spaces behind the beginning of a page.
static GZIP_BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut body = br#"{"tags":["1""#.to_vec();
    body.resize(16 << 20, b' ');
    gzip(&body)
});

fn gzip(body: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn corpus() -> Vec<Case> {
    vec![
        // Pages that do not end.
        any("endless pages", Reason("TooLarge"), |request, _| {
            let n = number(&request.target) + 1;
            answer(
                "200 OK",
                &format!("Link: </v2/a/b/tags/list?x={n}>; rel=\"next\"\r\n"),
                format!(r#"{{"tags":["{n}"]}}"#),
            )
        }),
        any(
            "endless empty pages",
            OneOf(&["TooLarge", "Loop"]),
            |request, _| {
                let n = number(&request.target) + 1;
                answer(
                    "200 OK",
                    &format!("Link: </v2/a/b/tags/list?x={n}>; rel=\"next\"\r\n"),
                    r#"{"tags":[]}"#,
                )
            },
        ),
        any(
            "the same page under ever new links",
            Reason("Loop"),
            |request, _| {
                let n = number(&request.target) + 1;
                answer(
                    "200 OK",
                    &format!("Link: </v2/a/b/tags/list?x={n}>; rel=\"next\"\r\n"),
                    r#"{"tags":["1"]}"#,
                )
            },
        ),
        linking(
            "a page that follows itself",
            Reason("Loop"),
            "</v2/a/b/tags/list?n=1000>; rel=\"next\"",
        ),
        any("two pages in a circle", Reason("Loop"), |request, _| {
            let n = 1 - number(&request.target).min(1);
            answer(
                "200 OK",
                &format!("Link: </v2/a/b/tags/list?x={n}>; rel=\"next\"\r\n"),
                format!(r#"{{"tags":["{n}"]}}"#),
            )
        }),
        // Links to somewhere else.
        linking(
            "a link to another host",
            Reason("RefusedLocation"),
            "<http://evil.example/v2/a/b/tags/list?last=x>; rel=\"next\"",
        ),
        linking(
            "a link without scheme to another host",
            Reason("RefusedLocation"),
            "<//evil.example/v2/a/b/tags/list>; rel=\"next\"",
        ),
        linking(
            "a link to the metadata service",
            Reason("RefusedLocation"),
            "<http://169.254.169.254/v2/a/b/tags/list>; rel=next",
        ),
        linking(
            "a link to a file",
            Reason("RefusedLocation"),
            "<file:///etc/passwd>; rel=\"next\"",
        ),
        linking(
            "a link with a password",
            Reason("RefusedLocation"),
            "<http://me:pw@127.0.0.1/v2/a/b/tags/list>; rel=\"next\"",
        ),
        linking(
            "a link to another repository",
            Reason("RefusedLocation"),
            "</v2/secret/repo/tags/list?last=1>; rel=\"next\"",
        ),
        linking(
            "a link that is none",
            Reason("MalformedAnswer"),
            "next please",
        ),
        linking(
            "a link that does not end",
            Reason("MalformedAnswer"),
            "</v2/a/b/tags/list",
        ),
        list("a link that is not text", Reason("MalformedAnswer"), || {
            let mut bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nConnection: close\r\nLink: <\xff\xfe>; rel=next\r\n\r\n".to_vec();
            bytes.extend_from_slice(br#"{"tags":[]} "#);
            vec![Part::Bytes(bytes)]
        }),
        // Bodies that do not end.
        list("endless tags in one page", Reason("TooLarge"), || {
            vec![
                open_ended(""),
                Part::Bytes(b"{\"tags\":[\"0\"".to_vec()),
                Part::Endless(b",\"1.2.3\"".to_vec()),
            ]
        }),
        list("endless space", Reason("TooLarge"), || {
            vec![open_ended(""), Part::Endless(b" ".to_vec())]
        }),
        list("an endless tag", Reason("TooLarge"), || {
            vec![
                open_ended(""),
                Part::Bytes(b"{\"tags\":[\"".to_vec()),
                Part::Endless(b"a".to_vec()),
            ]
        }),
        list(
            "an endless error",
            OneOf(&["ServerError", "TooLarge"]),
            || {
                vec![
                    Part::Bytes(b"HTTP/1.1 500 Oh\r\nConnection: close\r\n\r\n".to_vec()),
                    Part::Endless(b"oh no ".to_vec()),
                ]
            },
        ),
        list(
            "endless headers",
            OneOf(&["ConnectionBroken", "TooLarge"]),
            || {
                vec![
                    Part::Bytes(b"HTTP/1.1 200 OK\r\n".to_vec()),
                    Part::Endless(b"X-A: b\r\n".to_vec()),
                ]
            },
        ),
        list(
            "an endless header",
            OneOf(&["ConnectionBroken", "TooLarge"]),
            || {
                vec![
                    Part::Bytes(b"HTTP/1.1 200 OK\r\nX-A: ".to_vec()),
                    Part::Endless(b"b".to_vec()),
                ]
            },
        ),
        list("large headers", Reason("TooLarge"), || {
            answer(
                "200 OK",
                &format!("X-A: {}\r\n", "b".repeat(20_000)),
                r#"{"tags":[]}"#,
            )
        }),
        // JSON that is something else.
        page(
            "a giant number",
            Reason("MalformedAnswer"),
            format!(r#"{{"n":{},"tags":[]}}"#, "9".repeat(100_000)),
        ),
        page(
            "a giant number as a tag",
            Reason("MalformedAnswer"),
            format!(r#"{{"tags":[{}]}}"#, "9".repeat(1000)),
        ),
        page(
            "deep arrays",
            Reason("MalformedAnswer"),
            format!(r#"{{"x":{}"#, "[".repeat(100_000)),
        ),
        page(
            "deep objects",
            Reason("MalformedAnswer"),
            format!(r#"{{"x":{}"#, r#"{"a":"#.repeat(50_000)),
        ),
        page(
            "tags as an object",
            Reason("MalformedAnswer"),
            r#"{"tags":{"a":"b"}}"#,
        ),
        page(
            "tags as a text",
            Reason("MalformedAnswer"),
            r#"{"tags":"1.2.3"}"#,
        ),
        page(
            "tags as a number",
            Reason("MalformedAnswer"),
            r#"{"tags":1}"#,
        ),
        page(
            "numbers for tags",
            Reason("MalformedAnswer"),
            r#"{"tags":[1,2]}"#,
        ),
        page(
            "null for a tag",
            Reason("MalformedAnswer"),
            r#"{"tags":["1",null]}"#,
        ),
        page(
            "objects for tags",
            Reason("MalformedAnswer"),
            r#"{"tags":[{"name":"1"}]}"#,
        ),
        page(
            "lists for tags",
            Reason("MalformedAnswer"),
            r#"{"tags":[["1"]]}"#,
        ),
        page(
            "a list instead of an object",
            Reason("MalformedAnswer"),
            r#"["1"]"#,
        ),
        page(
            "a text instead of an object",
            Reason("MalformedAnswer"),
            r#""tags""#,
        ),
        page(
            "null instead of an object",
            Reason("MalformedAnswer"),
            "null",
        ),
        page("no tags", Reason("MalformedAnswer"), r#"{"name":"a/b"}"#),
        page(
            "tags twice",
            Reason("MalformedAnswer"),
            r#"{"tags":["1"],"tags":["2"]}"#,
        ),
        page("half a page", Reason("MalformedAnswer"), r#"{"tags":["1","#),
        page(
            "something behind the page",
            Reason("MalformedAnswer"),
            r#"{"tags":["1"]}<script>"#,
        ),
        page("nothing at all", Reason("MalformedAnswer"), ""),
        page("zero bytes", Reason("MalformedAnswer"), [0; 100]),
        page("UTF-16", Reason("MalformedAnswer"), b"\xff\xfe{\0\"\0t\0"),
        page(
            "control characters in a tag",
            Reason("MalformedAnswer"),
            "{\"tags\":[\"a\x1b[31mb\"]}",
        ),
        page(
            "TOOMANYREQUESTS with 200",
            Reason("RateLimited"),
            r#"{"errors":[{"code":"TOOMANYREQUESTS"}]}"#,
        ),
        // Names that are no tags.
        page(
            "bad UTF-8",
            Dropped {
                legal: &["1"],
                dropped: 2,
            },
            b"{\"tags\":[\"1\",\"\xff\xfe\",\"a\xc3\x28\"]}",
        ),
        page(
            "names that are no tags",
            Dropped {
                legal: &["1.0.0"],
                dropped: 8,
            },
            r#"{"tags":["../../etc/passwd","1.0.0","a b","","-rf","\u001b[31m","$(reboot)","a\nb","ä"]}"#,
        ),
        page(
            "a tag that is too long",
            Dropped {
                legal: &[],
                dropped: 1,
            },
            format!(r#"{{"tags":["{}"]}}"#, "a".repeat(100_000)),
        ),
        // Compression.
        list("a gzip bomb", Reason("TooLarge"), || {
            answer("200 OK", "Content-Encoding: gzip\r\n", &*GZIP_BOMB)
        }),
        list(
            "half a gzip bomb",
            OneOf(&["TooLarge", "MalformedAnswer", "ConnectionBroken"]),
            || {
                let bomb = &*GZIP_BOMB;
                answer(
                    "200 OK",
                    "Content-Encoding: gzip\r\n",
                    &bomb[..bomb.len() / 2],
                )
            },
        ),
        list(
            "half a gzip",
            OneOf(&["MalformedAnswer", "ConnectionBroken"]),
            || {
                let body = gzip(br#"{"tags":["1","2","3","4"]}"#);
                answer(
                    "200 OK",
                    "Content-Encoding: gzip\r\n",
                    &body[..body.len() - 12],
                )
            },
        ),
        status(
            "gzip that is none",
            OneOf(&["MalformedAnswer", "ConnectionBroken"]),
            "200 OK",
            "Content-Encoding: gzip\r\n",
            r#"{"tags":[]}"#,
        ),
        // Time.
        list("a slow drip", Reason("Timeout"), || {
            vec![
                open_ended(""),
                Part::Bytes(b"{\"tags\":[".to_vec()),
                Part::Drip(b' ', Duration::from_millis(50)),
            ]
        }),
        list("slow headers", Reason("Timeout"), || {
            vec![
                Part::Bytes(b"HTTP/1.1 200 OK\r\nX-A: ".to_vec()),
                Part::Drip(b'a', Duration::from_millis(50)),
            ]
        }),
        list("no answer", Reason("Timeout"), || vec![Part::Silence]),
        list("no body", Reason("Timeout"), || {
            vec![open_ended(""), Part::Silence]
        }),
        list(
            "nothing but 100 Continue",
            OneOf(&["Timeout", "ConnectionBroken"]),
            || vec![Part::Endless(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec())],
        ),
        // Not HTTP.
        list("a closed connection", Reason("ConnectionBroken"), Vec::new),
        list("another protocol", Reason("ConnectionBroken"), || {
            vec![
                Part::Bytes(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec()),
                Part::Silence,
            ]
        }),
        list("a body that breaks off", Reason("ConnectionBroken"), || {
            vec![Part::Bytes(
                b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"tags\":[".to_vec(),
            )]
        }),
        list("a negative length", Reason("ConnectionBroken"), || {
            vec![Part::Bytes(
                b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}".to_vec(),
            )]
        }),
        list(
            "two lengths",
            OneOf(&["ConnectionBroken", "MalformedAnswer"]),
            || {
                vec![Part::Bytes(
                    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\n{}".to_vec(),
                )]
            },
        ),
        list("broken chunks", Reason("ConnectionBroken"), || {
            vec![Part::Bytes(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n".to_vec(),
            )]
        }),
        list(
            "an overflowing chunk",
            OneOf(&["ConnectionBroken", "MalformedAnswer"]),
            || {
                vec![Part::Bytes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}\r\n".to_vec())]
            },
        ),
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

fn options() -> ScannerOptions {
    let mut options = everywhere(|settings| {
        settings.timeout = Some(Duration::from_secs(2));
        settings.rate = Some(RequestRate::UNLIMITED);
    });
    options.limits = AnswerLimits {
        pages: 20,
        tags: 10_000,
        page_bytes: 1 << 20,
        listing_bytes: 4 << 20,
        document_bytes: 1 << 18,
        header_bytes: 16 * 1024,
        listing_time: Duration::from_secs(30),
    };
    // A refusal is an error at once, not a reason to wait.
    options.longest_wait = Duration::ZERO;
    options
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malicious_registry_costs_an_error_for_its_own_target() {
    let healthy = HttpServer::start(|_| Response::json(r#"{"tags":["1.0.0"]}"#)).unwrap();
    let scanner = scanner(options());
    // Packing takes longer than the time-out that is tested.
    LazyLock::force(&GZIP_BOMB);
    let corpus = corpus();
    assert!(corpus.len() >= 40);
    let mut scans = tokio::task::JoinSet::new();
    for case in corpus {
        let (scanner, healthy) = (scanner.clone(), healthy.authority());
        scans.spawn(async move {
            let server = RawServer::start(case.handler);
            let target = anonymous(&server.authority(), "a/b");
            let scan = scanner.scan(&target, ScanMode::Conditional).await;
            let stored = scanner.tags(&target.key()).unwrap();
            let other = scanner
                .scan(&anonymous(&healthy, "a/b"), ScanMode::Conditional)
                .await
                .map(|scan| scan.tags.len());
            (case.name, case.expected, scan, stored, other)
        });
    }
    let mut wrong = Vec::new();
    while let Some(done) = scans.join_next().await {
        let (name, expected, scan, stored, other) = done.unwrap();
        let verdict = match scan {
            Ok(scan) => check_list(&expected, &scan),
            Err(error) => check_error(&expected, &error),
        };
        if let Err(problem) = verdict {
            wrong.push(format!("{name}: {problem}"));
        }
        if matches!(expected, Reason(_) | OneOf(_)) && stored.is_some() {
            wrong.push(format!("{name}: a failed listing was stored"));
        }
        assert_eq!(other.unwrap(), 1, "{name}: the other registry");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn check_list(expected: &Expected, scan: &Scan) -> Result<(), String> {
    let found = (ascending(&scan.tags), scan.dropped);
    match expected {
        Dropped { legal, dropped } if found.0 == *legal && found.1 == *dropped => Ok(()),
        _ => Err(format!("listed {found:?}")),
    }
}

fn check_error(expected: &Expected, error: &ScanError) -> Result<(), String> {
    let text = error.to_string();
    let is_expected = match expected {
        Reason(reason) => error.reason() == *reason,
        OneOf(reasons) => reasons.contains(&error.reason()),
        Dropped { .. } => false,
    };
    if !is_expected {
        return Err(format!("{}: {text}", error.reason()));
    }
    let is_clear = text.contains("/a/b: ")
        && text.len() < 800
        && !text.chars().any(|c| c.is_control() || c == '\u{202e}');
    if is_clear {
        Ok(())
    } else {
        Err(format!("not clear: {text:?}"))
    }
}

#[tokio::test]
async fn nothing_is_sent_elsewhere_by_a_link() {
    let elsewhere = Arc::new(RawServer::start(|_, _| json(r#"{"tags":["stolen"]}"#)));
    let authority = elsewhere.authority().replace("127.0.0.1", "localhost");
    let registry = RawServer::start(move |_, _| {
        answer(
            "200 OK",
            &format!("Link: <http://{authority}/v2/a/b/tags/list?last=1>; rel=next\r\n"),
            r#"{"tags":["1"]}"#,
        )
    });
    let target = anonymous(&registry.authority(), "a/b");
    let error = scanner(options())
        .scan(&target, ScanMode::Full)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "RefusedLocation");
    assert!(elsewhere.requests().is_empty());
}
