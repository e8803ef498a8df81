//! Any mixture of new versions, people and kills: the promises hold after every run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

use proptest::prelude::*;
use tagline_updater::forge::{
    Answer, CreatePullRequest, Fingerprint, ForgeError, KnownBranch, Marker, MergeMethod, Provider,
    PullRequest, PullRequestNumber, PullRequestOptions, PullRequestState, PullRequests, SetUp,
    Standing, Update, bring_about,
};

use super::{change, commit, request, wanted};

const LIMIT: usize = 2;

/// A forge without HTTP.
#[derive(Default)]
struct Memory {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pulls: Vec<PullRequest>,
    comments: BTreeMap<u64, Vec<String>>,
    set_ups: BTreeMap<u64, usize>,
    branches: BTreeMap<String, String>,
    /// Requests until the forge is out of reach.
    left: Option<usize>,
}

impl Memory {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// One request: fails once the allowance is used up.
    fn ask<T>(
        &self,
        act: impl FnOnce(&mut State) -> Result<T, ForgeError>,
    ) -> Result<T, ForgeError> {
        let mut state = self.state();
        if let Some(left) = &mut state.left {
            if *left == 0 {
                return Err(ForgeError::Server {
                    provider: Provider::GitHub,
                    operation: "test",
                    status: 502,
                });
            }
            *left -= 1;
        }
        act(&mut state)
    }
}

impl State {
    fn get(&mut self, pull: &PullRequest) -> &mut PullRequest {
        self.pulls
            .iter_mut()
            .find(|it| it.number == pull.number)
            .unwrap()
    }
}

impl PullRequests for Memory {
    fn provider(&self) -> Provider {
        Provider::GitHub
    }
    fn has_more_to_set_up(&self, set_up: &SetUp) -> bool {
        set_up.auto_merge.is_some()
    }
    fn open<'a>(&'a self, base: &'a str) -> Answer<'a, Vec<PullRequest>> {
        let open = |it: &&PullRequest| it.state == PullRequestState::Open && it.base == base;
        let answer = self.ask(|state| Ok(state.pulls.iter().filter(open).cloned().collect()));
        Box::pin(async move { answer })
    }
    fn of_branch<'a>(&'a self, branch: &'a str) -> Answer<'a, Vec<PullRequest>> {
        let of = |it: &&PullRequest| it.branch == branch;
        let answer = self.ask(|state| Ok(state.pulls.iter().rev().filter(of).cloned().collect()));
        Box::pin(async move { answer })
    }
    fn create<'a>(&'a self, new: &'a CreatePullRequest) -> Answer<'a, PullRequest> {
        let answer = self.ask(|state| {
            let twice = |it: &PullRequest| {
                it.state == PullRequestState::Open && it.branch == new.branch && it.base == new.base
            };
            if state.pulls.iter().any(twice) {
                return Err(ForgeError::AlreadyExists {
                    provider: Provider::GitHub,
                    branch: new.branch.clone(),
                });
            }
            let pull = PullRequest {
                number: PullRequestNumber(state.pulls.len() as u64 + 1),
                url: "https://example.com".to_owned(),
                branch: new.branch.clone(),
                base: new.base.clone(),
                commit: state.branches.get(&new.branch).cloned(),
                state: PullRequestState::Open,
                title: new.title.clone(),
                body: new.body.clone(),
                draft: new.draft,
                handle: String::new(),
            };
            state.pulls.push(pull.clone());
            Ok(pull)
        });
        Box::pin(async move { answer })
    }
    fn update<'a>(&'a self, pull: &'a PullRequest, update: &'a Update) -> Answer<'a, ()> {
        let answer = self.ask(|state| {
            let it = state.get(pull);
            it.title = update.title.clone().unwrap_or_else(|| it.title.clone());
            it.body = update.body.clone().unwrap_or_else(|| it.body.clone());
            Ok(())
        });
        Box::pin(async move { answer })
    }
    fn set_up<'a>(&'a self, pull: &'a PullRequest, _set_up: &'a SetUp) -> Answer<'a, ()> {
        let answer = self.ask(|state| {
            *state.set_ups.entry(pull.number.0).or_default() += 1;
            Ok(())
        });
        Box::pin(async move { answer })
    }
    fn comments<'a>(&'a self, pull: &'a PullRequest) -> Answer<'a, Vec<String>> {
        let answer = self.ask(|state| {
            Ok(state
                .comments
                .get(&pull.number.0)
                .cloned()
                .unwrap_or_default())
        });
        Box::pin(async move { answer })
    }
    fn comment<'a>(&'a self, pull: &'a PullRequest, text: &'a str) -> Answer<'a, ()> {
        let answer = self.ask(|state| {
            state
                .comments
                .entry(pull.number.0)
                .or_default()
                .push(text.to_owned());
            Ok(())
        });
        Box::pin(async move { answer })
    }
    fn close<'a>(&'a self, pull: &'a PullRequest) -> Answer<'a, ()> {
        let answer = self.ask(|state| {
            assert!(
                Marker::find(&pull.body).is_some(),
                "only our own are closed"
            );
            state.get(pull).state = PullRequestState::Closed;
            Ok(())
        });
        Box::pin(async move { answer })
    }
    fn branch<'a>(&'a self, branch: &'a str) -> Answer<'a, Option<String>> {
        let answer = self.ask(|state| Ok(state.branches.get(branch).cloned()));
        Box::pin(async move { answer })
    }
    fn delete_branch<'a>(&'a self, branch: &'a str, at: &'a str) -> Answer<'a, ()> {
        let answer = self.ask(|state| {
            let open = state
                .pulls
                .iter()
                .any(|it| it.branch == branch && it.state == PullRequestState::Open);
            assert!(!open, "{branch} has an open pull request");
            assert_eq!(
                state.branches.remove(branch).as_deref(),
                Some(at),
                "{branch} moved"
            );
            Ok(())
        });
        Box::pin(async move { answer })
    }
}

