//! The updater's integration tests.
#![cfg(test)]

mod directory;
mod forge;
mod git;
mod messages;
mod setters;
mod templates;
