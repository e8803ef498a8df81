//! What is to be done: from what is wanted and what exists to a list of actions. Pure.
//!
//! The rules, in the order they are asked for each wanted pull request:
//!
//! | exists | then |
//! |---|---|
//! | an open one of this branch and base | it is the one: title and section are brought up to date where they are still ours |
//! | … that belongs to another automation | left alone |
//! | a merged one at the same commit | nothing: the forge was faster than our mirror |
//! | closed ones by a person that hold all these changes | nothing, "not this version", until a change differs |
//! | none, and the limit of open ones is reached | waits |
//! | none | create |
//!
//! Then for each open one of this automation that nothing wanted matches: closed, if it is superseded, or if the
//! request is complete; unless a person has worked on its branch or opened it again after we closed it.
//! At last, branches without a wish whose newest pull request is ours and merged, or closed by us, and that still
//! stand where it ended: deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::content::{bring_up_to_date, create};
use super::marker::{Fingerprint, FoundMarker, Marker, MarkerStyle, Policy};
use super::{
    CreatePullRequest, ImageChange, PullRequest, PullRequestNumber, PullRequestOptions,
    PullRequestState, Update,
};

/// A pull request that shall be there: a pushed branch and what it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The pushed branch, without `refs/heads/`.
    pub branch: String,
    /// The commit the branch stands at.
    pub commit: Option<String>,
    /// The title where the user gave a template, rendered; else one is made.
    pub title: Option<String>,
    /// The user's text above the table, rendered.
    pub introduction: Option<String>,
    /// What changes.
    pub changes: Vec<ImageChange>,
}

impl Wanted {
    /// The fingerprints of its changes.
    #[must_use]
    pub fn fingerprints(&self) -> BTreeSet<Fingerprint> {
        self.changes.iter().map(Fingerprint::of_change).collect()
    }
}

/// A branch on the remote that this automation made and that nothing is wanted on now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownBranch {
    /// Its name, without `refs/heads/`.
    pub name: String,
    /// The commit it stands at.
    pub commit: String,
    /// All its commits that the base lacks are ours: no person has worked on it.
    pub only_ours: bool,
}

/// What one automation wants of one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `namespace/name` of the automation.
    pub automation: String,
    /// The branch the changes shall go into, without `refs/heads/`.
    pub base: String,
    /// In the order they shall be made, should there be a limit.
    pub wanted: Vec<Wanted>,
    /// `wanted` is all that is wanted, so that an open one not among them is of no more use. Not so after a partial run.
    pub complete: bool,
    /// Wanted branches that were held back, so that nothing can be opened for them.
    pub withheld: BTreeSet<String>,
    /// Branches that can be tidied up.
    pub branches: Vec<KnownBranch>,
    /// Changes refused elsewhere, besides those the forge's closed pull requests tell of.
    pub refused: BTreeSet<Fingerprint>,
}

impl Request {
    /// Nothing is wanted, and little is known.
    #[must_use]
    pub fn new(automation: impl Into<String>, base: impl Into<String>) -> Self {
        Self {
            automation: automation.into(),
            base: base.into(),
            wanted: Vec::new(),
            complete: false,
            withheld: BTreeSet::new(),
            branches: Vec::new(),
            refused: BTreeSet::new(),
        }
    }
}

/// What there is on the forge.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Existing {
    /// Open ones into the base.
    pub open: Vec<PullRequest>,
    /// By branch, newest first, in any state.
    pub of_branch: BTreeMap<String, Vec<PullRequest>>,
}

/// What depends on the forge, and what the user set.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// The user's settings.
    pub options: &'a PullRequestOptions,
    /// How markers are hidden.
    pub style: MarkerStyle,
    /// The longest description, in characters.
    pub body_limit: usize,
    /// A created one needs further requests before it is all set up.
    pub needs_set_up: bool,
}

