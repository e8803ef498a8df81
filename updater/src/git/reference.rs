//! What is checked out: a branch, a tag, the newest tag of a range, a reference by name, or a commit.

use super::error::GitError;
use std::fmt;

/// Flux's branch when a `GitRepository` names nothing.
pub const DEFAULT_BRANCH: &str = "master";

/// `GitRepository.spec.ref` as a user wrote it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReferenceFields {
    /// `branch`.
    pub branch: Option<String>,
    /// `tag`.
    pub tag: Option<String>,
    /// `semver`.
    pub semver: Option<String>,
    /// `name`.
    pub name: Option<String>,
    /// `commit`.
    pub commit: Option<String>,
}

/// What one run starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitReference {
    checkout: Checkout,
    /// The `branch` field: where changes go when no push branch is given.
    branch: Option<String>,
}

/// The field that decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Checkout {
    Branch(String),
    Tag(String),
    Semver(String),
    /// Full name, `refs/heads/x`, `refs/pull/1/head`.
    Name(String),
    Commit(CommitId),
}

/// The id of a commit, 40 lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitId(git2::Oid);

impl CommitId {
    /// Takes 40 hex digits.
    ///
    /// # Errors
    /// [`GitError::InvalidArgument`] for anything else.
    pub fn parse(text: &str) -> Result<Self, GitError> {
        let invalid = || GitError::InvalidArgument {
            what: "commit",
            given: text.chars().take(80).collect(),
            reason: "a commit id has 40 hex digits".to_owned(),
        };
        if text.len() != 40 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(invalid());
        }
        git2::Oid::from_str(text).map(Self).map_err(|_| invalid())
    }

    /// The first seven digits, as people cite it.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string().chars().take(7).collect()
    }

    pub(crate) const fn oid(self) -> git2::Oid {
        self.0
    }
}

impl From<git2::Oid> for CommitId {
    fn from(id: git2::Oid) -> Self {
        Self(id)
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl serde::Serialize for CommitId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for CommitId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl GitReference {
    /// A branch.
    ///
    /// # Errors
    /// [`GitError::InvalidArgument`] when git does not allow the name.
    pub fn branch(name: &str) -> Result<Self, GitError> {
        Self::from_fields(&ReferenceFields {
            branch: Some(name.to_owned()),
            ..ReferenceFields::default()
        })
    }

    /// What Flux's client checks out of these fields: commit before name before tag before semver before branch,
    /// and `master` when all are empty.
    ///
    /// # Errors
    /// [`GitError::InvalidArgument`] for a name that git does not allow.
    pub fn from_fields(fields: &ReferenceFields) -> Result<Self, GitError> {
        let given = |field: &Option<String>| field.clone().filter(|text| !text.is_empty());
        let branch = given(&fields.branch);
        if let Some(branch) = &branch {
            check_branch("branch", branch)?;
        }
        let checkout = if let Some(commit) = given(&fields.commit) {
            Checkout::Commit(CommitId::parse(&commit)?)
        } else if let Some(name) = given(&fields.name) {
            check_reference("reference name", &name)?;
            Checkout::Name(name)
        } else if let Some(tag) = given(&fields.tag) {
            check_reference("tag", &format!("refs/tags/{tag}"))?;
            Checkout::Tag(tag)
        } else if let Some(range) = given(&fields.semver) {
            Checkout::Semver(range)
        } else {
            Checkout::Branch(branch.clone().unwrap_or_else(|| DEFAULT_BRANCH.to_owned()))
        };
        Ok(Self { checkout, branch })
    }

    pub(crate) const fn checkout(&self) -> &Checkout {
        &self.checkout
    }

    /// The branch that is checked out, where it is one.
    #[must_use]
    pub fn checkout_branch(&self) -> Option<&str> {
        match &self.checkout {
            Checkout::Branch(branch) => Some(branch),
            Checkout::Name(name) => name.strip_prefix("refs/heads/"),
            _ => None,
        }
    }

    /// Where changes go when no push branch is given: Flux takes the `branch` field.
    #[must_use]
    pub fn inferred_push_branch(&self) -> Option<&str> {
        self.checkout_branch().or(self.branch.as_deref())
    }
}

impl fmt::Display for GitReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.checkout {
            Checkout::Branch(name) => write!(f, "branch {name:?}"),
            Checkout::Tag(name) => write!(f, "tag {name:?}"),
            Checkout::Semver(range) => write!(f, "tag in range {range:?}"),
            Checkout::Name(name) => write!(f, "reference {name:?}"),
            Checkout::Commit(id) => write!(f, "commit {id}"),
        }
    }
}

pub(crate) fn check_branch(what: &'static str, name: &str) -> Result<(), GitError> {
    if name.starts_with('-') || name == "HEAD" || name.starts_with("refs/") {
        return Err(GitError::InvalidArgument {
            what,
            given: name.chars().take(200).collect(),
            reason: "give the branch's short name, for example main".to_owned(),
        });
    }
    check_reference(what, &format!("refs/heads/{name}")).map_err(|_| GitError::InvalidArgument {
        what,
        given: name.chars().take(200).collect(),
        reason: "git does not allow this name".to_owned(),
    })
}

pub(crate) fn check_reference(what: &'static str, name: &str) -> Result<(), GitError> {
    if git2::Reference::is_valid_name(name) && name.starts_with("refs/") {
        return Ok(());
    }
    Err(GitError::InvalidArgument {
        what,
        given: name.chars().take(200).collect(),
        reason: "not a reference name that git allows (refs/heads/…)".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precedence_is_that_of_fluxs_client() {
        let some = |text: &str| Some(text.to_owned());
        let all = ReferenceFields {
            branch: some("main"),
            tag: some("v1"),
            semver: some("1.x"),
            name: some("refs/pull/1/head"),
            commit: some(&"a".repeat(40)),
        };
        let read = |fields: &ReferenceFields| GitReference::from_fields(fields).unwrap();
        let mut fields = all.clone();
        assert!(matches!(read(&fields).checkout(), Checkout::Commit(_)));
        fields.commit = some("");
        assert!(matches!(read(&fields).checkout(), Checkout::Name(_)));
        fields.name = None;
        assert!(matches!(read(&fields).checkout(), Checkout::Tag(_)));
        fields.tag = None;
        assert!(matches!(read(&fields).checkout(), Checkout::Semver(_)));
        fields.semver = None;
        assert_eq!(read(&fields).checkout_branch(), Some("main"));
        assert_eq!(
            read(&ReferenceFields::default()).checkout_branch(),
            Some("master")
        );
        assert_eq!(read(&all).inferred_push_branch(), Some("main"));
    }

    #[test]
    fn names_that_git_does_not_allow_are_refused() {
        for name in [
            "",
            "a b",
            "a..b",
            "-x",
            "x.lock",
            "refs/heads/x",
            "HEAD",
            "a~1",
            "@{",
            "x/",
        ] {
            assert!(check_branch("branch", name).is_err(), "{name:?}");
        }
        for name in ["main", "updates/app", "a.b", "release-1.2"] {
            assert!(check_branch("branch", name).is_ok(), "{name:?}");
        }
        assert!(CommitId::parse("abc").is_err());
        assert!(CommitId::parse(&"g".repeat(40)).is_err());
    }
}
