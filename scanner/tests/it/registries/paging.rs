//! Pages: sizes that are refused, links that are missing, lists that go on where they were.

use super::support::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use tagline_scanner::{ScanMode, ScanOutcome, ScannerOptions, StoreOptions, TagStore};
use tagline_testservers::{Body, HttpServer, Request, Response};

/// A registry of lexically ordered tags that honours `n` and `last`.
struct Paged {
    tags: Vec<String>,
    /// Larger pages are refused.
    most: usize,
    links: bool,
    honours_last: bool,
}

impl Paged {
    fn new(count: usize) -> Self {
        Self {
            tags: (0..count).map(|i| format!("1.0.{i:05}")).collect(),
            most: usize::MAX,
            links: true,
            honours_last: true,
        }
    }

    fn answer(&self, request: &Request) -> Response {
        if !request.path.ends_with("/tags/list") {
            return Response::json("{}");
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
        match page.last() {
            Some(last) if page.len() < rest.len() && self.links => Response::json(body)
                .with_header(
                    "Link",
                    format!("<{}?n={n}&last={last}>; rel=\"next\"", request.path),
                ),
            _ => Response::json(body),
        }
    }

    fn start(self) -> HttpServer {
        HttpServer::start(move |request| self.answer(request)).unwrap()
    }
}

fn list_queries(server: &HttpServer) -> Vec<String> {
    server
        .requests()
        .into_iter()
        .filter(|request| request.path.ends_with("/tags/list"))
        .map(|request| request.query)
        .collect()
}

#[tokio::test]
async fn follows_links_to_the_end() {
    let server = Paged::new(250).start();
    let scanner = scanner(everywhere(|settings| page_size(settings, 100)));
    let scan = scanner
        .scan(&anonymous(&server.authority(), "a/b"), ScanMode::Full)
        .await
        .unwrap();
    assert_eq!(scan.tags.len(), 250);
    assert_eq!(
        list_queries(&server),
        ["n=100", "n=100&last=1.0.00099", "n=100&last=1.0.00199"]
    );
}

#[tokio::test]
async fn a_refused_page_size_is_remembered() {
    let server = Paged {
        most: 100,
        ..Paged::new(150)
    }
    .start();
    let scanner = scanner(everywhere(|_| {}));
    for repository in ["a/b", "a/c"] {
        let scan = scanner
            .scan(&anonymous(&server.authority(), repository), ScanMode::Full)
            .await
            .unwrap();
        assert_eq!(scan.tags.len(), 150);
    }
    assert_eq!(
        list_queries(&server),
        [
            "n=1000",
            "n=100",
            "n=100&last=1.0.00099",
            "n=100",
            "n=100&last=1.0.00099"
        ]
    );
}

#[tokio::test]
async fn a_registry_that_takes_no_page_size_is_asked_without() {
    let server = Paged {
        most: 0,
        ..Paged::new(3)
    };
    let server = HttpServer::start(move |request| {
        if request.query.is_empty() {
            Paged::new(3).answer(request)
        } else {
            server.answer(request)
        }
    })
    .unwrap();
    let scanner = scanner(everywhere(|_| {}));
    let scan = scanner
        .scan(&anonymous(&server.authority(), "a/b"), ScanMode::Full)
        .await
        .unwrap();
    assert_eq!(scan.tags.len(), 3);
    assert_eq!(list_queries(&server), ["n=1000", "n=100", ""]);
}

#[tokio::test]
async fn a_list_that_is_cut_without_a_link_is_completed() {
    let server = Paged {
        links: false,
        ..Paged::new(200)
    }
    .start();
    let scanner = scanner(everywhere(|settings| page_size(settings, 100)));
    let target = anonymous(&server.authority(), "a/b");
    let scan = scanner.scan(&target, ScanMode::Full).await.unwrap();
    assert_eq!(scan.tags.len(), 200);
    assert_eq!(
        list_queries(&server),
        ["n=100", "n=100&last=1.0.00099", "n=100&last=1.0.00199"]
    );
}

#[tokio::test]
async fn only_what_is_newer_is_asked_for_where_that_is_sound() {
    let extended = Arc::new(AtomicBool::new(false));
    let more = Arc::clone(&extended);
    let server = HttpServer::start(move |request| {
        let count = if more.load(Ordering::SeqCst) {
            255
        } else {
            250
        };
        Paged::new(count).answer(request)
    })
    .unwrap();
    let scanner = scanner(everywhere(|settings| page_size(settings, 100)));
    let target = anonymous(&server.authority(), "a/b");
    let first = scanner.scan(&target, ScanMode::Newer).await.unwrap();
    assert_eq!(
        (first.outcome, first.requests.total()),
        (ScanOutcome::Listed, 5)
    );
    let second = scanner.scan(&target, ScanMode::Newer).await.unwrap();
    assert_eq!(
        (second.outcome, second.requests.total(), second.added.len()),
        (ScanOutcome::Extended, 1, 0)
    );
    extended.store(true, Ordering::SeqCst);
    let third = scanner.scan(&target, ScanMode::Newer).await.unwrap();
    assert_eq!(
        (
            third.outcome,
            third.requests.total(),
            third.added.len(),
            third.tags.len()
        ),
        (ScanOutcome::Extended, 1, 5, 255)
    );
    assert_eq!(
        list_queries(&server).last().unwrap(),
        "n=100&last=1.0.00249"
    );
}

#[tokio::test]
async fn a_registry_that_ignores_last_is_noticed() {
    let server = Paged {
        honours_last: false,
        ..Paged::new(50)
    }
    .start();
    let scanner = scanner(everywhere(|_| {}));
    let target = anonymous(&server.authority(), "a/b");
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        let scan = scanner.scan(&target, ScanMode::Newer).await.unwrap();
        assert_eq!(scan.tags.len(), 50);
        outcomes.push(scan.outcome);
    }
    assert_eq!(outcomes, [ScanOutcome::Listed; 3]);
    // Noticed once: asked in vain, listed instead, and not asked again.
    assert_eq!(
        list_queries(&server),
        ["n=1000", "n=1000&last=1.0.00049", "n=1000", "n=1000"]
    );
}