/// Why we close one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseReason {
    /// The pull request of this branch took its place.
    SupersededBy {
        /// That branch.
        branch: String,
    },
    /// The base has it already, or the policies chose otherwise.
    NoLongerNeeded,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Make it, then set it up.
    Create {
        /// The index in [`Request::wanted`].
        wanted: usize,
        /// What to send.
        new: CreatePullRequest,
    },
    /// Change title or description.
    Update {
        /// Which.
        pull_request: PullRequest,
        /// What to send.
        update: Update,
    },
    /// Labels, reviewers and so on: an earlier run was stopped before they were set. Then `body` is sent.
    SetUp {
        /// Which.
        pull_request: PullRequest,
        /// The description that no longer says "pending".
        body: String,
    },
    /// Write the mark that we close it, close it, say so in a comment.
    Close {
        /// Which.
        pull_request: PullRequest,
        /// Why.
        reason: CloseReason,
        /// The mark is there already: an earlier run was stopped, or a person opened it again.
        marked: bool,
        /// Then delete its branch, if it still stands here.
        delete_branch_at: Option<String>,
    },
    /// Delete a branch that is of no more use.
    DeleteBranch {
        /// Its name.
        branch: String,
        /// Only if it still stands here.
        commit: String,
    },
}

impl fmt::Display for Action {
    /// What it does, for people: `open a pull request from updates/web: Update web to 1.2.4`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { new, .. } => {
                write!(f, "open a pull request from {}: {}", new.branch, new.title)
            }
            Self::Update { pull_request, .. } => write!(f, "update {}", pull_request.number),
            Self::SetUp { pull_request, .. } => {
                write!(
                    f,
                    "set labels, reviewers and the like of {}",
                    pull_request.number
                )
            }
            Self::Close {
                pull_request,
                reason: CloseReason::SupersededBy { branch },
                ..
            } => write!(f, "close {}, superseded by {branch}", pull_request.number),
            Self::Close {
                pull_request,
                reason: CloseReason::NoLongerNeeded,
                ..
            } => write!(f, "close {}, no longer needed", pull_request.number),
            Self::DeleteBranch { branch, .. } => write!(f, "delete branch {branch}"),
        }
    }
}

/// Where a wanted pull request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// To be made.
    Missing,
    /// Open.
    Open(PullRequestNumber),
    /// The branch's pull request belongs to another automation.
    Foreign(PullRequestNumber),
    /// Merged, though our view of the base does not show it yet.
    Merged(PullRequestNumber),
    /// A person closed it: not this version. The number of the newest such one, if the forge has it.
    Refused(Option<PullRequestNumber>),
    /// The limit of open ones is reached, or the branch was held back.
    Deferred,
}

/// The decision.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// To be done in this order; each is harmless when repeated.
    pub actions: Vec<Action>,
    /// One for each of [`Request::wanted`].
    pub standings: Vec<Standing>,
}

/// Decides.
#[must_use]
pub fn reconcile(request: &Request, existing: &Existing, rules: &Rules<'_>) -> Plan {
    let found: Vec<Option<&PullRequest>> = request
        .wanted
        .iter()
        .map(|wanted| existing.open_one(request, wanted))
        .collect();
    let mut standings: Vec<Standing> = request
        .wanted
        .iter()
        .zip(&found)
        .map(|(wanted, found)| match found {
            Some(open)
                if Marker::find(&open.body)
                    .is_some_and(|it| it.marker.automation != request.automation) =>
            {
                Standing::Foreign(open.number)
            }
            Some(open) => Standing::Open(open.number),
            None => standing_of_missing(request, existing, wanted),
        })
        .collect();

    let leftovers = leftovers(request, existing, &found, &standings, rules.options);
    defer_above_limit(request, existing, &leftovers, &mut standings, rules.options);

    let mut actions = Vec::new();
    let mut branches_done = BTreeSet::new();
    for (index, wanted) in request.wanted.iter().enumerate() {
        // The same branch twice is one pull request.
        if !branches_done.insert(&wanted.branch) {
            continue;
        }
        match (standings.get(index), found.get(index).copied().flatten()) {
            (Some(Standing::Missing), _) => {
                actions.push(Action::Create {
                    wanted: index,
                    new: create(request, wanted, rules),
                });
            }
            (Some(Standing::Open(_)), Some(open)) => {
                actions.extend(bring_up_to_date(request, wanted, open, rules));
            }
            _ => {}
        }
    }
    for leftover in leftovers {
        let successor = leftover
            .successor
            .and_then(|index| request.wanted.get(index).zip(standings.get(index)));
        let reason = match successor {
            // Its successor waits for its place: better the old one than none.
            Some((_, Standing::Deferred)) => continue,
            Some((wanted, _)) => CloseReason::SupersededBy {
                branch: wanted.branch.clone(),
            },
            None => CloseReason::NoLongerNeeded,
        };
        let pull_request = leftover.pull_request;
        let still_wanted = request
            .wanted
            .iter()
            .any(|wanted| wanted.branch == pull_request.branch);
        let delete_branch_at = request
            .branches
            .iter()
            .find(|known| known.name == pull_request.branch && known.only_ours)
            .filter(|known| known.name != request.base)
            .filter(|_| rules.options.delete_merged_branch && !still_wanted)
            .map(|known| known.commit.clone());
        actions.push(Action::Close {
            pull_request: pull_request.clone(),
            reason,
            marked: leftover.found.marker.closed.is_some(),
            delete_branch_at,
        });
    }
    if rules.options.delete_merged_branch {
        actions.extend(
            request
                .branches
                .iter()
                .filter(|known| is_done(request, existing, known))
                .map(|known| Action::DeleteBranch {
                    branch: known.name.clone(),
                    commit: known.commit.clone(),
                }),
        );
    }
    Plan { actions, standings }
}

