//! `tagline`: keeps image tags in git up to date.

mod cli;
mod commands;
mod demo;
mod exit;
mod manifest;
mod output;
mod resources;
mod service;
mod settings;

mod shutdown;

use clap::Parser as _;
use cli::{Cli, Command};
use exit::{BadInput, Exit};
use output::Output;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = Output::new(cli.global.output, cli.global.color);
    match start(cli, &output) {
        Ok(exit) => exit.into(),
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output.error(&output::with_causes(&error));
            if error.downcast_ref::<BadInput>().is_some() {
                Exit::BadInput.into()
            } else {
                Exit::Failed.into()
            }
        }
    }
}

fn start(cli: Cli, output: &Output) -> anyhow::Result<Exit> {
    let default_level = match cli.command {
        Command::Run(_) => "info",
        // It tells by itself what happens.
        Command::Demo(_) => "error",
        _ => "warn",
    };
    output::start_logging(
        cli.global.log_format,
        cli.global.log_level.as_deref(),
        default_level,
        cli.global.color,
        output.progress(),
    )?;
    tagline_scanner::tls::install_provider();
    let global = &cli.global;
    match cli.command {
        Command::Demo(args) => demo::run(&args, global, output),
        Command::Run(args) => commands::run::run(&args, global, output),
        Command::Check(args) => commands::check::run(&args, output),
        Command::Scan(args) => commands::scan::run(&args, global, output),
        Command::Tags(args) => commands::tags::run(args, global, output),
        Command::Select(args) => commands::select::run(&args, global, output),
        Command::Update(args) => commands::update::run(&args, global, output),
        Command::Reconcile(args) => commands::reconcile::run(&args, global, output),
        Command::Store(args) => commands::store::run(&args, global, output),
        Command::Completion(args) => commands::completion::run(&args, output),
        Command::Version => commands::version::run(output),
    }
}

/// `tagline tags … | head` is no failure.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}
