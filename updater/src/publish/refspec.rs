//! `git.push.refspec`: the commit goes to a second place, for example `refs/heads/main:refs/for/main` for Gerrit.

use crate::git::{
    CancellationToken, Fetched, GitError, LockedMirror, PushFailure, RefUpdate, check_reference,
};
use git2::Oid;
use sha2::{Digest as _, Sha256};

/// `[+]source:destination`, both full names; `HEAD` stands for the commit that is pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refspec {
    source: String,
    destination: String,
    force: bool,
    text: String,
}

impl Refspec {
    /// Reads a refspec.
    pub(super) fn parse(text: &str) -> Result<Self, GitError> {
        let invalid = |reason: &str| GitError::InvalidArgument {
            what: "refspec",
            given: text.chars().take(300).collect(),
            reason: reason.to_owned(),
        };
        let (force, rest) = match text.strip_prefix('+') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let mut parts = rest.split(':');
        let (Some(source), Some(destination), None) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(invalid("it must be source:destination"));
        };
        if source.is_empty() {
            return Err(invalid("an empty source would delete the destination"));
        }
        if text.contains('*') {
            return Err(invalid(
                "wildcards are not supported: there is one commit to push",
            ));
        }
        if source != "HEAD" {
            check_reference("refspec", source).map_err(|_| {
                invalid("the source must be HEAD or a full name such as refs/heads/main")
            })?;
        }
        check_reference("refspec", destination)
            .map_err(|_| invalid("the destination must be a full name such as refs/heads/main"))?;
        Ok(Self {
            source: source.to_owned(),
            destination: destination.to_owned(),
            force,
            text: text.to_owned(),
        })
    }

    /// Whether there is a commit for it when `branch` is pushed.
    pub(super) fn check_source(&self, branch: &str, fetched: &Fetched) -> Result<(), GitError> {
        let full = format!("refs/heads/{branch}");
        if self.source == "HEAD"
            || self.source == full
            || Some(&self.source) == fetched.checkout_name.as_ref()
        {
            return Ok(());
        }
        Err(GitError::InvalidArgument {
            what: "refspec",
            given: self.text.clone(),
            reason: format!("its source is neither HEAD nor {full}, the branch that is pushed"),
        })
    }

    /// Pushes to the destination what `branch` has been pushed to; its name, unless that is the branch itself.
    ///
    /// Flux forces it together with a push branch, so that it can follow one that is made anew; what is checked out
    /// is never forced.
    pub(super) fn push(
        &self,
        mirror: &LockedMirror,
        fetched: &Fetched,
        (branch, commit): (&str, Oid),
        force: bool,
        options: &[String],
        cancel: &CancellationToken,
    ) -> Result<Option<String>, GitError> {
        self.check_source(branch, fetched)?;
        let full = format!("refs/heads/{branch}");
        let new = if self.source == "HEAD" || self.source == full {
            commit
        } else {
            fetched.checkout
        };
        let there = fetched.listing.id(&self.destination);
        if self.destination == full || there == Some(new) {
            self.paid(mirror, branch);
            return Ok(None);
        }
        let is_checkout = fetched.checkout_name.as_deref() == Some(&*self.destination);
        let update = RefUpdate {
            name: self.destination.clone(),
            expected: there,
            new,
            force: !is_checkout && (force || self.force),
        };
        let pushed = mirror
            .push(&[update], options, cancel)
            .take(&self.destination);
        match pushed {
            Ok(()) => {}
            Err(PushFailure::Failed(e)) if has_it_already(&e) => {}
            Err(PushFailure::Failed(e) | PushFailure::Unknown(e)) => return Err(e),
            Err(PushFailure::Outrun) => {
                return Err(GitError::Outrun {
                    remote: mirror.mirror.remote().url().to_string(),
                    branch: self.destination.clone(),
                    tries: 1,
                });
            }
        }
        self.paid(mirror, branch);
        Ok(Some(self.destination.clone()))
    }

    /// Remembers that the destination is to get this commit, until it has it: nothing at the remote says so for
    /// destinations such as Gerrit's `refs/for/main`.
    pub(super) fn owe(&self, mirror: &LockedMirror, branch: &str, commit: Oid) {
        let name = self.memory(branch);
        if let Err(e) = mirror.repository.reference(&name, commit, true, "owed") {
            tracing::debug!(
                name,
                error = e.message(),
                "the refspec's push is not remembered"
            );
        }
    }

    /// The destination has it.
    pub(super) fn paid(&self, mirror: &LockedMirror, branch: &str) {
        if let Ok(mut reference) = mirror.repository.find_reference(&self.memory(branch)) {
            // What cannot be removed is pushed once too often.
            let _ = reference.delete();
        }
    }

    /// Whether the destination lacks what the branch, which is at `tip`, was pushed with.
    pub(super) fn is_owed(&self, mirror: &LockedMirror, branch: &str, tip: Oid) -> bool {
        let owed = mirror
            .repository
            .refname_to_id(&self.memory(branch))
            .is_ok_and(|owed| mirror.contains(tip, owed));
        if !owed {
            self.paid(mirror, branch);
        }
        owed
    }

    fn memory(&self, branch: &str) -> String {
        use std::fmt::Write as _;
        let mut name = String::from("refs/tagline/owed/");
        for byte in Sha256::digest(format!("{branch}\n{}", self.text))
            .iter()
            .take(16)
        {
            // Writing to a String cannot fail.
            let _ = write!(name, "{byte:02x}");
        }
        name
    }
}

/// Gerrit refuses a commit that it has.
fn has_it_already(e: &GitError) -> bool {
    matches!(e, GitError::Refused { status, .. } if status.contains("no new changes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_names_are_taken() {
        for text in [
            "HEAD:refs/for/main",
            "refs/heads/a:refs/heads/b",
            "+refs/heads/a:refs/x/b",
        ] {
            assert!(Refspec::parse(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "main",
            "main:main",
            ":refs/heads/main",
            "refs/heads/*:refs/heads/*",
            "refs/heads/a:refs/heads/b:c",
            "refs/heads/a:",
            "refs/heads/a:main",
        ] {
            let e = Refspec::parse(text).unwrap_err();
            assert_eq!(e.reason(), "InvalidArgument", "{text}");
        }
    }
}
