//! Several automations on one remote: one push, and one commit where they have the same to say.

use super::scene::{Automation, Scene};
use super::setting::manifest;
use tagline_testservers::require;
use tagline_updater::git::{GitError, UpdatePath};
use tagline_updater::{CommitGrouping, PushState};

#[test]
fn the_same_settings_make_one_commit() {
    let scene = require!(Scene::with_policies(&["api", "web", "idle"]));
    let three = [("api", "2"), ("web", "3"), ("idle", "1")];
    let automations = three.map(|(policy, tag)| Automation::new(policy, tag));
    let done: Vec<_> = scene
        .together(&automations)
        .into_iter()
        .map(Result::unwrap)
        .collect();

    let head = scene.repository.head("main").unwrap();
    for outcome in &done[..2] {
        assert_eq!(outcome.pushed().unwrap().to_string(), head);
        assert_eq!(outcome.files.len(), 1, "each tells its own changes");
    }
    assert!(matches!(done[2].state, PushState::UpToDate(_)) && done[2].commits.is_empty());
    assert_eq!(scene.repository.log("main").len(), 2);
    assert_eq!(
        scene.repository.git(&["log", "-1", "--format=%B"]),
        "Update example.com/api to 2, example.com/web to 3\n\n\
         example.com/api: 1 -> 2 (ns:api)\n  api.yaml: Deployment api\n\
         example.com/web: 1 -> 3 (ns:web)\n  web.yaml: Deployment web\n\n\
         Automations: ns/api, ns/web"
    );
    assert_eq!(scene.pushes(), 1);
    // Again: nothing.
    assert!(
        scene
            .together(&automations)
            .iter()
            .all(|o| o.as_ref().unwrap().pushed().is_none())
    );
    assert_eq!(scene.pushes(), 1);
    scene.repository.fsck();
}

#[test]
fn different_authors_make_commits_one_upon_the_other_in_one_push() {
    let scene = require!(Scene::with_policies(&["app-a", "app-b", "app-c"]));
    let automations = [
        Automation::new("app-a", "2").by("one"),
        Automation::new("app-b", "2").by("two"),
        Automation::new("app-c", "2").by("one"),
    ];
    let done: Vec<_> = scene
        .together(&automations)
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(done[0].pushed(), done[2].pushed());
    assert_eq!(
        done[1].pushed().unwrap().to_string(),
        scene.repository.head("main").unwrap()
    );
    assert_eq!(
        scene.repository.git(&[
            "log",
            "--format=%an",
            "--name-only",
            "--reverse",
            "main~2..main"
        ]),
        "one\n\napp-a.yaml\napp-c.yaml\ntwo\n\napp-b.yaml"
    );
    assert_eq!(scene.pushes(), 1);
    scene.repository.fsck();
}

#[test]
fn a_message_is_shared_where_it_does_not_depend_on_the_automation() {
    for (template, commits) in [
        ("Update images", 1),
        ("{{range .Changed.Changes}}{{println .NewValue}}{{end}}", 1),
        (
            "{{range $f, $_ := .Changed.FileChanges}}{{println $f}}{{end}}",
            1,
        ),
        ("Update by {{.AutomationObject}}", 2),
        ("{{.AutomationObject.Name | len}}", 1),
    ] {
        let scene = require!(Scene::with_policies(&["api", "web"]));
        let automations =
            [Automation::new("api", "2"), Automation::new("web", "3")].map(|a| a.saying(template));
        for outcome in scene.together(&automations) {
            let outcome = outcome.unwrap();
            let commit = outcome.pushed().unwrap().to_string();
            let text = scene.repository.git(&["log", "-1", "--format=%B", &commit]);
            assert_eq!(text.trim(), outcome.message.unwrap().trim());
        }
        assert_eq!(
            scene.repository.log("main").len(),
            1 + commits,
            "{template}"
        );
        assert_eq!(scene.pushes(), 1, "{template}");
    }
}

#[test]
fn paths_in_messages_are_those_of_flux_alone_and_of_the_repository_together() {
    let template = "{{range $f, $_ := .Changed.FileChanges}}{{$f}} {{end}}";
    let below = |mut automation: Automation, path: &str| {
        let path = UpdatePath::new(path).unwrap();
        automation.message.path = path.clone();
        automation.request.path = path;
        automation.saying(template)
    };
    let files = |tag: &str| {
        [
            ("x/api.yaml", manifest("api", tag)),
            ("y/web.yaml", manifest("web", tag)),
        ]
    };
    let scene = require!(Scene::with_policies(&[]));
    scene.repository.commit("main", "files", &files("1"));
    scene.together(&[below(Automation::new("api", "2"), "x")]);
    assert_eq!(scene.repository.log("main")[0], "api.yaml");
    let both = [
        below(Automation::new("api", "3"), "x"),
        below(Automation::new("web", "3"), "y"),
    ];
    scene.together(&both);
    assert_eq!(scene.repository.log("main")[0], "x/api.yaml y/web.yaml");
}

#[test]
fn two_policies_of_one_file_share_its_commit() {
    let scene = require!(Scene::with_policies(&[]));
    let both = |a: &str, b: &str| format!("{}---\n{}", manifest("api", a), manifest("web", b));
    scene
        .repository
        .commit("main", "file", &[("x.yaml", both("1", "1"))]);
    scene.together(&[Automation::new("web", "3"), Automation::new("api", "2")]);
    assert_eq!(
        scene.repository.show("main", "x.yaml"),
        both("2", "3").as_bytes()
    );
    let log = scene.repository.log("main");
    assert_eq!(log[0], "Update example.com/api to 2, example.com/web to 3");
    // One commit per policy is one commit per policy, whoever else is there.
    let mut apart = [Automation::new("web", "5"), Automation::new("api", "5")];
    apart[0].request.grouping = CommitGrouping::PerPolicy;
    scene.together(&apart);
    assert_eq!(scene.repository.log("main").len(), log.len() + 2);
    assert_eq!(
        scene.repository.show("main", "x.yaml"),
        both("5", "5").as_bytes()
    );
}

