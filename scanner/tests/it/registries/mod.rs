//! Scans of real and of scripted registries.

mod authentication;
mod limits;
mod listing;
mod malicious;
mod manifests;
mod paging;
mod raw_server;
mod secrets;
mod support;
mod tokens;
mod transport;
