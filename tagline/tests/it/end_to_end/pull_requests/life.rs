//! Opened, updated, refused, superseded, merged, tidied up.

use tagline_testservers::forge::{ForgeKind, PullRequestState};
use tagline_testservers::require;

use super::{Scene, reported};

const DEFAULT_BRANCH: &str = "tagline/fleet/fleet";

fn open(branch: &str, number: u64) -> (String, String, Option<u64>) {
    (branch.to_owned(), "Open".to_owned(), Some(number))
}

#[test]
fn from_a_new_tag_to_the_next_pull_request() {
    let settings = "labels: [images], reviewers: [alice], assignees: [bob], autoMerge: squash, \
                    title: 'Deploy {{ .Policy.Name }} {{ .Image.Tag }}', body: 'See the runbook.'";
    for kind in [ForgeKind::Gitea, ForgeKind::GitLab] {
        let scene = require!(Scene::new(kind, 1, "", settings));
        scene.forge.repo().labels.push("images".to_owned());
        let main = scene.remote.head("main");

        let report = scene.pass();
        assert_eq!(reported(&report), [open(DEFAULT_BRANCH, 1)], "{report}");
        assert!(report["pullRequestActions"][0] == "opened #1", "{report}");
        let message = report["message"].as_str().unwrap();
        assert!(
            message.starts_with("repository up-to-date; #1 open (http"),
            "{message}"
        );
        let pull = scene.open().remove(0);
        assert_eq!((&*pull.title, &*pull.base), ("Deploy app-0 1.1.0", "main"));
        assert!(pull.body.contains("See the runbook."), "{}", pull.body);
        assert!(pull.body.contains("`1.0.0` → `1.1.0`"), "{}", pull.body);
        assert!(pull.auto_merge);
        assert_eq!(
            scene.remote.head("main"),
            main,
            "nothing goes to main itself"
        );
        assert_eq!(scene.remote.log(DEFAULT_BRANCH).len(), 2);

        // Nothing has changed: nothing is written, with and without what the first run knew.
        let changes = scene.changes();
        assert_eq!(reported(&scene.pass()), [open(DEFAULT_BRANCH, 1)]);
        scene.fleet.run_once("new-storage");
        assert_eq!(scene.changes(), changes, "{:?}", scene.forge.repo().changes);

        scene.publish_tag(0, "1.2.0");
        assert_eq!(reported(&scene.pass()), [open(DEFAULT_BRANCH, 1)]);
        let pull = scene.open().remove(0);
        assert_eq!(pull.title, "Deploy app-0 1.2.0");
        assert!(pull.body.contains("`1.0.0` → `1.2.0`"), "{}", pull.body);
        assert_eq!(Some(pull.commit), scene.remote.head(DEFAULT_BRANCH));
        assert_eq!(
            scene.remote.log(DEFAULT_BRANCH).len(),
            2,
            "made anew, not piled up"
        );

        scene.merge(1);
        let report = scene.pass();
        assert_eq!(reported(&report), []);
        assert_eq!(scene.remote.head(DEFAULT_BRANCH), None, "{report}");

        scene.publish_tag(0, "1.3.0");
        assert_eq!(reported(&scene.pass()), [open(DEFAULT_BRANCH, 2)]);
        let changes = scene.changes();
        scene.pass();
        assert_eq!(scene.changes(), changes);
    }
}

