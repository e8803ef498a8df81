//! `tagline completion SHELL`.

use crate::cli::Cli;
use crate::exit::Exit;
use crate::output::Output;
use clap::CommandFactory as _;
use clap_complete::Shell;
use std::io::Write as _;

/// Flags of `tagline completion`.
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionArgs {
    /// The shell, for example: source <(tagline completion bash)
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script.
pub(crate) fn run(args: &CompletionArgs, output: &Output) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tagline", &mut script);
    output.stdout().write_all(&script)?;
    Ok(Exit::Done)
}
