//! Any number of askers for a target share one scan.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::routing::get;
use futures_util::future::join_all;
use tagline_policy::ImageName;
use tagline_scanner::{ScanMode, ScanTarget, Scanner, ScannerOptions, StoreOptions, TagStore};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

#[tokio::test]
async fn askers_at_the_same_time_share_one_scan() {
    let (lists, gate) = (Arc::new(AtomicU32::new(0)), Arc::new(Semaphore::new(0)));
    let answer = {
        let (lists, gate) = (Arc::clone(&lists), Arc::clone(&gate));
        move || async move {
            lists.fetch_add(1, Ordering::SeqCst);
            gate.acquire().await.unwrap().forget();
            r#"{"name": "team/app", "tags": ["v1", "v2"]}"#
        }
    };
    let registry = Router::new()
        .route("/v2/", get(|| async { "{}" }))
        .route("/v2/team/app/tags/list", get(answer));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, registry).await });

    let store = TagStore::in_memory(&StoreOptions::default()).unwrap();
    let scanner = Scanner::new(ScannerOptions::default(), store);
    let image = ImageName::parse(&format!("{authority}/team/app")).unwrap();
    let target = ScanTarget::anonymous(image);
    let ask = || scanner.scan(&target, ScanMode::Conditional);
    let opened = async {
        while lists.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        gate.add_permits(1);
    };
    let (scans, ()) = tokio::join!(join_all((0..50).map(|_| ask())), opened);
    for scan in scans {
        assert_eq!(scan.unwrap().tags.len(), 2);
    }
    assert_eq!(lists.load(Ordering::SeqCst), 1);
    // Later askers want a newer list.
    gate.add_permits(1);
    ask().await.unwrap();
    assert_eq!(lists.load(Ordering::SeqCst), 2);
    server.abort();
}
