//! How pull requests are opened, set up and kept up to date.

use tagline_updater::forge::{ForgeError, Marker, Provider, PullRequestOptions, Standing};

use super::super::fake::{Fake, PullRequestState};
use super::super::{change, commit, everything, request, wanted};
use super::{no_failures, one, run, without_options};

pub(super) async fn is_opened_once_and_then_left_alone(provider: Provider) {
    let fake = Fake::start(provider);
    fake.repo().set_branch("updates/web", &commit(1));
    let request = request(vec![wanted(
        "updates/web",
        &commit(1),
        vec![change("web", "1.0.1")],
    )]);

    let report = run(&fake, &request, &without_options()).await;
    no_failures(&fake, &report);
    assert_eq!(report.created.len(), 1);
    let made = one(&fake);
    assert_eq!(
        (made.branch.as_str(), made.base.as_str()),
        ("updates/web", "main")
    );
    assert_eq!(made.title, "Update web to 1.0.1");
    assert!(
        made.body.contains("`apps/web.yaml:7`") && made.body.contains("`1.0.0` → `1.0.1`"),
        "{}",
        made.body
    );
    assert_eq!(
        Marker::find(&made.body).unwrap().marker.automation,
        "flux-system/apps"
    );
    assert_eq!(
        report.outcomes[0].standing,
        Standing::Open(report.created[0])
    );
    let url = report.outcomes[0].url.clone().unwrap();
    assert!(url.contains("/1"), "{url}");

    let changes = fake.repo().changes.clone();
    for _ in 0..3 {
        let report = run(&fake, &request, &without_options()).await;
        no_failures(&fake, &report);
        assert_eq!(report.outcomes[0].url.as_ref(), Some(&url));
    }
    assert_eq!(fake.repo().changes, changes, "a second run changes nothing");
}

pub(super) async fn is_set_up(provider: Provider) {
    let fake = Fake::start(provider);
    fake.repo().set_branch("updates/web", &commit(1));
    let mut options = everything();
    let unsupported = match provider {
        Provider::BitbucketCloud | Provider::BitbucketDataCenter => true,
        Provider::AzureDevOps => {
            options.assignees.clear();
            false
        }
        _ => false,
    };
    let request = request(vec![wanted(
        "updates/web",
        &commit(1),
        vec![change("web", "1.0.1")],
    )]);
    let report = run(&fake, &request, &options).await;
    let made = one(&fake);
    if unsupported {
        // Named once, and not tried again.
        assert!(
            matches!(report.failures[0].error, ForgeError::Unsupported { .. }),
            "{:?}",
            report.failures
        );
    } else {
        no_failures(&fake, &report);
        assert_eq!(made.labels, ["images", "tagline"]);
    }
    match provider {
        Provider::GitLab => assert_eq!((made.reviewers.len(), made.assignees.len()), (1, 1)),
        Provider::GitHub | Provider::Gitea => {
            assert_eq!(
                (made.reviewers, made.assignees),
                (vec!["alice".to_owned()], vec!["bob".to_owned()])
            );
        }
        _ => assert_eq!(made.reviewers, ["alice"]),
    }
    assert_eq!(made.auto_merge, provider != Provider::BitbucketCloud);
    assert!(!Marker::find(&made.body).unwrap().marker.set_up_pending);

    // What a person takes away stays away.
    let changes = fake.repo().changes.clone();
    fake.repo().pulls[0].labels.clear();
    let report = run(&fake, &request, &options).await;
    no_failures(&fake, &report);
    assert_eq!(fake.repo().changes, changes);
}

pub(super) async fn opens_as_a_draft_and_stays_one(provider: Provider) {
    let fake = Fake::start(provider);
    fake.repo().set_branch("u", &commit(1));
    let options = PullRequestOptions {
        draft: true,
        ..without_options()
    };
    run(
        &fake,
        &request(vec![wanted("u", &commit(1), vec![change("web", "1.0.1")])]),
        &options,
    )
    .await;
    let made = one(&fake);
    let prefix = match provider {
        Provider::GitLab => "Draft: ",
        Provider::Gitea => "WIP: ",
        _ => "",
    };
    assert_eq!(
        (made.draft, made.title),
        (prefix.is_empty(), format!("{prefix}Update web to 1.0.1"))
    );
    run(
        &fake,
        &request(vec![wanted("u", &commit(1), vec![change("web", "1.0.2")])]),
        &options,
    )
    .await;
    assert_eq!(one(&fake).title, format!("{prefix}Update web to 1.0.2"));
}

