//! `tagline version`.

use crate::exit::Exit;
use crate::output::Output;
use serde::Serialize;

#[derive(Serialize)]
struct Version {
    version: &'static str,
    platform: String,
}

/// Prints the version.
pub(crate) fn run(output: &Output) -> anyhow::Result<Exit> {
    let version = Version {
        version: env!("CARGO_PKG_VERSION"),
        platform: format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    };
    output.print(&version, |out, _| {
        writeln!(out, "tagline {} ({})", version.version, version.platform)
    })?;
    Ok(Exit::Done)
}
