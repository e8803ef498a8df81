//! Bodies and headers that do not end, come too slowly, or are no HTTP.

use super::{
    Case,
    Expected::{OneOf, Reason},
    GZIP_BOMB, gzip, list, status,
};
use crate::registries::raw_server::{Part, answer, open_ended};
use std::time::Duration;

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn cases() -> Vec<Case> {
    vec![
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
    ]
}
