//! Integration tests of the scanner: one binary, one module per subject.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy sees only functions marked as tests as tests, not what they share"
)]

mod coalescing;
mod discovery;
mod foreign_bytes;
mod killed;
mod million;
mod registries;
mod store;
