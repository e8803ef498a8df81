//! Budgets against a registry that counts: nginx with `limit_req`.

use super::support::*;
use std::num::NonZeroU32;
use tagline_scanner::{RequestRate, ScanMode, Scanner, ScannerOptions};
use tagline_testservers::{HttpServer, Nginx, RateLimit, Response, StartError, require};

fn limited(retry_after: Option<u32>) -> Result<Nginx, StartError> {
    let nginx = Nginx::options()
        .with_rate_limit(RateLimit {
            per_second: 50,
            burst: 5,
            retry_after,
        })
        .start()?;
    for i in 0..40 {
        nginx.write_tags(&format!("team/app{i}"), &["1.0.0"]);
    }
    Ok(nginx)
}

async fn scan_all(
    scanner: &Scanner,
    authority: &str,
    count: usize,
) -> Vec<Result<usize, &'static str>> {
    let mut scans = tokio::task::JoinSet::new();
    for i in 0..count {
        let target = anonymous(authority, &format!("team/app{i}"));
        let scanner = scanner.clone();
        scans.spawn(async move {
            match scanner.scan(&target, ScanMode::Full).await {
                Ok(scan) => Ok(scan.tags.len()),
                Err(error) => Err(error.reason()),
            }
        });
    }
    scans.join_all().await
}

fn refusals(nginx: &Nginx) -> usize {
    nginx
        .requests()
        .iter()
        .filter(|line| line.contains(" 429 "))
        .count()
}

fn rate(per_second: f64, burst: u32) -> ScannerOptions {
    everywhere(|settings| {
        settings.rate = Some(RequestRate::per_second(per_second).unwrap());
        settings.burst = NonZeroU32::new(burst);
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_within_the_limit_is_never_refused() {
    let nginx = require!(limited(None));
    let scanner = scanner(rate(40.0, 3));
    let results = scan_all(&scanner, &nginx.authority(), 40).await;
    assert_eq!(results, [Ok(1); 40]);
    assert_eq!(refusals(&nginx), 0);
    let budgets = scanner.budgets();
    assert_eq!(budgets.len(), 1);
    // The ping is counted like everything else: https in vain, then http, then forty lists.
    assert_eq!((budgets[0].started, budgets[0].refused), (42, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn above_the_limit_it_slows_down_and_everything_is_scanned_in_the_end() {
    for retry_after in [Some(1), None] {
        let nginx = require!(limited(retry_after));
        let scanner = scanner(rate(1000.0, 20));
        let mut rounds = Vec::new();
        while rounds.last() != Some(&0) && rounds.len() < 8 {
            let results = scan_all(&scanner, &nginx.authority(), 40).await;
            assert!(
                results
                    .iter()
                    .all(|result| matches!(result, Ok(1) | Err("RateLimited")))
            );
            rounds.push(results.iter().filter(|result| result.is_err()).count());
        }
        // The first round finds the limit; each later one is refused less, and in the end nothing is.
        assert!(rounds[0] > 0, "nothing was refused");
        assert_eq!(rounds.last(), Some(&0), "{rounds:?}");
        assert!(
            refusals(&nginx) < 60,
            "{rounds:?}: {} refusals",
            refusals(&nginx)
        );
        let status = &scanner.budgets()[0];
        assert!(status.rate.unwrap() < 1000.0);
    }
}

#[tokio::test]
async fn what_a_registry_says_about_its_limit_is_heeded_before_the_429() {
    let server = HttpServer::start(|_| {
        Response::json(r#"{"tags":["1"]}"#)
            .with_header("RateLimit-Limit", "100")
            .with_header("RateLimit-Remaining", "0")
            .with_header("RateLimit-Reset", "3600")
    })
    .unwrap();
    let scanner = scanner(rate(1000.0, 100));
    scanner
        .scan(&anonymous(&server.authority(), "team/app"), ScanMode::Full)
        .await
        .unwrap_err();
    let asked = server.requests().len();
    assert_eq!(asked, 1, "only the ping");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_registry_that_is_down_does_not_hold_up_another() {
    let slow = HttpServer::start(|_| Response::json("{}").after(std::time::Duration::from_secs(5)))
        .unwrap();
    let fast = HttpServer::start(|_| Response::json(r#"{"tags":["1"]}"#)).unwrap();
    let scanner = scanner(everywhere(|settings| {
        settings.timeout = Some(std::time::Duration::from_millis(500));
        settings.in_flight = NonZeroU32::new(2);
    }));
    let (slow, fast) = (slow.authority(), fast.authority());
    let (slow, fast) = tokio::join!(scan_all(&scanner, &slow, 3), scan_all(&scanner, &fast, 40));
    assert_eq!(fast, [Ok(1); 40]);
    assert_eq!(slow, [Err("Timeout"); 3]);
}
