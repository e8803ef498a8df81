//! Edits on a tree of the repository: which files, what they become, the new tree. No work tree, no index file.
//!
//! Only regular files are read: symbolic links are not followed, submodules are not entered, and a Git LFS pointer is
//! a small file without markers.

use super::error::GitError;
use super::file_index::{FileIndex, MarkedFile};
use super::mirror::LockedMirror;
use crate::edit::{self, Change, EditOptions, MarkerMap, Skip};
use crate::publish::Editor;
use crate::{Choice, Choices, PolicyName};
use git2::build::TreeUpdateBuilder;
use git2::{DiffOptions, FileMode, ObjectType, Oid, Repository, TreeWalkMode, TreeWalkResult};
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash as _, Hasher as _};
use std::path::Path;
use std::sync::Arc;

/// Larger files are not manifests that people edit.
const LARGEST_FILE: usize = 16 << 20;

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
    pub(crate) executable: bool,
}

/// A marker that was not followed, or a file that was left alone.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SkippedMarker {
    /// Path from the root of the repository.
    pub path: String,
    /// Where and why.
    #[serde(flatten)]
    pub skip: Skip,
}

/// What editing a tree came to.
#[derive(Debug, Default)]
pub(crate) struct Edits {
    pub(crate) files: Vec<ChangedFile>,
    pub(crate) skipped: Vec<SkippedMarker>,
    /// How the files were read: as asked, with the maps of the tree.
    pub(crate) options: EditOptions,
    /// Files with markers below the path that was asked for, and the policies they name.
    pub(crate) marked: Vec<(String, Vec<PolicyName>)>,
}

/// The trees of one mirror, with the index of their markers.
pub(crate) struct Trees<'m> {
    mirror: &'m LockedMirror,
    editor: &'m dyn Editor,
    index: FileIndex,
}

impl<'m> Trees<'m> {
    pub(crate) fn open(mirror: &'m LockedMirror, editor: &'m dyn Editor) -> Self {
        let name = editor.name();
        let index = mirror
            .mirror
            .take_index()
            .filter(|index| index.is_for(&name))
            .unwrap_or_else(|| FileIndex::load(mirror.mirror.directory(), &name));
        Self {
            mirror,
            editor,
            index,
        }
    }

    /// Keeps the index for the next run.
    pub(crate) fn close(mut self) {
        self.index.save(self.mirror.mirror.directory());
        self.mirror.mirror.keep_index(self.index);
    }

    fn failed(&self, doing: &'static str) -> impl Fn(git2::Error) -> GitError + use<> {
        let mirror = self.mirror.mirror.clone();
        move |e| mirror.mirror_error(doing, &e)
    }

    /// Edits the files of `tree` for which `within` answers yes; nothing is written yet.
    pub(crate) fn edit(
        &mut self,
        tree: Oid,
        within: &dyn Fn(&str) -> bool,
        choices: &Choices,
        options: &EditOptions,
    ) -> Result<Edits, GitError> {
        let known = self.marked_files(tree)?;
        let mut edits = Edits {
            options: options.clone(),
            ..Edits::default()
        };
        let mapped = self.read_maps(tree, &known, within, &mut edits)?;
        let options = edits.options.clone();
        let candidates = known
            .iter()
            .filter(|file| !edit::is_marker_map(&file.path) && options.look_at(&file.path))
            .chain(&mapped);
        for file in candidates.filter(|file| within(&file.path)) {
            let reading = options.reading(&file.path);
            let mut text = None;
            let policies = if let Some(facts) = self.index.facts(file, &reading) {
                facts.policies.clone()
            } else {
                let read = text.insert(self.blob(&file.blob)?);
                let policies = self.editor.policies(&file.path, read, &options);
                self.index.insert_facts(file, &reading, policies.clone());
                policies
            };
            let relevant = hash(&policies, choices);
            edits.marked.push((file.path.clone(), policies));
            if let Some(skipped) = self.index.settled(file, &reading, relevant) {
                edits
                    .skipped
                    .extend(skipped.iter().cloned().map(|skip| SkippedMarker {
                        path: file.path.clone(),
                        skip,
                    }));
                continue;
            }
            let text = match text {
                Some(text) => text,
                None => self.blob(&file.blob)?,
            };
            let done = self.editor.edit(&file.path, &text, choices, &options);
            if let Some(new) = done.text {
                edits.files.push(ChangedFile {
                    path: file.path.clone(),
                    changes: done.changes,
                    old: text,
                    new: new.into(),
                    executable: file.executable,
                });
            } else {
                self.index
                    .settle(file, &reading, relevant, done.skipped.clone());
            }
            edits
                .skipped
                .extend(done.skipped.into_iter().map(|skip| SkippedMarker {
                    path: file.path.clone(),
                    skip,
                }));
        }
        Ok(edits)
    }