/// Whether a person has closed a pull request of this branch with all of these changes: then the branch need not
/// even be pushed. The newest such one.
#[must_use]
pub fn refusal(
    request: &Request,
    existing: &Existing,
    wanted: &Wanted,
) -> Option<Option<PullRequestNumber>> {
    let changes = wanted.fingerprints();
    if changes.is_empty() {
        return None;
    }
    let closed: Vec<Refusing<'_>> = existing
        .of_branch
        .get(&wanted.branch)
        .into_iter()
        .flatten()
        .filter(|it| it.state == PullRequestState::Closed && it.base == request.base)
        .filter_map(|it| Refusing::new(request, wanted, &changes, it))
        .collect();
    let mut newest = None;
    for change in &changes {
        let by = closed
            .iter()
            .find(|it| it.refuses(change))
            .map(|it| it.pull_request.number);
        if by.is_none() && !request.refused.contains(change) {
            return None;
        }
        newest = newest.max(by);
    }
    Some(newest)
}

/// A pull request that a person closed, and what they refused with it.
struct Refusing<'e> {
    pull_request: &'e PullRequest,
    /// `None`: everything that is wanted now.
    changes: Option<BTreeSet<Fingerprint>>,
}

impl<'e> Refusing<'e> {
    fn new(
        request: &Request,
        wanted: &Wanted,
        changes: &BTreeSet<Fingerprint>,
        pull_request: &'e PullRequest,
    ) -> Option<Self> {
        let Some(FoundMarker { marker, .. }) = Marker::find(&pull_request.body) else {
            // Its marker is gone; the very same commit is the very same version.
            let same = wanted
                .commit
                .as_deref()
                .is_some_and(|commit| pull_request.is_at(commit));
            return same.then_some(Self {
                pull_request,
                changes: None,
            });
        };
        if marker.automation != request.automation || marker.closed.is_some() {
            return None;
        }
        if !marker.changes.is_empty() {
            return Some(Self {
                pull_request,
                changes: Some(marker.changes),
            });
        }
        // There was no room for the list: only the whole can be compared.
        (marker.all == Fingerprint::of_all(changes)).then_some(Self {
            pull_request,
            changes: None,
        })
    }

    fn refuses(&self, change: &Fingerprint) -> bool {
        self.changes
            .as_ref()
            .is_none_or(|changes| changes.contains(change))
    }
}

impl Existing {
    /// The open pull request of this branch and base; the first, should a forge allow several.
    fn open_one(&self, request: &Request, wanted: &Wanted) -> Option<&PullRequest> {
        let of_branch = self.of_branch.get(&wanted.branch);
        self.open
            .iter()
            .chain(of_branch.into_iter().flatten())
            .filter(|it| it.state == PullRequestState::Open)
            .filter(|it| it.branch == wanted.branch && it.base == request.base)
            .min_by_key(|it| it.number)
    }
}

fn standing_of_missing(request: &Request, existing: &Existing, wanted: &Wanted) -> Standing {
    let merged = existing
        .of_branch
        .get(&wanted.branch)
        .into_iter()
        .flatten()
        .find(|it| {
            it.state == PullRequestState::Merged
                && it.base == request.base
                && wanted
                    .commit
                    .as_deref()
                    .is_some_and(|commit| it.is_at(commit))
        });
    match (merged, refusal(request, existing, wanted)) {
        (Some(merged), _) => Standing::Merged(merged.number),
        (None, Some(by)) => Standing::Refused(by),
        (None, None) if request.withheld.contains(&wanted.branch) => Standing::Deferred,
        (None, None) => Standing::Missing,
    }
}

/// An open one of ours that nothing wanted matches and that is to be closed.
struct Leftover<'e> {
    pull_request: &'e PullRequest,
    found: FoundMarker,
    successor: Option<usize>,
}

