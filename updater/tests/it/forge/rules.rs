//! The decision by tables: what exists, what is wanted, what is to be done.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use tagline_updater::forge::{
    Action, CloseReason, ClosedBy, Existing, Fingerprint, ImageChange, KnownBranch, Marker,
    MarkerStyle, PullRequest, PullRequestNumber, PullRequestOptions, PullRequestState, Request,
    Rules, Standing, reconcile,
};

use super::{AUTOMATION, change, commit, known, request, wanted};

const STYLE: MarkerStyle = MarkerStyle::HtmlComment;

fn rules(options: &PullRequestOptions) -> Rules<'_> {
    Rules {
        options,
        style: STYLE,
        body_limit: 60_000,
        needs_set_up: false,
    }
}

fn decide(request: &Request, existing: &Existing) -> tagline_updater::forge::Plan {
    reconcile(request, existing, &rules(&PullRequestOptions::default()))
}

/// As we would have written it.
fn ours(number: u64, branch: &str, at: &str, changes: Vec<ImageChange>) -> PullRequest {
    let request = request(vec![wanted(branch, at, changes)]);
    let plan = decide(&request, &Existing::default());
    let Some(Action::Create { new, .. }) = plan.actions.into_iter().next() else {
        panic!("not created")
    };
    PullRequest {
        number: PullRequestNumber(number),
        url: String::new(),
        branch: new.branch,
        base: new.base,
        commit: Some(at.to_owned()),
        state: PullRequestState::Open,
        title: new.title,
        body: new.body,
        draft: false,
        handle: String::new(),
    }
}

fn marked(mut pull: PullRequest, change: impl FnOnce(&mut Marker)) -> PullRequest {
    let found = Marker::find(&pull.body).unwrap();
    let mut marker = found.marker.clone();
    change(&mut marker);
    pull.body = found.replace(
        &pull.body,
        &marker,
        found.section(&pull.body),
        STYLE,
        10_000,
    );
    pull
}

/// Another automation's.
fn foreign(pull: PullRequest) -> PullRequest {
    marked(pull, |marker| {
        "else/where".clone_into(&mut marker.automation);
    })
}

fn state(state: PullRequestState, pull: PullRequest) -> PullRequest {
    PullRequest { state, ..pull }
}

fn existing(list: Vec<PullRequest>) -> Existing {
    let mut existing = Existing::default();
    for pull in list {
        if pull.state == PullRequestState::Open {
            existing.open.push(pull);
        } else {
            existing
                .of_branch
                .entry(pull.branch.clone())
                .or_default()
                .push(pull);
        }
    }
    existing
}

