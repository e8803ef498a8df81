//! Long tag lists: killed in the middle and gone on with; asked only for what can matter.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tagline_testservers::{Body, HttpServer, Request, Response};

use super::fleet::{Running, assert_success, tagline};

const LIMIT: Duration = Duration::from_mins(1);

/// A registry that lists `tags` in pages of `page`, whatever is asked for.
struct Pages {
    tags: Mutex<Vec<String>>,
    page: usize,
    /// After so many pages it falls silent, once.
    silent_after: AtomicUsize,
    served: AtomicUsize,
    is_silent: AtomicBool,
}

impl Pages {
    fn new(tags: Vec<String>, page: usize, silent_after: usize) -> Arc<Self> {
        Arc::new(Self {
            tags: Mutex::new(tags),
            page,
            silent_after: AtomicUsize::new(silent_after),
            served: AtomicUsize::new(0),
            is_silent: AtomicBool::new(false),
        })
    }

    fn start(self: &Arc<Self>) -> HttpServer {
        let pages = Arc::clone(self);
        HttpServer::start(move |request| pages.answer(request)).unwrap()
    }

    fn answer(&self, request: &Request) -> Response {
        if request.path.contains("/manifests/") {
            let digest = format!("sha256:{}", "0".repeat(64));
            return Response::new(200, "")
                .with_header("Docker-Content-Digest", digest)
                .with_header("Content-Type", "application/vnd.oci.image.manifest.v1+json");
        }
        if !request.path.ends_with("/tags/list") {
            return Response::json("{}");
        }
        let served = self.served.fetch_add(1, Ordering::SeqCst) + 1;
        if served > self.silent_after.load(Ordering::SeqCst) {
            self.is_silent.store(true, Ordering::SeqCst);
            return Response {
                body: Body::StallAfter(b"{}".to_vec(), 1),
                ..Response::json("")
            };
        }
        let last = request.query_values("last").pop().unwrap_or_default();
        let tags = self.tags.lock().unwrap();
        let rest: Vec<&String> = tags.iter().filter(|tag| **tag > last).collect();
        let page = &rest[..self.page.min(rest.len())];
        let answer = Response::json(serde_json::json!({"name": "a", "tags": page}).to_string());
        match page.last() {
            Some(last) if page.len() < rest.len() => answer.with_header(
                "Link",
                format!("<{}?last={last}>; rel=\"next\"", request.path),
            ),
            _ => answer,
        }
    }

    /// From now on it answers; how many pages it has answered.
    fn speak_again(&self) -> usize {
        self.silent_after.store(usize::MAX, Ordering::SeqCst);
        self.served.swap(0, Ordering::SeqCst)
    }

    fn wait_for_silence(&self) {
        let deadline = Instant::now() + LIMIT;
        while !self.is_silent.load(Ordering::SeqCst) {
            assert!(Instant::now() < deadline, "it does not ask");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn thousands_of_tags() -> Vec<String> {
    (0..10_000)
        .map(|number| format!("build-{number:06}"))
        .collect()
}

/// Kills a command in the middle of a list of a thousand pages, and lets another one finish it.
fn killed_in_the_middle(command: impl Fn(&Path, &HttpServer) -> Command) -> serde_json::Value {
    let home = tempfile::tempdir().unwrap();
    let pages = Pages::new(thousands_of_tags(), 10, 700);
    let server = pages.start();
    let log = home.path().join("log");
    let mut running = Running::start(command(home.path(), &server), &log);
    pages.wait_for_silence();
    running.kill();
    assert_eq!(pages.speak_again(), 701);
    let output = command(home.path(), &server).output().unwrap();
    assert_success(&output);
    let asked_again = pages.served.load(Ordering::SeqCst);
    // 300 were missing, and less than an eighth of those that were there was lost.
    assert!((300..=300 + 88).contains(&asked_again), "{asked_again}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_scan_that_is_killed_goes_on_where_it_was() {
    let row = killed_in_the_middle(|home, server| {
        let mut command = tagline(home);
        let image = format!("{}/team/app", server.authority());
        command.args(["scan", "-o", "json", "--storage-path"]);
        command.arg(home.join("storage")).arg(image);
        command
    });
    assert_eq!(row["tags"], 10_000, "{row}");
    assert_eq!(row["complete"], true, "{row}");
}

/// An image that is asked for every second, and an alphabetical policy.
fn objects(image: &str, interval: &str) -> String {
    format!(
        "apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageRepository
metadata: {{name: app, namespace: apps}}
spec: {{image: {image}, interval: {interval}}}
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImagePolicy
metadata: {{name: app, namespace: apps}}
spec:
  imageRepositoryRef: {{name: app}}
  filterTags: {{pattern: '^build-(?P<number>[0-9]+)$', extract: $number}}
  policy: {{alphabetical: {{order: asc}}}}
"
    )
}

fn run(home: &Path, server: &HttpServer, interval: &str) -> Command {
    let manifest = home.join("objects.yaml");
    let image = format!("{}/team/app", server.authority());
    fs::write(&manifest, objects(&image, interval)).unwrap();
    let mut command = tagline(home);
    command.arg("run").arg("-f").arg(manifest);
    command.arg("--storage-path").arg(home.join("storage"));
    command
}

#[test]
fn the_service_that_is_killed_goes_on_where_it_was() {
    let report = killed_in_the_middle(|home, server| {
        let mut command = run(home, server, "10m");
        command.args(["--once", "-o", "json"]);
        command
    });
    let text = report.to_string();
    assert!(text.contains("build-009999"), "{text}");
}

#[test]
fn the_service_asks_only_for_tags_that_could_be_chosen() {
    let home = tempfile::tempdir().unwrap();
    let tags: Vec<String> = (0..100)
        .map(|number| format!("build-{number:06}"))
        .collect();
    // `zz` sorts behind all that counts.
    let tags = [tags, vec!["zz".to_owned()]].concat();
    let pages = Pages::new(tags, 10, usize::MAX);
    let server = pages.start();
    let log = home.path().join("log");
    let _running = Running::start(run(home.path(), &server, "1s"), &log);
    let wait_for = |what: &str, happened: &dyn Fn() -> bool| {
        let deadline = Instant::now() + LIMIT;
        while !happened() {
            let log = fs::read_to_string(&log).unwrap();
            assert!(
                Instant::now() < deadline,
                "waited in vain for {what}:\n{log}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let lists = || -> Vec<String> {
        let asked = server.requests().into_iter();
        let lists = asked.filter(|request| request.path.ends_with("/tags/list"));
        lists.map(|request| request.query).collect()
    };
    let chosen = |tag: &str| {
        fs::read_to_string(&log)
            .unwrap()
            .contains(&format!("resolved to {tag}"))
    };
    wait_for("a third scan", &|| lists().len() > 12);
    assert!(chosen("build-000099"));
    let lists = lists();
    // Eleven pages once; from then on one, from the tag before the one that is chosen.
    assert!(lists[0].ends_with("n=1000"), "{lists:?}");
    for list in &lists[11..] {
        assert_eq!(list, "n=1000&last=build-000098");
    }
    pages
        .tags
        .lock()
        .unwrap()
        .insert(100, "build-000100".to_owned());
    wait_for("the new tag", &|| chosen("build-000100"));
}
