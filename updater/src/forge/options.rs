//! What a user can set for pull requests.

use std::num::NonZeroUsize;

/// How an automatic merge is made. What the forge or the repository forbids is an error of that forge.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Deserialize, serde::Serialize,
)]
#[serde(rename_all = "lowercase")]
pub enum MergeMethod {
    /// A merge commit.
    #[default]
    Merge,
    /// One commit.
    Squash,
    /// The commits on top of the base.
    Rebase,
}

/// Settings of pull requests; the program makes them from `ImageUpdateAutomation.spec.git.pullRequest`:
///
/// ```yaml
/// spec:
///   git:
///     push:
///       branch: updates/{{ .Policy.Name }}   # one branch, so one pull request, per policy; or a fixed name
///     pullRequest:                 # present, even if empty: open pull requests
///       provider: github           # github, gitlab, gitea (also Forgejo), bitbucket, bitbucket-data-center,
///                                  # azure-devops; default: by the host of the remote
///       apiURL: https://git.example.com/api/v3   # default: by provider and remote
///       secretRef:                 # keys: token | username and password | githubAppID, githubAppPrivateKey,
///         name: forge-token        # githubAppInstallationOwner or githubAppInstallationID; ca.crt
///                                  # default: the remote's own secret
///       base: main                 # default: the checkout branch
///       title: "Update {{ .Policy.Name }}"   # Go template; default: title_for
///       body: "See the runbook."   # Go template, put above the table of changes; default: none
///       labels: [dependencies]
///       reviewers: [octocat, example/platform]
///       assignees: [octocat]
///       draft: false
///       autoMerge: squash          # merge, squash, rebase; default: none
///       closeSuperseded: true
///       deleteMergedBranch: true
///       limit: 10                  # open ones of this automation; default: no limit
/// ```
///
/// `provider`, `apiURL` and `secretRef` go into [`connect`](super::connect()); `base`, `title` and `body` (rendered)
/// into [`Wanted`](super::Wanted); the rest is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequestOptions {
    /// Labels by name.
    pub labels: Vec<String>,
    /// Users, or `organisation/team`. Bitbucket Cloud: account ids or `{uuid}`; Azure DevOps: identity ids.
    pub reviewers: Vec<String>,
    /// Users.
    pub assignees: Vec<String>,
    /// Open as drafts. Existing ones are not turned into drafts, or back.
    pub draft: bool,
    /// Ask the forge to merge as soon as its rules allow.
    pub auto_merge: Option<MergeMethod>,
    /// Close our open ones that are no longer wanted, with a comment.
    pub close_superseded: bool,
    /// Delete our branches when their pull request was merged, or closed by us.
    pub delete_merged_branch: bool,
    /// The greatest number of open ones of one automation; those above it wait.
    pub limit: Option<NonZeroUsize>,
}

impl Default for PullRequestOptions {
    fn default() -> Self {
        Self {
            labels: Vec::new(),
            reviewers: Vec::new(),
            assignees: Vec::new(),
            draft: false,
            auto_merge: None,
            close_superseded: true,
            delete_merged_branch: true,
            limit: None,
        }
    }
}
