//! The updater's integration tests.

mod setters;
