//! JSON, with or without comments and trailing commas.
//!
//! A marker is a sibling key, `"$imagepolicy": {"tag": "ns:app:tag"}` for the named members of the same
//! object or `"$imagepolicy": "ns:app"` for the member right behind it; or a comment behind the value,
//! `"tag": "1.0", // {"$imagepolicy": "ns:app:tag"}`; or an entry of a [`MarkerMap`].

mod scan;

use super::marker::{self, Comment};
use super::outcome::{EditError, ObjectIdentifier, Place, Skip, SkipReason};
use super::{Found, MarkerMap, Notation, Setter, Site};
use scan::{Member, Scan, Shape};

const KEY: &str = "$imagepolicy";

/// Finds the marked values of a file.
pub(super) fn find(path: &str, text: &str, maps: &[MarkerMap]) -> Result<Found, EditError> {
    let lines = Lines::of(text);
    let scan = scan::scan(text).map_err(|(at, message)| {
        let place = lines.place(at);
        EditError::Unparsable {
            path: path.to_owned(),
            line: place.line,
            column: place.column,
            document: 1,
            message: message.to_owned(),
        }
    })?;
    let mut found = Found::default();
    let object = object(&scan);
    for (index, member) in scan.members.iter().enumerate() {
        if member.key.as_deref() != Some(KEY) {
            continue;
        }
        match &member.shape {
            Shape::Text(setter) => {
                let next = scan.members[index + 1..]
                    .iter()
                    .find(|next| next.container == member.container);
                bind(
                    &lines,
                    &mut found,
                    &object,
                    setter,
                    next,
                    member.range.start,
                );
            }
            Shape::Container(inside) => {
                let entries = scan
                    .members
                    .iter()
                    .filter(|entry| entry.container == *inside);
                for entry in entries {
                    let Shape::Text(setter) = &entry.shape else {
                        continue;
                    };
                    let target = scan.members.iter().find(|sibling| {
                        sibling.container == member.container && sibling.key == entry.key
                    });
                    bind(
                        &lines,
                        &mut found,
                        &object,
                        setter,
                        target,
                        entry.range.start,
                    );
                }
            }
            Shape::Other => {}
        }
    }
    for comment in &scan.comments {
        let written = &text[comment.clone()];
        let inside = match written.strip_prefix("/*") {
            Some(inside) => inside.strip_suffix("*/").unwrap_or(inside),
            None => written.trim_start_matches('/'),
        };
        match marker::read(inside) {
            Comment::Marker(setter) => {
                let before = scan
                    .members
                    .iter()
                    .rev()
                    .find(|member| member.range.end <= comment.start)
                    .filter(|member| {
                        let gap = &text[member.range.end..comment.start];
                        gap.chars().all(|c| matches!(c, ' ' | '\t' | ','))
                    });
                bind(
                    &lines,
                    &mut found,
                    &object,
                    &setter.to_string(),
                    before,
                    comment.start,
                );
            }
            Comment::Malformed(why) => found.skipped.push(skip(
                lines.place(comment.start),
                SkipReason::MalformedMarker,
                None,
                &why,
            )),
            Comment::Prose => {}
        }
    }
    for (pointer, setter) in maps.iter().flat_map(|map| map.entries(path)) {
        let target = scan.members.iter().find(|member| member.pointer == pointer);
        bind(&lines, &mut found, &object, &setter.to_string(), target, 0);
    }
    found.sites.sort_by_key(|site| site.range.start);
    found.sites.dedup_by_key(|site| site.range.start);
    Ok(found)
}

fn bind(
    lines: &Lines<'_>,
    found: &mut Found,
    object: &ObjectIdentifier,
    setter: &str,
    target: Option<&Member>,
    marker_at: usize,
) {
    let setter: Setter = match setter.parse() {
        Ok(setter) => setter,
        Err(error) => {
            let why = super::InvalidSetter::to_string(&error);
            let place = lines.place(marker_at);
            found
                .skipped
                .push(skip(place, SkipReason::MalformedMarker, None, &why));
            return;
        }
    };
    match target {
        Some(Member {
            shape: Shape::Text(value),
            range,
            ..
        }) => found.sites.push(Site {
            setter,
            place: lines.place(range.start),
            range: range.clone(),
            value: value.clone(),
            object: object.clone(),
            notation: Notation::Quoted('"'),
        }),
        Some(_) => found.skipped.push(skip(
            lines.place(marker_at),
            SkipReason::NotAScalar,
            Some(&setter),
            "the marked member is not a string",
        )),
        None => found.skipped.push(skip(
            lines.place(marker_at),
            SkipReason::NoValue,
            Some(&setter),
            "there is no such member",
        )),
    }
}

fn skip(place: Place, reason: SkipReason, setter: Option<&Setter>, detail: &str) -> Skip {
    Skip {
        line: place.line,
        column: place.column,
        reason,
        setter: setter.map(ToString::to_string),
        detail: detail.to_owned(),
    }
}

/// Where lines begin, to name places quickly.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let starts = memchr::memchr_iter(b'\n', text.as_bytes()).map(|newline| newline + 1);
        Self {
            text,
            starts: std::iter::once(0).chain(starts).collect(),
        }
    }

    fn place(&self, at: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= at);
        let start = self.starts[line - 1];
        Place {
            line,
            column: 1 + self.text[start..at].chars().count(),
        }
    }
}

fn object(scan: &Scan) -> ObjectIdentifier {
    let text = |pointer: &str| {
        scan.members
            .iter()
            .find_map(|member| match &member.shape {
                Shape::Text(text) if member.pointer == pointer => Some(text.clone()),
                _ => None,
            })
            .unwrap_or_default()
    };
    ObjectIdentifier {
        api_version: text("/apiVersion"),
        kind: text("/kind"),
        name: text("/metadata/name"),
        namespace: text("/metadata/namespace"),
    }
}
