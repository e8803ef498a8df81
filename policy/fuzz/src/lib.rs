//! The bodies of the fuzz targets, one for each reader of foreign bytes.
//!
//! `policy/tests/it/fuzz.rs` runs the same bodies over random bytes on every test run.

#[path = "../bodies.rs"]
mod bodies;

pub use bodies::*;