#[test]
fn closed_by_a_person_means_not_this_version() {
    let scene = require!(Scene::new(ForgeKind::Gitea, 1, "branch: updates", ""));
    scene.pass();
    scene.close(1);
    scene
        .remote
        .git(&["update-ref", "-d", "refs/heads/updates"]);
    // Known by the forge, whatever this side has lost; known by this side, when the forge is down.
    for storage in ["storage", "storage", "new-storage"] {
        let report = scene.fleet.run_once(storage);
        let report = super::automation_of(&report);
        assert_eq!(
            reported(&report),
            [("updates".to_owned(), "Refused".to_owned(), Some(1))]
        );
        assert_eq!(scene.remote.head("updates"), None, "not pushed: {report}");
    }
    scene.forge.repo().dead = true;
    scene.failing_pass();
    assert_eq!(scene.remote.head("updates"), None);
    scene.forge.repo().dead = false;
    assert_eq!(scene.open().len(), 0);

    scene.publish_tag(0, "1.2.0");
    assert_eq!(reported(&scene.pass()), [open("updates", 2)]);
    assert!(scene.open()[0].body.contains("`1.2.0`"));
}

#[test]
fn a_newer_version_takes_the_place_of_the_old() {
    let branch = "branch: 'updates/{{ .Policy.Name }}-{{ .Image.Tag }}'";
    let scene = require!(Scene::new(ForgeKind::Gitea, 2, branch, "draft: true"));
    let report = scene.pass();
    let both = [
        open("updates/app-0-1.1.0", 1),
        open("updates/app-1-1.2.0", 2),
    ];
    assert_eq!(reported(&report), both);
    assert!(
        scene
            .open()
            .iter()
            .all(|pull| pull.title.starts_with("WIP: "))
    );

    scene.publish_tag(0, "1.4.0");
    let report = scene.pass();
    assert_eq!(
        reported(&report),
        [
            open("updates/app-0-1.4.0", 3),
            open("updates/app-1-1.2.0", 2)
        ]
    );
    let mut repo = scene.forge.repo();
    let old = repo.pull(1).unwrap();
    assert_eq!(old.state, PullRequestState::Closed);
    assert!(
        old.comments[0].starts_with("Superseded by #3."),
        "{:?}",
        old.comments
    );
    drop(repo);
    assert_eq!(scene.remote.head("updates/app-0-1.1.0"), None, "{report}");

    // A branch with somebody's work stays.
    scene
        .remote
        .commit("updates/app-0-1.4.0", "Look closer", &[("notes", "x")]);
    scene.publish_tag(0, "1.5.0");
    scene.pass();
    assert_eq!(
        scene.forge.repo().pull(3).unwrap().state,
        PullRequestState::Open
    );
    assert!(scene.remote.head("updates/app-0-1.4.0").is_some());
}

#[test]
fn a_dry_run_tells_and_does_nothing() {
    let scene = require!(Scene::new(ForgeKind::Gitea, 2, "branch: updates", ""));
    let look = |arguments: &[&str]| {
        let mut command = scene.fleet.run("storage", &["--once", "--dry-run"]);
        let output = command.args(arguments).output().unwrap();
        super::super::fleet::assert_success(&output);
        String::from_utf8(output.stdout).unwrap()
    };
    for storage_is_new in [true, false] {
        let text = look(&[]);
        assert!(
            text.contains("2 changes due on updates"),
            "{storage_is_new}: {text}"
        );
        assert!(text.contains("+++ b/apps/group-0/app-0.yaml"), "{text}");
        let told = "would open a pull request from updates: Update app-0, app-1\n";
        assert!(text.contains(told), "{text}");
        assert_eq!(scene.remote.branches(), ["main"]);
        assert_eq!(scene.changes(), 0);
    }
    scene.pass();
    scene.publish_tag(0, "1.3.0");
    let report: serde_json::Value = serde_json::from_str(&look(&["-o", "json"])).unwrap();
    let automation = super::automation_of(&report);
    assert_eq!(
        automation["pullRequestPlan"],
        serde_json::json!(["update #1"])
    );
    let changes = automation["pushes"][0]["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 2, "{automation}");
    // A real run does it all the same.
    assert_eq!(reported(&scene.pass()), [open("updates", 1)]);
    assert!(scene.open()[0].body.contains("`1.3.0`"));
    assert_eq!(look(&[]).matches("would").count(), 0);
}
