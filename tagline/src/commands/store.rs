//! `tagline store`: looks after the store of tags.

use super::ad_hoc;
use crate::cli::GlobalArgs;
use crate::exit::{BadInput, Exit};
use crate::output::{BAD, GOOD, Output};
use crate::settings::default_storage_path;
use jiff::Timestamp;
use serde::Serialize;
use std::path::PathBuf;
use tagline_scanner::TagStore;

/// Flags of `tagline store`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The store is the one of --storage-path. A running service has it open: stop it first."
)]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Action {
    /// Show what the store holds, and what it takes
    Stats,
    /// Read everything, and put away what is damaged so that it is scanned anew
    Check,
    /// Give free room back to the file system
    Compact,
    /// Ask a registry again before its Retry-After has passed
    Unblock {
        /// The registry's host, as messages name it; without one, all
        host: Option<String>,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    path: PathBuf,
    file_bytes: u64,
    used_bytes: u64,
    targets: u64,
    tags: u64,
    tag_bytes: u64,
    bytes_per_tag: Option<f64>,
    partial_listings: u64,
    tag_digests: u64,
    manifests: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Check {
    path: PathBuf,
    file_sound: bool,
    good_targets: u64,
    damaged: Vec<Damaged>,
    removed_rows: u64,
}

#[derive(Serialize)]
struct Damaged {
    target: String,
    detail: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Compacted {
    path: PathBuf,
    bytes_before: u64,
    bytes_after: u64,
}

#[derive(Serialize)]
struct Unblocked {
    path: PathBuf,
    lifted: Vec<Lifted>,
}

#[derive(Serialize)]
struct Lifted {
    host: String,
    credential: String,
    until: Timestamp,
}

/// Looks after it.
pub(crate) fn run(args: &StoreArgs, global: &GlobalArgs, output: &Output) -> anyhow::Result<Exit> {
    let path = global
        .storage_path
        .clone()
        .unwrap_or_else(default_storage_path);
    if !path.is_dir() {
        return Err(BadInput::error(format!(
            "--storage-path {}: there is no such directory, so nothing has been stored there yet",
            path.display()
        )));
    }
    let store = ad_hoc::open_store(&path)?;
    match &args.action {
        Action::Stats => stats(&store, path, output),
        Action::Check => check(&store, path, output),
        Action::Compact => compact(&store, path, output),
        Action::Unblock { host } => unblock(&store, path, host.as_deref(), output),
    }
}

fn stats(store: &TagStore, path: PathBuf, output: &Output) -> anyhow::Result<Exit> {
    let stats = store.stats()?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "a figure for people, rounded to one digit"
    )]
    let per_tag = (stats.tags > 0)
        .then(|| (stats.tag_bytes as f64 / stats.tags as f64 * 10.0).round() / 10.0);
    let stats = Stats {
        path,
        file_bytes: stats.file_bytes,
        used_bytes: stats.used_bytes,
        targets: stats.targets,
        tags: stats.tags,
        tag_bytes: stats.tag_bytes,
        bytes_per_tag: per_tag,
        partial_listings: stats.partial_listings,
        tag_digests: stats.tag_digests,
        manifests: stats.manifests,
    };
    output.print(&stats, |out, _| {
        writeln!(out, "path               {}", stats.path.display())?;
        writeln!(out, "file               {}", bytes(stats.file_bytes))?;
        writeln!(out, "in use             {}", bytes(stats.used_bytes))?;
        writeln!(out, "targets            {}", stats.targets)?;
        let per_tag = stats
            .bytes_per_tag
            .map_or_else(String::new, |per_tag| format!(", {per_tag} bytes each"));
        writeln!(
            out,
            "tags               {} ({}{per_tag})",
            stats.tags,
            bytes(stats.tag_bytes)
        )?;
        writeln!(out, "unfinished lists   {}", stats.partial_listings)?;
        writeln!(out, "digests of tags    {}", stats.tag_digests)?;
        writeln!(out, "manifests          {}", stats.manifests)
    })?;
    Ok(Exit::Done)
}

fn check(store: &TagStore, path: PathBuf, output: &Output) -> anyhow::Result<Exit> {
    let found = store.check()?;
    let check = Check {
        path,
        file_sound: found.is_file_sound,
        good_targets: found.good_targets,
        damaged: found
            .damaged
            .into_iter()
            .map(|(target, detail)| Damaged {
                target: target.to_string(),
                detail,
            })
            .collect(),
        removed_rows: found.removed_rows,
    };
    let sound = check.file_sound && check.damaged.is_empty() && check.removed_rows == 0;
    output.print(&check, |out, _| {
        writeln!(out, "{} targets read and found good", check.good_targets)?;
        if !check.file_sound {
            writeln!(
                out,
                "{BAD}the file's structure was damaged{BAD:#}; it has been repaired"
            )?;
        }
        for damaged in &check.damaged {
            writeln!(
                out,
                "{BAD}{}: {}{BAD:#}; it will be scanned anew",
                damaged.target, damaged.detail
            )?;
        }
        if check.removed_rows > 0 {
            writeln!(
                out,
                "{BAD}{} rows belonged to nothing{BAD:#}; they have been removed",
                check.removed_rows
            )?;
        }
        if sound {
            writeln!(out, "{GOOD}sound{GOOD:#}")?;
        }
        Ok(())
    })?;
    Ok(if sound { Exit::Done } else { Exit::Failed })
}

fn compact(store: &TagStore, path: PathBuf, output: &Output) -> anyhow::Result<Exit> {
    let before = store.stats()?.file_bytes;
    store.compact()?;
    let after = store.stats()?.file_bytes;
    let compacted = Compacted {
        path,
        bytes_before: before,
        bytes_after: after,
    };
    output.print(&compacted, |out, _| {
        writeln!(
            out,
            "{} before, {} now",
            bytes(compacted.bytes_before),
            bytes(compacted.bytes_after)
        )
    })?;
    Ok(Exit::Done)
}

fn unblock(
    store: &TagStore,
    path: PathBuf,
    host: Option<&str>,
    output: &Output,
) -> anyhow::Result<Exit> {
    let lifted = store.lift_blocks(host)?.into_iter().map(|block| Lifted {
        host: block.host,
        credential: block.identity,
        until: block.until,
    });
    let unblocked = Unblocked {
        path,
        lifted: lifted.collect(),
    };
    output.print(&unblocked, |out, _| {
        for lifted in &unblocked.lifted {
            writeln!(
                out,
                "{} ({}) would have been left alone until {}",
                lifted.host, lifted.credential, lifted.until
            )?;
        }
        if unblocked.lifted.is_empty() {
            writeln!(out, "no such registry wants to be left alone")?;
        }
        Ok(())
    })?;
    Ok(Exit::Done)
}

/// Bytes for people.
fn bytes(count: u64) -> String {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a figure for people, rounded to one digit"
    )]
    let shown = |unit: u64, name: &str| format!("{:.1} {name}", count as f64 / unit as f64);
    match count {
        0..=9_999 => format!("{count} bytes"),
        10_000..=9_999_999 => shown(1 << 10, "KiB"),
        10_000_000..=9_999_999_999 => shown(1 << 20, "MiB"),
        _ => shown(1 << 30, "GiB"),
    }
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn bytes_have_a_fitting_unit() {
        for (count, text) in [
            (512, "512 bytes"),
            (20_480, "20.0 KiB"),
            (52_428_800, "50.0 MiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }
}
