//! The git engine against real git: `git http-backend`, sshd, file remotes.

mod publish;
mod setting;
