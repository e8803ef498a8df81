//! The updater's integration tests.
#![cfg(test)]

mod directory;
mod setters;