fn leftovers<'e>(
    request: &'e Request,
    existing: &'e Existing,
    found: &[Option<&PullRequest>],
    standings: &[Standing],
    options: &PullRequestOptions,
) -> Vec<Leftover<'e>> {
    if !options.close_superseded {
        return Vec::new();
    }
    let matched: BTreeSet<PullRequestNumber> = found.iter().flatten().map(|it| it.number).collect();
    let living: Vec<(usize, BTreeSet<Policy>)> = (request.wanted.iter().zip(standings).enumerate())
        .filter(|(_, (_, standing))| matches!(standing, Standing::Open(_) | Standing::Missing))
        .map(|(index, (wanted, _))| {
            (
                index,
                wanted
                    .fingerprints()
                    .iter()
                    .map(Fingerprint::policy)
                    .collect(),
            )
        })
        .collect();
    existing
        .ours(&request.automation)
        .filter(|(pull_request, _)| !matched.contains(&pull_request.number))
        .filter(|(pull_request, _)| {
            let known = request
                .branches
                .iter()
                .find(|known| known.name == pull_request.branch);
            known.is_none_or(|known| known.only_ours)
        })
        .filter_map(|(pull_request, found)| {
            let policies: BTreeSet<Policy> = found
                .marker
                .changes
                .iter()
                .map(Fingerprint::policy)
                .collect();
            // The one that takes over most of its policies; the first of those.
            let best = (living.iter())
                .map(|(index, own)| (*index, own.intersection(&policies).count()))
                .filter(|(_, covered)| *covered > 0)
                .max_by_key(|(index, covered)| (*covered, std::cmp::Reverse(*index)));
            let covers_all = best.is_some_and(|(_, covered)| covered == policies.len());
            (request.complete || covers_all).then_some(Leftover {
                pull_request,
                found,
                successor: best.map(|(index, _)| index),
            })
        })
        .collect()
}

impl Existing {
    /// The open ones that bear this automation's marker, each once.
    fn ours<'e>(
        &'e self,
        automation: &'e str,
    ) -> impl Iterator<Item = (&'e PullRequest, FoundMarker)> {
        let mut seen = BTreeSet::new();
        self.open
            .iter()
            .chain(self.of_branch.values().flatten())
            .filter(|it| it.state == PullRequestState::Open)
            .filter(move |it| seen.insert(it.number))
            .filter_map(|it| Some((it, Marker::find(&it.body)?)))
            .filter(move |(_, found)| found.marker.automation == automation)
    }
}

fn defer_above_limit(
    request: &Request,
    existing: &Existing,
    leftovers: &[Leftover<'_>],
    standings: &mut [Standing],
    options: &PullRequestOptions,
) {
    let Some(limit) = options.limit else { return };
    let open = existing.ours(&request.automation).count();
    let mut room = limit
        .get()
        .saturating_sub(open.saturating_sub(leftovers.len()));
    // Those that take an old one's place come first, else the old one would have to stay.
    let succeeds = |index: usize| {
        leftovers
            .iter()
            .any(|leftover| leftover.successor == Some(index))
    };
    let (first, then): (Vec<usize>, Vec<usize>) =
        (0..standings.len()).partition(|index| succeeds(*index));
    for index in first.into_iter().chain(then) {
        if let Some(standing @ Standing::Missing) = standings.get_mut(index) {
            match room.checked_sub(1) {
                Some(left) => room = left,
                None => *standing = Standing::Deferred,
            }
        }
    }
}

/// Whether a branch's story is over: its newest pull request is ours, merged or closed by us, and ended here.
fn is_done(request: &Request, existing: &Existing, known: &KnownBranch) -> bool {
    let wanted = request
        .wanted
        .iter()
        .any(|wanted| wanted.branch == known.name);
    let all = existing
        .of_branch
        .get(&known.name)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let open = existing
        .open
        .iter()
        .chain(all)
        .any(|it| it.branch == known.name && it.state == PullRequestState::Open);
    let Some(newest) = all.iter().max_by_key(|it| it.number) else {
        return false;
    };
    let Some(found) = Marker::find(&newest.body) else {
        return false;
    };
    known.only_ours
        && known.name != request.base
        && !wanted
        && !open
        && found.marker.automation == request.automation
        && newest.is_at(&known.commit)
        && (newest.state == PullRequestState::Merged || found.marker.closed.is_some())
}
