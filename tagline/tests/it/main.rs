//! The program as its users run it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy sees only functions marked as tests as tests, not what they share"
)]

mod command_line;
mod demo;
mod documentation;
mod end_to_end;
mod first_automation;
mod policy_cases;