/// What is done, in short.
fn short(actions: &[Action]) -> String {
    let words = actions.iter().map(|action| match action {
        Action::Create { new, .. } => format!("create {}", new.branch),
        Action::Update {
            pull_request,
            update,
        } => {
            let parts = [
                update.title.as_ref().map(|_| " title"),
                update.body.as_ref().map(|_| " body"),
            ];
            format!(
                "update {}{}",
                pull_request.number,
                parts.into_iter().flatten().collect::<String>()
            )
        }
        Action::SetUp { pull_request, .. } => format!("set up {}", pull_request.number),
        Action::Close {
            pull_request,
            reason,
            marked,
            delete_branch_at,
        } => {
            let reason = match reason {
                CloseReason::SupersededBy { branch } => format!("by {branch}"),
                CloseReason::NoLongerNeeded => "unneeded".to_owned(),
            };
            let marked = if *marked { " marked" } else { "" };
            let delete = if delete_branch_at.is_some() {
                " and branch"
            } else {
                ""
            };
            format!("close {} {reason}{marked}{delete}", pull_request.number)
        }
        Action::DeleteBranch { branch, .. } => format!("delete {branch}"),
    });
    words.collect::<Vec<_>>().join(", ")
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn one_branch() {
    let now = |new: &str| request(vec![wanted("u", &commit(2), vec![change("web", new)])]);
    let before = |new: &str| ours(1, "u", &commit(1), vec![change("web", new)]);
    let closed = |new: &str| state(PullRequestState::Closed, before(new));
    let merged_here = state(
        PullRequestState::Merged,
        ours(1, "u", &commit(2), vec![change("web", "1")]),
    );
    let without_marker = |pull: PullRequest| PullRequest {
        body: "by hand".to_owned(),
        ..pull
    };
    let other = foreign(before("1"));
    let by_us = |pull| marked(pull, |marker| marker.closed = Some(ClosedBy::Superseded));
    let open = Standing::Open(PullRequestNumber(1));
    let refused = Standing::Refused(Some(PullRequestNumber(1)));
    let table: Vec<(&str, Vec<PullRequest>, Request, &str, Standing)> = vec![
        ("nothing", vec![], now("1"), "create u", Standing::Missing),
        ("the same", vec![before("1")], now("1"), "", open),
        (
            "another version",
            vec![before("1")],
            now("2"),
            "update #1 title body",
            open,
        ),
        (
            "another title by hand",
            vec![PullRequest {
                title: "Mine".to_owned(),
                ..before("1")
            }],
            now("2"),
            "update #1 body",
            open,
        ),
        (
            "only white space differs",
            vec![PullRequest {
                title: "Update web  to 1 ".to_owned(),
                ..before("1")
            }],
            now("1"),
            "",
            open,
        ),
        (
            "no marker",
            vec![without_marker(before("1"))],
            now("2"),
            "",
            open,
        ),
        (
            "another automation's",
            vec![other.clone()],
            now("2"),
            "",
            Standing::Foreign(PullRequestNumber(1)),
        ),
        (
            "set-up was stopped",
            vec![marked(before("1"), |it| it.set_up_pending = true)],
            now("1"),
            "set up #1",
            open,
        ),
        (
            "and another version",
            vec![marked(before("1"), |it| it.set_up_pending = true)],
            now("2"),
            "update #1 title body, set up #1",
            open,
        ),
        (
            "opened again, wanted again",
            vec![by_us(before("1"))],
            now("1"),
            "update #1 body",
            open,
        ),
        (
            "into another base",
            vec![PullRequest {
                base: "dev".to_owned(),
                ..before("1")
            }],
            now("1"),
            "create u, close #1 by u",
            Standing::Missing,
        ),
        (
            "closed by a person",
            vec![closed("1")],
            now("1"),
            "",
            refused,
        ),
        (
            "closed, an older version",
            vec![closed("1")],
            now("2"),
            "create u",
            Standing::Missing,
        ),
        (
            "closed by us",
            vec![by_us(closed("1"))],
            now("1"),
            "create u",
            Standing::Missing,
        ),
        (
            "closed, another automation's",
            vec![state(PullRequestState::Closed, other)],
            now("1"),
            "create u",
            Standing::Missing,
        ),
        (
            "closed without a marker, same commit",
            vec![PullRequest {
                commit: Some(commit(2)),
                ..without_marker(closed("1"))
            }],
            now("1"),
            "",
            refused,
        ),
        (
            "closed without a marker",
            vec![without_marker(closed("1"))],
            now("1"),
            "create u",
            Standing::Missing,
        ),
        (
            "closed into another base",
            vec![PullRequest {
                base: "dev".to_owned(),
                ..closed("1")
            }],
            now("1"),
            "create u",
            Standing::Missing,
        ),
        (
            "merged at this commit",
            vec![merged_here.clone()],
            now("1"),
            "",
            Standing::Merged(PullRequestNumber(1)),
        ),
        (
            "merged, then wanted on a new commit",
            vec![PullRequest {
                commit: Some(commit(1)),
                ..merged_here
            }],
            now("1"),
            "create u",
            Standing::Missing,
        ),
    ];
    for (name, list, request, actions, standing) in table {
        let plan = decide(&request, &existing(list));
        assert_eq!(
            (short(&plan.actions).as_str(), plan.standings[0]),
            (actions, standing),
            "{name}"
        );
    }
}

#[test]
fn part_of_a_refused_set() {
    let closed = state(
        PullRequestState::Closed,
        ours(1, "u", &commit(1), vec![change("a", "1"), change("b", "1")]),
    );
    let older = state(
        PullRequestState::Closed,
        ours(2, "u", &commit(1), vec![change("c", "1")]),
    );
    let existing = existing(vec![older, closed]);
    for (changes, standing) in [
        (
            vec![change("a", "1")],
            Standing::Refused(Some(PullRequestNumber(1))),
        ),
        (
            vec![change("a", "1"), change("c", "1")],
            Standing::Refused(Some(PullRequestNumber(2))),
        ),
        (vec![change("a", "1"), change("b", "2")], Standing::Missing),
        (vec![change("d", "1")], Standing::Missing),
        (vec![], Standing::Missing),
    ] {
        let request = request(vec![wanted("u", &commit(5), changes.clone())]);
        assert_eq!(
            decide(&request, &existing).standings[0],
            standing,
            "{changes:?}"
        );
    }
    // What is remembered elsewhere counts too.
    let mut request = request(vec![wanted("u", &commit(5), vec![change("d", "1")])]);
    request.refused = [Fingerprint::of_change(&change("d", "1"))].into();
    assert_eq!(
        decide(&request, &existing).standings[0],
        Standing::Refused(None)
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn leftovers() {
    let old = |number, branch: &str, policies: &[&str]| {
        ours(
            number,
            branch,
            &commit(1),
            policies.iter().map(|policy| change(policy, "1")).collect(),
        )
    };
    let now = |list: &[(&str, &[&str])], complete| {
        let wanted = list.iter().map(|(branch, policies)| {
            wanted(
                branch,
                &commit(2),
                policies.iter().map(|policy| change(policy, "2")).collect(),
            )
        });
        Request {
            complete,
            ..request(wanted.collect())
        }
    };
    let known_old = |request: Request| Request {
        branches: vec![known("old", &commit(1))],
        ..request
    };
    let touched = |request: Request| Request {
        branches: vec![KnownBranch {
            only_ours: false,
            ..known("old", &commit(1))
        }],
        ..request
    };
    let theirs = foreign(old(1, "old", &["a"]));
    let table: Vec<(&str, PullRequest, Request, &str)> = vec![
        (
            "the same policy",
            old(1, "old", &["a"]),
            now(&[("new", &["a"])], true),
            "create new, close #1 by new",
        ),
        (
            "after a partial run",
            old(1, "old", &["a"]),
            now(&[("new", &["a"])], false),
            "create new, close #1 by new",
        ),
        (
            "with its branch",
            old(1, "old", &["a"]),
            known_old(now(&[("new", &["a"])], true)),
            "create new, close #1 by new and branch",
        ),
        (
            "two into one",
            old(1, "old", &["a", "b"]),
            now(&[("new", &["a", "b", "c"])], false),
            "create new, close #1 by new",
        ),
        (
            "only half of it",
            old(1, "old", &["a", "b"]),
            now(&[("new", &["a"])], false),
            "create new",
        ),
        (
            "only half, but all is known",
            old(1, "old", &["a", "b"]),
            now(&[("new", &["a"])], true),
            "create new, close #1 by new",
        ),
        (
            "the better of two",
            old(1, "old", &["a", "b"]),
            now(&[("x", &["a"]), ("y", &["a", "b"])], true),
            "create x, create y, close #1 by y",
        ),
        (
            "nothing of it",
            old(1, "old", &["a"]),
            now(&[("new", &["b"])], true),
            "create new, close #1 unneeded",
        ),
        (
            "nothing at all",
            old(1, "old", &["a"]),
            now(&[], true),
            "close #1 unneeded",
        ),
        (
            "nothing, after a partial run",
            old(1, "old", &["a"]),
            now(&[], false),
            "",
        ),
        ("another automation's", theirs, now(&[], true), ""),
        (
            "a person's commits",
            old(1, "old", &["a"]),
            touched(now(&[], true)),
            "",
        ),
        (
            "no marker",
            PullRequest {
                body: String::new(),
                ..old(1, "old", &["a"])
            },
            now(&[], true),
            "",
        ),
        (
            "already marked",
            marked(old(1, "old", &["a"]), |it| {
                it.closed = Some(ClosedBy::NoLongerNeeded);
            }),
            now(&[], true),
            "close #1 unneeded marked",
        ),
    ];
    for (name, pull, request, actions) in table {
        assert_eq!(
            short(&decide(&request, &existing(vec![pull])).actions),
            actions,
            "{name}"
        );
    }
}

#[test]
fn the_limit_counts_what_stays_open() {
    let options = PullRequestOptions {
        limit: NonZeroUsize::new(2),
        ..PullRequestOptions::default()
    };
    let want = |names: &[&str]| {
        request(
            names
                .iter()
                .map(|name| wanted(name, &commit(2), vec![change(&name[..1], "2")]))
                .collect(),
        )
    };
    let old = |number, name: &str| ours(number, name, &commit(1), vec![change(&name[..1], "1")]);
    let theirs = foreign(old(9, "z1"));
    for (list, names, actions) in [
        (vec![], vec!["a2", "b2", "c2"], "create a2, create b2"),
        (vec![theirs], vec!["a2", "b2", "c2"], "create a2, create b2"),
        // The one that replaces an open one has its place.
        (
            vec![old(1, "c1"), old(2, "x1")],
            vec!["a2", "b2", "c2", "x1"],
            "create c2, update #2 title body, close #1 by c2",
        ),
        (
            vec![old(1, "a1"), old(2, "b1")],
            vec!["a2", "b2", "c2"],
            "create a2, create b2, close #1 by a2, close #2 by b2",
        ),
    ] {
        let plan = reconcile(&want(&names), &existing(list), &rules(&options));
        assert_eq!(short(&plan.actions), actions, "{names:?}");
    }
}

#[test]
fn done_branches() {
    let merged = |pull| state(PullRequestState::Merged, pull);
    let own = ours(1, "old", &commit(1), vec![change("a", "1")]);
    let by_us = marked(state(PullRequestState::Closed, own.clone()), |it| {
        it.closed = Some(ClosedBy::Superseded);
    });
    let newer = |pull: PullRequest| PullRequest {
        number: PullRequestNumber(2),
        ..pull
    };
    let theirs = foreign(own.clone());
    for (name, list, delete) in [
        ("merged", vec![merged(own.clone())], true),
        ("closed by us", vec![by_us.clone()], true),
        (
            "closed by a person",
            vec![state(PullRequestState::Closed, own.clone())],
            false,
        ),
        (
            "merged, then a newer one open",
            vec![merged(own.clone()), newer(own.clone())],
            false,
        ),
        (
            "merged, then a person's closed",
            vec![
                merged(own.clone()),
                newer(state(PullRequestState::Closed, own.clone())),
            ],
            false,
        ),
        ("another automation's", vec![merged(theirs)], false),
        (
            "unmarked",
            vec![merged(PullRequest {
                body: String::new(),
                ..own.clone()
            })],
            false,
        ),
        (
            "moved on",
            vec![merged(PullRequest {
                commit: Some(commit(7)),
                ..own.clone()
            })],
            false,
        ),
        ("no pull request", vec![], false),
    ] {
        let mut request = request(Vec::new());
        request.complete = false;
        request.branches = vec![known("old", &commit(1))];
        let existing = Existing {
            open: list
                .iter()
                .filter(|it| it.state == PullRequestState::Open)
                .cloned()
                .collect(),
            of_branch: BTreeMap::from([("old".to_owned(), list)]),
        };
        let expected = if delete { "delete old" } else { "" };
        assert_eq!(
            short(&decide(&request, &existing).actions),
            expected,
            "{name}"
        );
        request.branches[0].only_ours = false;
        assert_eq!(
            short(&decide(&request, &existing).actions),
            "",
            "{name}, with a person's commits"
        );
    }
    assert_eq!(AUTOMATION, "flux-system/apps");
}