#[tokio::test]
async fn a_list_that_is_not_in_order_is_always_read_whole() {
    let server = HttpServer::start(|_| Response::json(r#"{"tags":["2","1","3"]}"#)).unwrap();
    let scanner = scanner(everywhere(|_| {}));
    let target = anonymous(&server.authority(), "a/b");
    for _ in 0..2 {
        let scan = scanner.scan(&target, ScanMode::Newer).await.unwrap();
        assert_eq!(scan.outcome, ScanOutcome::Listed);
        assert_eq!(ascending(&scan.tags), ["1", "2", "3"]);
    }
}

type Failure = fn(Response) -> Response;

/// Fails once on the third page, in a way the test chooses.
fn failing_once(failure: Failure) -> HttpServer {
    let failures = AtomicU32::new(0);
    HttpServer::start(move |request| {
        let answer = Paged::new(450).answer(request);
        let is_third = request.query.contains("last=1.0.00199");
        if is_third && failures.fetch_add(1, Ordering::SeqCst) == 0 {
            failure(answer)
        } else {
            answer
        }
    })
    .unwrap()
}

#[tokio::test]
async fn an_interrupted_list_goes_on_where_it_was_even_after_a_restart() {
    let failures: [(&str, Failure); 4] = [
        ("RateLimited", |_| {
            Response::new(429, "").with_header("Retry-After", "0")
        }),
        ("RateLimited", |_| {
            Response::new(503, "").with_header("Retry-After", "0")
        }),
        ("ServerError", |_| Response::new(500, "")),
        ("ConnectionBroken", |answer| match answer.body.clone() {
            Body::Whole(bytes) => Response {
                body: Body::CutAfter(bytes, 1000),
                ..answer
            },
            _ => answer,
        }),
    ];
    for (reason, failure) in failures {
        let server = failing_once(failure);
        let directory = tempfile::tempdir().unwrap();
        let target = anonymous(&server.authority(), "a/b");
        let options = || everywhere(|settings| page_size(settings, 100));
        let open = || {
            let store = TagStore::open(directory.path(), &StoreOptions::default()).unwrap();
            tagline_scanner::Scanner::new(options(), store)
        };
        let before = open();
        let error = before
            .scan(&target, ScanMode::Conditional)
            .await
            .unwrap_err();
        assert_eq!(error.reason(), reason, "{error}");
        assert!(error.is_retryable());
        // No half list is ever shown.
        assert!(before.tags(&target.key()).unwrap().is_none());
        drop(before);

        let asked = list_queries(&server).len();
        let scan = open().scan(&target, ScanMode::Conditional).await.unwrap();
        assert_eq!(scan.tags.len(), 450, "{reason}");
        assert_eq!(scan.added.len(), 450, "{reason}");
        assert_eq!(
            list_queries(&server)[asked..],
            [
                "n=100&last=1.0.00199",
                "n=100&last=1.0.00299",
                "n=100&last=1.0.00399"
            ],
            "{reason}"
        );
    }
}

#[tokio::test]
async fn a_failed_scan_leaves_the_last_list_alone() {
    let down = Arc::new(AtomicBool::new(false));
    let is_down = Arc::clone(&down);
    let server = HttpServer::start(move |request| {
        if is_down.load(Ordering::SeqCst) && request.query.contains("last=") {
            Response::new(500, "")
        } else {
            Paged::new(250).answer(request)
        }
    })
    .unwrap();
    let scanner = scanner(everywhere(|settings| page_size(settings, 100)));
    let target = anonymous(&server.authority(), "a/b");
    scanner.scan(&target, ScanMode::Full).await.unwrap();
    down.store(true, Ordering::SeqCst);
    let error = scanner.scan(&target, ScanMode::Full).await.unwrap_err();
    assert_eq!(error.reason(), "ServerError");
    assert_eq!(
        scanner.tags(&target.key()).unwrap().unwrap().tags.len(),
        250
    );
    let record = scanner.store().record(&target.key()).unwrap().unwrap();
    assert_eq!(record.last_error.unwrap().reason, "ServerError");
}

#[tokio::test]
async fn an_expired_cursor_begins_anew() {
    let failures = AtomicU32::new(0);
    let server = HttpServer::start(move |request| {
        if request.query.contains("last=1.0.00099") {
            match failures.fetch_add(1, Ordering::SeqCst) {
                0 => return Response::new(500, ""),
                1 => return Response::new(410, "cursor expired"),
                _ => {}
            }
        }
        Paged::new(150).answer(request)
    })
    .unwrap();
    let scanner = scanner(everywhere(|settings| page_size(settings, 100)));
    let target = anonymous(&server.authority(), "a/b");
    scanner.scan(&target, ScanMode::Full).await.unwrap_err();
    let scan = scanner.scan(&target, ScanMode::Full).await.unwrap();
    assert_eq!(scan.tags.len(), 150);
}

#[tokio::test]
async fn a_restart_does_not_ask_before_retry_after_has_passed() {
    let server =
        HttpServer::start(|_| Response::new(429, "").with_header("Retry-After", "3600")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let open = || {
        let store = TagStore::open(directory.path(), &StoreOptions::default()).unwrap();
        tagline_scanner::Scanner::new(ScannerOptions::default(), store)
    };
    let target = anonymous(&server.authority(), "a/b");
    let before = open();
    let error = before.scan(&target, ScanMode::Full).await.unwrap_err();
    assert!(error.retry_after().unwrap().as_secs() > 3590, "{error}");
    let asked = server.requests().len();
    let other = anonymous(&server.authority(), "other/repository");
    for _ in 0..2 {
        let error = before.scan(&other, ScanMode::Full).await.unwrap_err();
        assert_eq!(error.reason(), "RateLimited");
    }
    drop(before);
    let error = open().scan(&target, ScanMode::Full).await.unwrap_err();
    assert!(error.retry_after().unwrap().as_secs() > 3580, "{error}");
    assert_eq!(server.requests().len(), asked);
}

#[tokio::test]
async fn reads_the_catalog() {
    let server =
        HttpServer::start(
            |request| match (request.path.as_str(), request.query.as_str()) {
                ("/v2/_catalog", "n=1000") => {
                    Response::json(r#"{"repositories":["team/app","alpine"]}"#).with_header(
                        "Link",
                        "</v2/_catalog?n=1000&last=team%2Fapp>; rel=\"next\"",
                    )
                }
                ("/v2/_catalog", _) => Response::json(r#"{"repositories":["team/web","../evil"]}"#),
                _ => Response::json("{}"),
            },
        )
        .unwrap();
    let registry = tagline_policy::Registry::new(&server.authority()).unwrap();
    let names = scanner(ScannerOptions::default())
        .catalog(&registry, &tagline_scanner::Access::default())
        .await
        .unwrap();
    let names: Vec<_> = names
        .iter()
        .map(|name| name.repository().as_str())
        .collect();
    assert_eq!(names, ["alpine", "team/app", "team/web"]);
}
