//! One commit: who, when, which tree, signed or not.

use super::error::GitError;
use super::signing::Signer;
use git2::{Commit, Oid, Repository, Signature, Time};
use jiff::Timestamp;

/// A name and an e-mail address, as commits carry them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    name: String,
    email: String,
}

impl Identity {
    /// Takes a name, which may be empty, and an address. `<`, `>` and line breaks are left out, as Flux does:
    /// git uses them to divide the two.
    #[must_use]
    pub fn new(name: &str, email: &str) -> Self {
        let clean = |text: &str| {
            text.chars()
                .filter(|c| !matches!(c, '<' | '>') && !c.is_control())
                .collect::<String>()
                .trim()
                .to_owned()
        };
        Self {
            name: clean(name),
            email: clean(email),
        }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address.
    #[must_use]
    pub fn email(&self) -> &str {
        &self.email
    }

    /// Whether a commit's author or committer is this one.
    pub(crate) fn is(&self, signature: &Signature<'_>) -> bool {
        signature.email_bytes() == self.email.as_bytes()
            && signature.name_bytes() == self.shown_name().as_bytes()
    }

    /// libgit2 takes no empty name; git itself falls back to the address as well.
    fn shown_name(&self) -> &str {
        if self.name.is_empty() {
            &self.email
        } else {
            &self.name
        }
    }

    fn signature(&self, at: Timestamp) -> Result<Signature<'static>, git2::Error> {
        Signature::new(
            self.shown_name(),
            &self.email,
            &Time::new(at.as_second(), 0),
        )
    }
}

/// What a commit is made of besides its tree and parents.
pub(crate) struct CommitSpec<'a> {
    pub(crate) author: &'a Identity,
    pub(crate) committer: &'a Identity,
    pub(crate) at: Timestamp,
    pub(crate) message: &'a str,
    pub(crate) signer: Option<&'a Signer>,
}

/// Writes a commit object; no reference moves.
pub(crate) fn write_commit(
    repository: &Repository,
    tree: Oid,
    parent: &Commit<'_>,
    spec: &CommitSpec<'_>,
) -> Result<Result<Oid, GitError>, git2::Error> {
    let author = spec.author.signature(spec.at)?;
    let committer = spec.committer.signature(spec.at)?;
    let tree = repository.find_tree(tree)?;
    let buffer =
        repository.commit_create_buffer(&author, &committer, spec.message, &tree, &[parent])?;
    let Some(signer) = spec.signer else {
        let odb = repository.odb()?;
        return odb.write(git2::ObjectType::Commit, &buffer).map(Ok);
    };
    let signature = match signer.sign(&buffer) {
        Ok(signature) => signature,
        Err(e) => return Ok(Err(e.into())),
    };
    let text = String::from_utf8_lossy(&buffer);
    repository
        .commit_signed(&text, signature.trim_end(), None)
        .map(Ok)
}