    /// Reads the `.tagline.yaml` files of a tree into the options; the files they name that are not known to hold
    /// markers of their own.
    fn read_maps(
        &self,
        tree: Oid,
        known: &[MarkedFile],
        within: &dyn Fn(&str) -> bool,
        edits: &mut Edits,
    ) -> Result<Vec<MarkedFile>, GitError> {
        let mut mapped = BTreeMap::new();
        for file in known.iter().filter(|file| edit::is_marker_map(&file.path)) {
            let text = self.blob(&file.blob)?;
            let map = match MarkerMap::parse(&file.path, &String::from_utf8_lossy(&text)) {
                Ok(map) => map,
                Err(e) => {
                    if within(&file.path) {
                        edits.skipped.push(SkippedMarker {
                            path: file.path.clone(),
                            skip: e.to_skip(),
                        });
                    }
                    continue;
                }
            };
            for path in map.files() {
                if known
                    .binary_search_by(|file| (*file.path).cmp(path))
                    .is_err()
                    && let Some(entry) = self.entry(tree, path)?
                {
                    mapped.insert(path.to_owned(), entry.into_marked());
                }
            }
            edits.options.maps.push(map);
        }
        Ok(mapped.into_values().collect())
    }

    /// A regular file of a tree that is not too large; none where there is no such file.
    fn entry(&self, tree: Oid, path: &str) -> Result<Option<Entry>, GitError> {
        let failed = self.failed("reading a file");
        let repository = &self.mirror.repository;
        let tree = repository.find_tree(tree).map_err(&failed)?;
        let Ok(entry) = tree.get_path(Path::new(path)) else {
            return Ok(None);
        };
        let small = || -> Result<bool, git2::Error> {
            let (size, _) = repository.odb()?.read_header(entry.id())?;
            Ok(size <= LARGEST_FILE)
        };
        if entry.kind() != Some(ObjectType::Blob) || !small().map_err(&failed)? {
            return Ok(None);
        }
        Ok(Entry::new(path.to_owned(), entry.id(), entry.filemode()))
    }

    fn blob(&self, id: &str) -> Result<Arc<[u8]>, GitError> {
        let read = || {
            let blob = self.mirror.repository.find_blob(Oid::from_str(id)?)?;
            Ok(Arc::from(blob.content()))
        };
        read().map_err(self.failed("reading a file"))
    }

    /// Writes the changed files and the trees above them; the new root.
    pub(crate) fn write(&self, tree: Oid, files: &[ChangedFile]) -> Result<Oid, GitError> {
        let repository = &self.mirror.repository;
        let write = || {
            let mut update = TreeUpdateBuilder::new();
            for file in files {
                let mode = if file.executable {
                    FileMode::BlobExecutable
                } else {
                    FileMode::Blob
                };
                update.upsert(&*file.path, repository.blob(&file.new)?, mode);
            }
            update.create_updated(repository, &repository.find_tree(tree)?)
        };
        write().map_err(self.failed("writing changed files"))
    }

    /// The files with markers of a tree: known, or by difference to a known tree, or by reading all of it.
    fn marked_files(&mut self, tree: Oid) -> Result<Arc<Vec<MarkedFile>>, GitError> {
        let name = tree.to_string();
        if let Some(files) = self.index.files(&name) {
            return Ok(files);
        }
        let mut known = None;
        for base in self.index.known_trees() {
            if let Some(differs) = self.difference(&base, tree) {
                known = self.index.files(&base).map(|files| (files, differs));
                break;
            }
        }
        let (mut files, changed) = match known {
            Some((files, differs)) => {
                let mut files: BTreeMap<String, MarkedFile> = files
                    .iter()
                    .map(|file| (file.path.clone(), file.clone()))
                    .collect();
                for path in &differs.gone {
                    files.remove(path);
                }
                (files, differs.changed)
            }
            None => (BTreeMap::new(), self.all_files(tree)?),
        };
        let mut seen: HashMap<Oid, bool> = HashMap::new();
        for entry in changed {
            let marked = match seen.get(&entry.blob) {
                Some(false) if !edit::is_marker_map(&entry.path) => false,
                _ => self.look_at(&entry)?,
            };
            seen.insert(entry.blob, marked);
            if marked {
                let file = entry.into_marked();
                files.insert(file.path.clone(), file);
            } else {
                files.remove(&entry.path);
            }
        }
        Ok(self.index.insert_tree(name, files))
    }

