//! Reverts by a person: found in git's own history, so that losing a cache loses nothing.
//!
//! The rule: we do not write the same choice to the same place twice. When the last of our commits that touched a
//! marked value set it to what is chosen now, and it no longer holds that, somebody took it back; it stays as it is
//! until the policy chooses something else, or until the hold is released.

use super::plan::{Branch, Item};
use super::{Editor, Hold};
use crate::git::{CommitId, Edits, GitError};
use crate::{Choice, Choices, PolicyName};
use git2::{Commit, DiffOptions, Oid, Repository};
use std::collections::{BTreeMap, BTreeSet};

/// With more files than this, a commit is compared as a whole.
const NARROW: usize = 64;

/// What would be written, by file and policy.
type Pending = BTreeMap<String, BTreeSet<PolicyName>>;

/// Which of the planned changes a person took back before.
pub(super) fn find(
    branch: &Branch<'_>,
    item: &Item<'_>,
    base: Oid,
    names: &[String],
    edits: &Edits,
) -> Result<Vec<Hold>, GitError> {
    let (request, choices) = (item.request, item.choices);
    let mut pending = Pending::new();
    let mut held = Vec::new();
    for file in &edits.files {
        for change in &file.changes {
            let policy = &change.policy;
            let Choice::Chosen(image) = choices.get(policy) else {
                continue;
            };
            if request.release_holds.releases(policy) {
                continue;
            }
            let known = request.holds.iter().find(|hold| {
                hold.path == file.path && hold.policy == *policy && hold.image == image.to_string()
            });
            match known {
                Some(known) => held.push(known.clone()),
                None => {
                    pending
                        .entry(file.path.clone())
                        .or_default()
                        .insert(policy.clone());
                }
            }
        }
    }
    if !pending.is_empty() {
        branch.mirror.our_commits(
            base,
            &request.author,
            names,
            branch.cancel,
            &mut |repository, commit| {
                let found = look_at(
                    repository,
                    commit,
                    branch.editor,
                    edits,
                    choices,
                    &mut pending,
                )?;
                held.extend(found);
                Ok(!pending.is_empty())
            },
        )?;
    }
    held.sort();
    held.dedup();
    Ok(held)
}

/// What one of our commits says about the pending changes; those it settles are taken out of `pending`.
fn look_at(
    repository: &Repository,
    commit: &Commit<'_>,
    editor: &dyn Editor,
    edits: &Edits,
    choices: &Choices,
    pending: &mut Pending,
) -> Result<Vec<Hold>, git2::Error> {
    let mut held = Vec::new();
    let Some(parent) = commit.parents().next() else {
        return Ok(held);
    };
    let mut options = DiffOptions::new();
    options.skip_binary_check(true);
    if pending.len() <= NARROW {
        options.disable_pathspec_match(true);
        for path in pending.keys() {
            options.pathspec(path);
        }
    }
    let diff = repository.diff_tree_to_tree(
        Some(&parent.tree()?),
        Some(&commit.tree()?),
        Some(&mut options),
    )?;
    for delta in diff.deltas() {
        let Some(path) = delta.new_file().path().and_then(|path| path.to_str()) else {
            continue;
        };
        let Some(policies) = pending.get_mut(path) else {
            continue;
        };
        // History that is not all there ends the search for this file, not the run.
        let (Ok(old), Ok(new)) = (
            repository.find_blob(delta.old_file().id()),
            repository.find_blob(delta.new_file().id()),
        ) else {
            continue;
        };
        policies.retain(|policy| {
            let Choice::Chosen(image) = choices.get(policy) else {
                return false;
            };
            let only: Choices = [(policy.clone(), image.clone())].into_iter().collect();
            let missing = |text: &[u8]| -> Vec<String> {
                let edit = editor.edit(path, text, &only, &edits.options);
                edit.changes.into_iter().map(|change| change.old).collect()
            };
            let (before, after) = (missing(old.content()), missing(new.content()));
            if before == after {
                return true;
            }
            if after.is_empty() {
                held.push(Hold {
                    path: path.to_owned(),
                    policy: policy.clone(),
                    image: image.to_string(),
                    commit: Some(CommitId::from(commit.id())),
                });
            }
            false
        });
        if policies.is_empty() {
            pending.remove(path);
        }
    }
    Ok(held)
}
