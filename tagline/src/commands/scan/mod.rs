//! `tagline scan`: scans images now.

mod rows;
mod watch;

use super::ad_hoc;
use super::input::InputArgs;
use crate::cli::GlobalArgs;
use crate::exit::{BadInput, Exit};
use crate::output::{Bar, Format, Output, counted_noun};
use crate::resources::Span;
use crate::service::registry_access;
use crate::settings::{RateArgs, ServiceArgs, Settings};
use crate::shutdown;
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use rows::{Row, oldest, row, table};
use std::collections::BTreeMap;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;
use tagline_policy::Registry;
use tagline_scanner::{ImageFilter, ScanMode, ScanTarget, Scanner, images_in_manifests};
use tokio_util::sync::CancellationToken;

/// Scans at the same time. How fast requests go out is the budgets' business.
const AT_ONCE: usize = 64;

/// Flags of `tagline scan`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "-o json prints one object per image and line, in the order in which scans end.\n\nExamples:\n  tagline scan alpine ghcr.io/org/app\n  tagline scan --catalog registry.example.com --include '*/team/*'\n  tagline scan --from-manifests clusters/ --storage-path ~/.cache/tagline --since 7d"
)]
pub(crate) struct ScanArgs {
    /// Images, without tag: alpine, podinfo/podinfo, ghcr.io/org/app
    image: Vec<String>,
    #[command(flatten)]
    input: InputArgs,
    /// Every repository that this registry names in its catalog
    #[arg(long, value_name = "HOST")]
    catalog: Option<String>,
    /// Every image that the manifests of this directory name
    #[arg(long, value_name = "DIR")]
    from_manifests: Vec<PathBuf>,
    /// Only images whose canonical name matches one of these globs; * crosses /
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// No images whose canonical name matches one of these globs; wins over --include
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Allow plain http
    #[arg(long)]
    insecure: bool,
    /// At most so many images
    #[arg(long, value_name = "N")]
    limit: Option<NonZeroUsize>,
    /// Show the tags that appeared within this time, for example 7d; needs --storage-path, where earlier scans are
    #[arg(long, value_name = "DURATION", value_parser = long_span, conflicts_with = "watch")]
    since: Option<Span>,
    /// Keep scanning and show what changes
    #[arg(long)]
    watch: bool,
    /// Time between two scans of an image with --watch, at least 1s
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = pause, requires = "watch")]
    interval: Span,
    #[command(flatten)]
    registry: RateArgs,
}

/// An image as it was asked for, and its target.
struct Wanted {
    shown: String,
    target: ScanTarget,
}

/// Scans.
pub(crate) fn run(args: &ScanArgs, global: &GlobalArgs, output: &Output) -> anyhow::Result<Exit> {
    if args.image.is_empty()
        && !args.input.is_given()
        && args.catalog.is_none()
        && args.from_manifests.is_empty()
    {
        return Err(BadInput::error(
            "nothing to scan: name images, or give -f, --catalog or --from-manifests",
        ));
    }
    if args.since.is_some() && global.storage_path.is_none() {
        return Err(BadInput::error(
            "--since needs --storage-path: when a tag was first seen is known only from earlier scans",
        ));
    }
    if let Some(missing) = args.from_manifests.iter().find(|path| !path.exists()) {
        return Err(BadInput::error(format!(
            "--from-manifests {}: there is no such file or directory",
            missing.display()
        )));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let cancel = shutdown::on_signal()?;
        let (scanner, wanted) = targets(args, global, output).await?;
        if wanted.is_empty() {
            output.warning("there is nothing to scan: no image was found, or --include and --exclude leave out every one");
        }
        if args.watch {
            return watch::watch(wanted, &scanner, args.interval.0, output, &cancel).await;
        }
        let bar = output.progress().bar("scanning", wanted.len());
        let rows = scan_all(args, &scanner, &wanted, output, &cancel, bar).await?;
        if output.format() == Format::Table {
            let now = Timestamp::now();
            output.print(&(), |out, _| table(&rows, args.since.is_some(), now, out))?;
        }
        if cancel.is_cancelled() {
            anyhow::bail!(
                "interrupted after {} of {} images",
                rows.len(),
                wanted.len()
            );
        }
        let first = rows.iter().filter(|row| row.first_scan).count();
        if args.since.is_some() && first > 0 {
            output.warning(&format!(
                "{} scanned for the first time: when the tags appeared is known from now on",
                counted_noun(first, "image")
            ));
        }
        let failed = rows.iter().any(|row| row.error.is_some());
        Ok(if failed { Exit::Failed } else { Exit::Done })
    })
}