    /// Reads a file that is new to the index; whether it has markers.
    fn look_at(&self, entry: &Entry) -> Result<bool, GitError> {
        if !self.editor.may_look_at(&entry.path) {
            return Ok(false);
        }
        let failed = self.failed("reading a file");
        let odb = self.mirror.repository.odb().map_err(&failed)?;
        let object = odb.read(entry.blob).map_err(&failed)?;
        if !self.editor.may_edit(&entry.path, object.data()) {
            return Ok(false);
        }
        if object.len() > LARGEST_FILE {
            tracing::warn!(
                path = entry.path,
                bytes = object.len(),
                "file is too large to be edited; left alone"
            );
            return Ok(false);
        }
        Ok(true)
    }

    fn all_files(&self, tree: Oid) -> Result<Vec<Entry>, GitError> {
        let failed = self.failed("listing files");
        let root = self.mirror.repository.find_tree(tree).map_err(&failed)?;
        let mut all = Vec::new();
        root.walk(TreeWalkMode::PreOrder, |directory, entry| {
            if entry.kind() == Some(ObjectType::Blob)
                && let Ok(name) = entry.name()
            {
                all.extend(Entry::new(
                    format!("{directory}{name}"),
                    entry.id(),
                    entry.filemode(),
                ));
            }
            TreeWalkResult::Ok
        })
        .map_err(&failed)?;
        all.retain(|entry| self.editor.may_look_at(&entry.path));
        Ok(all)
    }

    /// What differs from a known tree; none when that tree is no longer in the mirror.
    fn difference(&self, base: &str, tree: Oid) -> Option<Differs> {
        let repository: &Repository = &self.mirror.repository;
        let base = repository.find_tree(Oid::from_str(base).ok()?).ok()?;
        let tree = repository.find_tree(tree).ok()?;
        let mut options = DiffOptions::new();
        options.skip_binary_check(true).include_typechange(true);
        let diff = repository
            .diff_tree_to_tree(Some(&base), Some(&tree), Some(&mut options))
            .ok()?;
        let mut differs = Differs::default();
        for delta in diff.deltas() {
            if let Some(path) = delta.old_file().path().and_then(|path| path.to_str()) {
                differs.gone.push(path.to_owned());
            }
            let new = delta.new_file();
            if let Some(path) = new.path().and_then(|path| path.to_str())
                && new.exists()
            {
                let mode = i32::from(new.mode());
                differs
                    .changed
                    .extend(Entry::new(path.to_owned(), new.id(), mode));
            }
        }
        Some(differs)
    }
}

#[derive(Default)]
struct Differs {
    gone: Vec<String>,
    changed: Vec<Entry>,
}

/// A regular file of a tree.
#[derive(Debug, Clone)]
struct Entry {
    path: String,
    blob: Oid,
    executable: bool,
}

impl Entry {
    /// None for anything but a regular file.
    fn new(path: String, blob: Oid, mode: i32) -> Option<Self> {
        match mode {
            0o100_644 | 0o100_664 => Some(false),
            0o100_755 => Some(true),
            _ => None,
        }
        .map(|executable| Self {
            path,
            blob,
            executable,
        })
    }

    fn into_marked(self) -> MarkedFile {
        MarkedFile {
            path: self.path,
            executable: self.executable,
            blob: self.blob.to_string(),
        }
    }
}

/// A hash of what these policies chose.
fn hash(policies: &[PolicyName], choices: &Choices) -> u64 {
    let mut hasher = DefaultHasher::new();
    for policy in policies {
        policy.hash(&mut hasher);
        match choices.get(policy) {
            Choice::Chosen(image) => (0_u8, image).hash(&mut hasher),
            Choice::Undecided => 1_u8.hash(&mut hasher),
            Choice::Unknown => 2_u8.hash(&mut hasher),
        }
    }
    hasher.finish()
}
