//! What one branch needs: where its commit starts from, what it changes, whether it may replace what is there.

use super::editor::Editor;
use super::{CommitGrouping, Hold, MessageSource, PublishRequest, holds};
use crate::git::{
    CancellationToken, ChangedFile, CommitSpec, Edits, Fetched, GitError, LockedMirror, Relation,
    Trees, write_commit,
};
use crate::{Choices, PolicyName};
use git2::Oid;
use std::collections::{BTreeMap, BTreeSet};

/// What is to be done on one branch.
pub(super) struct Plan {
    pub(super) step: Step,
    pub(super) edits: Edits,
    pub(super) held: Vec<Hold>,
}

/// What the branch needs.
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

/// One branch of one run.
pub(super) struct Branch<'a> {
    pub(super) mirror: &'a LockedMirror,
    pub(super) request: &'a PublishRequest,
    pub(super) editor: &'a dyn Editor,
    pub(super) name: &'a str,
    pub(super) choices: &'a Choices,
    pub(super) cancel: &'a CancellationToken,
}

impl Branch<'_> {
    fn is_checkout(&self, fetched: &Fetched) -> bool {
        fetched.checkout_name.as_deref() == Some(&*format!("refs/heads/{}", self.name))
    }

    /// The checked-out branch goes forward only. A push branch that is all ours is made anew on the checkout, so that
    /// it is never stale; one with commits of others is continued.
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
            || self.request.checkout.inferred_push_branch() == Some(self.name);
        if protected {
            return Ok(continued);
        }
        let mut names = checkout_names.clone();
        names.push(full);
        let relation = self.mirror.relation(
            fetched.checkout,
            tip,
            &self.request.author,
            &names,
            self.cancel,
        )?;
        Ok(match relation {
            Relation::Contained => on_checkout(None, false),
            Relation::Ours { on_checkout: here } => on_checkout(here.then_some(tip), true),
            Relation::Others => continued,
        })
    }

    pub(super) fn plan(&self, fetched: &Fetched, trees: &mut Trees<'_>) -> Result<Plan, GitError> {
        let base = self.base(fetched)?;
        let tree = self.tree(base.commit)?;
        let within = |path: &str| {
            self.request.path.contains(path) && !self.request.ignore.is_ignored(path, false)
        };
        let mut edits = trees.edit(tree, &within, self.choices)?;
        let held = holds::find(self, base.commit, &base.names, &edits.files)?;
        self.respect(&held, &mut edits);
        let tip = fetched.branches.get(self.name).copied();
        let step = if edits.files.is_empty() {
            let carries = base.commit != fetched.checkout
                && self.tree(fetched.checkout)? != tree
                && !self.is_checkout(fetched);
            if carries {
                Step::Standing(base.commit)
            } else {
                Step::Nothing
            }
        } else if let Some(standing) = base.standing
            && self.tree(standing)? == trees.write(tree, &edits.files)?
        {
            Step::Standing(standing)
        } else {
            Step::Commit {
                base: base.commit,
                expected: tip,
                force: base.force,
            }
        };
        Ok(Plan { step, edits, held })
    }

    fn tree(&self, commit: Oid) -> Result<Oid, GitError> {
        self.mirror
            .repository
            .find_commit(commit)
            .map(|commit| commit.tree_id())
            .map_err(|e| self.mirror.mirror.mirror_error("reading a commit", &e))
    }

    /// Takes held changes out again.
    fn respect(&self, held: &[Hold], edits: &mut Edits) {
        let mut by_path: BTreeMap<&str, BTreeSet<&PolicyName>> = BTreeMap::new();
        for hold in held {
            by_path.entry(&hold.path).or_default().insert(&hold.policy);
        }
        for file in &mut edits.files {
            let Some(policies) = by_path.get(&*file.path) else {
                continue;
            };
            let mut allowed = self.choices.clone();
            allowed.retain(|policy| !policies.contains(policy));
            let done = self.editor.edit(&file.path, &file.old, &allowed);
            file.changes = done.changes;
            file.new = done.text.map_or_else(|| file.old.clone(), Into::into);
        }
        edits.files.retain(|file| file.new != file.old);
    }

    /// Writes the commit, or one per policy; their ids, oldest first, and the last message.
    pub(super) fn commit(
        &self,
        base: Oid,
        files: &[ChangedFile],
        message: &dyn MessageSource,
        trees: &Trees<'_>,
    ) -> Result<(Vec<Oid>, String), GitError> {
        let groups = match self.request.grouping {
            CommitGrouping::Together => vec![files.to_vec()],
            CommitGrouping::PerPolicy => self.by_policy(files),
        };
        let failed = |e: git2::Error| self.mirror.mirror.mirror_error("writing the commit", &e);
        let mut commits = Vec::new();
        let mut last = String::new();
        let mut parent = self.mirror.repository.find_commit(base).map_err(failed)?;
        for group in groups {
            last = message.message(&group).map_err(GitError::Message)?;
            let tree = trees.write(parent.tree_id(), &group)?;
            let id = write_commit(
                &self.mirror.repository,
                tree,
                &parent,
                &CommitSpec {
                    author: &self.request.author,
                    committer: self.request.committer(),
                    at: self.request.now,
                    message: &last,
                    signer: self.request.signer.as_ref(),
                },
            )
            .map_err(failed)??;
            commits.push(id);
            parent = self.mirror.repository.find_commit(id).map_err(failed)?;
        }
        Ok((commits, last))
    }

    /// The same changes, policy by policy: each step's files start from what the step before left.
    fn by_policy(&self, files: &[ChangedFile]) -> Vec<Vec<ChangedFile>> {
        let policies: BTreeSet<&PolicyName> = files
            .iter()
            .flat_map(|file| file.changes.iter().map(|change| &change.policy))
            .collect();
        let mut texts: BTreeMap<&str, std::sync::Arc<[u8]>> = files
            .iter()
            .map(|file| (&*file.path, file.old.clone()))
            .collect();
        let mut groups = Vec::new();
        for policy in policies {
            let mut only = self.choices.clone();
            only.retain(|name| name == policy);
            let mut group = Vec::new();
            for file in files {
                if !file.changes.iter().any(|change| change.policy == *policy) {
                    continue;
                }
                let Some(text) = texts.get_mut(&*file.path) else {
                    continue;
                };
                let done = self.editor.edit(&file.path, text, &only);
                let Some(new) = done.text else { continue };
                let step = ChangedFile {
                    changes: done.changes,
                    old: text.clone(),
                    new: new.into(),
                    ..file.clone()
                };
                *text = step.new.clone();
                group.push(step);
            }
            if !group.is_empty() {
                groups.push(group);
            }
        }
        groups
    }
}
