//! What one branch needs: where its commits start from, what they change, whether they may replace what is there.

use super::commits::in_commit_order;
use super::editor::Editor;
use super::{Hold, MessageSource, PublishRequest, holds};
use crate::git::{
    CancellationToken, Edits, Fetched, GitError, Identity, LockedMirror, Relation, Trees,
};
use crate::{Choices, PolicyName};
use git2::Oid;
use std::collections::{BTreeMap, BTreeSet};

/// What one contribution wants on one branch.
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    /// Its place among all of the run.
    pub(super) at: usize,
    pub(super) request: &'a PublishRequest,
    pub(super) message: &'a dyn MessageSource,
    pub(super) branch: &'a str,
    pub(super) choices: &'a Choices,
}

/// What is to be done on one branch.
pub(super) struct Plan<'a> {
    pub(super) step: Step,
    /// In the order of their commits; those of one group may share one.
    pub(super) groups: Vec<Vec<Part<'a>>>,
    /// What cannot be done, with the item's place.
    pub(super) refused: Vec<(usize, GitError)>,
}

/// What one item changes.
pub(super) struct Part<'a> {
    pub(super) item: Item<'a>,
    pub(super) edits: Edits,
    pub(super) held: Vec<Hold>,
    /// The whole tree with these changes and those of all parts before.
    pub(super) tree: Oid,
}

/// What the branch needs.
#[derive(Clone, Copy)]
pub(super) enum Step {
    /// Nothing is due, seen from where changes start.
    Nothing,
    /// The push branch, at this commit, carries all that is due.
    Standing(Oid),
    /// Commits on `base`; the branch is at `expected` now.
    Commit {
        base: Oid,
        expected: Option<Oid>,
        force: bool,
    },
}

/// Where changes start from.
struct Base {
    commit: Oid,
    /// The branch's own commits are ours and start at the checkout: with the same tree, they stand.
    standing: Option<Oid>,
    /// The branch is replaced.
    force: bool,
    /// Full names of the references whose history `commit` is on.
    names: Vec<String>,
}

/// One branch of one run, with all that goes there.
pub(super) struct Branch<'a> {
    pub(super) mirror: &'a LockedMirror,
    pub(super) editor: &'a dyn Editor,
    pub(super) name: &'a str,
    /// At least one. They are asked the same checkout.
    pub(super) items: Vec<Item<'a>>,
    pub(super) cancel: &'a CancellationToken,
}

impl<'a> Branch<'a> {
    pub(super) fn is_checkout(&self, fetched: &Fetched) -> bool {
        fetched.checkout_name.as_deref() == Some(&*format!("refs/heads/{}", self.name))
    }

    /// The checked-out branch goes forward only. A push branch that is all ours is made anew on the checkout, so that
    /// it is never stale; one with commits of others, or with changes this run knows nothing of, is continued.
    fn base(&self, fetched: &Fetched) -> Result<Base, GitError> {
        let full = format!("refs/heads/{}", self.name);
        let checkout_names: Vec<String> = fetched.checkout_name.iter().cloned().collect();
        let on_checkout = |standing, force| Base {
            commit: fetched.checkout,
            standing,
            force,
            names: checkout_names.clone(),
        };
        let Some(&tip) = fetched.branches.get(self.name) else {
            return Ok(on_checkout(None, false));
        };
        if self.is_checkout(fetched) {
            return Ok(on_checkout(None, false));
        }
        let continued = Base {
            commit: tip,
            standing: None,
            force: false,
            names: vec![full.clone()],
        };
        let protected = fetched.default_branch.as_deref() == Some(self.name)
            || self
                .items
                .iter()
                .any(|item| item.request.checkout.inferred_push_branch() == Some(self.name));
        if protected {
            return Ok(continued);
        }
        let mut names = checkout_names.clone();
        names.push(full);
        let ours: Vec<&Identity> = self.items.iter().map(|item| &item.request.author).collect();
        let relation = self
            .mirror
            .relation(fetched.checkout, tip, &ours, &names, self.cancel)?;
        Ok(match relation {
            Relation::Contained => on_checkout(None, false),
            Relation::Ours { fork } if self.could_have_made(fork, tip)? => {
                on_checkout((fork == fetched.checkout).then_some(tip), true)
            }
            Relation::Ours { .. } | Relation::Others => continued,
        })
    }

