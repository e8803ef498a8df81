//! Scans of real and of scripted registries.

mod authentication;
mod conditional;
mod limits;
mod listing;
mod malicious;
mod manifests;
mod names;
mod newer;
mod paged;
mod paging;
mod proxies;
mod raw_server;
mod secrets;
mod support;
mod tokens;
mod transport;
