//! From a remote's URL to its forge.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use url::Url;

use super::http::{Http, Wire};
use super::{Clock, Credentials, ForgeError, Provider, PullRequests, RepositoryAddress};

/// How to reach the API. The defaults suit the public forges.
#[derive(Clone)]
pub struct ConnectOptions {
    /// Certificates (PEM) trusted besides the system's.
    pub ca_bundle: Option<Vec<u8>>,
    /// A proxy instead of the environment's.
    pub proxy: Option<Url>,
    /// For a whole request, its answer included.
    pub timeout: Duration,
    /// The least time between two requests that change something; `None`: what the forge asks for.
    pub write_interval: Option<Duration>,
    /// The clock.
    pub clock: Clock,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            ca_bundle: None,
            proxy: None,
            timeout: Duration::from_mins(1),
            write_interval: None,
            clock: Arc::new(Timestamp::now),
        }
    }
}

impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A proxy's URL may hold a password.
        f.debug_struct("ConnectOptions")
            .field("ca_bundle", &self.ca_bundle.is_some())
            .field("proxy", &self.proxy.as_ref().and_then(Url::host_str))
            .field("timeout", &self.timeout)
            .field("write_interval", &self.write_interval)
            .finish_non_exhaustive()
    }
}

/// What is needed to talk to the forge of a repository.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Which repository on which forge.
    pub repository: RepositoryAddress,
    /// Who we are.
    pub credentials: Credentials,
    /// How to get there.
    pub options: ConnectOptions,
}

/// Connects once; no request is sent yet.
///
/// Who connects again and again keeps a [`Forges`](super::Forges).
///
/// # Errors
/// [`ForgeError::Client`] when the HTTP client cannot be set up.
pub fn connect(connection: Connection) -> Result<Box<dyn PullRequests>, ForgeError> {
    let wire = Wire::new(connection.repository.provider, &connection.options)?;
    Ok(on_wire(Arc::new(wire), connection))
}

pub(super) fn on_wire(wire: Arc<Wire>, connection: Connection) -> Box<dyn PullRequests> {
    let Connection {
        repository,
        credentials,
        ..
    } = connection;
    let http = Http::new(wire, credentials);
    match repository.provider {
        Provider::GitHub => Box::new(super::github::GitHub::new(http, repository)),
        Provider::GitLab => Box::new(super::gitlab::GitLab::new(http, repository)),
        Provider::Gitea => Box::new(super::gitea::Gitea::new(http, repository)),
        Provider::BitbucketCloud => Box::new(super::bitbucket_cloud::BitbucketCloud::new(
            http, repository,
        )),
        Provider::BitbucketDataCenter => Box::new(
            super::bitbucket_data_center::BitbucketDataCenter::new(http, repository),
        ),
        Provider::AzureDevOps => Box::new(super::azure_devops::AzureDevOps::new(http, repository)),
    }
}