/// What happens between and in runs.
#[derive(Debug, Clone)]
enum Step {
    /// These policies want these versions; with a branch per policy, per version, or one for all.
    Want {
        versions: BTreeMap<u8, u8>,
        layout: u8,
        complete: bool,
    },
    Closes(usize),
    Merges(usize),
    Reopens(usize),
    Retitles(usize),
    Appends(usize),
    /// The next run is stopped after so many requests.
    Kill(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (prop::collection::btree_map(0_u8..3, 1_u8..4, 0..3), 0_u8..3, any::<bool>())
            .prop_map(|(versions, layout, complete)| Step::Want { versions, layout, complete }),
        1 => (0_usize..6).prop_map(Step::Closes),
        1 => (0_usize..6).prop_map(Step::Merges),
        1 => (0_usize..6).prop_map(Step::Reopens),
        1 => (0_usize..6).prop_map(Step::Retitles),
        1 => (0_usize..6).prop_map(Step::Appends),
        2 => (0_usize..12).prop_map(Step::Kill),
    ]
}

fn want(versions: &BTreeMap<u8, u8>, layout: u8) -> Vec<tagline_updater::forge::Wanted> {
    let mut branches: BTreeMap<String, Vec<(u8, u8)>> = BTreeMap::new();
    for (policy, version) in versions {
        let branch = match layout {
            0 => "updates".to_owned(),
            1 => format!("p{policy}"),
            _ => format!("p{policy}-{version}"),
        };
        branches
            .entry(branch)
            .or_default()
            .push((*policy, *version));
    }
    let wanted_on = |(branch, list): (String, Vec<(u8, u8)>)| {
        let at = commit(
            list.iter()
                .map(|(policy, version)| u32::from(*policy) * 16 + u32::from(*version))
                .sum(),
        );
        let changes = list
            .iter()
            .map(|(policy, version)| change(&format!("p{policy}"), &version.to_string()));
        wanted(&branch, &at, changes.collect())
    };
    branches.into_iter().map(wanted_on).collect()
}

