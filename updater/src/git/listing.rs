//! The references a remote listed, and which of them a [`GitReference`] means.

use super::error::GitError;
use super::reference::{Checkout, GitReference};
use super::transport::shown;
use git2::Oid;
use std::collections::BTreeMap;
use tagline_policy::{Range, Version};

/// How many names an error cites.
const CITED: usize = 20;

/// What the remote has.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    ids: BTreeMap<String, Oid>,
    default_branch: Option<String>,
}

/// What a [`GitReference`] means at this remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The object; a tag object for annotated tags.
    pub(crate) id: Oid,
    /// Full name; none for a bare commit.
    pub(crate) name: Option<String>,
}

impl Listing {
    pub(crate) fn new(heads: &[git2::RemoteHead<'_>]) -> Self {
        let mut listing = Self::default();
        let mut head_id = None;
        for head in heads {
            if head.name() == "HEAD" {
                head_id = Some(head.oid());
                listing.default_branch = head
                    .symref_target()
                    .and_then(|target| target.strip_prefix("refs/heads/"))
                    .map(str::to_owned);
            } else if !head.name().ends_with("^{}") {
                listing.ids.insert(head.name().to_owned(), head.oid());
            }
        }
        if listing.default_branch.is_none() {
            // libgit2's local transport and old servers do not say: the usual names at HEAD's commit.
            listing.default_branch = ["main", "master"]
                .into_iter()
                .find(|name| {
                    head_id.is_some()
                        && listing.ids.get(&format!("refs/heads/{name}")) == head_id.as_ref()
                })
                .map(str::to_owned);
        }
        listing
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub(crate) fn default_branch(&self) -> Option<&str> {
        self.default_branch.as_deref()
    }

    /// Where a reference of this full name is.
    pub(crate) fn id(&self, name: &str) -> Option<Oid> {
        self.ids.get(name).copied()
    }

    /// Finds what is to be checked out. `remote` is the address, for errors.
    pub(crate) fn resolve(
        &self,
        reference: &GitReference,
        remote: &str,
    ) -> Result<Wanted, GitError> {
        if self.is_empty() {
            return Err(GitError::EmptyRepository {
                remote: remote.to_owned(),
            });
        }
        let named = |name: String, prefix: &str| match self.id(&name) {
            Some(id) => Ok(Wanted {
                id,
                name: Some(name),
            }),
            None => Err(GitError::ReferenceNotFound {
                remote: remote.to_owned(),
                wanted: reference.to_string(),
                existing: self.names(prefix),
            }),
        };
        match reference.checkout() {
            Checkout::Branch(branch) => named(format!("refs/heads/{branch}"), "refs/heads/"),
            Checkout::Tag(tag) => named(format!("refs/tags/{tag}"), "refs/tags/"),
            Checkout::Name(name) => named(name.clone(), "refs/"),
            Checkout::Commit(id) => Ok(Wanted {
                id: id.oid(),
                name: None,
            }),
            Checkout::Semver(range) => {
                let newest = self.newest(range)?;
                newest.map_or_else(
                    || {
                        Err(GitError::ReferenceNotFound {
                            remote: remote.to_owned(),
                            wanted: reference.to_string(),
                            existing: self.names("refs/tags/"),
                        })
                    },
                    |name| named(name, "refs/tags/"),
                )
            }
        }
    }

    /// The tag with the newest version in the range; of equal versions (`v1.0.0`, `1.0.0`) the last by name.
    fn newest(&self, range: &str) -> Result<Option<String>, GitError> {
        let range = Range::parse(range).map_err(|e| GitError::InvalidArgument {
            what: "semver range",
            given: shown(range, 200),
            reason: e.to_string(),
        })?;
        let mut newest: Option<(Version<'_>, &String)> = None;
        for name in self.ids.keys() {
            let Some(tag) = name.strip_prefix("refs/tags/") else {
                continue;
            };
            let Ok(version) = Version::parse_tag(tag) else {
                continue;
            };
            if range.contains(&version) && newest.as_ref().is_none_or(|(best, _)| version >= *best)
            {
                newest = Some((version, name));
            }
        }
        Ok(newest.map(|(_, name)| name.clone()))
    }

    /// The first names below `prefix`, for errors.
    pub(crate) fn names(&self, prefix: &str) -> Vec<String> {
        self.ids
            .keys()
            .filter_map(|name| name.strip_prefix(prefix))
            .map(|name| shown(name, 100))
            .take(CITED)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::ReferenceFields;

    fn listing(names: &[&str]) -> Listing {
        let id = |n: usize| Oid::from_str(&format!("{n:040x}")).unwrap();
        Listing {
            ids: names
                .iter()
                .enumerate()
                .map(|(n, name)| ((*name).to_owned(), id(n + 1)))
                .collect(),
            default_branch: None,
        }
    }

    fn semver(range: &str) -> GitReference {
        GitReference::from_fields(&ReferenceFields {
            semver: Some(range.to_owned()),
            ..ReferenceFields::default()
        })
        .unwrap()
    }

    #[test]
    fn a_range_takes_the_newest_tag_in_it() {
        let tags = listing(&[
            "refs/heads/9.9.9",
            "refs/tags/v1.2.0",
            "refs/tags/1.10.0",
            "refs/tags/1.11.0-rc1",
            "refs/tags/2.0.0",
            "refs/tags/latest",
        ]);
        let name = |range: &str| tags.resolve(&semver(range), "r").map(|w| w.name.unwrap());
        assert_eq!(name("1.x").unwrap(), "refs/tags/1.10.0");
        assert_eq!(name(">=1.11.0-0 <2").unwrap(), "refs/tags/1.11.0-rc1");
        assert_eq!(name("*").unwrap(), "refs/tags/2.0.0");
        assert_eq!(name(">3").unwrap_err().reason(), "ReferenceNotFound");
        assert_eq!(name("no range").unwrap_err().reason(), "InvalidArgument");
    }

    #[test]
    fn a_missing_branch_names_those_that_exist() {
        let branches = listing(&["refs/heads/develop", "refs/heads/main", "refs/tags/x"]);
        let error = branches
            .resolve(&GitReference::branch("master").unwrap(), "https://h/x")
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "https://h/x has no branch \"master\"; it has: develop, main"
        );
        let empty = Listing::default()
            .resolve(&GitReference::branch("main").unwrap(), "https://h/x")
            .unwrap_err();
        assert_eq!(empty.reason(), "EmptyRepository");
    }
}
