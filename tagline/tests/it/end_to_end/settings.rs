//! Settings that change while the service runs.

use std::fs;
use std::time::{Duration, Instant};

use tagline_testservers::{HttpServer, Response};

use super::fleet::{Running, tagline};

const LIMIT: Duration = Duration::from_mins(1);

fn settings(mirror: &HttpServer, storage: &str) -> String {
    format!(
        "apiVersion: tagline.dev/v1alpha1
kind: Settings
metadata: {{name: settings, namespace: apps}}
spec:
  storagePath: {storage}
  registries:
    - {{host: registry.example, endpoint: {}, insecure: true}}
",
        mirror.url()
    )
}

fn mirror(tag: &'static str) -> HttpServer {
    HttpServer::start(move |_| Response::json(format!(r#"{{"tags":["{tag}"]}}"#))).unwrap()
}

#[test]
fn changed_settings_count_at_once_and_the_rest_is_told() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name);
    let (before, after) = (mirror("1.0.0"), mirror("2.0.0"));
    let objects = "apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageRepository
metadata: {name: app, namespace: apps}
spec: {image: registry.example/team/app, interval: 1s}
";
    let storage = path("storage");
    let storage = storage.to_str().unwrap();
    fs::create_dir(path("manifests")).unwrap();
    fs::write(path("manifests/app.yaml"), objects).unwrap();
    fs::write(path("manifests/settings.yaml"), settings(&before, storage)).unwrap();
    let mut command = tagline(home.path());
    command.arg("run").arg("-f").arg(path("manifests"));
    let log = path("log");
    let _running = Running::start(command, &log);
    let wait_for = |what: &str, happened: &dyn Fn(&str) -> bool| {
        let deadline = Instant::now() + LIMIT;
        loop {
            let log = fs::read_to_string(&log).unwrap();
            if happened(&log) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "waited in vain for {what}:\n{log}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    wait_for("a first scan", &|_| before.requests().len() > 1);

    // What is wrong is told, and changes nothing.
    fs::write(path("manifests/settings.yaml"), "apiVersion: tagline.dev/v1alpha1\nkind: Settings\nmetadata: {name: settings}\nspec: {concurrent: 0}\n").unwrap();
    wait_for("the refusal", &|log| {
        log.contains("the settings stay as they were")
    });
    let asked = before.requests().len();
    wait_for("another scan", &|_| before.requests().len() > asked);
    assert!(after.requests().is_empty());

    let elsewhere = path("elsewhere");
    fs::write(
        path("manifests/settings.yaml"),
        settings(&after, elsewhere.to_str().unwrap()),
    )
    .unwrap();
    wait_for("the other mirror", &|_| after.requests().len() > 1);
    wait_for("the note", &|log| {
        log.contains("taking over changed settings")
            && log.contains("storagePath has changed; restart to take it over")
    });
    assert!(!elsewhere.exists());
}
