//! `tagline scan --watch`.

use super::program::Workplace;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tagline_testservers::{DockerRegistry, HttpServer, Image, Response, require};

const LIMIT: Duration = Duration::from_mins(1);

/// A watching program; killed when the test ends early.
struct Watching {
    child: Child,
    lines: Receiver<String>,
}

impl Watching {
    fn start(place: &Workplace, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tagline"))
            .args(["scan", "--watch", "--interval", "1s", "--insecure"])
            .args(arguments)
            .current_dir(place.path())
            .env_clear()
            .env("HOME", place.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines() {
                if sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(LIMIT).unwrap()
    }

    fn event(&self) -> (String, Value) {
        let event: Value = serde_json::from_str(&self.line()).unwrap();
        assert!(
            event["at"].is_string() && event["image"].is_string(),
            "{event}"
        );
        (
            event["event"].as_str().unwrap().to_owned(),
            event["tag"].clone(),
        )
    }

    /// Ends it as Ctrl-C does.
    fn interrupt(mut self) -> (Option<i32>, String) {
        let id = self.child.id().to_string();
        let killed = Command::new("kill").args(["-s", "INT", &id]).status();
        assert!(killed.unwrap().success());
        let deadline = Instant::now() + LIMIT;
        let code = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status.code();
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::yield_now();
        };
        let mut told = String::new();
        let mut errors = self.child.stderr.take().unwrap();
        errors.read_to_string(&mut told).unwrap();
        assert_eq!(self.lines.iter().count(), 0, "printed behind the end");
        (code, told)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_for_scans(registry: &DockerRegistry, repository: &str, count: usize) {
    let deadline = Instant::now() + LIMIT;
    let path = format!("/v2/{repository}/tags/list");
    let scans = || {
        let requests = registry.requests();
        requests.iter().filter(|line| line.contains(&path)).count()
    };
    while scans() < count {
        assert!(Instant::now() < deadline, "{:?}", registry.requests());
        std::thread::yield_now();
    }
}

#[test]
fn what_comes_and_goes_is_told_until_it_is_interrupted() {
    let registry = require!(DockerRegistry::start());
    let image = Image::default();
    registry.push_tags("team/app", &["1.0.0", "1.1.0"], &image);
    registry.push_tags("team/other", &["1.0.0"], &image);
    let place = Workplace::new();
    let host = registry.authority();
    let json = Watching::start(&place, &["--catalog", &host, "-o", "json"]);
    // What there is at first is no news.
    wait_for_scans(&registry, "team/app", 1);
    wait_for_scans(&registry, "team/other", 1);
    registry.push("team/app", "1.2.0", &image);
    assert_eq!(json.event(), ("added".into(), "1.2.0".into()));
    registry.delete_tag("team/app", "1.0.0");
    assert_eq!(json.event(), ("removed".into(), "1.0.0".into()));
    registry.push("team/other", "2.0.0", &image);
    assert_eq!(json.event(), ("added".into(), "2.0.0".into()));
    assert_eq!(json.interrupt(), (Some(0), String::new()));

    // With earlier scans kept, what has happened since then is news.
    let app = format!("{host}/team/app");
    let kept = ["--storage-path", "store"];
    let scan = [&["scan", "--insecure", &app][..], &kept].concat();
    assert_eq!(place.run(&scan).code, 0);
    registry.push("team/app", "1.3.0", &image);
    let table = Watching::start(&place, &[&[app.as_str()][..], &kept].concat());
    assert_eq!(table.line(), format!("+ {app}:1.3.0"));
    assert_eq!(table.interrupt(), (Some(0), String::new()));
}

#[test]
fn a_failure_is_told_once_and_its_end_too() {
    let works = Arc::new(AtomicBool::new(false));
    let answers = Arc::clone(&works);
    let server = HttpServer::start(move |request| match request.path.as_str() {
        "/v2/" => Response::json("{}"),
        _ if answers.load(Ordering::SeqCst) => Response::json("{\"tags\": [\"1.0.0\"]}"),
        _ => Response::new(404, ""),
    })
    .unwrap();
    let image = format!("{}/team/app", server.authority());
    let place = Workplace::new();
    let watching = Watching::start(&place, &[&image, "-o", "json"]);
    assert_eq!(watching.event(), ("failed".into(), Value::Null));
    // Two more failures say nothing new.
    let deadline = Instant::now() + LIMIT;
    let asked = || {
        let requests = server.requests();
        requests
            .iter()
            .filter(|request| request.path.contains("tags/list"))
            .count()
    };
    while asked() < 3 {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
    works.store(true, Ordering::SeqCst);
    assert_eq!(watching.event(), ("recovered".into(), Value::Null));
    assert_eq!(watching.interrupt().0, Some(0));
}
