//! `tagline scan`: scans images now.

use super::ad_hoc;
use super::input::InputArgs;
use crate::cli::GlobalArgs;
use crate::exit::{BadInput, Exit};
use crate::output::{BAD, Bar, Column, DIM, Format, GOOD, Output, Table, age, printable};
use crate::resources::Span;
use crate::service::registry_access;
use crate::settings::{RateArgs, ServiceArgs, Settings};
use crate::shutdown;
use futures_util::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;
use tagline_policy::{Registry, Tag, Version, compare_natural};
use tagline_scanner::{
    ImageFilter, Scan, ScanError, ScanMode, ScanTarget, Scanner, TagSet, images_in_manifests,
};
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
    limit: Option<usize>,
    /// Show the tags first seen within this time, for example 7d; needs --storage-path
    #[arg(long, value_name = "DURATION", value_parser = long_span)]
    since: Option<Span>,
    /// Keep scanning and show what changes
    #[arg(long)]
    watch: bool,
    /// Time between two scans of --watch
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = long_span, requires = "watch")]
    interval: Span,
    #[command(flatten)]
    registry: RateArgs,
}

/// One image, as other programs rely on it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    image: String,
    canonical: String,
    tags: Option<usize>,
    complete: bool,
    revision: Option<String>,
    scanned_at: Option<Timestamp>,
    requests: u32,
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<Vec<NewTag>>,
    #[serde(skip)]
    newest: Option<(Tag, Option<Timestamp>)>,
}

/// A tag that was first seen within `--since`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct NewTag {
    tag: Tag,
    first_seen: Timestamp,
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
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let cancel = shutdown::on_signal()?;
        let (scanner, wanted) = targets(args, global, output).await?;
        if args.watch {
            return watch(args, &scanner, &wanted, output, &cancel).await;
        }
        let bar = output.progress().bar("scanning", wanted.len());
        let rows = scan_all(args, &scanner, &wanted, output, &cancel, bar).await?;
        if cancel.is_cancelled() {
            anyhow::bail!(
                "interrupted after {} of {} images",
                rows.len(),
                wanted.len()
            );
        }
        if output.format() == Format::Table {
            let now = Timestamp::now();
            output.print(&(), |out, _| table(&rows, args.since.is_some(), now, out))?;
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
    wanted.truncate(args.limit.unwrap_or(usize::MAX));
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

fn row(wanted: &Wanted, result: Result<Scan, ScanError>, since: Option<Timestamp>) -> Row {
    let mut row = Row {
        image: wanted.shown.clone(),
        canonical: wanted.target.image.to_string(),
        tags: None,
        complete: false,
        revision: None,
        scanned_at: None,
        requests: 0,
        error: None,
        new: None,
        newest: None,
    };
    match result {
        Ok(scan) => {
            row.tags = Some(scan.tags.len());
            row.complete = true;
            row.revision = Some(scan.tags.revision().to_string());
            row.scanned_at = Some(scan.scanned_at);
            row.requests = scan.requests.total();
            row.new = since.map(|since| tags_since(&scan.tags, since));
            let everything_is_new = scan.added.len() == scan.tags.len();
            row.newest =
                newest(&scan.tags).map(|(tag, seen)| (tag, (!everything_is_new).then_some(seen)));
        }
        Err(error) => row.error = Some(error.to_string()),
    }
    row
}

/// The tag first seen last; of several, the greatest version, else the greatest in natural order.
fn newest(tags: &TagSet) -> Option<(Tag, Timestamp)> {
    let mut best: Option<(Tag, Timestamp)> = None;
    let mut cursor = tags.cursor();
    while let Some((tag, seen)) = cursor.next() {
        let is_better = best.as_ref().is_none_or(|(best, best_seen)| {
            seen.cmp(best_seen)
                .then_with(|| compare_newness(tag.as_str(), best.as_str()))
                .is_gt()
        });
        if is_better {
            best = Some((tag.to_owned(), seen));
        }
    }
    best
}

/// Versions before other tags, then by version, then in natural order.
fn compare_newness(a: &str, b: &str) -> Ordering {
    let by_version = match (Version::parse(a), Version::parse(b)) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        (a, b) => a.is_ok().cmp(&b.is_ok()),
    };
    by_version.then_with(|| compare_natural(a, b))
}

