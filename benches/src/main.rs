//! The load harness: runs that are too large or too long for a bench, each with its figures on standard
//! output. `benches/README.md` says how to run and read them.
#![expect(clippy::print_stdout, reason = "figures are what this program is for")]

use clap::{Parser, Subcommand};

mod git;
mod process;
mod registry;
mod registry_process;
mod scan;
mod service;
mod simulate;
mod store_size;
mod tag_lists;

/// Loads and simulations of Tagline.
#[derive(Parser)]
#[command(name = "tagline-benches", version)]
struct Cli {
    #[command(subcommand)]
    load: Load,
}

#[derive(Subcommand)]
enum Load {
    /// One changed image in a large repository, against plain git.
    Git(git::Options),
    /// Scan many repositories of a registry on loopback.
    Scan(scan::Options),
    /// The registry that `scan` starts: serves until its standard input ends.
    #[command(hide = true)]
    Registry(registry::RegistryOptions),
    /// Run the program on many objects, and start it again.
    Service(service::Options),
    /// Fill the store and measure the file and the process.
    Store(store_size::Options),
    /// Run the schedule in simulated time.
    Simulate(simulate::Options),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().load {
        Load::Git(options) => git::run(&options),
        Load::Scan(options) => scan::run(&options),
        Load::Registry(options) => registry_process::run(options),
        Load::Service(options) => service::run(&options),
        Load::Store(options) => store_size::run(&options),
        Load::Simulate(options) => simulate::run(&options),
    }
}
