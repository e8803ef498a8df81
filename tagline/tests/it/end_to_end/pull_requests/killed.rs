//! SIGKILL at any point between push and pull request: one pull request, and everything on it.

use std::time::{Duration, Instant};

use tagline_testservers::forge::ForgeKind;
use tagline_testservers::require;

use super::super::fleet::Running;
use super::Scene;

#[test]
fn there_is_one_pull_request_whatever_was_killed() {
    const KILLS: usize = 50;
    let settings = "labels: [images], reviewers: [alice], assignees: [bob], autoMerge: merge";
    let scene = require!(Scene::new(ForgeKind::Gitea, 1, "branch: updates", settings));
    scene.forge.repo().labels.push("images".to_owned());
    let mut killed_at_work = 0;
    for kill in 0..KILLS {
        scene.publish_tag(0, &format!("1.{}.0", kill + 10));
        let before = scene.forge.repo().requests;
        // In turn: after so many requests to the forge, and some time after its first.
        let (requests, delay) = match kill % 3 {
            0 => (1 + kill / 3 % 14, Duration::ZERO),
            1 => (1, Duration::from_millis(kill as u64 * 7 % 200)),
            _ => (0, Duration::from_millis(kill as u64 * 31 % 1_500)),
        };
        let log = scene.fleet.path("log");
        let mut running = Running::start(scene.fleet.run("storage", &["--once"]), &log);
        let deadline = Instant::now() + Duration::from_mins(1);
        while scene.forge.repo().requests < before + requests
            && running.0.try_wait().unwrap().is_none()
        {
            assert!(Instant::now() < deadline, "the forge is not asked");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(delay);
        killed_at_work += usize::from(running.0.try_wait().unwrap().is_none());
        let _ = running.0.kill();
        running.0.wait().unwrap();

        scene.pass();
        let open = scene.open();
        assert_eq!(open.len(), 1, "kill {kill}: {open:?}");
        let pull = &open[0];
        assert!(
            pull.body.contains(&format!("`1.{}.0`", kill + 10)),
            "{}",
            pull.body
        );
        assert!(!pull.body.contains("setup=pending"), "{}", pull.body);
        assert!(pull.auto_merge);
        assert_eq!(
            (&pull.labels[..], &pull.reviewers[..], &pull.assignees[..]),
            (
                &["images".to_owned()][..],
                &["alice".to_owned()][..],
                &["bob".to_owned()][..]
            )
        );
        let changes = scene.changes();
        scene.pass();
        assert_eq!(scene.changes(), changes, "kill {kill}");
        scene.merge(pull.number);
    }
    assert_eq!(
        scene.forge.repo().pulls.len(),
        KILLS,
        "one for each version"
    );
    assert!(
        killed_at_work > KILLS / 2,
        "{killed_at_work} kills met a running program"
    );
}