fn tags_since(tags: &TagSet, since: Timestamp) -> Vec<NewTag> {
    let mut new = Vec::new();
    let mut cursor = tags.cursor();
    while let Some((tag, first_seen)) = cursor.next() {
        if first_seen >= since {
            new.push(NewTag {
                tag: tag.to_owned(),
                first_seen,
            });
        }
    }
    new.sort_by(|a, b| {
        b.first_seen
            .cmp(&a.first_seen)
            .then_with(|| b.tag.cmp(&a.tag))
    });
    new
}

fn oldest(since: Duration) -> Timestamp {
    SignedDuration::try_from(since)
        .ok()
        .and_then(|since| Timestamp::now().checked_sub(since).ok())
        .unwrap_or(Timestamp::MIN)
}

fn table(rows: &[Row], with_new: bool, now: Timestamp, out: &mut dyn Write) -> std::io::Result<()> {
    if with_new {
        let mut table = Table::new([
            Column::Left("IMAGE"),
            Column::Left("TAG"),
            Column::Right("AGE"),
        ]);
        for row in rows {
            for new in row.new.iter().flatten() {
                table
                    .row()
                    .cell(&row.image)
                    .cell(new.tag.as_str())
                    .cell(age(new.first_seen, now));
            }
        }
        table.write(out)?;
    } else {
        let mut table = Table::new([
            Column::Left("IMAGE"),
            Column::Right("TAGS"),
            Column::Left("NEWEST"),
            Column::Right("AGE"),
            Column::Flexible("ERROR"),
        ]);
        for row in rows {
            let newest = row.newest.as_ref();
            table
                .row()
                .cell(&row.image)
                .cell(
                    row.tags
                        .map_or_else(|| "-".to_owned(), |tags| tags.to_string()),
                )
                .cell(newest.map_or("-", |(tag, _)| tag.as_str()))
                .cell(
                    newest
                        .and_then(|(_, seen)| *seen)
                        .map_or_else(|| "-".to_owned(), |seen| age(seen, now)),
                )
                .styled(row.error.as_deref().unwrap_or_default(), BAD);
        }
        table.write(out)?;
    }
    for row in rows.iter().filter(|row| with_new && row.error.is_some()) {
        let error = row.error.as_deref().unwrap_or_default();
        writeln!(out, "{BAD}{}: {}{BAD:#}", row.image, printable(error))?;
    }
    Ok(())
}

/// Scans again and again; prints what comes and goes, as lines or one JSON object each.
async fn watch(
    args: &ScanArgs,
    scanner: &Scanner,
    wanted: &[Wanted],
    output: &Output,
    cancel: &CancellationToken,
) -> anyhow::Result<Exit> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Event<'a> {
        image: &'a str,
        canonical: String,
        tag: String,
        #[serde(rename = "event")]
        change: &'static str,
        at: Timestamp,
    }
    let mut first = true;
    loop {
        let mut scans = stream::iter(wanted)
            .map(|wanted| async move {
                (
                    wanted,
                    scanner.scan(&wanted.target, ScanMode::Conditional).await,
                )
            })
            .buffer_unordered(AT_ONCE);
        loop {
            let next = tokio::select! {
                next = scans.next() => next,
                () = cancel.cancelled() => return Ok(Exit::Done),
            };
            let Some((wanted, result)) = next else { break };
            let scan = match result {
                Ok(scan) => scan,
                Err(error) => {
                    output.error(&error.to_string());
                    continue;
                }
            };
            // The first list is what there is, not what changed.
            if first && scan.added.len() == scan.tags.len() {
                continue;
            }
            for (tags, change, sign, style) in [
                (&scan.added, "added", "+", GOOD),
                (&scan.removed, "removed", "-", DIM),
            ] {
                for (tag, _) in tags.unpack().iter() {
                    let event = Event {
                        image: &wanted.shown,
                        canonical: wanted.target.image.to_string(),
                        tag: tag.to_string(),
                        change,
                        at: scan.scanned_at,
                    };
                    let mut out = output.stdout();
                    match output.format() {
                        Format::Table => {
                            writeln!(out, "{style}{sign} {}:{tag}{style:#}", wanted.shown)?;
                        }
                        Format::Json => {
                            serde_json::to_writer(&mut out, &event)?;
                            writeln!(out)?;
                        }
                        Format::Yaml => output.print(&[&event], |_, _| Ok(()))?,
                    }
                    out.flush()?;
                }
            }
        }
        first = false;
        tokio::select! {
            () = tokio::time::sleep(args.interval.0) => {}
            () = cancel.cancelled() => return Ok(Exit::Done),
        }
    }
}

fn long_span(text: &str) -> Result<Span, String> {
    Span::parse_with_days(text).map_err(|error| error.to_string())
}
