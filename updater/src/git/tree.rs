//! Edits on a tree of the repository: which files, what they become, the new tree. No work tree, no index file.

use super::error::GitError;
use super::mirror::LockedMirror;
use crate::edit::{Change, FileEdit, Skip};
use git2::build::TreeUpdateBuilder;
use git2::{FileMode, ObjectType, Oid, TreeWalkMode, TreeWalkResult};
use std::fmt;
use std::sync::Arc;

/// `spec.update.path`: a directory or a file of the repository, or everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct UpdatePath(String);

/// A path that leaves the repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "update path {path:?} is not inside the repository: give a path relative to its root, without .."
)]
pub struct InvalidUpdatePath {
    /// The path given.
    pub path: String,
}

impl UpdatePath {
    /// Takes a path relative to the repository's root; `.`, `./` and the empty text mean all of it.
    ///
    /// # Errors
    /// [`InvalidUpdatePath`] for a path with `..` or a control character in it.
    pub fn new(path: &str) -> Result<Self, InvalidUpdatePath> {
        let mut parts = Vec::new();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    return Err(InvalidUpdatePath {
                        path: path.to_owned(),
                    });
                }
                part if part.chars().any(char::is_control) => {
                    return Err(InvalidUpdatePath {
                        path: path.to_owned(),
                    });
                }
                part => parts.push(part),
            }
        }
        Ok(Self(parts.join("/")))
    }

    /// Whether a file of the repository is this path or lies below it.
    #[must_use]
    pub fn contains(&self, file: &str) -> bool {
        self.0.is_empty()
            || file
                .strip_prefix(&self.0)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The path without `.` and doubled slashes; empty for the whole repository.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UpdatePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "." } else { &self.0 })
    }
}

/// A file that was changed, with both texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedFile {
    /// Path from the root of the repository.
    pub path: String,
    /// The values changed, in the file's order.
    pub changes: Vec<Change>,
    /// The bytes before.
    pub old: Arc<[u8]>,
    /// The bytes now.
    pub new: Arc<[u8]>,
}

/// A marker that was not followed, or a file that was left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedMarker {
    /// Path from the root of the repository.
    pub path: String,
    /// Where and why.
    pub skip: Skip,
}

/// What editing a tree came to.
#[derive(Debug, Default)]
pub(crate) struct Edits {
    pub(crate) files: Vec<ChangedFile>,
    pub(crate) skipped: Vec<SkippedMarker>,
}

/// Runs `edit` over the files of `tree` below `path` that `wanted` names, and builds the tree with their new texts.
pub(crate) fn edit_tree(
    mirror: &LockedMirror,
    tree: Oid,
    path: &UpdatePath,
    wanted: &dyn Fn(&str) -> bool,
    edit: &dyn Fn(&str, &[u8]) -> FileEdit,
) -> Result<(Oid, Edits), GitError> {
    let repository = &mirror.repository;
    let failed = |e: git2::Error| mirror.mirror.mirror_error("reading files", &e);
    let root = repository.find_tree(tree).map_err(failed)?;
    let mut candidates = Vec::new();
    root.walk(TreeWalkMode::PreOrder, |directory, entry| {
        let Ok(name) = entry.name() else {
            return TreeWalkResult::Skip;
        };
        let file = format!("{directory}{name}");
        if entry.kind() == Some(ObjectType::Blob)
            && matches!(entry.filemode(), 0o100_644 | 0o100_755 | 0o100_664)
            && path.contains(&file)
            && wanted(&file)
        {
            candidates.push((file, entry.id(), entry.filemode()));
        }
        TreeWalkResult::Ok
    })
    .map_err(failed)?;
    let mut edits = Edits::default();
    let mut builder = TreeUpdateBuilder::new();
    for (file, id, mode) in candidates {
        let blob = repository.find_blob(id).map_err(failed)?;
        let done = edit(&file, blob.content());
        edits
            .skipped
            .extend(done.skipped.into_iter().map(|skip| SkippedMarker {
                path: file.clone(),
                skip,
            }));
        let Some(text) = done.text else { continue };
        let new = repository.blob(&text).map_err(failed)?;
        let mode = if mode == 0o100_755 {
            FileMode::BlobExecutable
        } else {
            FileMode::Blob
        };
        builder.upsert(&*file, new, mode);
        edits.files.push(ChangedFile {
            path: file,
            changes: done.changes,
            old: blob.content().into(),
            new: text.into(),
        });
    }
    let new_tree = if edits.files.is_empty() {
        tree
    } else {
        builder.create_updated(repository, &root).map_err(failed)?
    };
    Ok((new_tree, edits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn update_paths_stay_inside() {
        for (given, normal) in [
            ("", ""),
            (".", ""),
            ("./", ""),
            ("/a//b/", "a/b"),
            ("./a/./b", "a/b"),
        ] {
            assert_eq!(UpdatePath::new(given).unwrap().as_str(), normal);
        }
        for given in ["..", "a/../..", "../a", "a/..", "a\0b"] {
            assert!(UpdatePath::new(given).is_err(), "{given:?}");
        }
        let path = UpdatePath::new("./apps").unwrap();
        assert!(path.contains("apps/x.yaml") && path.contains("apps"));
        assert!(!path.contains("apps2/x.yaml") && !path.contains("x/apps/y"));
    }
}
