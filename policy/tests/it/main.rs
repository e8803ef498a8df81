//! Integration tests of the policy engine.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod cases;
mod choosing;
mod fuzz;
mod later_tags;
mod mistakes;
mod numbers;
mod ranges;
mod regular_expressions;
mod smoke;
mod suggestions;
mod support;
mod together;
mod updates;
