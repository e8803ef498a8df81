//! Integration tests of the policy engine.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod smoke;
mod suggestions;
mod together;
