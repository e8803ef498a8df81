//! What we write into title and description: of a new one, of one to bring up to date, of one to close.

use std::collections::BTreeSet;

use super::describe::title_line;
use super::marker::{ClosedBy, Fingerprint, Marker};
use super::reconcile::{Action, Request, Rules, Wanted};
use super::{
    CreatePullRequest, PullRequest, PullRequestOptions, SetUp, Update, describe_changes, title_for,
};

/// Room for the marker line in a description, in characters: a third, so that the table has the rest.
fn marker_room(body_limit: usize) -> usize {
    body_limit / 3
}

fn section(wanted: &Wanted, rules: &Rules<'_>) -> String {
    let room = rules
        .body_limit
        .saturating_sub(marker_room(rules.body_limit) + 100);
    describe_changes(wanted.introduction.as_deref(), &wanted.changes, room)
}

fn title(wanted: &Wanted) -> String {
    let given = wanted
        .title
        .as_deref()
        .map(title_line)
        .filter(|title| !title.is_empty());
    given.unwrap_or_else(|| title_for(&wanted.changes))
}

pub(super) fn create(request: &Request, wanted: &Wanted, rules: &Rules<'_>) -> CreatePullRequest {
    let (title, section, changes) = (title(wanted), section(wanted, rules), wanted.fingerprints());
    let marker = Marker {
        automation: request.automation.clone(),
        title: Fingerprint::of_text(&title),
        section: Fingerprint::of_text(&section),
        all: Fingerprint::of_all(&changes),
        changes,
        set_up_pending: rules.needs_set_up,
        closed: None,
    };
    CreatePullRequest {
        branch: wanted.branch.clone(),
        base: request.base.clone(),
        body: marker.block(&section, rules.style, marker_room(rules.body_limit)),
        title,
        draft: rules.options.draft,
        set_up: set_up_of(rules.options),
    }
}

/// The part of the settings that is done once.
pub(super) fn set_up_of(options: &PullRequestOptions) -> SetUp {
    SetUp {
        labels: options.labels.clone(),
        reviewers: options.reviewers.clone(),
        assignees: options.assignees.clone(),
        auto_merge: options.auto_merge,
        delete_branch_after_merge: options.delete_merged_branch,
    }
}

pub(super) fn bring_up_to_date(
    request: &Request,
    wanted: &Wanted,
    open: &PullRequest,
    rules: &Rules<'_>,
) -> impl Iterator<Item = Action> + use<> {
    // Without a marker it is a person's, opened on our branch or with our marker taken out: theirs to word.
    let Some(found) = Marker::find(&open.body) else {
        return None.into_iter().chain(None);
    };
    let (title, section, changes) = (title(wanted), section(wanted, rules), wanted.fingerprints());
    let title_is_ours = Fingerprint::of_text(&open.title) == found.marker.title;
    let new_title =
        (title_is_ours && Fingerprint::of_text(&title) != found.marker.title).then_some(title);
    let marker = Marker {
        automation: request.automation.clone(),
        title: new_title
            .as_deref()
            .map_or(found.marker.title.clone(), Fingerprint::of_text),
        section: Fingerprint::of_text(&section),
        all: Fingerprint::of_all(&changes),
        changes,
        set_up_pending: found.marker.set_up_pending,
        // Wanted again; or a person opened it again.
        closed: None,
    };
    let room = marker_room(rules.body_limit);
    let body = found.replace(&open.body, &marker, &section, rules.style, room);
    // Compared by what the marker says, not by the text: forges rewrite Markdown.
    let comparable = |marker: &Marker| Marker {
        changes: BTreeSet::new(),
        ..marker.clone()
    };
    let differs = comparable(&marker) != comparable(&found.marker);
    let update = differs.then(|| Update {
        title: new_title,
        body: Some(body.clone()),
    });
    let body_after = Marker::find(&body).map(|found| {
        let marker = Marker {
            set_up_pending: false,
            ..found.marker.clone()
        };
        found.replace(&body, &marker, found.section(&body), rules.style, room)
    });
    let set_up = body_after
        .filter(|_| marker.set_up_pending)
        .map(|body| Action::SetUp {
            pull_request: open.clone(),
            body,
        });
    update
        .map(|update| Action::Update {
            pull_request: open.clone(),
            update,
        })
        .into_iter()
        .chain(set_up)
}

/// The description of a new one after it has been set up.
pub(super) fn body_when_set_up(body: &str, rules: &Rules<'_>) -> Option<String> {
    let found = Marker::find(body).filter(|found| found.marker.set_up_pending)?;
    let marker = Marker {
        set_up_pending: false,
        ..found.marker.clone()
    };
    Some(found.replace(
        body,
        &marker,
        found.section(body),
        rules.style,
        marker_room(rules.body_limit),
    ))
}

/// The description of one we are about to close: marked, with the reason on top of our section.
pub(super) fn body_when_closing(
    body: &str,
    by: ClosedBy,
    why: &str,
    rules: &Rules<'_>,
) -> Option<String> {
    let found = Marker::find(body)?;
    let section = format!("{why}\n\n{}", found.section(body));
    let marker = Marker {
        closed: Some(by),
        ..found.marker.clone()
    };
    Some(found.replace(
        body,
        &marker,
        &section,
        rules.style,
        marker_room(rules.body_limit),
    ))
}
