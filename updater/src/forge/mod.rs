//! Pull requests on forges: opened, kept up to date, closed and cleaned up, whatever is killed.
//!
//! Three layers, one direction:
//!
//! ```text
//! bring_about (driver) ──> reconcile (pure: what is to be done) ──> PullRequests (one module per forge)
//! ```
//!
//! * [`PullRequests`] is the small set of operations every forge offers, on plain values. [`connect()`] makes one
//!   for a git remote: [`Provider`] and [`RepositoryAddress`] are read from its URL or given.
//! * [`reconcile()`] decides from what is wanted and what exists: create, update, close, delete a branch, or leave
//!   alone because a person closed it. It does no I/O and is tested by tables and properties.
//! * [`bring_about`] looks at the forge, asks [`reconcile()`], and does it. Nothing is stored on our side: what must be
//!   remembered stands in a marker in the pull request's description ([`Marker`]), so a process that is killed at
//!   any point finds its work again, and nothing is done twice.
//!
//! | subject | file |
//! |---|---|
//! | which forge, which repository, which API address | `provider.rs`, `remote_url.rs` |
//! | title, table of changes, links, escaping | `content.rs`, `describe.rs`, `links.rs`, `escape.rs` |
//! | what is remembered in a description | `marker.rs` |
//! | tokens, GitHub App | `credentials.rs`, `github_app.rs` |
//! | time-outs, limits, rate limits, errors | `http.rs`, `rate_limit.rs`, `error.rs` |
//! | what all forges' APIs have in common: pages, creation, fields | `api.rs` |
//! | the forges | `github.rs`, `gitlab.rs`, `gitea.rs`, `bitbucket_cloud.rs`, `bitbucket_data_center.rs`, `azure_devops.rs` |

mod api;
mod azure_devops;
mod bitbucket_cloud;
mod bitbucket_data_center;
mod connect;
mod content;
mod credentials;
mod describe;
mod driver;
mod error;
mod escape;
mod forges;
mod from_push;
mod gitea;
mod github;
mod github_app;
mod gitlab;
mod http;
mod known_branches;
mod links;
mod marker;
mod options;
mod provider;
mod pull_request;
mod rate_limit;
mod reconcile;
mod remote_url;

pub use connect::{ConnectOptions, Connection, connect};
pub use credentials::Credentials;
pub use describe::{ImageChange, SourceRevision, describe_changes, title_for};
pub use driver::{Failure, Outcome, Report, bring_about, foresee, survey};
pub use error::ForgeError;
pub use forges::{Forges, GitHubAppSettings};
pub use github_app::{GitHubApp, GitHubAppKey, Installation, InstallationToken};
pub use marker::{ClosedBy, Fingerprint, FoundMarker, Marker, MarkerStyle};
pub use options::{MergeMethod, PullRequestOptions};
pub use provider::{Provider, RepositoryAddress};
pub use pull_request::{
    Answer, CreatePullRequest, PullRequest, PullRequestNumber, PullRequestState, PullRequests,
    SetUp, Update,
};
pub use reconcile::{
    Action, CloseReason, Existing, KnownBranch, Plan, Request, Rules, Standing, Wanted, reconcile,
    refusal,
};

/// The clock, passed in so that tests need not wait.
pub type Clock = std::sync::Arc<dyn Fn() -> jiff::Timestamp + Send + Sync>;
