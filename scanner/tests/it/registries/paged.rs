//! A registry that lists in pages.

use tagline_testservers::{HttpServer, Request, Response};

/// A registry of lexically ordered tags that honours `n` and `last`.
#[derive(Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a quirk of its own that a registry may have"
)]
pub(super) struct Paged {
    pub(super) tags: Vec<String>,
    /// Larger pages are refused.
    pub(super) most: usize,
    pub(super) links: bool,
    pub(super) honours_last: bool,
    /// Each page has one.
    pub(super) etags: bool,
    /// Every list is an error.
    pub(super) down: bool,
}

impl Paged {
    pub(super) fn new(count: usize) -> Self {
        Self {
            tags: (0..count).map(|i| format!("1.0.{i:05}")).collect(),
            most: usize::MAX,
            links: true,
            honours_last: true,
            etags: false,
            down: false,
        }
    }

    pub(super) fn answer(&self, request: &Request) -> Response {
        if !request.path.ends_with("/tags/list") {
            return Response::json("{}");
        }
        if self.down {
            return Response::new(500, "");
        }
        let value = |name| request.query_values(name).pop();
        let n = value("n").map_or(usize::MAX, |n| n.parse().unwrap());
        if n > self.most {
            return Response::new(
                400,
                r#"{"errors":[{"code":"PAGINATION_NUMBER_INVALID","message":"too many"}]}"#,
            );
        }
        let last = value("last")
            .filter(|_| self.honours_last)
            .unwrap_or_default();
        let rest: Vec<_> = self.tags.iter().filter(|tag| **tag > last).collect();
        let page = &rest[..n.min(rest.len())];
        let body = serde_json::json!({"name": "a/b", "tags": page}).to_string();
        let mut answer = Response::json(body.clone());
        if self.etags {
            let etag = format!("\"{}-{:?}\"", page.len(), page.last());
            if request.header("if-none-match") == Some(&*etag) {
                return Response::new(304, "");
            }
            answer = answer.with_header("ETag", etag);
        }
        match page.last() {
            Some(last) if page.len() < rest.len() && self.links => answer.with_header(
                "Link",
                format!("<{}?n={n}&last={last}>; rel=\"next\"", request.path),
            ),
            _ => answer,
        }
    }

    pub(super) fn start(self) -> HttpServer {
        HttpServer::start(move |request| self.answer(request)).unwrap()
    }
}

/// What was asked of tag lists.
pub(super) fn list_queries(server: &HttpServer) -> Vec<String> {
    server
        .requests()
        .into_iter()
        .filter(|request| request.path.ends_with("/tags/list"))
        .map(|request| request.query)
        .collect()
}
