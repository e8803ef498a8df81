//! What a pull request is to Tagline, and the operations every forge offers on it.

use std::fmt;

use futures_util::future::BoxFuture;

use super::{ForgeError, MarkerStyle, MergeMethod, Provider};

/// What an operation of a forge answers.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, ForgeError>>;

/// The number people call it by: `#12`, GitLab's `!12` (its `iid`), Azure's `pullRequestId`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PullRequestNumber(pub u64);

impl fmt::Display for PullRequestNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Where a pull request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PullRequestState {
    /// Open, a draft included.
    Open,
    /// Its commits are in the target branch.
    Merged,
    /// Closed without a merge: declined, abandoned.
    Closed,
}

/// One pull request (GitLab: merge request) of a branch in the repository itself; those of forks are never shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// The number in the repository.
    pub number: PullRequestNumber,
    /// The page for people.
    pub url: String,
    /// The branch with the changes, without `refs/heads/`.
    pub branch: String,
    /// The branch they shall go into, without `refs/heads/`.
    pub base: String,
    /// The newest commit of the branch as the forge knows it.
    pub commit: Option<String>,
    /// Open, merged or closed.
    pub state: PullRequestState,
    /// Without a prefix that only says "draft".
    pub title: String,
    /// The description, as the forge keeps it.
    pub body: String,
    /// Not yet for review.
    pub draft: bool,
    /// What this forge wants back with a change: GitHub's node id, the version number of Bitbucket Data Center,
    /// Azure's id of the creator; empty elsewhere.
    pub handle: String,
}

impl PullRequest {
    /// Whether its newest commit is `commit`. Bitbucket Cloud shows twelve digits only.
    #[must_use]
    pub fn is_at(&self, commit: &str) -> bool {
        self.commit.as_deref().is_some_and(|own| {
            own.len().min(commit.len()) >= 12
                && (own.starts_with(commit) || commit.starts_with(own))
        })
    }
}

/// What to do once when a pull request has been made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SetUp {
    /// Labels by name; those that do not exist are made, as the forges' own pages do.
    pub labels: Vec<String>,
    /// Who shall review: a user, or `organisation/team` where the forge has teams.
    pub reviewers: Vec<String>,
    /// Who shall take care.
    pub assignees: Vec<String>,
    /// Merge when the forge's rules are fulfilled.
    pub auto_merge: Option<MergeMethod>,
    /// Let the forge delete the branch after the merge, where it can be told so.
    pub delete_branch_after_merge: bool,
}

/// A pull request to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatePullRequest {
    /// The branch with the changes; it has been pushed.
    pub branch: String,
    /// The branch they shall go into.
    pub base: String,
    /// One line.
    pub title: String,
    /// The description, marker included.
    pub body: String,
    /// Not yet for review.
    pub draft: bool,
    /// What the forge takes together with the request; the rest is done by [`PullRequests::set_up`].
    pub set_up: SetUp,
}

/// What to change; `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Update {
    /// The new title, without a draft prefix.
    pub title: Option<String>,
    /// The new description.
    pub body: Option<String>,
}

/// The operations of a forge on one repository. Every one can be repeated without harm, except
/// [`create`](PullRequests::create) and [`comment`](PullRequests::comment), which the driver guards.
///
/// Errors of all: [`ForgeError`]; each request has a time-out and a size limit, and none is sent before a rate
/// limit that the forge has announced is over.
pub trait PullRequests: Send + Sync {
    /// Which forge this is.
    fn provider(&self) -> Provider;

    /// How a marker is hidden in this forge's descriptions.
    fn marker_style(&self) -> MarkerStyle {
        self.provider().marker_style()
    }

    /// The longest description the forge takes, in characters.
    fn body_limit(&self) -> usize {
        self.provider().body_limit()
    }

    /// Whether something of `set_up` is left for [`PullRequests::set_up`] after [`PullRequests::create`].
    fn has_more_to_set_up(&self, set_up: &SetUp) -> bool;

    /// All open ones into `base`, at most some thousands.
    fn open<'a>(&'a self, base: &'a str) -> Answer<'a, Vec<PullRequest>>;

    /// Those of `branch` in any state and into any base, newest first: all open ones, and at least the last few
    /// closed ones.
    fn of_branch<'a>(&'a self, branch: &'a str) -> Answer<'a, Vec<PullRequest>>;

    /// Makes one.
    ///
    /// # Errors
    /// [`ForgeError::AlreadyExists`] when the branch has an open one; [`ForgeError::NothingToMerge`] when the branch
    /// holds nothing that the base does not.
    fn create<'a>(&'a self, new: &'a CreatePullRequest) -> Answer<'a, PullRequest>;

    /// Changes title and description of an open one; a draft stays a draft.
    fn update<'a>(&'a self, pull_request: &'a PullRequest, update: &'a Update) -> Answer<'a, ()>;

    /// Labels, reviewers, assignees, auto-merge: what [`PullRequests::create`] could not carry.
    fn set_up<'a>(&'a self, pull_request: &'a PullRequest, set_up: &'a SetUp) -> Answer<'a, ()>;

    /// The newest comments' texts, at most one page.
    fn comments<'a>(&'a self, pull_request: &'a PullRequest) -> Answer<'a, Vec<String>>;

    /// Adds a comment.
    fn comment<'a>(&'a self, pull_request: &'a PullRequest, text: &'a str) -> Answer<'a, ()>;

    /// Closes (declines, abandons) an open one.
    fn close<'a>(&'a self, pull_request: &'a PullRequest) -> Answer<'a, ()>;

    /// The commit a branch stands at; `None` when there is no such branch.
    fn branch<'a>(&'a self, branch: &'a str) -> Answer<'a, Option<String>>;

    /// Deletes a branch that stands at `commit`. One that is gone already is no error.
    fn delete_branch<'a>(&'a self, branch: &'a str, commit: &'a str) -> Answer<'a, ()>;
}
