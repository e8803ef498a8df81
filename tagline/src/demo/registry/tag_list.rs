//! Tag lists in pages: `n`, `last` and `Link` (distribution specification, "Listing Tags").

use axum::http::header::LINK;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use url::form_urlencoded;

use super::answer::conditional;

/// The most tags in one answer, whatever `n` says: small, so that a scan of the demo needs several pages.
pub(super) const LARGEST_PAGE: usize = 5;

/// What a client asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    n: Option<usize>,
    last: Option<String>,
}

impl Asked {
    /// Reads `n` and `last`; other parameters are passed over.
    ///
    /// The error is the `n` that is not a number.
    pub(super) fn parse(query: &str) -> Result<Self, String> {
        let mut asked = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "n" if !is_number(&value) => return Err(value.into_owned()),
                // More than fits a number is more than there are tags.
                "n" => asked.n = Some(value.parse().unwrap_or(usize::MAX)),
                "last" => asked.last = Some(value.into_owned()),
                _ => {}
            }
        }
        Ok(asked)
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// One page: the tags after `last`, at most `n`, with a `Link` when there are more.
pub(super) fn page<'a>(
    repository: &str,
    all: impl Iterator<Item = &'a str>,
    asked: &Asked,
    headers: &HeaderMap,
) -> Response {
    let size = asked.n.unwrap_or(LARGEST_PAGE).min(LARGEST_PAGE);
    let last = asked.last.as_deref();
    let mut rest = all.filter(|tag| last.is_none_or(|last| *tag > last));
    let tags: Vec<&str> = rest.by_ref().take(size).collect();
    let body = serde_json::json!({"name": repository, "tags": tags}).to_string();
    let mut response = conditional(headers, "application/json", body.into_bytes());
    // `n=0` gets an empty list and no link.
    if let Some(last) = tags.last()
        && rest.next().is_some()
    {
        let query: String = form_urlencoded::Serializer::new(String::new())
            .append_pair("n", &size.to_string())
            .append_pair("last", last)
            .finish();
        let link = format!("</v2/{repository}/tags/list?{query}>; rel=\"next\"");
        if let Ok(value) = HeaderValue::from_str(&link) {
            response.headers_mut().insert(LINK, value);
        }
    }
    response
}
