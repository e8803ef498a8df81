//! How pull requests end: closed by a person or by us, merged, superseded; and their branches with them.

use tagline_updater::forge::{Provider, PullRequestOptions, Standing, refusal, survey};

use super::super::fake::{Fake, PullRequestState};
use super::super::{change, commit, known, request, wanted};
use super::{no_failures, one, run, without_options};

pub(super) async fn closed_by_a_person_means_not_this_version(provider: Provider) {
    let fake = Fake::start(provider);
    fake.repo().set_branch("updates", &commit(1));
    let first = request(vec![wanted(
        "updates",
        &commit(1),
        vec![change("web", "1.0.1")],
    )]);
    run(&fake, &first, &without_options()).await;
    fake.repo().pulls[0].state = PullRequestState::Closed;
    let changes = fake.repo().changes.clone();

    // The same version on a rebuilt branch is still the same version.
    let again = request(vec![wanted(
        "updates",
        &commit(2),
        vec![change("web", "1.0.1")],
    )]);
    let existing = survey(&*fake.client(), &again).await.unwrap();
    assert!(
        refusal(&again, &existing, &again.wanted[0]).is_some(),
        "known before anything is pushed"
    );
    let report = run(&fake, &again, &without_options()).await;
    no_failures(&fake, &report);
    assert!(
        matches!(report.outcomes[0].standing, Standing::Refused(Some(_))),
        "{:?}",
        report.outcomes
    );
    assert_eq!(fake.repo().changes, changes);

    // A newer one is another matter; the refused one comes with it only if the branch holds it.
    let newer = request(vec![wanted(
        "updates",
        &commit(3),
        vec![change("web", "1.0.2")],
    )]);
    fake.repo().set_branch("updates", &commit(3));
    let report = run(&fake, &newer, &without_options()).await;
    assert_eq!(report.created.len(), 1);
    assert_eq!(one(&fake).title, "Update web to 1.0.2");
}

pub(super) async fn is_superseded_with_a_comment_and_its_branch_deleted(provider: Provider) {
    let fake = Fake::start(provider);
    fake.repo().set_branch("updates/web-1.0.1", &commit(1));
    run(
        &fake,
        &request(vec![wanted(
            "updates/web-1.0.1",
            &commit(1),
            vec![change("web", "1.0.1")],
        )]),
        &without_options(),
    )
    .await;
    fake.repo().set_branch("updates/web-1.0.2", &commit(2));
    let mut next = request(vec![wanted(
        "updates/web-1.0.2",
        &commit(2),
        vec![change("web", "1.0.2")],
    )]);
    next.branches = vec![known("updates/web-1.0.1", &commit(1))];
    let report = run(&fake, &next, &without_options()).await;
    no_failures(&fake, &report);
    let reference = match provider {
        Provider::GitLab | Provider::AzureDevOps => "!2",
        _ => "#2",
    };
    {
        let repo = fake.repo();
        let old = &repo.pulls[0];
        assert_eq!(old.state, PullRequestState::Closed);
        assert_eq!(old.comments.len(), 1);
        assert!(
            old.comments[0].contains(&format!("Superseded by {reference}.")),
            "{:?}",
            old.comments
        );
        assert!(old.body.contains(&format!("Superseded by {reference}.")));
        assert!(!repo.branches.contains_key("updates/web-1.0.1"));
        assert_eq!(report.deleted_branches, ["updates/web-1.0.1"]);
        assert_eq!(repo.open_pulls().len(), 1);
    }

    // Closed by us is no refusal: should the old version be wanted again, it comes.
    fake.repo().set_branch("updates/web-1.0.1", &commit(3));
    let back = request(vec![wanted(
        "updates/web-1.0.1",
        &commit(3),
        vec![change("web", "1.0.1")],
    )]);
    let report = run(&fake, &back, &without_options()).await;
    assert_eq!(report.created.len(), 1);
}

