//! `tagline update`.

use crate::cli::GlobalArgs;
use crate::exit::Exit;
use crate::output::Output;

/// Flags of `tagline update`.
#[derive(Debug, clap::Args)]
pub(crate) struct UpdateArgs {}

/// Runs it.
pub(crate) fn run(
    _args: UpdateArgs,
    _global: &GlobalArgs,
    _output: &Output,
) -> anyhow::Result<Exit> {
    Ok(Exit::Failed)
}
