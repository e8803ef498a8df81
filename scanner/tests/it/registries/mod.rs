//! Scans of real and of scripted registries.

mod authentication;
mod listing;
mod malicious;
mod raw_server;
mod support;
