//! `spec.git.pullRequest` of an `ImageUpdateAutomation`: ours. Its fields are told in `docs/pull-requests.md`.

use super::image_update_automation::GitSpec;
use super::metadata::LocalReference;
use super::template_data::pull_request_template_fault;
use serde::Deserialize;
use std::num::NonZeroUsize;
use tagline_updater::forge::{MergeMethod, Provider, PullRequestOptions};
use url::Url;

/// A pull request for each push branch.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PullRequestSpec {
    /// Which forge; by the remote's address where absent.
    pub(crate) provider: Option<ForgeProvider>,
    /// The API's address, for forges whose remote does not tell it.
    #[serde(rename = "apiURL")]
    pub(crate) api_url: Option<String>,
    /// Credentials; the `GitRepository`'s Secret where absent.
    pub(crate) secret_ref: Option<LocalReference>,
    /// The branch to merge into; the checkout branch where absent.
    pub(crate) base: Option<String>,
    /// A template for the title.
    pub(crate) title: Option<String>,
    /// A template for the text above the table of changes.
    pub(crate) body: Option<String>,
    /// Labels.
    #[serde(default)]
    pub(crate) labels: Vec<String>,
    /// Who is asked to review.
    #[serde(default)]
    pub(crate) reviewers: Vec<String>,
    /// Who it is assigned to.
    #[serde(default)]
    pub(crate) assignees: Vec<String>,
    /// Opens as a draft.
    #[serde(default)]
    pub(crate) draft: bool,
    /// Merges by itself when the forge's rules allow it, in this way.
    pub(crate) auto_merge: Option<MergeMethod>,
    /// Closes those that are no longer wanted.
    #[serde(default = "yes")]
    pub(crate) close_superseded: bool,
    /// Deletes branches of ours that are done with.
    #[serde(default = "yes")]
    pub(crate) delete_merged_branch: bool,
    /// At most this many open at a time.
    pub(crate) limit: Option<usize>,
}

const fn yes() -> bool {
    true
}

/// `spec.git.pullRequest.provider`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ForgeProvider {
    /// github.com and GitHub Enterprise.
    Github,
    /// GitLab.
    Gitlab,
    /// Gitea and Forgejo.
    #[serde(alias = "forgejo")]
    Gitea,
    /// bitbucket.org.
    Bitbucket,
    /// Bitbucket Data Center.
    #[serde(alias = "bitbucket-server")]
    BitbucketDataCenter,
    /// Azure DevOps.
    #[serde(alias = "azure")]
    AzureDevops,
}

impl From<ForgeProvider> for Provider {
    fn from(provider: ForgeProvider) -> Self {
        match provider {
            ForgeProvider::Github => Self::GitHub,
            ForgeProvider::Gitlab => Self::GitLab,
            ForgeProvider::Gitea => Self::Gitea,
            ForgeProvider::Bitbucket => Self::BitbucketCloud,
            ForgeProvider::BitbucketDataCenter => Self::BitbucketDataCenter,
            ForgeProvider::AzureDevops => Self::AzureDevOps,
        }
    }
}

impl PullRequestSpec {
    /// What the updater is told.
    pub(crate) fn options(&self) -> PullRequestOptions {
        PullRequestOptions {
            labels: self.labels.clone(),
            reviewers: self.reviewers.clone(),
            assignees: self.assignees.clone(),
            draft: self.draft,
            auto_merge: self.auto_merge,
            close_superseded: self.close_superseded,
            delete_merged_branch: self.delete_merged_branch,
            limit: self.limit.and_then(NonZeroUsize::new),
        }
    }

    /// What is wrong with it, by field below `spec.git`: the message, and what to do.
    pub(super) fn faults(&self, git: &GitSpec) -> Vec<(String, String, &'static str)> {
        let mut faults = Vec::new();
        let mut fault = |field: &str, message: String, help: &'static str| {
            faults.push((field.to_owned(), message, help));
        };
        if let Some(text) = &self.api_url
            && let Err(message) = parse_api_url(text)
        {
            fault(
                "pullRequest.apiURL",
                message,
                "write for example https://git.example.com/api/v3",
            );
        }
        for (field, template) in [("title", &self.title), ("body", &self.body)] {
            if let Some(text) = template
                && let Some(message) = pull_request_template_fault(text)
            {
                fault(&format!("pullRequest.{field}"), message, "");
            }
        }
        for (field, names) in [
            ("labels", &self.labels),
            ("reviewers", &self.reviewers),
            ("assignees", &self.assignees),
        ] {
            for (index, name) in names.iter().enumerate() {
                if name.trim().is_empty() || name.chars().any(char::is_control) {
                    fault(
                        &format!("pullRequest.{field}.{index}"),
                        format!("{name:?} is no name"),
                        "write one name for each item",
                    );
                }
            }
        }
        if self.limit == Some(0) {
            fault(
                "pullRequest.limit",
                "none could ever be opened".to_owned(),
                "leave the field out for no limit",
            );
        }
        let checkout = git
            .checkout
            .as_ref()
            .and_then(|checkout| checkout.reference.branch.as_deref());
        let push = git.push.as_ref().and_then(|push| push.branch.as_deref());
        if self.base.as_deref() == Some("") {
            fault(
                "pullRequest.base",
                "the branch is empty".to_owned(),
                "name a branch, or leave the field out for the checkout branch",
            );
        }
        if let Some(branch) =
            push.filter(|branch| self.base.as_deref().or(checkout) == Some(branch))
        {
            fault(
                "push.branch",
                into_itself(branch),
                "name a branch of its own, or leave push.branch out for tagline/NAMESPACE/NAME",
            );
        }
        faults
    }
}

/// What is said of a pull request whose branch is its base.
pub(crate) fn into_itself(branch: &str) -> String {
    format!("a pull request from {branch:?} into {branch:?} holds nothing")
}

/// Reads `apiURL`.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse_api_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("not a URL: {error}"))?;
    if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() {
        return Err("the address must begin with https:// or http://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the address holds a credential: put it into a Secret".to_owned());
    }
    Ok(url)
}
