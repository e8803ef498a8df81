//! Every command by hand: what it prints, as people and as programs read it, and its exit code.

mod check;
mod groups;
mod help;
pub(crate) mod program;
mod registries;
mod scan;
mod select;
mod store;
mod update;
mod watch;