pub(super) async fn opened_again_by_a_person_stays_open(provider: Provider) {
    let fake = Fake::start(provider);
    fake.repo().set_branch("v1", &commit(1));
    fake.repo().set_branch("v2", &commit(2));
    run(
        &fake,
        &request(vec![wanted("v1", &commit(1), vec![change("web", "1")])]),
        &without_options(),
    )
    .await;
    let next = request(vec![wanted("v2", &commit(2), vec![change("web", "2")])]);
    run(&fake, &next, &without_options()).await;
    assert_eq!(one(&fake).branch, "v2");
    fake.repo().pulls[0].state = PullRequestState::Open;
    let report = run(&fake, &next, &without_options()).await;
    no_failures(&fake, &report);
    let repo = fake.repo();
    assert_eq!(repo.open_pulls().len(), 2);
    assert_eq!(repo.pulls[0].comments.len(), 1);
}

pub(super) async fn no_longer_wanted_is_closed(provider: Provider) {
    let fake = Fake::start(provider);
    fake.repo().set_branch("web", &commit(1));
    fake.repo().set_branch("db", &commit(2));
    let both = request(vec![
        wanted("web", &commit(1), vec![change("web", "1")]),
        wanted("db", &commit(2), vec![change("db", "1")]),
    ]);
    run(&fake, &both, &without_options()).await;
    let mut partial = request(vec![wanted("db", &commit(2), vec![change("db", "1")])]);
    partial.complete = false;
    run(&fake, &partial, &without_options()).await;
    assert_eq!(
        fake.repo().open_pulls().len(),
        2,
        "half a view closes nothing"
    );
    partial.complete = true;
    let keep = PullRequestOptions {
        close_superseded: false,
        ..without_options()
    };
    run(&fake, &partial, &keep).await;
    assert_eq!(fake.repo().open_pulls().len(), 2);
    // A person has worked on the branch: theirs now.
    partial.branches = vec![tagline_updater::forge::KnownBranch {
        only_ours: false,
        ..known("web", &commit(1))
    }];
    run(&fake, &partial, &without_options()).await;
    assert_eq!(fake.repo().open_pulls().len(), 2);
    partial.branches.clear();
    let report = run(&fake, &partial, &without_options()).await;
    no_failures(&fake, &report);
    {
        let repo = fake.repo();
        assert_eq!(repo.pulls[0].state, PullRequestState::Closed);
        assert!(repo.pulls[0].comments[0].starts_with("This update is no longer needed."));
        assert!(
            repo.branches.contains_key("web"),
            "an unknown branch is not deleted"
        );
    }
    // Nothing is wanted at all.
    run(&fake, &request(Vec::new()), &without_options()).await;
    assert_eq!(fake.repo().open_pulls().len(), 0);
}

pub(super) async fn merged_branch_is_deleted_unless_it_moved(provider: Provider) {
    let fake = Fake::start(provider);
    for name in ["kept", "done", "person's"] {
        fake.repo().set_branch(name, &commit(1));
    }
    let all = request(vec![
        wanted("kept", &commit(1), vec![change("kept", "1")]),
        wanted("done", &commit(1), vec![change("done", "1")]),
    ]);
    run(&fake, &all, &without_options()).await;
    {
        let mut repo = fake.repo();
        repo.plant("person's", "mine", "no marker");
        for pull in &mut repo.pulls {
            pull.state = PullRequestState::Merged;
        }
        // Somebody pushed on after the merge.
        repo.branches.insert("kept".to_owned(), commit(9));
    }
    let mut after = request(Vec::new());
    after.branches = vec![
        known("kept", &commit(9)),
        known("done", &commit(1)),
        known("person's", &commit(1)),
    ];
    let off = PullRequestOptions {
        delete_merged_branch: false,
        ..without_options()
    };
    run(&fake, &after, &off).await;
    assert_eq!(fake.repo().branches.len(), 4);
    let report = run(&fake, &after, &without_options()).await;
    no_failures(&fake, &report);
    assert_eq!(report.deleted_branches, ["done"]);
    let names: Vec<String> = fake.repo().branches.keys().cloned().collect();
    assert_eq!(names, ["kept", "main", "person's"]);

    // Merged at this very commit, and our mirror does not know yet: nothing is opened.
    let stale = request(vec![wanted("kept", &commit(1), vec![change("kept", "1")])]);
    let report = run(&fake, &stale, &without_options()).await;
    assert!(
        matches!(report.outcomes[0].standing, Standing::Merged(_)),
        "{:?}",
        report.outcomes
    );
}