pub(super) async fn follows_new_versions_and_respects_people(provider: Provider) {
    let fake = Fake::start(provider);
    fake.repo().set_branch("updates", &commit(1));
    let options = PullRequestOptions {
        reviewers: vec!["alice".to_owned()],
        ..without_options()
    };
    let version = |n: u32, new: &str| {
        request(vec![wanted(
            "updates",
            &commit(n),
            vec![change("web", new)],
        )])
    };
    run(&fake, &version(1, "1.0.1"), &options).await;
    {
        let mut repo = fake.repo();
        repo.pulls[0].body = format!("{}\n\nTested by hand.", repo.pulls[0].body);
        repo.set_branch("updates", &commit(2));
    }
    let report = run(&fake, &version(2, "1.0.2"), &options).await;
    no_failures(&fake, &report);
    assert_eq!(report.updated.len(), 1);
    let now = one(&fake);
    assert_eq!(now.title, "Update web to 1.0.2");
    assert!(
        now.body.contains("`1.0.2`") && !now.body.contains("`1.0.1`"),
        "{}",
        now.body
    );
    assert!(now.body.ends_with("Tested by hand."), "{}", now.body);
    assert_eq!(now.reviewers.len(), 1, "an update takes no reviewer away");

    // A person's title stays, and so does a description without our marks.
    fake.repo().pulls[0].title = "Roll out the fix".to_owned();
    run(&fake, &version(3, "1.0.3"), &options).await;
    assert_eq!(one(&fake).title, "Roll out the fix");
    assert!(one(&fake).body.contains("`1.0.3`"));
    fake.repo().pulls[0].body = "All mine.".to_owned();
    let report = run(&fake, &version(4, "1.0.4"), &options).await;
    no_failures(&fake, &report);
    assert_eq!(one(&fake).body, "All mine.");
    assert_eq!(fake.repo().pulls.len(), 1);
}

pub(super) async fn limit_holds(provider: Provider) {
    let fake = Fake::start(provider);
    let names = ["a", "b", "c"];
    for name in names {
        fake.repo().set_branch(name, &commit(1));
    }
    let all = request(
        names
            .map(|name| wanted(name, &commit(1), vec![change(name, "1")]))
            .to_vec(),
    );
    let options = PullRequestOptions {
        limit: std::num::NonZeroUsize::new(2),
        ..without_options()
    };
    for _ in 0..2 {
        let report = run(&fake, &all, &options).await;
        no_failures(&fake, &report);
        assert_eq!(report.outcomes[2].standing, Standing::Deferred);
        assert_eq!(fake.repo().open_pulls().len(), 2);
    }
    fake.repo().pulls[0].state = PullRequestState::Merged;
    let rest = request(all.wanted[1..].to_vec());
    run(&fake, &rest, &options).await;
    let repo = fake.repo();
    assert_eq!(
        repo.open_pulls()
            .iter()
            .map(|it| it.branch.as_str())
            .collect::<Vec<_>>(),
        ["b", "c"]
    );
}

pub(super) async fn somebody_faster_is_no_second_one(provider: Provider) {
    let fake = Fake::start(provider);
    fake.repo().set_branch("updates", &commit(1));
    let request = request(vec![wanted(
        "updates",
        &commit(1),
        vec![change("web", "1")],
    )]);
    fake.repo().race = true;
    let report = run(&fake, &request, &without_options()).await;
    no_failures(&fake, &report);
    assert_eq!(one(&fake).number, 1);
    assert!(matches!(report.outcomes[0].standing, Standing::Open(_)));
    assert!(report.outcomes[0].url.is_some());
}

