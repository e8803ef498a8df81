//! `git.push.refspec`: the commit goes to a second place, for example `refs/heads/main:refs/for/main` for Gerrit.

use crate::git::{Fetched, GitError, RefUpdate, check_reference};
use git2::Oid;

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

    /// The update for a commit that goes to `branch`.
    pub(super) fn update(
        &self,
        branch: &str,
        commit: Oid,
        fetched: &Fetched,
    ) -> Result<RefUpdate, GitError> {
        let full = format!("refs/heads/{branch}");
        let new = if self.source == "HEAD" || self.source == full {
            commit
        } else if Some(&self.source) == fetched.checkout_name.as_ref() {
            fetched.checkout
        } else {
            return Err(GitError::InvalidArgument {
                what: "refspec",
                given: self.text.clone(),
                reason: format!("its source is neither HEAD nor {full}, the branch that is pushed"),
            });
        };
        Ok(RefUpdate {
            name: self.destination.clone(),
            expected: fetched.listing.id(&self.destination),
            new,
            force: self.force,
        })
    }
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
