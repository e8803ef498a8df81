//! Lists of several pages are asked conditionally, page by page.

use super::paged::{Paged, list_queries};
use super::support::*;
use std::sync::{Arc, Mutex};
use tagline_scanner::ScanOutcome::{Listed, Unchanged};
use tagline_scanner::{ScanMode, ScanOutcome, Scanner};
use tagline_testservers::{HttpServer, Response};

/// A registry with 250 tags in three pages with `ETag`s, and how it answered.
struct Changing {
    paged: Arc<Mutex<Paged>>,
    statuses: Arc<Mutex<Vec<u16>>>,
    server: HttpServer,
    scanner: Scanner,
}

impl Changing {
    fn start(paged: Paged) -> Self {
        let paged = Arc::new(Mutex::new(paged));
        let statuses = Arc::new(Mutex::new(Vec::new()));
        let (answering, log) = (Arc::clone(&paged), Arc::clone(&statuses));
        let server = HttpServer::start(move |request| {
            let answer = answering.lock().unwrap().answer(request);
            if request.path.ends_with("/tags/list") {
                log.lock().unwrap().push(answer.status);
            }
            answer
        })
        .unwrap();
        Self {
            paged,
            statuses,
            server,
            scanner: scanner(everywhere(|settings| page_size(settings, 100))),
        }
    }

    /// The outcome, the tags there are, and how each page was answered.
    async fn scan(&self) -> (ScanOutcome, usize, Vec<u16>) {
        self.statuses.lock().unwrap().clear();
        let target = anonymous(&self.server.authority(), "a/b");
        let scan = self
            .scanner
            .scan(&target, ScanMode::Conditional)
            .await
            .unwrap();
        let tags = self.paged.lock().unwrap().tags.clone();
        assert_eq!(ascending(&scan.tags), tags);
        (
            scan.outcome,
            scan.tags.len(),
            self.statuses.lock().unwrap().clone(),
        )
    }
}

fn with_etags() -> Paged {
    Paged {
        etags: true,
        ..Paged::new(250)
    }
}

#[tokio::test]
async fn only_pages_that_changed_are_read() {
    let registry = Changing::start(with_etags());
    assert_eq!(registry.scan().await, (Listed, 250, vec![200; 3]));
    assert_eq!(registry.scan().await, (Unchanged, 250, vec![304; 3]));
    // That the first page is as it was says nothing about the last.
    registry.paged.lock().unwrap().tags.push("2.0.0".to_owned());
    assert_eq!(registry.scan().await, (Listed, 251, vec![304, 304, 200]));
    assert_eq!(registry.scan().await, (Unchanged, 251, vec![304; 3]));
    registry.paged.lock().unwrap().tags.remove(150);
    assert_eq!(registry.scan().await, (Listed, 250, vec![304, 200, 200]));
    registry.paged.lock().unwrap().tags.remove(0);
    assert_eq!(registry.scan().await, (Listed, 249, vec![200; 3]));
    assert_eq!(registry.scan().await, (Unchanged, 249, vec![304; 3]));
    registry.paged.lock().unwrap().tags.truncate(100);
    assert_eq!(registry.scan().await, (Listed, 100, vec![304, 200]));
}

#[tokio::test]
async fn where_one_page_has_no_etag_all_are_read() {
    let server = HttpServer::start(|request| {
        let answer = with_etags().answer(request);
        if request.query.contains("last=1.0.00099") {
            return Paged::new(250).answer(request);
        }
        answer
    })
    .unwrap();
    let scanner = scanner(everywhere(|settings| page_size(settings, 100)));
    let target = anonymous(&server.authority(), "a/b");
    for _ in 0..2 {
        let scan = scanner.scan(&target, ScanMode::Conditional).await.unwrap();
        assert_eq!(scan.outcome, ScanOutcome::Listed);
    }
    assert_eq!(list_queries(&server).len(), 6);
}

#[tokio::test]
async fn an_error_does_not_cost_the_etags() {
    let registry = Changing::start(with_etags());
    assert_eq!(registry.scan().await.0, Listed);
    registry.paged.lock().unwrap().down = true;
    let target = anonymous(&registry.server.authority(), "a/b");
    let failed = registry.scanner.scan(&target, ScanMode::Conditional).await;
    assert_eq!(failed.unwrap_err().reason(), "ServerError");
    registry.paged.lock().unwrap().down = false;
    let (outcome, _, statuses) = registry.scan().await;
    assert_eq!((outcome, statuses[0]), (Unchanged, 304));
}

#[tokio::test]
async fn a_later_page_that_is_gone_begins_anew() {
    let first = Arc::new(Mutex::new(true));
    let is_first = Arc::clone(&first);
    let server = HttpServer::start(move |request| {
        let conditional = request.header("if-none-match").is_some();
        if conditional && request.query.contains("last=1.0.00199") {
            *is_first.lock().unwrap() = false;
            return Response::new(410, "expired");
        }
        with_etags().answer(request)
    })
    .unwrap();
    let scanner = scanner(everywhere(|settings| page_size(settings, 100)));
    let target = anonymous(&server.authority(), "a/b");
    for _ in 0..2 {
        let scan = scanner.scan(&target, ScanMode::Conditional).await.unwrap();
        assert_eq!((scan.outcome, scan.tags.len()), (ScanOutcome::Listed, 250));
    }
    assert!(!*first.lock().unwrap(), "the page was asked conditionally");
}
