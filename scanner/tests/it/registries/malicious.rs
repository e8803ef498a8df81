//! What a malicious or broken registry may answer. Each costs an error for its own target, with a text that says what
//! to do, and nothing else.

use super::raw_server::{Part, RawRequest, RawServer, answer, json};
use super::support::*;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tagline_scanner::{AnswerLimits, RequestRate, Scan, ScanError, ScanMode, ScannerOptions};
use tagline_testservers::{HttpServer, Response};

/// Ends as an error with this reason, or as a list without the illegal names.
enum Expected {
    Reason(&'static str),
    OneOf(&'static [&'static str]),
    Dropped {
        legal: &'static [&'static str],
        dropped: u64,
    },
}

mod content;
mod leading;
mod paging;
mod statuses;
mod transfer;

use Expected::{Dropped, OneOf, Reason};

type Handler = Box<dyn Fn(&RawRequest, &str) -> Vec<Part> + Send + Sync>;

struct Case {
    name: &'static str,
    expected: Expected,
    handler: Handler,
}

/// Answers the list with these parts, and everything else with an empty object.
fn list(
    name: &'static str,
    expected: Expected,
    parts: impl Fn() -> Vec<Part> + Send + Sync + 'static,
) -> Case {
    any(name, expected, move |request, _| {
        if request.target.contains("/tags/list") {
            parts()
        } else {
            json("{}")
        }
    })
}

fn page(
    name: &'static str,
    expected: Expected,
    body: impl AsRef<[u8]> + Send + Sync + 'static,
) -> Case {
    list(name, expected, move || json(&body))
}

fn linking(name: &'static str, expected: Expected, link: &'static str) -> Case {
    list(name, expected, move || {
        answer("200 OK", &format!("Link: {link}\r\n"), r#"{"tags":["1"]}"#)
    })
}

fn status(
    name: &'static str,
    expected: Expected,
    line: &'static str,
    headers: &'static str,
    body: &'static str,
) -> Case {
    list(name, expected, move || answer(line, headers, body))
}

fn any(
    name: &'static str,
    expected: Expected,
    handler: impl Fn(&RawRequest, &str) -> Vec<Part> + Send + Sync + 'static,
) -> Case {
    Case {
        name,
        expected,
        handler: Box::new(handler),
    }
}

/// 401 for everything but the realm.
fn realm(
    name: &'static str,
    expected: Expected,
    realm_answer: impl Fn() -> Vec<Part> + Send + Sync + 'static,
) -> Case {
    any(name, expected, move |request, authority| {
        if request.target.starts_with("/token") {
            realm_answer()
        } else {
            answer(
                "401 Unauthorized",
                &format!(
                    "WWW-Authenticate: Bearer realm=\"http://{authority}/token\",service=\"s\"\r\n"
                ),
                "",
            )
        }
    })
}

fn challenge(name: &'static str, expected: Expected, value: &'static str) -> Case {
    any(name, expected, move |_, _| {
        answer(
            "401 Unauthorized",
            &format!("WWW-Authenticate: {value}\r\n"),
            "",
        )
    })
}

fn number(target: &str) -> u32 {
    let digits = target.rsplit('=').next().unwrap_or_default();
    digits.parse().unwrap_or_default()
}

/// Tells one challenge from the next.
static CHALLENGES: AtomicU32 = AtomicU32::new(0);

/// 16 MiB of spaces behind the beginning of a page.
static GZIP_BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut body = br#"{"tags":["1""#.to_vec();
    body.resize(16 << 20, b' ');
    gzip(&body)
});

fn gzip(body: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn corpus() -> Vec<Case> {
    [
        paging::cases(),
        content::cases(),
        transfer::cases(),
        leading::cases(),
        statuses::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn options() -> ScannerOptions {
    let mut options = everywhere(|settings| {
        settings.timeout = Some(Duration::from_secs(2));
        settings.rate = Some(RequestRate::UNLIMITED);
    });
    options.limits = AnswerLimits {
        pages: 20,
        tags: 10_000,
        page_bytes: 1 << 20,
        listing_bytes: 4 << 20,
        document_bytes: 1 << 18,
        header_bytes: 16 * 1024,
        listing_time: Duration::from_secs(30),
    };
    // A refusal is an error at once, not a reason to wait.
    options.longest_wait = Duration::ZERO;
    options
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malicious_registry_costs_an_error_for_its_own_target() {
    let healthy = HttpServer::start(|_| Response::json(r#"{"tags":["1.0.0"]}"#)).unwrap();
    let scanner = scanner(options());
    // Packing takes longer than the time-out that is tested.
    LazyLock::force(&GZIP_BOMB);
    let corpus = corpus();
    assert!(corpus.len() >= 40);
    let mut scans = tokio::task::JoinSet::new();
    for case in corpus {
        let (scanner, healthy) = (scanner.clone(), healthy.authority());
        scans.spawn(async move {
            let server = RawServer::start(case.handler);
            let target = anonymous(&server.authority(), "a/b");
            let scan = scanner.scan(&target, ScanMode::Conditional).await;
            let stored = scanner.tags(&target.key()).unwrap();
            let other = scanner
                .scan(&anonymous(&healthy, "a/b"), ScanMode::Conditional)
                .await
                .map(|scan| scan.tags.len());
            (case.name, case.expected, scan, stored, other)
        });
    }
    let mut wrong = Vec::new();
    while let Some(done) = scans.join_next().await {
        let (name, expected, scan, stored, other) = done.unwrap();
        let verdict = match scan {
            Ok(scan) => check_list(&expected, &scan),
            Err(error) => check_error(&expected, &error),
        };
        if let Err(problem) = verdict {
            wrong.push(format!("{name}: {problem}"));
        }
        if matches!(expected, Reason(_) | OneOf(_)) && stored.is_some() {
            wrong.push(format!("{name}: a failed listing was stored"));
        }
        assert_eq!(other.unwrap(), 1, "{name}: the other registry");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn check_list(expected: &Expected, scan: &Scan) -> Result<(), String> {
    let found = (ascending(&scan.tags), scan.dropped);
    match expected {
        Dropped { legal, dropped } if found.0 == *legal && found.1 == *dropped => Ok(()),
        _ => Err(format!("listed {found:?}")),
    }
}

fn check_error(expected: &Expected, error: &ScanError) -> Result<(), String> {
    let text = error.to_string();
    let is_expected = match expected {
        Reason(reason) => error.reason() == *reason,
        OneOf(reasons) => reasons.contains(&error.reason()),
        Dropped { .. } => false,
    };
    if !is_expected {
        return Err(format!("{}: {text}", error.reason()));
    }
    let is_clear = text.contains("/a/b: ")
        && text.len() < 800
        && !text.chars().any(|c| c.is_control() || c == '\u{202e}');
    if is_clear {
        Ok(())
    } else {
        Err(format!("not clear: {text:?}"))
    }
}

#[tokio::test]
async fn nothing_is_sent_elsewhere_by_a_link() {
    let elsewhere = Arc::new(RawServer::start(|_, _| json(r#"{"tags":["stolen"]}"#)));
    let authority = elsewhere.authority().replace("127.0.0.1", "localhost");
    let registry = RawServer::start(move |_, _| {
        answer(
            "200 OK",
            &format!("Link: <http://{authority}/v2/a/b/tags/list?last=1>; rel=next\r\n"),
            r#"{"tags":["1"]}"#,
        )
    });
    let target = anonymous(&registry.authority(), "a/b");
    let error = scanner(options())
        .scan(&target, ScanMode::Full)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "RefusedLocation");
    assert!(elsewhere.requests().is_empty());
}
