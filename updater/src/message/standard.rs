//! The message of an automation that has no template: what changed, from, to, where.
//!
//! ```text
//! Update ghcr.io/org/app to 1.4.0
//!
//! ghcr.io/org/app: 1.3.9 -> 1.4.0 (apps:app)
//!   apps/prod/deployment.yaml: Deployment prod/app
//!
//! Automation: flux-system/apps
//! ```

use super::{Change, Changed, MessageData};
use crate::edit::ObjectIdentifier;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The longest first line; longer ones are cut by what shows them.
const SUBJECT: usize = 72;
/// How many places of one change are listed.
const PLACES: usize = 10;
/// How many changes are listed.
const CHANGES: usize = 100;

/// Writes the message.
#[must_use]
pub fn standard(data: &MessageData) -> String {
    standard_for(
        &data.changed,
        &[format!("{}/{}", data.namespace, data.name)],
    )
}

/// Writes the message of a commit that these automations share.
pub(super) fn standard_for(result: &Changed, automations: &[String]) -> String {
    let mut places: BTreeMap<&Change, Vec<String>> = BTreeMap::new();
    for (path, objects) in &result.file_changes {
        for (object, changes) in objects {
            for change in changes {
                let place = place(path, object);
                let known = places.entry(change).or_default();
                if !known.contains(&place) {
                    known.push(place);
                }
            }
        }
    }
    let mut changes: Vec<&Change> = places.keys().copied().collect();
    changes.sort_by_key(|change| (policy(&change.setter), split(&change.new_value).0.is_none()));
    let mut message = subject(&changes);
    message.push_str("\n\n");
    let listed = changes.iter().take(CHANGES);
    for (change, places) in listed.filter_map(|change| places.get_key_value(change)) {
        let _ = writeln!(message, "{} ({})", transition(change), change.setter);
        for place in places.iter().take(PLACES) {
            let _ = writeln!(message, "  {place}");
        }
        if places.len() > PLACES {
            let _ = writeln!(message, "  and {} more", places.len() - PLACES);
        }
    }
    if places.len() > CHANGES {
        let _ = writeln!(message, "and {} more changes", places.len() - CHANGES);
    }
    let title = match automations {
        [_] => "Automation",
        _ => "Automations",
    };
    let _ = writeln!(message, "\n{title}: {}", automations.join(", "));
    message
}

fn place(path: &str, object: &ObjectIdentifier) -> String {
    match (
        object.kind.as_str(),
        object.name.as_str(),
        object.namespace.as_str(),
    ) {
        ("", ..) => path.to_owned(),
        (kind, "", _) => format!("{path}: {kind}"),
        (kind, name, "") => format!("{path}: {kind} {name}"),
        (kind, name, namespace) => format!("{path}: {kind} {namespace}/{name}"),
    }
}

/// One line that tells the most: the images with their new tags, or how many there are.
///
/// A bare tag or digest is told by its policy's name, and only where the policy set no whole image.
fn subject(changes: &[&Change]) -> String {
    let named: Vec<&str> = changes
        .iter()
        .filter(|change| split(&change.new_value).0.is_some())
        .map(|change| policy(&change.setter))
        .collect();
    let mut targets: Vec<String> = Vec::new();
    for change in changes {
        let policy = policy(&change.setter);
        let target = match split(&change.new_value) {
            (Some(name), version) => format!("{name} to {version}"),
            (None, _) if named.contains(&policy) => continue,
            (None, version) => format!("{policy} to {version}"),
        };
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    let all = format!("Update {}", targets.join(", "));
    if all.chars().count() <= SUBJECT {
        return all;
    }
    match targets.as_slice() {
        [one] => {
            let short = one.rsplit('/').next().unwrap_or(one);
            format!("Update {short}").chars().take(SUBJECT).collect()
        }
        many => format!("Update {} images", many.len()),
    }
}

/// The change in short: a name that stays is said once.
fn transition(change: &Change) -> String {
    match (split(&change.old_value), split(&change.new_value)) {
        ((Some(old), from), (Some(new), to)) if old == new => format!("{new}: {from} -> {to}"),
        _ if change.old_value.is_empty() => format!("set {}", change.new_value),
        _ => format!("{} -> {}", change.old_value, change.new_value),
    }
}

/// `name:tag[@digest]` as name and the rest; a bare tag has no name.
fn split(value: &str) -> (Option<&str>, &str) {
    let name_end = value.find('@').unwrap_or(value.len());
    match value[..name_end].rfind(':') {
        Some(colon) if !value[colon..name_end].contains('/') && !value.starts_with("sha256:") => {
            (Some(&value[..colon]), &value[colon + 1..])
        }
        _ => (None, value),
    }
}

/// `namespace:policy` of a setter.
fn policy(setter: &str) -> &str {
    let end = setter
        .match_indices(':')
        .nth(1)
        .map_or(setter.len(), |(at, _)| at);
    &setter[..end]
}
