//! The command line: flags that every command has, and the commands.

#[cfg(test)]
mod reference;

use crate::commands;
use crate::output::{Color, Format, LogFormat};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Keeps image tags in git up to date: scans registries, chooses tags by policy, commits the choice.
#[derive(Debug, Parser)]
#[command(
    name = "tagline",
    version,
    propagate_version = false,
    max_term_width = 100,
    after_help = "Exit codes: 0 done, 1 failed, 2 bad usage or bad input, 3 changes found (with --exit-code).\n\
                  Every flag with an environment variable behind it can also be given there."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
#[expect(clippy::doc_markdown, reason = "the texts are shown as help")]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// How results are printed
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value_t,
        env = "TAGLINE_OUTPUT"
    )]
    pub(crate) output: Format,
    /// Whether to use colours; auto is yes on a terminal unless NO_COLOR is set
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        env = "TAGLINE_COLOR"
    )]
    pub(crate) color: Color,
    /// How log lines on standard error look
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        env = "TAGLINE_LOG_FORMAT"
    )]
    pub(crate) log_format: LogFormat,
    /// error, warn, info, debug, trace, or a filter as in RUST_LOG
    #[arg(long, global = true, value_name = "LEVEL", env = "TAGLINE_LOG_LEVEL")]
    pub(crate) log_level: Option<String>,
    /// Directory for tags, first-seen times and git mirrors [default: $XDG_STATE_HOME/tagline]
    #[arg(long, global = true, value_name = "DIR", env = "TAGLINE_STORAGE_PATH")]
    pub(crate) storage_path: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the whole loop on this machine: a registry, a git remote, a live update
    Demo(crate::demo::DemoArgs),
    /// Run the service on manifest files: scan, select, update
    Run(commands::run::RunArgs),
    /// Validate objects, policies and markers, without any network
    Check(commands::check::CheckArgs),
    /// Scan images now and show their tags' number, newest and age
    Scan(commands::scan::ScanArgs),
    /// List the tags of one image
    Tags(commands::tags::TagsArgs),
    /// Show which tag a policy chooses, and why
    Select(Box<commands::select::SelectArgs>),
    /// Write chosen tags into a directory, without git, and print the difference
    Update(commands::update::UpdateArgs),
    /// Ask the running service to scan, choose or write now
    Reconcile(commands::reconcile::ReconcileArgs),
    /// Look after the store of tags
    Store(commands::store::StoreArgs),
    /// Print a shell's completion script
    Completion(commands::completion::CompletionArgs),
    /// Print the version
    Version,
}
