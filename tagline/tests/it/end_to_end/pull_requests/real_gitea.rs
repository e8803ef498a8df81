//! The same life on a real Gitea, which is git server and forge in one.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tagline_testservers::{BareRepository, DockerRegistry, Gitea, Image, require};

use super::super::fleet::Fleet;
use super::{automation, automation_of, reported};

struct Scene {
    gitea: Gitea,
    registry: DockerRegistry,
    fleet: Fleet,
}

impl Scene {
    fn git_url(&self) -> String {
        let address = self.gitea.url();
        let address = address.strip_prefix("http://").unwrap();
        format!(
            "http://{}:{}@{address}/acme/apps.git",
            Gitea::USER,
            self.gitea.token()
        )
    }

    fn write(&self, push: &str, pull_request: &str) {
        let objects = format!(
            "apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {{name: fleet, namespace: fleet}}
spec:
  url: {}/acme/apps.git
  interval: 10m
  ref: {{branch: main}}
  secretRef: {{name: git}}
---
apiVersion: v1
kind: Secret
metadata: {{name: git, namespace: fleet}}
stringData: {{username: {}, password: {}}}
---
",
            self.gitea.url(),
            Gitea::USER,
            self.gitea.token()
        );
        // The Secret of git serves the API of the same host.
        let automation = automation(push, &format!("provider: gitea, {pull_request}"));
        let text = format!("{}{objects}{automation}", self.fleet.images());
        self.fleet.write_manifest("all.yaml", &text);
    }

    fn pass(&self) -> Value {
        automation_of(&self.fleet.run_once("storage"))
    }

    fn publish_tag(&self, index: usize, tag: &str) {
        self.registry
            .push(&format!("fleet/app-{index}"), tag, &Image::default());
    }

    fn pull(&self, number: u64) -> Value {
        self.gitea
            .api("GET", &format!("/repos/acme/apps/pulls/{number}"), None)
    }

