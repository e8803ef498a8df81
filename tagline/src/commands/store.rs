//! `tagline store`.

use crate::cli::GlobalArgs;
use crate::exit::Exit;
use crate::output::Output;

/// Flags of `tagline store`.
#[derive(Debug, clap::Args)]
pub(crate) struct StoreArgs {}

/// Runs it.
pub(crate) fn run(
    _args: StoreArgs,
    _global: &GlobalArgs,
    _output: &Output,
) -> anyhow::Result<Exit> {
    Ok(Exit::Failed)
}
