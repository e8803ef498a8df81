//! How changes are divided into commits: one for all that can share it, one per policy, one per automation.

use super::plan::{Branch, Item, Part};
use super::{CommitGrouping, Joining};
use crate::PolicyName;
use crate::git::{ChangedFile, CommitSpec, GitError, Trees, write_commit};
use git2::{Commit, Oid};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Items whose changes may share a commit are put side by side; otherwise the order stays.
pub(super) fn in_commit_order<'a>(items: &[Item<'a>]) -> Vec<Vec<Item<'a>>> {
    let mut groups: Vec<(Option<String>, Vec<Item<'a>>)> = Vec::new();
    for &item in items {
        let style = item.message.joining().map(|joining| joining.style);
        let known = groups.iter_mut().find(|(known, members)| {
            style.is_some()
                && *known == style
                && members
                    .first()
                    .is_some_and(|first| first.request.commits_like(item.request))
        });
        match known {
            Some((_, members)) => members.push(item),
            None => groups.push((style, vec![item])),
        }
    }
    groups.into_iter().map(|(_, members)| members).collect()
}

/// The commits of one item, oldest first, and the message of the last.
#[derive(Debug, Clone, Default)]
pub(super) struct Made {
    pub(super) commits: Vec<Oid>,
    pub(super) message: Option<String>,
}

/// Why there are no commits.
pub(super) enum NotMade {
    /// Because of this item; the others may go without it.
    Item(usize, GitError),
    /// Because of the mirror.
    Mirror(GitError),
}

impl Branch<'_> {
    /// Writes commits on `base`: what each part got, by its item's place, and the last commit.
    pub(super) fn commit(
        &self,
        base: Oid,
        groups: &[Vec<Part<'_>>],
        trees: &Trees<'_>,
    ) -> Result<(BTreeMap<usize, Made>, Oid), NotMade> {
        let mut writer = Writer {
            branch: self,
            trees,
            parent: self.find(base).map_err(NotMade::Mirror)?,
        };
        let mut made = BTreeMap::new();
        for group in groups {
            let changing: Vec<&Part<'_>> = group
                .iter()
                .filter(|part| !part.edits.files.is_empty())
                .collect();
            if let (Some(message), Some(&last)) = (shared(&changing)?, changing.last()) {
                let commit = writer.write(last, last.tree, &message)?;
                for part in changing {
                    let one = Made {
                        commits: vec![commit],
                        message: Some(message.clone()),
                    };
                    made.insert(part.item.at, one);
                }
                continue;
            }
            for part in changing {
                made.insert(part.item.at, writer.write_own(part)?);
            }
        }
        let tip = writer.parent.id();
        Ok((made, tip))
    }

    fn find(&self, commit: Oid) -> Result<Commit<'_>, GitError> {
        self.mirror
            .repository
            .find_commit(commit)
            .map_err(|e| self.mirror.mirror.mirror_error("reading a commit", &e))
    }

    /// The same changes, policy by policy (those that move together in one step): each step's files start from
    /// what the step before left.
    fn by_policy(&self, part: &Part<'_>) -> Vec<Vec<ChangedFile>> {
        let (files, choices) = (&part.edits.files, part.item.choices);
        let policies: BTreeSet<&PolicyName> = files
            .iter()
            .flat_map(|file| file.changes.iter().map(|change| &change.policy))
            .map(|policy| choices.first_of_group(policy))
            .collect();
        let mut texts: BTreeMap<&str, Arc<[u8]>> = files
            .iter()
            .map(|file| (&*file.path, file.old.clone()))
            .collect();
        let mut groups = Vec::new();
        for policy in policies {
            let mut only = choices.clone();
            let of_step = |name: &PolicyName| choices.first_of_group(name) == policy;
            only.retain(of_step);
            let mut group = Vec::new();
            for file in files {
                if !file.changes.iter().any(|change| of_step(&change.policy)) {
                    continue;
                }
                let Some(text) = texts.get_mut(&*file.path) else {
                    continue;
                };
                let done = self
                    .editor
                    .edit(&file.path, text, &only, &part.edits.options);
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

/// The message of one commit for all these parts, where they can share it.
fn shared(parts: &[&Part<'_>]) -> Result<Option<String>, NotMade> {
    let [first, _, ..] = parts else {
        return Ok(None);
    };
    let members: Vec<Joining> = parts
        .iter()
        .filter_map(|part| part.item.message.joining())
        .collect();
    first
        .item
        .message
        .together(&members, &joined(parts))
        .transpose()
        .map_err(|e| NotMade::Item(first.item.at, GitError::Message(e.into())))
}

/// The changes of all parts, file by file. Each part started from what the part before left.
fn joined(parts: &[&Part<'_>]) -> Vec<ChangedFile> {
    let mut files: BTreeMap<&str, ChangedFile> = BTreeMap::new();
    for file in parts.iter().flat_map(|part| &part.edits.files) {
        match files.get_mut(&*file.path) {
            Some(known) => {
                known.new = file.new.clone();
                known.changes.extend_from_slice(&file.changes);
                known
                    .changes
                    .sort_by_key(|change| (change.line, change.column));
            }
            None => {
                files.insert(&file.path, file.clone());
            }
        }
    }
    files.into_values().collect()
}

/// Writes commits one upon the other.
struct Writer<'w> {
    branch: &'w Branch<'w>,
    trees: &'w Trees<'w>,
    parent: Commit<'w>,
}

impl Writer<'_> {
    fn write_own(&mut self, part: &Part<'_>) -> Result<Made, NotMade> {
        let steps = match part.item.request.grouping {
            CommitGrouping::Together => vec![part.edits.files.clone()],
            CommitGrouping::PerPolicy => self.branch.by_policy(part),
        };
        let mut made = Made::default();
        for (n, files) in steps.iter().enumerate() {
            let message = part
                .item
                .message
                .message(files)
                .map_err(|e| NotMade::Item(part.item.at, GitError::Message(e.into())))?;
            let tree = if n + 1 == steps.len() {
                part.tree
            } else {
                self.trees
                    .write(self.parent.tree_id(), files)
                    .map_err(NotMade::Mirror)?
            };
            made.commits.push(self.write(part, tree, &message)?);
            made.message = Some(message);
        }
        Ok(made)
    }

    fn write(&mut self, part: &Part<'_>, tree: Oid, message: &str) -> Result<Oid, NotMade> {
        let request = part.item.request;
        let spec = CommitSpec {
            author: &request.author,
            committer: request.committer(),
            at: request.now,
            message,
            signer: request.signer.as_ref(),
        };
        let mirror = self.branch.mirror;
        let id = write_commit(&mirror.repository, tree, &self.parent, &spec)
            .map_err(|e| NotMade::Mirror(mirror.mirror.mirror_error("writing the commit", &e)))?
            .map_err(|e| NotMade::Item(part.item.at, e))?;
        self.parent = self.branch.find(id).map_err(NotMade::Mirror)?;
        Ok(id)
    }
}