    fn branches(&self) -> Vec<String> {
        let all = self.gitea.api("GET", "/repos/acme/apps/branches", None);
        // `null` of an empty repository.
        let names = all.as_array().into_iter().flatten();
        let mut names: Vec<String> = names
            .map(|branch| branch["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }

    /// It takes note of a push some time after it.
    fn wait_for_branches(&self, expected: &[&str]) {
        let deadline = Instant::now() + Duration::from_mins(1);
        while self.branches() != expected {
            assert!(Instant::now() < deadline, "{:?}", self.branches());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn close(&self, number: u64) {
        let path = format!("/repos/acme/apps/pulls/{number}");
        self.gitea
            .api("PATCH", &path, Some(&json!({ "state": "closed" })));
    }

    fn merge(&self, number: u64) {
        let path = format!("/repos/acme/apps/pulls/{number}/merge");
        // It looks first whether there are conflicts.
        while self.pull(number)["mergeable"] != true {
            std::thread::sleep(Duration::from_millis(50));
        }
        self.gitea
            .api("POST", &path, Some(&json!({ "Do": "merge" })));
    }
}

fn set_up(images: usize) -> Result<Scene, tagline_testservers::StartError> {
    let gitea = Gitea::start()?;
    gitea.create_repository("apps");
    gitea.create_collaborator("alice", "apps");
    gitea.create_collaborator("bob", "apps");
    let registry = DockerRegistry::start()?;
    let fleet = Fleet::new(&registry, images);
    let local: PathBuf = fleet.path("local.git");
    let local = BareRepository::create(local)?;
    fleet.fill(&local);
    let scene = Scene {
        gitea,
        registry,
        fleet,
    };
    let pushed = Command::new("git")
        .args(["push", "--quiet", &scene.git_url(), "main"])
        .current_dir(local.path())
        .output()
        .unwrap();
    assert!(pushed.status.success(), "{pushed:?}");
    // Until it has taken note of the push, it takes the repository for empty and knows no pull requests there.
    scene.wait_for_branches(&["main"]);
    Ok(scene)
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

#[test]
#[ignore = "opt-in: needs a program gitea, which Debian does not package"]
fn from_a_new_tag_to_the_next_pull_request() {
    let scene = require!(set_up(1));
    let settings = "labels: [images], reviewers: [alice], assignees: [bob]";
    scene.write("branch: updates/one", settings);
    let open = |number| ("updates/one".to_owned(), "Open".to_owned(), Some(number));

    let report = scene.pass();
    assert_eq!(reported(&report), [open(1)], "{report}");
    let pull = scene.pull(1);
    assert_eq!(text(&pull, "/title"), "Update app-0 to 1.1.0");
    assert_eq!(text(&pull, "/labels/0/name"), "images");
    assert_eq!(text(&pull, "/requested_reviewers/0/login"), "alice");
    assert_eq!(text(&pull, "/assignees/0/login"), "bob");
    assert!(text(&pull, "/body").contains("`1.0.0` → `1.1.0`"));
    assert!(!text(&pull, "/body").contains("setup=pending"));

    // Nothing has changed: nothing is written.
    let unchanged = pull["updated_at"].clone();
    assert_eq!(reported(&scene.pass()), [open(1)]);
    scene.fleet.run_once("new-storage");
    assert_eq!(scene.pull(1)["updated_at"], unchanged);

    scene.publish_tag(0, "1.2.0");
    assert_eq!(reported(&scene.pass()), [open(1)]);
    let pull = scene.pull(1);
    assert_eq!(text(&pull, "/title"), "Update app-0 to 1.2.0");
    assert!(text(&pull, "/body").contains("`1.0.0` → `1.2.0`"));
    assert_eq!(pull["additions"], 1, "made anew, not piled up: {pull}");

    scene.close(1);
    let refused = ("updates/one".to_owned(), "Refused".to_owned(), Some(1));
    assert_eq!(reported(&scene.pass()), std::slice::from_ref(&refused));
    let report = automation_of(&scene.fleet.run_once("another-storage"));
    assert_eq!(reported(&report), [refused]);

    scene.publish_tag(0, "1.3.0");
    assert_eq!(reported(&scene.pass()), [open(2)]);
    scene.merge(2);
    assert_eq!(reported(&scene.pass()), []);
    scene.wait_for_branches(&["main"]);

    scene.publish_tag(0, "1.4.0");
    assert_eq!(reported(&scene.pass()), [open(3)]);
    assert_eq!(text(&scene.pull(3), "/state"), "open");
}

#[test]
#[ignore = "opt-in: needs a program gitea, which Debian does not package"]
fn drafts_limits_and_successors() {
    let scene = require!(set_up(3));
    let branch = "branch: 'updates/{{ .Policy.Name }}-{{ .Image.Tag }}'";
    scene.write(branch, "draft: true, limit: 2");
    let states = |report: &Value| -> Vec<(String, Option<u64>)> {
        reported(report)
            .into_iter()
            .map(|(_, state, number)| (state, number))
            .collect()
    };
    let row = |state: &str, number| (state.to_owned(), number);
    let report = scene.pass();
    let expected = [
        row("Open", Some(1)),
        row("Open", Some(2)),
        row("Waiting", None),
    ];
    assert_eq!(states(&report), expected, "{report}");
    assert_eq!(scene.pull(1)["draft"], true);
    scene.wait_for_branches(&["main", "updates/app-0-1.1.0", "updates/app-1-1.2.0"]);

    scene.publish_tag(0, "1.5.0");
    let report = scene.pass();
    let mut found = states(&report);
    found.sort();
    let expected = [
        row("Open", Some(2)),
        row("Open", Some(3)),
        row("Waiting", None),
    ];
    assert_eq!(found, expected, "{report}");
    assert_eq!(text(&scene.pull(1), "/state"), "closed");
    let comments = scene
        .gitea
        .api("GET", "/repos/acme/apps/issues/1/comments", None);
    assert!(
        text(&comments, "/0/body").starts_with("Superseded by #3."),
        "{comments}"
    );
    scene.wait_for_branches(&["main", "updates/app-0-1.5.0", "updates/app-1-1.2.0"]);
}
