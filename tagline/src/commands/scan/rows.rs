//! What a scan of an image came to, as a row for programs and people.

use super::Wanted;
use crate::output::{BAD, Column, Table, age, printable};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::io::Write;
use std::time::Duration;
use tagline_policy::{Tag, Version, compare_natural};
use tagline_scanner::{Scan, ScanError, TagSet};

/// One image, as other programs rely on it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    image: String,
    pub(super) canonical: String,
    tags: Option<usize>,
    complete: bool,
    revision: Option<String>,
    scanned_at: Option<Timestamp>,
    requests: u32,
    pub(super) error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<Vec<NewTag>>,
    /// There was no earlier list to compare with.
    #[serde(skip)]
    pub(super) first_scan: bool,
    #[serde(skip)]
    newest: Option<(Tag, Option<Timestamp>)>,
}

/// A tag that was first seen within `--since`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewTag {
    tag: Tag,
    first_seen: Timestamp,
}

pub(super) fn row(
    wanted: &Wanted,
    result: Result<Scan, ScanError>,
    since: Option<Timestamp>,
) -> Row {
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
        first_scan: false,
        newest: None,
    };
    match result {
        Ok(scan) => {
            row.tags = Some(scan.tags.len());
            row.complete = true;
            row.revision = Some(scan.tags.revision().to_string());
            row.scanned_at = Some(scan.scanned_at);
            row.requests = scan.requests.total();
            let everything_is_new = scan.added.len() == scan.tags.len();
            row.new = since.map(|since| tags_since(&scan, everything_is_new, since));
            row.first_scan = everything_is_new;
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

/// Tags first seen since then. How old those are that the first scan of an image found is not known: they are not new.
fn tags_since(scan: &Scan, is_first_scan: bool, since: Timestamp) -> Vec<NewTag> {
    if is_first_scan {
        return Vec::new();
    }
    // Times are whole seconds: what was added just now is new even if the first scan was in the same second.
    let added: HashSet<Tag> = scan
        .added
        .unpack()
        .iter()
        .map(|(tag, _)| tag.to_owned())
        .collect();
    let mut first_scan = Timestamp::MAX;
    let mut cursor = scan.tags.cursor();
    while let Some((_, first_seen)) = cursor.next() {
        first_scan = first_scan.min(first_seen);
    }
    let mut new = Vec::new();
    let mut cursor = scan.tags.cursor();
    while let Some((tag, first_seen)) = cursor.next() {
        let tag = tag.to_owned();
        if first_seen >= since && (first_seen > first_scan || added.contains(&tag)) {
            new.push(NewTag { tag, first_seen });
        }
    }
    new.sort_by(|a, b| {
        b.first_seen
            .cmp(&a.first_seen)
            .then_with(|| b.tag.cmp(&a.tag))
    });
    new
}

/// The moment a span ago.
pub(super) fn oldest(since: Duration) -> Timestamp {
    SignedDuration::try_from(since)
        .ok()
        .and_then(|since| Timestamp::now().checked_sub(since).ok())
        .unwrap_or(Timestamp::MIN)
}

/// Prints rows for people.
pub(super) fn table(
    rows: &[Row],
    with_new: bool,
    now: Timestamp,
    out: &mut dyn Write,
) -> std::io::Result<()> {
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
