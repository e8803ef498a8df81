//! Integration tests of the policy engine.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod cases;
mod numbers;
mod regular_expressions;
mod smoke;
mod suggestions;
mod support;
mod together;
