//! A hundred hostile registries beside a good one: the good one is served as if it were alone, and no secret gets out.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use tagline_testservers::{Body, HttpServer, Request, Response};

use super::fleet::{PASSWORD, Running, image_objects, tagline};

const LIMIT: Duration = Duration::from_mins(1);
const REGISTRIES: usize = 100;

/// The ways in which they are hostile.
const WAYS: [fn(&Request) -> Response; 14] = [
    // Silent.
    |_| Response {
        body: Body::StallAfter(b"{}".to_vec(), 0),
        ..Response::json("")
    },
    |_| Response {
        body: Body::StallAfter(br#"{"tags":["1.0.0","#.to_vec(), 17),
        ..Response::json("")
    },
    |_| Response::dropped(),
    |_| Response {
        body: Body::CutAfter(br#"{"tags":["1.0.0"]}"#.to_vec(), 9),
        ..Response::json("")
    },
    // Endless.
    |request| {
        let number: u64 = request
            .query_values("last")
            .pop()
            .and_then(|last| last.parse().ok())
            .unwrap_or_default();
        let next = number + 1;
        Response::json(format!(r#"{{"tags":["1.0.{next}"]}}"#)).with_header(
            "Link",
            format!("<{}?last={next}>; rel=\"next\"", request.path),
        )
    },
    |_| Response::new(307, "").with_header("Location", "/v2/"),
    // Not what it should be.
    |_| Response::json(format!("{{\"x\":{}", "[".repeat(100_000))),
    |_| Response::json(b"{\"tags\":[\"\xff\xfe\",\"a b\",\"\x1b[31m\"".to_vec()),
    |_| Response::new(200, "<html>Log in</html>").with_header("Content-Type", "text/html"),
    |_| Response::json(r#"{"tags":{"1.0.0":true}}"#),
    // Sends back what it was sent.
    |request| {
        let login = format!("{:?} {:?}", request.headers, request.basic_credentials());
        if request.header("authorization").is_none() {
            return Response::new(401, "").with_header("WWW-Authenticate", "Basic realm=\"x\"");
        }
        let body = serde_json::json!({"errors": [{"code": "DENIED", "message": login}]});
        Response::new(403, body.to_string())
    },
    // Leads elsewhere.
    |_| {
        let realm = "Bearer realm=\"http://169.254.169.254/latest/meta-data\",service=\"s\"";
        Response::new(401, "").with_header("WWW-Authenticate", realm)
    },
    |_| {
        Response::json(r#"{"tags":["1.0.0"]}"#).with_header(
            "Link",
            "<http://169.254.169.254/v2/team/app/tags/list?n=1>; rel=\"next\"",
        )
    },
    // Wants to be left alone.
    |_| Response::new(429, "").with_header("Retry-After", "3600"),
];

fn objects(hostile: &[HttpServer], good: &HttpServer) -> String {
    let mut text = image_objects("good", &format!("{}/team/app", good.authority()));
    let mut auths = serde_json::Map::new();
    for (index, server) in hostile.iter().enumerate() {
        let image = format!("{}/team/app", server.authority());
        text += &image_objects(&format!("hostile-{index}"), &image);
        let login = serde_json::json!({"username": "me", "password": PASSWORD});
        auths.insert(server.authority(), login);
    }
    let config = serde_json::json!({ "auths": auths }).to_string();
    text = text.replace(
        "interval: 10m, insecure: true",
        "interval: 1s, timeout: 2s, insecure: true, secretRef: {name: pull}",
    );
    format!(
        "{text}apiVersion: v1
kind: Secret
metadata: {{name: pull, namespace: fleet}}
type: kubernetes.io/dockerconfigjson
stringData: {{.dockerconfigjson: '{config}'}}
"
    )
}

fn assert_no_secret(directory: &Path) {
    // "me:swordfish-7261"
    let encoded = "bWU6c3dvcmRmaXNoLTcyNjE=";
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_no_secret(&path);
            continue;
        }
        let text = fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&text);
        for secret in [PASSWORD, encoded] {
            assert!(!text.contains(secret), "{secret} is in {}", path.display());
        }
    }
}

#[test]
fn one_good_registry_among_hostile_ones() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name);
    let hostile: Vec<HttpServer> = (0..REGISTRIES)
        .map(|index| HttpServer::start(WAYS[index % WAYS.len()]).unwrap())
        .collect();
    let tags = std::sync::Arc::new(std::sync::Mutex::new(r#"{"tags":["1.0.0"]}"#));
    let listed = std::sync::Arc::clone(&tags);
    let good = HttpServer::start(move |request| {
        if request.path.contains("/manifests/") {
            let digest = format!("sha256:{}", "0".repeat(64));
            return Response::new(200, "").with_header("Docker-Content-Digest", digest);
        }
        Response::json(*listed.lock().unwrap())
    })
    .unwrap();
    fs::create_dir(path("manifests")).unwrap();
    fs::create_dir(path("seen")).unwrap();
    fs::write(path("manifests/all.yaml"), objects(&hostile, &good)).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = tagline(home.path());
        command.arg("run").arg("-f").arg(path("manifests"));
        command.arg("--storage-path").arg(path("storage"));
        command.args(["--log-level", "trace"]).args(arguments);
        command
    };

    let log = path("seen/log");
    let mut running = Running::start(run(&[]), &log);
    let wait_for = |tag: &str| {
        let text = format!("{}/team/app resolved to {tag}", good.authority());
        let start = Instant::now();
        while !fs::read_to_string(&log).unwrap().contains(&text) {
            assert!(start.elapsed() < LIMIT, "waited in vain for {text}");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    wait_for("1.0.0");
    // In the middle of all that.
    *tags.lock().unwrap() = r#"{"tags":["1.0.0","1.1.0"]}"#;
    wait_for("1.1.0");
    running.kill();

    let output = run(&["--once", "-o", "json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    fs::write(path("seen/json"), &output.stdout).unwrap();
    fs::write(path("seen/errors"), &output.stderr).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut failed = 0;
    for object in report["objects"].as_array().unwrap() {
        let (name, state) = (
            object["name"].as_str().unwrap(),
            object["state"].as_str().unwrap(),
        );
        if name == "good" {
            assert_eq!(state, "Ready", "{object}");
        } else {
            assert_eq!(state, "Failed", "{object}");
            failed += 1;
        }
    }
    assert_eq!(failed, 2 * REGISTRIES);
    assert_no_secret(&path("seen"));
    assert_no_secret(&path("storage"));
}
