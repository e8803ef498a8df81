//! Scans of real and of scripted registries.

mod authentication;
mod listing;
mod support;
