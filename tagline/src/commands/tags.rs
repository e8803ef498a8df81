//! `tagline tags`.

use crate::cli::GlobalArgs;
use crate::exit::Exit;
use crate::output::Output;

/// Flags of `tagline tags`.
#[derive(Debug, clap::Args)]
pub(crate) struct TagsArgs {}

/// Runs it.
pub(crate) fn run(_args: TagsArgs, _global: &GlobalArgs, _output: &Output) -> anyhow::Result<Exit> {
    Ok(Exit::Failed)
}
