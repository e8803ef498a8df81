//! `tagline tags IMAGE`: the tags of one image.

use super::ad_hoc;
use crate::cli::GlobalArgs;
use crate::exit::Exit;
use crate::output::Output;
use crate::settings::RateArgs;
use crate::shutdown;
use jiff::Timestamp;
use serde::Serialize;
use tagline_scanner::ScanMode;

/// Flags of `tagline tags`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Tags come in descending order of bytes, one per line.\n\nExamples:\n  tagline tags alpine\n  tagline tags ghcr.io/org/app | tagline select --semver 1.x --tags -"
)]
pub(crate) struct TagsArgs {
    /// The image, without tag: alpine, podinfo/podinfo, ghcr.io/org/app
    image: String,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Allow plain http
    #[arg(long)]
    insecure: bool,
    #[command(flatten)]
    registry: RateArgs,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    image: String,
    canonical: String,
    tags: Vec<String>,
    revision: String,
    scanned_at: Timestamp,
    requests: u32,
}

/// Lists.
pub(crate) fn run(args: TagsArgs, global: &GlobalArgs, output: &Output) -> anyhow::Result<Exit> {
    let target = ad_hoc::target(&args.image, args.insecure)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let scan = runtime.block_on(async {
        let cancel = shutdown::on_signal()?;
        let scanner = ad_hoc::scanner(global, &args.registry)?;
        tokio::select! {
            scan = scanner.scan(&target, ScanMode::Conditional) => Ok(scan?),
            () = cancel.cancelled() => Err(anyhow::anyhow!("interrupted")),
        }
    })?;
    let limit = args.limit.unwrap_or(usize::MAX);
    let listed = Listed {
        image: args.image,
        canonical: target.image.to_string(),
        tags: scan
            .tags
            .latest(limit)
            .iter()
            .map(ToString::to_string)
            .collect(),
        revision: scan.tags.revision().to_string(),
        scanned_at: scan.scanned_at,
        requests: scan.requests.total(),
    };
    output.print(&listed, |out, _| {
        for tag in &listed.tags {
            writeln!(out, "{tag}")?;
        }
        Ok(())
    })?;
    Ok(Exit::Done)
}
