//! The updater's integration tests.
#![cfg(test)]

mod any_document;
mod comments;
mod directory;
mod edits;
mod forge;
mod formats;
mod git;
mod messages;
mod plain_texts;
mod setters;
mod templates;