#[expect(
    clippy::too_many_lines,
    reason = "one arm per step, and what must hold after it"
)]
fn run(steps: &[Step]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let forge = Memory::default();
    let options = PullRequestOptions {
        auto_merge: Some(MergeMethod::Merge),
        limit: std::num::NonZeroUsize::new(LIMIT),
        ..PullRequestOptions::default()
    };
    let mut kill = None;
    // By number: closed by a person, and its changes at that time.
    let mut refused: BTreeMap<u64, BTreeSet<Fingerprint>> = BTreeMap::new();
    for step in steps {
        let at = |state: &State, index: usize, wanted: PullRequestState| {
            state
                .pulls
                .get(index)
                .filter(|it| it.state == wanted)
                .map(|_| index)
        };
        let mut state = forge.state();
        match step {
            Step::Kill(requests) => kill = Some(*requests),
            Step::Closes(index) => {
                if let Some(index) = at(&state, *index, PullRequestState::Open) {
                    let pull = &mut state.pulls[index];
                    pull.state = PullRequestState::Closed;
                    // One that we had marked before we were killed is closed as we meant to.
                    let marker = Marker::find(&pull.body).unwrap().marker;
                    if marker.closed.is_none() {
                        refused.insert(pull.number.0, marker.changes);
                    }
                }
            }
            Step::Merges(index) => {
                if let Some(index) = at(&state, *index, PullRequestState::Open) {
                    state.pulls[index].state = PullRequestState::Merged;
                }
            }
            Step::Reopens(index) => {
                let taken = |state: &State, pull: &PullRequest| {
                    state
                        .pulls
                        .iter()
                        .any(|it| it.state == PullRequestState::Open && it.branch == pull.branch)
                };
                if let Some(index) = at(&state, *index, PullRequestState::Closed)
                    && !taken(&state, &state.pulls[index])
                    && state.branches.contains_key(&state.pulls[index].branch)
                {
                    state.pulls[index].state = PullRequestState::Open;
                    refused.remove(&state.pulls[index].number.0);
                }
            }
            Step::Retitles(index) => {
                if let Some(pull) = state.pulls.get_mut(*index) {
                    pull.title = format!("By hand {index}");
                }
            }
            Step::Appends(index) => {
                if let Some(pull) = state.pulls.get_mut(*index) {
                    pull.body.push_str("\nBy hand.");
                }
            }
            Step::Want {
                versions,
                layout,
                complete,
            } => {
                let mut request = request(want(versions, *layout));
                request.complete = *complete;
                for wanted in &request.wanted {
                    let at = wanted.commit.clone().unwrap();
                    state.branches.insert(wanted.branch.clone(), at.clone());
                    for pull in state.pulls.iter_mut().filter(|it| {
                        it.branch == wanted.branch && it.state == PullRequestState::Open
                    }) {
                        pull.commit = Some(at.clone());
                    }
                }
                let wanted_names: BTreeSet<&str> =
                    request.wanted.iter().map(|it| it.branch.as_str()).collect();
                request.branches = state
                    .branches
                    .iter()
                    .filter(|(name, _)| !wanted_names.contains(name.as_str()))
                    .map(|(name, at)| KnownBranch {
                        name: name.clone(),
                        commit: at.clone(),
                        only_ours: true,
                    })
                    .collect();
                let before: Vec<PullRequest> = state.pulls.clone();
                state.left = kill.take();
                let was_killed = state.left.is_some();
                drop(state);
                let first = runtime.block_on(bring_about(&forge, &request, &options));
                invariants(&forge, &before, &refused);
                if was_killed {
                    // The next process does the rest.
                    forge.state().left = None;
                    let left = forge.state().branches.clone();
                    request
                        .branches
                        .retain(|known| left.contains_key(&known.name));
                    runtime
                        .block_on(bring_about(&forge, &request, &options))
                        .unwrap();
                } else {
                    assert!(first.unwrap().failures.is_empty());
                }
                invariants(&forge, &before, &refused);
                // And a further run finds nothing to do.
                let settled = forge.state().pulls.clone();
                let left = forge.state().branches.clone();
                request
                    .branches
                    .retain(|known| left.contains_key(&known.name));
                let last = runtime
                    .block_on(bring_about(&forge, &request, &options))
                    .unwrap();
                assert_eq!(forge.state().pulls, settled);
                assert!(
                    last.created.is_empty() && last.updated.is_empty() && last.closed.is_empty(),
                    "{last:?}"
                );
                // Those a person opened again after we closed them stay, whatever the limit.
                let is_open = |it: &&PullRequest| it.state == PullRequestState::Open;
                let open = settled.iter().filter(is_open);
                let counted = open
                    .filter(|it| Marker::find(&it.body).unwrap().marker.closed.is_none())
                    .count();
                let inherited = before.iter().filter(is_open).count();
                assert!(counted <= LIMIT.max(inherited), "{counted} open ones");
                let waits = last
                    .outcomes
                    .iter()
                    .any(|it| it.standing == Standing::Deferred);
                if *complete && !waits {
                    let unneeded = settled
                        .iter()
                        .filter(is_open)
                        .filter(|it| !wanted_names.contains(it.branch.as_str()));
                    let by_people =
                        |it: &PullRequest| Marker::find(&it.body).unwrap().marker.closed.is_some();
                    assert!(
                        unneeded.into_iter().all(by_people),
                        "what nobody wants is closed"
                    );
                }
                let open_pending = |it: &&PullRequest| {
                    it.state == PullRequestState::Open && wanted_names.contains(it.branch.as_str())
                };
                for pull in settled.iter().filter(open_pending) {
                    let marker = Marker::find(&pull.body).unwrap().marker;
                    assert!(
                        !marker.set_up_pending && marker.closed.is_none(),
                        "{}",
                        pull.body
                    );
                }
            }
        }
    }
}

