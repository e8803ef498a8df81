//! Pages that lead in circles, on and on, or somewhere else.

use super::{
    Case,
    Expected::{OneOf, Reason},
    any, linking, list, number,
};
use crate::registries::raw_server::{Part, answer};

pub(super) fn cases() -> Vec<Case> {
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
    ]
}
