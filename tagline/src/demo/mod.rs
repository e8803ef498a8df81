//! `tagline demo`: the main job on this machine, with nothing to install.
#![allow(dead_code, reason = "the command follows with the service")]

mod git_backend;
mod git_remote;
mod images;
mod manifests;
mod registry;
mod server;
