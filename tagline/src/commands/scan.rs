//! `tagline scan`.

use crate::cli::GlobalArgs;
use crate::exit::Exit;
use crate::output::Output;

/// Flags of `tagline scan`.
#[derive(Debug, clap::Args)]
pub(crate) struct ScanArgs {}

/// Runs it.
pub(crate) fn run(_args: ScanArgs, _global: &GlobalArgs, _output: &Output) -> anyhow::Result<Exit> {
    Ok(Exit::Failed)
}