/// What holds after every run, stopped or not.
fn invariants(
    forge: &Memory,
    before: &[PullRequest],
    refused: &BTreeMap<u64, BTreeSet<Fingerprint>>,
) {
    let state = forge.state();
    let open: Vec<&PullRequest> = state
        .pulls
        .iter()
        .filter(|it| it.state == PullRequestState::Open)
        .collect();
    let branches: BTreeSet<&str> = open.iter().map(|it| it.branch.as_str()).collect();
    assert_eq!(branches.len(), open.len(), "one pull request per branch");
    for old in before {
        let now = state
            .pulls
            .iter()
            .find(|it| it.number == old.number)
            .unwrap();
        if old.title.starts_with("By hand") {
            assert_eq!(now.title, old.title);
        }
        let count = |pull: &PullRequest| pull.body.matches("\nBy hand.").count();
        assert_eq!(count(now), count(old), "people's words stay");
        if old.state != PullRequestState::Open {
            assert_eq!(now, old, "what is closed is not touched");
        }
    }
    let created = &state.pulls[before.len()..];
    for new in created {
        let marker = Marker::find(&new.body).unwrap().marker;
        let of_branch = |number: &u64| {
            state
                .pulls
                .iter()
                .any(|it| it.number.0 == *number && it.branch == new.branch)
        };
        let all: BTreeSet<&Fingerprint> = refused
            .iter()
            .filter(|(number, _)| of_branch(number))
            .flat_map(|(_, changes)| changes)
            .collect();
        assert!(
            marker.changes.iter().any(|it| !all.contains(it)),
            "{} was refused by a person",
            new.branch
        );
    }
    for (number, comments) in &state.comments {
        let reopened = before.iter().filter(|it| it.number.0 == *number).count();
        assert!(
            comments.len() <= 1 + reopened,
            "#{number} is commented on once"
        );
    }
}

/// More of them by `PROPTEST_CASES`.
fn cases() -> u32 {
    ProptestConfig::default().cases
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn promises_hold(steps in prop::collection::vec(step(), 1..14)) {
        run(&steps);
    }
}
