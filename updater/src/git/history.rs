//! Questions about the past of a branch, on a mirror that may have little of it: what is ahead, and who did it.

use super::CancellationToken;
use super::commit::Identity;
use super::error::GitError;
use super::mirror::{LockedMirror, open_bare};
use git2::{Commit, Oid, Repository, Sort};
use std::collections::HashSet;
use std::fs;

/// How much history is fetched when the mirror has too little: first a bit, then more.
const DEEPER: [i32; 3] = [100, 1_000, 10_000];
/// A push branch with more commits of its own is nobody's automatic branch.
const LONGEST_BRANCH: usize = 1000;

/// How a push branch stands to what is checked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    /// All of it is in the checkout already.
    Contained,
    /// It has commits of its own, all of them ours.
    Ours {
        /// The commit they start from.
        fork: Oid,
    },
    /// It has commits of others, or too little is known.
    Others,
}

impl LockedMirror {
    /// A second handle: libgit2 keeps commits in memory as they were before more history came.
    fn fresh(&self) -> Result<Repository, GitError> {
        open_bare(self.repository.path())
            .map_err(|e| self.mirror.mirror_error("opening the mirror", &e))
    }

    /// How the branch at `tip` stands to the commit at `checkout`. `names` are the full names of both at the remote,
    /// to fetch more of their history where the mirror has too little.
    pub(crate) fn relation(
        &self,
        checkout: Oid,
        tip: Oid,
        ours: &[&Identity],
        names: &[String],
        cancel: &CancellationToken,
    ) -> Result<Relation, GitError> {
        let mut deeper = DEEPER.into_iter();
        loop {
            let repository = self.fresh()?;
            let known = ahead(&repository, checkout, tip, ours)
                .map_err(|e| self.mirror.mirror_error("comparing branches", &e))?;
            match known {
                Ahead::Known(relation) => return Ok(relation),
                Ahead::TooShallow => {}
            }
            let Some(depth) = deeper.next() else {
                return Ok(Relation::Others);
            };
            self.deepen(names, depth, cancel)?;
        }
    }

    /// Whether `commit` is `tip` or lies before it, as far as the mirror knows.
    pub(crate) fn contains(&self, tip: Oid, commit: Oid) -> bool {
        tip == commit
            || self.fresh().is_ok_and(|repository| {
                repository.graph_descendant_of(tip, commit).unwrap_or(false)
            })
    }

    /// Calls `look` with our commits before `tip`, newest first, until it answers no. Where the mirror has less than
    /// a hundred commits of history, more is fetched.
    pub(crate) fn our_commits(
        &self,
        tip: Oid,
        ours: &Identity,
        names: &[String],
        cancel: &CancellationToken,
        look: &mut dyn FnMut(&Repository, &Commit<'_>) -> Result<bool, git2::Error>,
    ) -> Result<(), GitError> {
        let [enough, ..] = DEEPER;
        let mut repository = self.fresh()?;
        let failed = |e: git2::Error| self.mirror.mirror_error("reading history", &e);
        let count = |repository: &Repository| -> Result<(i32, bool), git2::Error> {
            let shallow = boundary(repository);
            let (mut seen, mut cut) = (0, false);
            let mut walk = repository.revwalk()?;
            walk.push(tip)?;
            for id in walk.take(usize::try_from(enough).unwrap_or(0)) {
                seen += 1;
                cut |= shallow.contains(&id?);
            }
            Ok((seen, cut))
        };
        let (seen, cut) = count(&repository).map_err(failed)?;
        if seen < enough && cut && !names.is_empty() {
            self.deepen(names, enough, cancel)?;
            repository = self.fresh()?;
        }
        let mut walk = || -> Result<(), git2::Error> {
            let shallow = boundary(&repository);
            let mut walk = repository.revwalk()?;
            walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME)?;
            walk.push(tip)?;
            for id in walk.take(FAR) {
                let id = id?;
                if shallow.contains(&id) {
                    continue;
                }
                let commit = repository.find_commit(id)?;
                if made_by(&commit, ours) && !look(&repository, &commit)? {
                    break;
                }
            }
            Ok(())
        };
        walk().map_err(failed)
    }
}

/// How far back our own commits are looked for.
const FAR: usize = 5000;

enum Ahead {
    Known(Relation),
    TooShallow,
}

fn ahead(
    repository: &Repository,
    checkout: Oid,
    tip: Oid,
    ours: &[&Identity],
) -> Result<Ahead, git2::Error> {
    if tip == checkout {
        return Ok(Ahead::Known(Relation::Contained));
    }
    let shallow = boundary(repository);
    let mut walk = repository.revwalk()?;
    walk.set_sorting(Sort::TOPOLOGICAL)?;
    walk.push(tip)?;
    walk.hide(checkout)?;
    let mut oldest = None;
    for (n, id) in walk.enumerate() {
        let id = id?;
        let commit = repository.find_commit(id)?;
        if n >= LONGEST_BRANCH {
            return Ok(Ahead::Known(Relation::Others));
        }
        if !ours.iter().any(|ours| is_ours(&commit, ours)) {
            // Somebody's commit on the branch, or one of the checkout's past that the mirror lacks.
            return Ok(if shallow.is_empty() {
                Ahead::Known(Relation::Others)
            } else {
                Ahead::TooShallow
            });
        }
        if shallow.contains(&id) {
            return Ok(Ahead::TooShallow);
        }
        oldest = commit.parent_ids().next();
    }
    Ok(Ahead::Known(match oldest {
        None => Relation::Contained,
        Some(fork) => Relation::Ours { fork },
    }))
}

/// Commits whose parents the mirror lacks.
fn boundary(repository: &Repository) -> HashSet<Oid> {
    fs::read_to_string(repository.path().join("shallow"))
        .unwrap_or_default()
        .lines()
        .filter_map(|line| Oid::from_str(line.trim()).ok())
        .collect()
}

/// Whether a commit on a push branch may be replaced: we wrote it, and nobody amended it.
fn is_ours(commit: &Commit<'_>, ours: &Identity) -> bool {
    commit.parent_count() == 1 && ours.is(&commit.author()) && {
        let committer = commit.committer();
        ours.is(&committer) || committer.when() == commit.author().when()
    }
}

/// Whether a commit carries our changes: we wrote it, or a forge squashed our branch into it and names us.
fn made_by(commit: &Commit<'_>, ours: &Identity) -> bool {
    let email = ours.email();
    commit.author().email_bytes() == email.as_bytes()
        || commit.committer().email_bytes() == email.as_bytes()
        || commit.message_bytes().split(|&b| b == b'\n').any(|line| {
            let line = String::from_utf8_lossy(line).to_ascii_lowercase();
            line.starts_with("co-authored-by:")
                && line.contains(&format!("<{}>", email.to_ascii_lowercase()))
        })
}
