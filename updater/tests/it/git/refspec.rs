//! `git.push.refspec`: a second destination, after the branch, as Flux pushes it; and again until it has arrived.

use super::scene::{Scene, to_branch};
use super::setting::{choices, request};
use tagline_testservers::{Fault, require};
use tagline_updater::{PublishRequest, PushState};

const REVIEW: &str = "refs/for/main";

fn with_refspec(mut request: PublishRequest, refspec: &str) -> PublishRequest {
    request.push.refspec = Some(refspec.to_owned());
    request
}

fn to_review() -> PublishRequest {
    with_refspec(request(), &format!("refs/heads/main:{REVIEW}"))
}

#[test]
fn what_was_refused_is_pushed_again() {
    let scene = require!(Scene::start());
    scene.hook("update", &format!("test \"$1\" != {REVIEW}"));
    let refused = |tag: &str| {
        let result = scene.setting.run(&to_review(), &choices(&[("app", tag)]));
        let error = result.unwrap_err().to_string();
        assert!(
            error.contains(REVIEW) && !error.contains("refs/heads/main"),
            "{error}"
        );
    };
    refused("1.1.0");
    assert_eq!(
        scene.repository.log("main").len(),
        2,
        "the branch has arrived"
    );
    refused("1.1.0");
    scene.remove_hook("update");

    let outcome = scene.run(&to_review(), "1.1.0");
    assert!(matches!(outcome.state, PushState::UpToDate(_)));
    assert_eq!(outcome.references, [REVIEW]);
    let head = scene.repository.head("main").unwrap();
    assert_eq!(scene.repository.git(&["rev-parse", REVIEW]), head);
    // And not once more, although a review system takes its references away.
    scene.repository.git(&["update-ref", "-d", REVIEW]);
    let pushes = scene.pushes();
    assert!(scene.run(&to_review(), "1.1.0").references.is_empty());
    assert_eq!(scene.pushes(), pushes);
}

#[test]
fn what_was_pushed_when_the_answer_got_lost_is_asked_again() {
    let scene = require!(Scene::start());
    scene.run(&to_review(), "1.1.0");
    // The branch's push goes through; the refspec's does not.
    let server = &scene.server;
    server.inject("git-receive-pack?", 0, Fault::Drop);
    scene.hook("update", &format!("test \"$1\" != {REVIEW}"));
    scene
        .setting
        .run(&to_review(), &choices(&[("app", "1.2.0")]))
        .unwrap_err();
    scene.remove_hook("update");
    // A newer tag carries it along.
    let outcome = scene.run(&to_review(), "1.3.0");
    assert_eq!(outcome.references, ["refs/heads/main", REVIEW]);
    assert_eq!(scene.run(&to_review(), "1.3.0").references, [] as [&str; 0]);
}

#[test]
fn a_hook_that_refuses_the_destination_does_not_refuse_the_branch() {
    let scene = require!(Scene::start());
    scene.hook(
        "pre-receive",
        &format!("while read old new name; do test $name != {REVIEW} || exit 1; done"),
    );
    scene
        .setting
        .run(&to_review(), &choices(&[("app", "1.1.0")]))
        .unwrap_err();
    assert_eq!(scene.repository.log("main").len(), 2);
}

#[test]
fn it_follows_a_push_branch_that_is_made_anew_and_forces_no_checkout() {
    let scene = require!(Scene::start());
    let mirrored = with_refspec(to_branch("auto"), "refs/heads/auto:refs/heads/copy");
    scene.run(&mirrored, "1.1.0");
    scene
        .repository
        .commit("main", "by hand", &[("README.md", "x\n")]);
    let outcome = scene.run(&mirrored, "1.2.0");
    assert_eq!(outcome.references, ["refs/heads/auto", "refs/heads/copy"]);
    assert_eq!(scene.repository.head("auto"), scene.repository.head("copy"));

    let back = with_refspec(to_branch("auto"), "+refs/heads/auto:refs/heads/main");
    let main = scene.repository.head("main").unwrap();
    scene.run(&back, "1.3.0");
    assert_eq!(scene.repository.git(&["merge-base", &main, "main"]), main);
}

#[test]
fn a_source_that_is_not_pushed_is_told_before_anything_is_pushed() {
    let scene = require!(Scene::start());
    let other = with_refspec(request(), "refs/heads/other:refs/heads/x");
    let error = scene
        .setting
        .run(&other, &choices(&[("app", "2")]))
        .unwrap_err();
    assert_eq!(error.reason(), "InvalidArgument", "{error}");
    assert_eq!(scene.pushes(), 0);
    // What is pushed already needs no second push.
    let same = with_refspec(request(), "HEAD:refs/heads/main");
    assert_eq!(scene.run(&same, "1.1.0").references, ["refs/heads/main"]);
    assert_eq!(scene.pushes(), 1);
}
