//! The updater's integration tests.
#![cfg(test)]

mod comments;
mod directory;
mod forge;
mod git;
mod messages;
mod setters;
mod templates;