#[test]
fn what_is_wrong_with_one_does_not_stop_the_other() {
    let scene = require!(Scene::with_policies(&["app-a", "app-b", "app-c", "app-d"]));
    let mut automations = [
        Automation::new("app-a", "2"),
        Automation::new("app-b", "2").saying("{{.Nothing}}"),
        Automation::new("app-c", "2"),
        Automation::new("app-d", "2"),
    ];
    automations[2].request.path = UpdatePath::new("missing").unwrap();
    automations[3].request.push.refspec = Some("no refspec".to_owned());
    let done = scene.together(&automations);
    let reason = |at: usize| done[at].as_ref().map(|_| ()).map_err(GitError::reason);
    assert_eq!(reason(0), Ok(()));
    assert_eq!(reason(1), Err("CommitMessageFailed"));
    assert_eq!(reason(2), Err("PathNotFound"));
    assert_eq!(reason(3), Err("InvalidArgument"));
    assert_eq!(
        scene
            .repository
            .git(&["diff", "--name-only", "main~1", "main"]),
        "app-a.yaml"
    );
}

#[test]
fn what_a_hook_refuses_of_one_does_not_stop_the_other() {
    let scene = require!(Scene::with_policies(&["app-a", "app-b"]));
    scene.hook(
        "pre-receive",
        "while read old new name; do git log --format=%an $old..$new | grep -q bad && { echo 'not by them' >&2; exit 1; }; done; exit 0",
    );
    let automations = [
        Automation::new("app-a", "2").by("bad"),
        Automation::new("app-b", "2"),
    ];
    let done = scene.together(&automations);
    assert_eq!(done[0].as_ref().unwrap_err().reason(), "PushRefused");
    assert!(done[1].as_ref().unwrap().pushed().is_some());
    assert_eq!(
        scene
            .repository
            .git(&["diff", "--name-only", "main~1", "main"]),
        "app-b.yaml"
    );
    scene.repository.fsck();
}

#[test]
fn overtaken_together_each_change_is_there_once() {
    let scene = require!(Scene::with_policies(&["app-a", "app-b"]));
    let other = scene.repository.clone();
    scene.server.before("/git-receive-pack", move || {
        other.commit(
            "main",
            "by hand",
            &[("NOTES.md", "x\n"), ("app-a.yaml", &manifest("app-a", "2"))],
        );
    });
    let automations = [
        Automation::new("app-a", "2").by("one"),
        Automation::new("app-b", "2"),
    ];
    let done = scene.together(&automations);
    assert!(
        done[0].as_ref().unwrap().pushed().is_none(),
        "a person did it"
    );
    assert!(done[1].as_ref().unwrap().pushed().is_some());
    assert_eq!(scene.repository.log("main")[1..], ["by hand", "first"]);
    scene.repository.fsck();
}

#[test]
fn a_shared_push_branch_is_made_anew_from_all_and_emptied_by_none() {
    let scene = require!(Scene::with_policies(&["app-a", "app-b"]));
    let both = |a: &str, b: &str| {
        [
            Automation::new("app-a", a).to("auto"),
            Automation::new("app-b", b).to("auto"),
        ]
    };
    let changed = || {
        scene
            .repository
            .git(&["diff", "--name-only", "main", "auto"])
    };
    scene.together(&both("2", "2"));
    assert_eq!(scene.ahead("auto"), "1");
    scene.together(&both("3", "2"));
    assert_eq!(
        (scene.ahead("auto"), changed()),
        ("1".to_owned(), "app-a.yaml\napp-b.yaml".to_owned())
    );

    // One of them alone adds to what is there for the other, and there is no end of turns.
    let [a, b] = both("4", "2");
    scene.together(&[a]);
    assert_eq!(changed(), "app-a.yaml\napp-b.yaml");
    assert_eq!(
        scene.repository.show("auto", "app-a.yaml"),
        manifest("app-a", "4").as_bytes()
    );
    let before = scene.repository.head("auto");
    scene.together(&[b]);
    let [a, _] = both("4", "2");
    scene.together(&[a]);
    assert_eq!(scene.repository.head("auto"), before);

    // Together again: one commit on the newest checkout.
    scene
        .repository
        .commit("main", "by hand", &[("README.md", "x\n")]);
    scene.together(&both("4", "2"));
    assert_eq!(
        (scene.ahead("auto"), changed()),
        ("1".to_owned(), "app-a.yaml\napp-b.yaml".to_owned())
    );
}

#[test]
fn a_lost_answer_makes_nothing_twice() {
    let scene = require!(Scene::with_policies(&["app-a", "app-b"]));
    scene.server.inject(
        "git-receive-pack?",
        1,
        tagline_testservers::Fault::DropAnswer,
    );
    let automations = [
        Automation::new("app-a", "2").by("one"),
        Automation::new("app-b", "2"),
    ];
    for outcome in scene.together(&automations) {
        assert!(outcome.unwrap().pushed().is_some());
    }
    assert_eq!(scene.repository.log("main").len(), 3);
}
