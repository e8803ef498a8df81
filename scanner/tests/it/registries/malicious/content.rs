//! Pages that are something else than a list of tags.

use super::{
    Case,
    Expected::{Dropped, Reason},
    page,
};

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn cases() -> Vec<Case> {
    vec![
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
    ]
}
