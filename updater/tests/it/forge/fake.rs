//! Our client to the fake forges of `tagline-testservers`, fast and at a fixed time.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
pub(crate) use tagline_testservers::forge::{
    Death, FakePull, NAME, OWNER, PullRequestState, TOKEN,
};
use tagline_testservers::forge::{ForgeKind, ForgeServer};
use tagline_updater::forge::{
    ConnectOptions, Connection, Credentials, Provider, PullRequests, RepositoryAddress, connect,
};

/// A running fake.
pub(crate) struct Fake {
    pub(crate) provider: Provider,
    pub(crate) address: String,
    server: ForgeServer,
}

impl Fake {
    pub(crate) fn start(provider: Provider) -> Self {
        let server = ForgeServer::start(match provider {
            Provider::GitHub => ForgeKind::GitHub,
            Provider::GitLab => ForgeKind::GitLab,
            Provider::Gitea => ForgeKind::Gitea,
            Provider::BitbucketCloud => ForgeKind::BitbucketCloud,
            Provider::BitbucketDataCenter => ForgeKind::BitbucketDataCenter,
            Provider::AzureDevOps => ForgeKind::AzureDevOps,
        })
        .expect("a free port");
        Self {
            provider,
            address: server.url(),
            server,
        }
    }

    /// Our client to it, with `credentials` and the clock at `now`.
    pub(crate) fn client_with(
        &self,
        credentials: Credentials,
        options: ConnectOptions,
    ) -> Box<dyn PullRequests> {
        let repository = RepositoryAddress {
            provider: self.provider,
            api: self.server.api().parse().expect("an address"),
            owner: OWNER.to_owned(),
            name: NAME.to_owned(),
        };
        connect(Connection {
            repository,
            credentials,
            options,
        })
        .expect("a client")
    }

    pub(crate) fn client(&self) -> Box<dyn PullRequests> {
        self.client_with(Credentials::Token(SecretString::from(TOKEN)), options())
    }
}

impl Deref for Fake {
    type Target = ForgeServer;

    fn deref(&self) -> &ForgeServer {
        &self.server
    }
}

/// Fast, and at a fixed time.
pub(crate) fn options() -> ConnectOptions {
    ConnectOptions {
        write_interval: Some(Duration::ZERO),
        timeout: Duration::from_secs(20),
        clock: Arc::new(now),
        ..ConnectOptions::default()
    }
}

/// The moment at which the fakes live.
pub(crate) fn now() -> Timestamp {
    tagline_testservers::forge::now()
}