pub(super) async fn is_found_among_many(provider: Provider) {
    let fake = Fake::start(provider);
    fake.repo().set_branch("updates", &commit(1));
    let first = request(vec![wanted(
        "updates",
        &commit(1),
        vec![change("web", "1")],
    )]);
    run(&fake, &first, &without_options()).await;
    {
        let mut repo = fake.repo();
        for n in 0..130 {
            repo.plant(&format!("feature/{n}"), "Feature", "Text");
        }
        // The same branch name in a fork, with a copy of our marker.
        let body = repo.pulls[0].body.clone();
        let number = repo.plant("updates", "Fork", &body);
        repo.pull(number).unwrap().from_fork = true;
    }
    let second = request(vec![wanted(
        "updates",
        &commit(1),
        vec![change("web", "2")],
    )]);
    let report = run(&fake, &second, &without_options()).await;
    no_failures(&fake, &report);
    assert_eq!(report.updated.len(), 1);
    let repo = fake.repo();
    assert_eq!(repo.pulls[0].title, "Update web to 2");
    assert_eq!(repo.pulls.len(), 132);
    let fork = &repo.pulls[131];
    assert_eq!(
        (fork.title.as_str(), fork.state, fork.comments.len()),
        ("Fork", PullRequestState::Open, 0),
        "a fork's pull request is never touched"
    );
}

pub(super) async fn belongs_to_somebody_else(provider: Provider) {
    let fake = Fake::start(provider);
    fake.repo().set_branch("updates", &commit(1));
    let mut other = request(vec![wanted(
        "updates",
        &commit(1),
        vec![change("web", "1")],
    )]);
    other.automation = "team-b/apps".to_owned();
    run(&fake, &other, &without_options()).await;
    let ours = request(vec![wanted(
        "updates",
        &commit(1),
        vec![change("web", "2")],
    )]);
    let report = run(&fake, &ours, &without_options()).await;
    no_failures(&fake, &report);
    assert!(
        matches!(report.outcomes[0].standing, Standing::Foreign(_)),
        "{:?}",
        report.outcomes
    );
    run(&fake, &request(Vec::new()), &without_options()).await;
    assert_eq!(one(&fake).title, "Update web to 1");
}

pub(super) async fn branch_without_changes_is_named(provider: Provider) {
    let fake = Fake::start(provider);
    fake.repo().set_branch("empty", &"0".repeat(40));
    fake.repo().set_branch("full", &commit(1));
    let both = request(vec![
        wanted("empty", &"0".repeat(40), vec![change("web", "1")]),
        wanted("full", &commit(1), vec![change("db", "1")]),
    ]);
    let report = run(&fake, &both, &without_options()).await;
    assert_eq!(one(&fake).branch, "full", "one that fails stops no other");
    assert_eq!(report.failures.len(), 1);
    assert_eq!(report.failures[0].branch, "empty");
    assert!(!report.failures[0].error.is_retryable());
    assert_eq!(report.outcomes[0].standing, Standing::Missing);
}

pub(super) async fn a_long_description_fits(provider: Provider) {
    let fake = Fake::start(provider);
    fake.repo().set_branch("updates", &commit(1));
    let changes = |new: &str| {
        (0..2_000)
            .map(|n| change(&format!("policy-{n}"), new))
            .collect::<Vec<_>>()
    };
    let mut first = wanted("updates", &commit(1), changes("1"));
    first.introduction = Some("Long. ".repeat(20_000));
    let report = run(&fake, &request(vec![first]), &without_options()).await;
    no_failures(&fake, &report);
    let limit = provider.body_limit();
    assert!(one(&fake).body.chars().count() <= limit);
    assert_eq!(one(&fake).title, "Update 2000 images");
    run(
        &fake,
        &request(vec![wanted("updates", &commit(1), changes("2"))]),
        &without_options(),
    )
    .await;
    assert!(one(&fake).body.contains("`2`"));
    // The memory of what was refused works without the room for a list.
    fake.repo().pulls[0].state = PullRequestState::Closed;
    let report = run(
        &fake,
        &request(vec![wanted("updates", &commit(2), changes("2"))]),
        &without_options(),
    )
    .await;
    assert!(
        matches!(report.outcomes[0].standing, Standing::Refused(_)),
        "{:?}",
        report.outcomes
    );
}
