//! Real servers for tests: CNCF distribution, nginx, git over http and ssh, a token server.
//!
//! Every server listens on a free loopback port, keeps its files in a temporary directory, and is
//! gone when its value is dropped or the test process dies. Starting one that is not installed gives
//! [`StartError::Missing`]; [`require!`] turns that into a `NOT RUN` entry that `./test` prints:
//!
//! ```
//! # use tagline_testservers::{DockerRegistry, Image, require};
//! # fn lists_tags() {
//! let registry = require!(DockerRegistry::start());
//! registry.push("team/app", "1.0.0", &Image::default());
//! assert!(registry.url().starts_with("http://127.0.0.1:"));
//! # }
//! # lists_tags();
//! ```
//!
//! Everything here may panic: a failure of these servers is the failure of the test that uses them.
#![expect(
    clippy::panic,
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::format_push_string,
    reason = "support for tests: what fails here fails the test; a push is made for its effect"
)]

mod auth_server;
mod bare_repository;
mod certificates;
mod docker_registry;
pub mod forge;
mod git_http;
mod git_ssh;
mod gitea;
mod gnupg;
mod http_client;
mod http_server;
mod nginx;
mod not_run;
mod process;
mod proxy_server;
mod registry_storage;
mod ssh_keys;

pub use auth_server::{AuthServer, AuthServerOptions};
pub use bare_repository::BareRepository;
pub use certificates::{CertificateAuthority, KeyPair};
pub use docker_registry::{DockerRegistry, DockerRegistryOptions};
pub use git_http::{Fault, GitHttp, GitHttpOptions};
pub use git_ssh::GitSsh;
pub use gitea::Gitea;
pub use gnupg::GnuPg;
pub use http_client::{ClientError, HttpClient};
pub use http_server::{Body, HttpServer, Request, Response};
pub use nginx::{Nginx, NginxOptions, NginxTls, RateLimit};
pub use not_run::{StartError, started};
pub use proxy_server::{ProxyOptions, ProxyServer};
pub use registry_storage::{Image, Platform};
pub use ssh_keys::{SshKey, SshKeyType};
