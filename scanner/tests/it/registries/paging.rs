//! Pages: sizes that are refused, links that are missing, lists that go on where they were.

use super::paged::{Paged, list_queries};
use super::support::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use tagline_scanner::{ScanMode, ScannerOptions, StoreOptions, TagStore};
use tagline_testservers::{Body, HttpServer, Response};

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

/// Nobody hears of the end: what was read is in the store nevertheless.
#[tokio::test]
async fn a_list_that_is_dropped_goes_on_near_where_it_was() {
    let reached = Arc::new(tokio::sync::Notify::new());
    let (stalled, is_first) = (Arc::clone(&reached), AtomicBool::new(true));
    let server = HttpServer::start(move |request| {
        let answer = Paged::new(1000).answer(request);
        // The 41st page of a hundred.
        if request.query.contains("last=1.0.00399") && is_first.swap(false, Ordering::SeqCst) {
            stalled.notify_one();
            return Response {
                body: Body::StallAfter(b"{}".to_vec(), 1),
                ..answer
            };
        }
        answer
    })
    .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let target = anonymous(&server.authority(), "a/b");
    let open = || {
        let store = TagStore::open(directory.path(), &StoreOptions::default()).unwrap();
        tagline_scanner::Scanner::new(everywhere(|settings| page_size(settings, 10)), store)
    };
    let scanner = open();
    tokio::select! {
        _ = scanner.scan(&target, ScanMode::Conditional) => panic!("it stalls"),
        () = reached.notified() => {}
    }
    assert!(scanner.tags(&target.key()).unwrap().is_none());
    drop(scanner);

    let asked = list_queries(&server).len();
    assert_eq!(asked, 41);
    let scan = open().scan(&target, ScanMode::Conditional).await.unwrap();
    assert_eq!(scan.tags.len(), 1000);
    let again = &list_queries(&server)[asked..];
    assert_eq!(again[0], "n=10&last=1.0.00319", "after the 32 pages kept");
    assert_eq!(again.len(), 68);
    let record = open().store().record(&target.key()).unwrap().unwrap();
    assert_eq!(
        record.memory.order,
        Some(tagline_scanner::ListingOrder::Lexical)
    );
}

/// Pages that were kept on the way are gone with the end, whether it brought something new or not.
#[tokio::test]
async fn a_list_that_ends_leaves_no_pages_behind() {
    let server = Paged::new(400).start();
    let scanner = scanner(everywhere(|settings| page_size(settings, 10)));
    let target = anonymous(&server.authority(), "a/b");
    for _ in 0..3 {
        let scan = scanner.scan(&target, ScanMode::Full).await.unwrap();
        assert_eq!(scan.tags.len(), 400);
        assert_eq!(scan.requests.of(tagline_scanner::RequestKind::Tags), 40);
        assert!(scanner.store().partial(&target.key()).unwrap().is_none());
    }
}

#[tokio::test]
async fn a_time_limit_keeps_what_was_read() {
    let slow = Arc::new(AtomicBool::new(true));
    let is_slow = Arc::clone(&slow);
    let server = HttpServer::start(move |request| {
        let answer = Paged::new(250).answer(request);
        if request.query.contains("last=1.0.00199") && is_slow.load(Ordering::SeqCst) {
            return Response {
                body: Body::StallAfter(b"{}".to_vec(), 1),
                ..answer
            };
        }
        answer
    })
    .unwrap();
    let scanner = scanner(everywhere(|settings| page_size(settings, 100)));
    let target = anonymous(&server.authority(), "a/b");
    let limited = tagline_scanner::ScanRequest::from(ScanMode::Conditional)
        .within(std::time::Duration::from_millis(500));
    let error = scanner.scan(&target, limited).await.unwrap_err();
    assert_eq!(error.reason(), "Timeout", "{error}");
    let partial = scanner.store().partial(&target.key()).unwrap().unwrap();
    assert_eq!((partial.pages, partial.tags.len()), (2, 200));
    slow.store(false, Ordering::SeqCst);
    let asked = list_queries(&server).len();
    let scan = scanner.scan(&target, ScanMode::Conditional).await.unwrap();
    assert_eq!(scan.tags.len(), 250);
    assert_eq!(list_queries(&server)[asked..], ["n=100&last=1.0.00199"]);
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
