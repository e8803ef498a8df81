//! What is wrong with an answer that should have been a page.

use crate::client::error_body::{ErrorBody, is_html};
use crate::client::link::LinkProblem;
use crate::client::list_page::MalformedPage;
use crate::error::{Problem, printable};
use std::time::Duration;

/// The list as a whole took longer than it may.
pub(super) fn too_long(host: String, limit: Duration) -> Problem {
    Problem::Timeout {
        host,
        detail: format!("the whole list takes longer than {} s", limit.as_secs()),
    }
}

/// A page that is not JSON, or not the right one.
pub(in crate::client) fn malformed(
    host: &str,
    content_type: &str,
    beginning: &[u8],
    error: &MalformedPage,
) -> Problem {
    if is_html(content_type, beginning) {
        let body = ErrorBody::read("text/html", beginning);
        return Problem::NotARegistry {
            host: host.to_owned(),
            content_type: if content_type.is_empty() {
                "no content type".to_owned()
            } else {
                printable(content_type)
            },
            begins: body.detail,
        };
    }
    Problem::Malformed {
        host: host.to_owned(),
        detail: format!(
            "the list is broken at byte {}: {}",
            error.offset, error.what
        ),
    }
}

/// A `Link` that is not followed.
pub(in crate::client) fn refused(problem: LinkProblem, host: &str, link: &str) -> Problem {
    let host = host.to_owned();
    match problem {
        LinkProblem::Malformed => Problem::Malformed {
            host,
            detail: "its Link header is not `<address>; rel=\"next\"`".to_owned(),
        },
        LinkProblem::OtherHost => Problem::Refused {
            host,
            url: without_query(link),
            reason: "the next page must be on the same host; correct the registry's external address",
        },
        LinkProblem::OtherResource => Problem::Refused {
            host,
            url: without_query(link),
            reason: "the next page must be of the same list; tell the registry's operator",
        },
    }
}

fn without_query(link: &str) -> String {
    printable(link.split(['?', '#']).next().unwrap_or_default())
}
