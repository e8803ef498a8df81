//! Asks only for tags from one onwards, where that is sound.

use super::paged::{Paged, list_queries};
use super::support::*;
use jiff::{SignedDuration, Timestamp};
use std::sync::{Arc, Mutex};
use tagline_policy::Tag;
use tagline_scanner::ScanOutcome::{Extended, Listed};
use tagline_scanner::{ScanMode, ScanOutcome, ScannerOptions};
use tagline_testservers::{DockerRegistry, HttpServer, Image, Response, require};

fn newer(tag: &str) -> ScanMode {
    ScanMode::Newer(Tag::new(tag).unwrap())
}

/// A registry whose tags the test changes.
fn changing(paged: &Arc<Mutex<Paged>>) -> HttpServer {
    let paged = Arc::clone(paged);
    HttpServer::start(move |request| paged.lock().unwrap().answer(request)).unwrap()
}

#[tokio::test]
async fn only_the_end_of_the_list_is_read() {
    let paged = Arc::new(Mutex::new(Paged::new(250)));
    let server = changing(&paged);
    let scanner = scanner(everywhere(|settings| page_size(settings, 100)));
    let target = anonymous(&server.authority(), "a/b");
    let mut seen = Vec::new();
    let mut scan = async |mode: ScanMode| {
        let asked = list_queries(&server).len();
        let scan = scanner.scan(&target, mode).await.unwrap();
        seen.push((
            scan.outcome,
            scan.added.len(),
            scan.removed.len(),
            scan.tags.len(),
            list_queries(&server)[asked..].join(" "),
        ));
    };
    // The first list is a whole one.
    scan(newer("1.0.00249")).await;
    scan(newer("1.0.00249")).await;
    paged.lock().unwrap().tags = Paged::new(255).tags;
    scan(newer("1.0.00249")).await;
    // A tag that is smaller is not seen; nothing that is chosen depends on it.
    paged.lock().unwrap().tags.remove(7);
    scan(newer("1.0.00254")).await;
    // The tag itself is gone, so everything is looked at.
    paged.lock().unwrap().tags.pop();
    scan(newer("1.0.00254")).await;
    let whole = "n=100 n=100&last=1.0.00099 n=100&last=1.0.00199";
    assert_eq!(
        seen,
        [
            (Listed, 250, 0, 250, whole.to_owned()),
            (Extended, 0, 0, 250, "n=100&last=1.0.00248".to_owned()),
            (Extended, 5, 0, 255, "n=100&last=1.0.00248".to_owned()),
            (Extended, 0, 0, 255, "n=100&last=1.0.00253".to_owned()),
            (
                Listed,
                0,
                2,
                253,
                "n=100&last=1.0.00253 n=100 n=100&last=1.0.00100 n=100&last=1.0.00200".to_owned()
            ),
        ]
    );
}

#[tokio::test]
async fn the_whole_list_is_read_at_its_own_pace() {
    let server = Paged::new(250).start();
    let now = Arc::new(Mutex::new(Timestamp::from_second(1_700_000_000).unwrap()));
    let clock = Arc::clone(&now);
    let scanner = scanner(ScannerOptions {
        clock: Arc::new(move || *clock.lock().unwrap()),
        full_listing_every: SignedDuration::from_hours(2),
        ..everywhere(|settings| page_size(settings, 100))
    });
    let target = anonymous(&server.authority(), "a/b");
    let mut outcomes = Vec::new();
    for _ in 0..6 {
        let scan = scanner.scan(&target, newer("1.0.00249")).await.unwrap();
        outcomes.push(scan.outcome);
        *now.lock().unwrap() += SignedDuration::from_mins(50);
    }
    assert_eq!(
        outcomes,
        [Listed, Extended, Extended, Listed, Extended, Extended]
    );
}

#[tokio::test]
async fn a_list_of_one_page_with_an_etag_is_asked_for_whole() {
    let server = Paged {
        etags: true,
        ..Paged::new(50)
    }
    .start();
    let scanner = scanner(everywhere(|_| {}));
    let target = anonymous(&server.authority(), "a/b");
    scanner.scan(&target, ScanMode::Conditional).await.unwrap();
    let scan = scanner.scan(&target, newer("1.0.00049")).await.unwrap();
    assert_eq!(scan.outcome, ScanOutcome::Unchanged);
    assert_eq!(list_queries(&server), ["n=1000", "n=1000"]);
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
        let scan = scanner.scan(&target, newer("1.0.00049")).await.unwrap();
        assert_eq!(scan.tags.len(), 50);
        outcomes.push(scan.outcome);
    }
    assert_eq!(outcomes, [ScanOutcome::Listed; 3]);
    // Noticed once: asked in vain, listed instead, and not asked again.
    assert_eq!(
        list_queries(&server),
        ["n=1000", "n=1000&last=1.0.00048", "n=1000", "n=1000"]
    );
}

#[tokio::test]
async fn a_list_that_is_not_in_order_is_always_read_whole() {
    let server = HttpServer::start(|_| Response::json(r#"{"tags":["2","1","3"]}"#)).unwrap();
    let scanner = scanner(everywhere(|_| {}));
    let target = anonymous(&server.authority(), "a/b");
    for _ in 0..2 {
        let scan = scanner.scan(&target, newer("3")).await.unwrap();
        assert_eq!(scan.outcome, ScanOutcome::Listed);
        assert_eq!(ascending(&scan.tags), ["1", "2", "3"]);
    }
}

/// That nothing came before an error says nothing about the order.
#[tokio::test]
async fn an_error_does_not_make_a_list_ordered() {
    let answers = Mutex::new(vec![
        Response::json(r#"{"tags":["2","1","3"]}"#),
        Response::new(500, ""),
        Response::json(r#"{"tags":["2","1","3"]}"#),
    ]);
    let server = HttpServer::start(move |request| {
        if request.path.ends_with("/tags/list") {
            answers.lock().unwrap().remove(0)
        } else {
            Response::json("{}")
        }
    })
    .unwrap();
    let scanner = scanner(everywhere(|_| {}));
    let target = anonymous(&server.authority(), "a/b");
    scanner.scan(&target, newer("3")).await.unwrap();
    scanner.scan(&target, newer("3")).await.unwrap_err();
    let scan = scanner.scan(&target, newer("3")).await.unwrap();
    assert_eq!(scan.outcome, ScanOutcome::Listed);
}

/// Distribution 2.8 pages no tag list, and lists in the order of its directory.
#[tokio::test]
async fn a_real_registry_that_does_not_page_is_read_whole() {
    let registry = require!(DockerRegistry::start());
    let push = |tag: &str| registry.push("team/app", tag, &Image::default());
    let scanner = scanner(everywhere(|_| {}));
    let target = anonymous(&registry.authority(), "team/app");
    let mut pushed = Vec::new();
    for tags in [["a-1", "b-2"], ["b-3", "a-2"], ["a-3", "c-1"]] {
        for tag in tags {
            push(tag);
            pushed.push(tag);
        }
        pushed.sort_unstable();
        let greatest = pushed.last().unwrap();
        let scan = scanner.scan(&target, newer(greatest)).await.unwrap();
        assert_eq!(scan.outcome, ScanOutcome::Listed);
        assert_eq!(ascending(&scan.tags), pushed);
    }
}
