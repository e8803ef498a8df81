//! `tagline run`.

use crate::cli::GlobalArgs;
use crate::exit::Exit;
use crate::output::Output;

/// Flags of `tagline run`.
#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {}

/// Runs it.
pub(crate) fn run(_args: RunArgs, _global: &GlobalArgs, _output: &Output) -> anyhow::Result<Exit> {
    Ok(Exit::Failed)
}
