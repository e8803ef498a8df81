//! Stopped at any request, before or after the forge has done it: the next run ends in the same state, and nothing is
//! there twice.

use tagline_updater::forge::{Provider, PullRequestOptions, Request, bring_about};

use super::fake::{Death, Fake, FakePull, PullRequestState};
use super::{change, commit, everything, known, request, wanted};

fn options(provider: Provider) -> PullRequestOptions {
    let mut options = everything();
    match provider {
        Provider::BitbucketCloud | Provider::BitbucketDataCenter => {
            options.labels.clear();
            options.assignees.clear();
            options.auto_merge = options
                .auto_merge
                .filter(|_| provider == Provider::BitbucketDataCenter);
        }
        Provider::AzureDevOps => options.assignees.clear(),
        _ => {}
    }
    options
}

/// An old pull request to be superseded, a merged branch to be deleted, one to be brought up to date, a new one.
async fn prepare(fake: &Fake) -> Request {
    for (name, n) in [("v1", 1), ("merged", 2), ("shared", 3)] {
        fake.repo().set_branch(name, &commit(n));
    }
    let before = request(vec![
        wanted("v1", &commit(1), vec![change("web", "1")]),
        wanted("merged", &commit(2), vec![change("done", "1")]),
        wanted("shared", &commit(3), vec![change("db", "1")]),
    ]);
    let report = bring_about(&*fake.client(), &before, &PullRequestOptions::default())
        .await
        .unwrap();
    assert!(report.failures.is_empty(), "{:?}", report.failures);
    let mut repo = fake.repo();
    repo.pulls[1].state = PullRequestState::Merged;
    repo.set_branch("v2", &commit(4));
    repo.set_branch("shared", &commit(5));
    repo.requests = 0;
    let mut after = request(vec![
        wanted("v2", &commit(4), vec![change("web", "2")]),
        wanted("shared", &commit(5), vec![change("db", "2")]),
    ]);
    after.branches = vec![known("v1", &commit(1)), known("merged", &commit(2))];
    after
}

/// The state, without what only counts how often something was written.
fn state(fake: &Fake) -> (Vec<FakePull>, Vec<String>) {
    let repo = fake.repo();
    let pulls = repo
        .pulls
        .iter()
        .map(|it| FakePull {
            version: 0,
            ..it.clone()
        })
        .collect();
    (pulls, repo.branches.keys().cloned().collect())
}

async fn check(provider: Provider) {
    let fake = Fake::start(provider);
    let request = prepare(&fake).await;
    bring_about(&*fake.client(), &request, &options(provider))
        .await
        .unwrap();
    fake.check();
    let (expected, requests) = (state(&fake), fake.repo().requests);
    assert_eq!(expected.0.len(), 4);
    assert_eq!(expected.1, ["main", "shared", "v2"]);

    for at in 0..requests {
        for death in [Death::BeforeDoing(at), Death::AfterDoing(at)] {
            let fake = Fake::start(provider);
            let request = prepare(&fake).await;
            fake.repo().death = Some(death);
            // The client of the dead process is gone with it; what it reports is of no interest.
            let _ = bring_about(&*fake.client(), &request, &options(provider)).await;
            {
                let mut repo = fake.repo();
                assert!(repo.dead, "{provider}: {death:?} came to pass");
                (repo.dead, repo.death) = (false, None);
            }
            let mut next = request.clone();
            // The next run sees the branches that are left.
            next.branches
                .retain(|known| fake.repo().branches.contains_key(&known.name));
            let report = bring_about(&*fake.client(), &next, &options(provider))
                .await
                .unwrap();
            assert!(
                report.failures.is_empty(),
                "{provider}, {death:?}: {:?}",
                report.failures
            );
            fake.check();
            let (mut pulls, branches) = state(&fake);
            // Stopped between closing and the comment: the description says why, the comment is not made up for.
            if pulls[0].comments.is_empty() {
                assert!(
                    pulls[0].body.contains("Superseded by"),
                    "{provider}, {death:?}"
                );
                pulls[0].comments.clone_from(&expected.0[0].comments);
            }
            assert_eq!((pulls, branches), expected, "{provider}, {death:?}");
        }
    }
}

#[tokio::test]
async fn github() {
    check(Provider::GitHub).await;
}

#[tokio::test]
async fn gitlab() {
    check(Provider::GitLab).await;
}

#[tokio::test]
async fn gitea() {
    check(Provider::Gitea).await;
}

#[tokio::test]
async fn bitbucket_cloud() {
    check(Provider::BitbucketCloud).await;
}

#[tokio::test]
async fn bitbucket_data_center() {
    check(Provider::BitbucketDataCenter).await;
}

#[tokio::test]
async fn azure_devops() {
    check(Provider::AzureDevOps).await;
}
