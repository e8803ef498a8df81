//! `GitRepository` (`source.toolkit.fluxcd.io`): a git remote and how to reach it.

use super::duration::{Span, Timeout};
use super::metadata::LocalReference;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// `spec`, with the fields that only the source controller reads known by name.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "fields that are only known by name")]
pub(crate) struct GitRepositorySpec {
    /// `http`, `https` or `ssh`; `file` for tests and demonstrations.
    pub(crate) url: String,
    /// Credentials.
    pub(crate) secret_ref: Option<LocalReference>,
    /// Where credentials come from.
    #[serde(default)]
    pub(crate) provider: GitProvider,
    /// For cloud providers.
    pub(crate) service_account_name: Option<String>,
    /// Used by the source controller and the sync loop.
    pub(crate) interval: Option<Span>,
    /// For one fetch or push; 60 s where absent.
    pub(crate) timeout: Option<Timeout>,
    /// What is checked out.
    #[serde(rename = "ref")]
    pub(crate) reference: Option<GitReference>,
    /// A proxy.
    pub(crate) proxy_secret_ref: Option<LocalReference>,
    /// Files that are left alone, in `.gitignore` syntax.
    pub(crate) ignore: Option<String>,
    /// Stops the source controller, not automations.
    #[serde(default)]
    pub(crate) suspend: bool,
    #[serde(default)]
    verify: IgnoredAny,
    #[serde(default)]
    recurse_submodules: IgnoredAny,
    #[serde(default)]
    include: IgnoredAny,
    #[serde(default)]
    sparse_checkout: IgnoredAny,
    #[serde(default)]
    git_implementation: IgnoredAny,
    #[serde(default)]
    access_from: IgnoredAny,
}

/// `spec.ref`. Where several are set: commit, then name, tag, semver, branch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct GitReference {
    /// A branch.
    pub(crate) branch: Option<String>,
    /// A tag.
    pub(crate) tag: Option<String>,
    /// The newest tag in a range.
    pub(crate) semver: Option<String>,
    /// A full reference name.
    pub(crate) name: Option<String>,
    /// A commit.
    pub(crate) commit: Option<String>,
}

/// `spec.provider`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum GitProvider {
    /// The Secret as it is.
    #[default]
    Generic,
    /// `CodeCommit`.
    Aws,
    /// Azure DevOps.
    Azure,
    /// A GitHub App.
    Github,
}

impl GitProvider {
    /// Its name in manifests.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::Aws => "aws",
            Self::Azure => "azure",
            Self::Github => "github",
        }
    }
}