    /// Whether everything that the branch changes between these commits is something this run could have changed.
    /// What is not was put there for an automation that is not part of this run, and must not get lost.
    fn could_have_made(&self, fork: Oid, tip: Oid) -> Result<bool, GitError> {
        let could_change = |path: &str, text: &[u8]| {
            let mut items = self.items.iter().filter(|item| may_change(item, path));
            items.any(|item| {
                let known: BTreeSet<&PolicyName> = item.choices.policies().collect();
                let policies = self.editor.policies(path, text, &item.request.edit);
                policies.is_empty() || policies.iter().any(|policy| known.contains(policy))
            })
        };
        let repository = &self.mirror.repository;
        let compare = || -> Result<bool, git2::Error> {
            let tree = |commit| repository.find_commit(commit)?.tree();
            let diff = repository.diff_tree_to_tree(Some(&tree(fork)?), Some(&tree(tip)?), None)?;
            for delta in diff.deltas() {
                let new = delta.new_file();
                let Some(path) = new.path().and_then(|path| path.to_str()) else {
                    return Ok(false);
                };
                let known = repository
                    .find_blob(new.id())
                    .is_ok_and(|blob| could_change(path, blob.content()));
                if !known {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        compare().map_err(|e| self.mirror.mirror.mirror_error("comparing branches", &e))
    }

    pub(super) fn plan(
        &self,
        fetched: &Fetched,
        trees: &mut Trees<'_>,
    ) -> Result<Plan<'a>, GitError> {
        let base = self.base(fetched)?;
        let start = self.tree(base.commit)?;
        let mut tree = start;
        let mut refused = Vec::new();
        let mut groups = Vec::new();
        for group in in_commit_order(&self.items) {
            let mut parts = Vec::new();
            for item in group {
                let within = |path: &str| may_change(&item, path);
                let mut edits = trees.edit(tree, &within, item.choices, &item.request.edit)?;
                if let Err(e) = self.check_path(&item, &edits, fetched) {
                    refused.push((item.at, e));
                    continue;
                }
                let held = holds::find(self, &item, base.commit, &base.names, &edits)?;
                self.respect(&item, &held, &mut edits);
                if !edits.files.is_empty() {
                    tree = trees.write(tree, &edits.files)?;
                }
                parts.push(Part {
                    item,
                    edits,
                    held,
                    tree,
                });
            }
            groups.push(parts);
        }
        let tip = fetched.branches.get(self.name).copied();
        let step = if tree == start {
            let carries = base.commit != fetched.checkout
                && self.tree(fetched.checkout)? != start
                && !self.is_checkout(fetched);
            if carries {
                Step::Standing(base.commit)
            } else {
                Step::Nothing
            }
        } else if let Some(standing) = base.standing
            && self.tree(standing)? == tree
        {
            Step::Standing(standing)
        } else {
            Step::Commit {
                base: base.commit,
                expected: tip,
                force: base.force,
            }
        };
        Ok(Plan {
            step,
            groups,
            refused,
        })
    }

    fn tree(&self, commit: Oid) -> Result<Oid, GitError> {
        self.mirror
            .repository
            .find_commit(commit)
            .map(|commit| commit.tree_id())
            .map_err(|e| self.mirror.mirror.mirror_error("reading a commit", &e))
    }

    /// A path that names nothing is a mistake, not an empty result.
    fn check_path(
        &self,
        item: &Item<'_>,
        edits: &Edits,
        fetched: &Fetched,
    ) -> Result<(), GitError> {
        let path = item.request.path.as_str();
        if path.is_empty() || !edits.marked.is_empty() {
            return Ok(());
        }
        let exists = self
            .mirror
            .repository
            .find_commit(fetched.checkout)
            .and_then(|commit| commit.tree())
            .and_then(|tree| tree.get_path(std::path::Path::new(path)).map(|_| ()));
        exists.map_err(|_| GitError::PathNotFound {
            path: path.to_owned(),
            reference: item.request.checkout.to_string(),
            remote: self.mirror.mirror.remote().url().to_string(),
        })
    }

    /// Takes held changes out again.
    fn respect(&self, item: &Item<'_>, held: &[Hold], edits: &mut Edits) {
        let mut by_path: BTreeMap<&str, BTreeSet<&PolicyName>> = BTreeMap::new();
        for hold in held {
            by_path.entry(&hold.path).or_default().insert(&hold.policy);
        }
        for file in &mut edits.files {
            let Some(policies) = by_path.get(&*file.path) else {
                continue;
            };
            let mut allowed = item.choices.clone();
            allowed.retain(|policy| !policies.contains(policy));
            let done = self
                .editor
                .edit(&file.path, &file.old, &allowed, &edits.options);
            file.changes = done.changes;
            file.new = done.text.map_or_else(|| file.old.clone(), Into::into);
        }
        edits.files.retain(|file| file.new != file.old);
    }
}

fn may_change(item: &Item<'_>, path: &str) -> bool {
    item.request.path.contains(path) && !item.request.ignore.is_ignored(path, false)
}
