//! The life of a pull request, on every forge.

mod ending;
mod opening;

use tagline_updater::forge::{Provider, PullRequestOptions, Report, Request, bring_about};

use super::fake::{Fake, FakePull};

/// One test per forge.
macro_rules! on_every_forge {
    ($file:ident: $($scenario:ident),+ $(,)?) => { $(
        mod $scenario {
            use super::Provider;
            #[tokio::test]
            async fn github() { super::$file::$scenario(Provider::GitHub).await; }
            #[tokio::test]
            async fn gitlab() { super::$file::$scenario(Provider::GitLab).await; }
            #[tokio::test]
            async fn gitea() { super::$file::$scenario(Provider::Gitea).await; }
            #[tokio::test]
            async fn bitbucket_cloud() { super::$file::$scenario(Provider::BitbucketCloud).await; }
            #[tokio::test]
            async fn bitbucket_data_center() { super::$file::$scenario(Provider::BitbucketDataCenter).await; }
            #[tokio::test]
            async fn azure_devops() { super::$file::$scenario(Provider::AzureDevOps).await; }
        }
    )+ };
}

on_every_forge!(opening:
    is_opened_once_and_then_left_alone,
    is_set_up,
    opens_as_a_draft_and_stays_one,
    follows_new_versions_and_respects_people,
    limit_holds,
    somebody_faster_is_no_second_one,
    is_found_among_many,
    belongs_to_somebody_else,
    branch_without_changes_is_named,
    a_long_description_fits,
);

on_every_forge!(ending:
    closed_by_a_person_means_not_this_version,
    is_superseded_with_a_comment_and_its_branch_deleted,
    opened_again_by_a_person_stays_open,
    no_longer_wanted_is_closed,
    merged_branch_is_deleted_unless_it_moved,
);

/// Runs, and fails on anything that a description does not have.
async fn run(fake: &Fake, request: &Request, options: &PullRequestOptions) -> Report {
    let report = bring_about(&*fake.client(), request, options).await;
    fake.check();
    report.unwrap_or_else(|error| panic!("{}: {error}", fake.provider))
}

fn no_failures(fake: &Fake, report: &Report) {
    assert!(
        report.failures.is_empty(),
        "{}: {:?}",
        fake.provider,
        report.failures
    );
}

fn one(fake: &Fake) -> FakePull {
    let repo = fake.repo();
    match repo.open_pulls().as_slice() {
        [one] => (*one).clone(),
        others => panic!("{}: {} open ones", fake.provider, others.len()),
    }
}

fn without_options() -> PullRequestOptions {
    PullRequestOptions::default()
}
