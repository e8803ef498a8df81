//! The git engine against real git: `git http-backend`, sshd, file remotes.

mod connection;
mod formats;
mod holds;
mod joined;
mod killed;
mod killed_together;
mod mirror;
mod publish;
mod push_branch;
mod refspec;
mod scene;
mod setting;
mod signing;
mod socks_proxy;
mod ssh;
mod together;
mod tree;
mod trouble;
