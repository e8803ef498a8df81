//! `tagline run` from a real registry to a real git remote.

mod bad_input;
mod commits;
mod fleet;
mod groups;
mod holds;
mod hostile;
mod interrupted;
mod long_lists;
mod once;
mod overtaken;
mod pull_requests;
mod scene;
mod service;
mod settings;
