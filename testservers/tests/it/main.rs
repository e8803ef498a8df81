//! The servers do what the tests of the other rooms rely on.
#![allow(
    clippy::unwrap_used,
    reason = "clippy sees only functions marked as tests as tests, not what they share"
)]

mod auth_server;
mod docker_registry;
mod git_http;
mod git_ssh;
mod http_server;
mod leftovers;
mod nginx;
mod not_run;