/// Every image asked for, once, under the globs.
async fn targets(
    args: &ScanArgs,
    global: &GlobalArgs,
    output: &Output,
) -> anyhow::Result<(Scanner, Vec<Wanted>)> {
    let filter = ImageFilter::new(&args.include, &args.exclude);
    let mut wanted = BTreeMap::new();
    let resources = args.input.load(output)?;
    let settings = Settings::resolve(
        global,
        &ServiceArgs::default(),
        &(&args.registry).into(),
        &resources,
    )?;
    let access =
        |registry: &Registry| ad_hoc::access_with_settings(registry, args.insecure, &settings);
    for image in &args.image {
        let name = ad_hoc::image_name(image)?;
        let access = access(name.registry());
        add(
            &mut wanted,
            &filter,
            image.clone(),
            ScanTarget::new(name, access),
        );
    }
    for failure in from_resources(&resources, &settings, args, &filter, &mut wanted) {
        output.error(&failure);
    }
    let scanner = ad_hoc::scanner_of(global, &settings)?;
    if !args.from_manifests.is_empty() {
        let found = images_in_manifests(&args.from_manifests);
        for error in &found.errors {
            output.warning(&error.to_string());
        }
        for image in found.repositories(&filter).into_keys() {
            let access = access(image.registry());
            let target = ScanTarget::new(image, access);
            add(&mut wanted, &filter, target.image.familiar(), target);
        }
    }
    if let Some(host) = &args.catalog {
        let registry = Registry::new(host).map_err(|_| {
            BadInput::error(format!(
                "--catalog {host}: not a registry host; write host or host:port"
            ))
        })?;
        let access = access(&registry);
        for image in scanner.catalog(&registry, &access).await? {
            let target = ScanTarget::new(image, access.clone());
            add(&mut wanted, &filter, target.image.familiar(), target);
        }
    }
    let mut wanted: Vec<Wanted> = wanted.into_values().collect();
    if let Some(limit) = args.limit.filter(|limit| limit.get() < wanted.len()) {
        output.note(&format!("the first {limit} of {} images", wanted.len()));
        wanted.truncate(limit.get());
    }
    Ok((scanner, wanted))
}

fn add(
    wanted: &mut BTreeMap<String, Wanted>,
    filter: &ImageFilter,
    shown: String,
    target: ScanTarget,
) {
    if filter.allows(&target.image) {
        let key = target.key().to_string();
        wanted.entry(key).or_insert(Wanted { shown, target });
    }
}

fn from_resources(
    resources: &crate::resources::Resources,
    settings: &Settings,
    args: &ScanArgs,
    filter: &ImageFilter,
    wanted: &mut BTreeMap<String, Wanted>,
) -> Vec<String> {
    let mut failures = Vec::new();
    for (name, object) in &resources.image_repositories {
        let image = match tagline_policy::ImageName::parse(&object.spec.image) {
            Ok(image) if filter.allows(&image) && settings.image_filter.allows(&image) => image,
            _ => continue,
        };
        match registry_access::access_with_settings(object, &image, resources, settings) {
            Ok(mut access) => {
                access.insecure |= args.insecure;
                add(
                    wanted,
                    filter,
                    object.spec.image.clone(),
                    ScanTarget::new(image, access),
                );
            }
            Err(failure) => failures.push(format!("ImageRepository {name}: {}", failure.message)),
        }
    }
    failures
}

async fn scan_all(
    args: &ScanArgs,
    scanner: &Scanner,
    wanted: &[Wanted],
    output: &Output,
    cancel: &CancellationToken,
    mut bar: Bar,
) -> anyhow::Result<Vec<Row>> {
    let since = args.since.map(|since| oldest(since.0));
    let mut scans = stream::iter(wanted)
        .map(|wanted| async move {
            let result = scanner.scan(&wanted.target, ScanMode::Conditional).await;
            row(wanted, result, since)
        })
        .buffer_unordered(AT_ONCE);
    let mut rows = Vec::with_capacity(wanted.len());
    loop {
        let row = tokio::select! {
            row = scans.next() => row,
            () = cancel.cancelled() => None,
        };
        let Some(row) = row else { break };
        bar.step();
        bar.budgets(|| scanner.budgets());
        match output.format() {
            Format::Table => {}
            Format::Json => {
                let mut out = output.stdout();
                serde_json::to_writer(&mut out, &row)?;
                writeln!(out)?;
            }
            Format::Yaml => output.print(&[&row], |_, _| Ok(()))?,
        }
        rows.push(row);
    }
    rows.sort_by(|a, b| a.canonical.cmp(&b.canonical));
    Ok(rows)
}

fn long_span(text: &str) -> Result<Span, String> {
    Span::parse_with_days(text).map_err(|error| error.to_string())
}

/// A pause that does not keep a registry busy.
fn pause(text: &str) -> Result<Span, String> {
    let span = long_span(text)?;
    if span.0 < Duration::from_secs(1) {
        return Err("at least 1s is needed between two scans".to_owned());
    }
    Ok(span)
}
