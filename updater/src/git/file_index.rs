//! Which files of a tree carry markers, which policies they follow, and with which choices they were last found
//! settled. Kept beside the mirror, so that a run costs what changed, not what the repository holds.
//!
//! Facts hang on blob ids, which name content, so they cannot go stale; lists of files hang on tree ids, and the list
//! of a new tree comes from the difference to one that is known. All of it is a cache.

use crate::PolicyName;
use crate::edit::Skip;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const FORMAT: u32 = 2;
/// How many trees' lists are kept: branches that several automations check out or push to.
const TREES: usize = 8;
const FILE: &str = "markers.json";

/// A file that carries markers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MarkedFile {
    pub(crate) path: String,
    pub(crate) executable: bool,
    /// Hex.
    pub(crate) blob: String,
}

impl MarkedFile {
    /// Facts depend on the content and on what the file's name says about its format.
    fn key(&self) -> String {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        let format = name
            .rsplit_once('.')
            .map_or(name, |(_, extension)| extension);
        format!("{} {format}", self.blob)
    }
}

/// What is known about one content.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// The policies its markers name.
    pub(crate) policies: Vec<PolicyName>,
    /// A hash of those policies' choices under which nothing is to be changed.
    settled: Option<u64>,
    /// What was skipped then.
    skipped: Vec<Skip>,
}

/// The files with markers of one tree.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct TreeFiles {
    tree: String,
    #[serde(
        serialize_with = "share::serialize",
        deserialize_with = "share::deserialize"
    )]
    files: Arc<Vec<MarkedFile>>,
}

/// serde for what is shared.
mod share {
    use super::{Arc, Deserialize, MarkedFile, Serialize};

    pub(super) fn serialize<S: serde::Serializer>(
        files: &Arc<Vec<MarkedFile>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        files.as_slice().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<Vec<MarkedFile>>, D::Error> {
        Vec::deserialize(deserializer).map(Arc::new)
    }
}

/// The index of one mirror.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct FileIndex {
    format: u32,
    editor: String,
    /// Most recently used first.
    trees: Vec<TreeFiles>,
    /// By content and format, then by how a run reads the file.
    facts: HashMap<String, BTreeMap<String, Facts>>,
    #[serde(skip)]
    changed: bool,
}

impl FileIndex {
    /// Reads the index beside a mirror; an empty one when there is none, or when another `editor` wrote it.
    pub(crate) fn load(directory: &Path, editor: &str) -> Self {
        let empty = || Self {
            format: FORMAT,
            editor: editor.to_owned(),
            ..Self::default()
        };
        let Ok(bytes) = fs::read(path(directory)) else {
            return empty();
        };
        match serde_json::from_slice::<Self>(&bytes) {
            Ok(index) if index.format == FORMAT && index.editor == editor => index,
            Ok(_) => empty(),
            Err(e) => {
                tracing::warn!(directory = %directory.display(), error = %e, "the marker index cannot be read; making it anew");
                empty()
            }
        }
    }

    /// Size and time of the index file: another process may write it.
    pub(crate) fn file_state(directory: &Path) -> Option<(u64, std::time::SystemTime)> {
        let meta = fs::metadata(path(directory)).ok()?;
        Some((meta.len(), meta.modified().ok()?))
    }

    pub(crate) fn is_for(&self, editor: &str) -> bool {
        self.format == FORMAT && self.editor == editor
    }

    /// Writes the index when it changed. It is a cache: an error is only told.
    pub(crate) fn save(&mut self, directory: &Path) {
        if !std::mem::take(&mut self.changed) {
            return;
        }
        self.forget_unused();
        let write = || -> io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(directory)?;
            let mut buffered = io::BufWriter::new(&mut file);
            serde_json::to_writer(&mut buffered, self)?;
            buffered.flush()?;
            drop(buffered);
            file.persist(path(directory))?;
            Ok(())
        };
        if let Err(e) = write() {
            tracing::warn!(directory = %directory.display(), error = %e, "the marker index cannot be kept; the next run reads all files again");
        }
    }

    fn forget_unused(&mut self) {
        let used: std::collections::HashSet<String> = self
            .trees
            .iter()
            .flat_map(|tree| tree.files.iter().map(MarkedFile::key))
            .collect();
        self.facts.retain(|key, _| used.contains(key));
    }

    /// The files of a tree, when they are known.
    pub(crate) fn files(&mut self, tree: &str) -> Option<Arc<Vec<MarkedFile>>> {
        let at = self.trees.iter().position(|known| known.tree == tree)?;
        if at > 0 {
            let known = self.trees.remove(at);
            self.trees.insert(0, known);
        }
        self.trees.first().map(|known| Arc::clone(&known.files))
    }

    /// Trees whose files are known, most recently used first.
    pub(crate) fn known_trees(&self) -> Vec<String> {
        self.trees.iter().map(|known| known.tree.clone()).collect()
    }

    /// Records the files of a tree.
    pub(crate) fn insert_tree(
        &mut self,
        tree: String,
        files: BTreeMap<String, MarkedFile>,
    ) -> Arc<Vec<MarkedFile>> {
        let files = Arc::new(files.into_values().collect::<Vec<_>>());
        self.trees.retain(|known| known.tree != tree);
        self.trees.insert(
            0,
            TreeFiles {
                tree,
                files: Arc::clone(&files),
            },
        );
        self.trees.truncate(TREES);
        self.changed = true;
        files
    }

    /// What is known of a file as a run reads it.
    pub(crate) fn facts(&self, file: &MarkedFile, reading: &str) -> Option<&Facts> {
        self.facts.get(&file.key())?.get(reading)
    }

    pub(crate) fn insert_facts(
        &mut self,
        file: &MarkedFile,
        reading: &str,
        policies: Vec<PolicyName>,
    ) {
        self.changed = true;
        let facts = Facts {
            policies,
            ..Facts::default()
        };
        self.facts
            .entry(file.key())
            .or_default()
            .insert(reading.to_owned(), facts);
    }

    /// What was skipped when the file was last found to need no change under these choices.
    pub(crate) fn settled(
        &self,
        file: &MarkedFile,
        reading: &str,
        choices: u64,
    ) -> Option<&[Skip]> {
        let facts = self.facts(file, reading)?;
        (facts.settled == Some(choices)).then_some(facts.skipped.as_slice())
    }

    /// Records that nothing is to be changed in the file under these choices.
    pub(crate) fn settle(
        &mut self,
        file: &MarkedFile,
        reading: &str,
        choices: u64,
        skipped: Vec<Skip>,
    ) {
        let known = self.facts.get_mut(&file.key());
        if let Some(facts) = known.and_then(|readings| readings.get_mut(reading)) {
            facts.settled = Some(choices);
            facts.skipped = skipped;
            self.changed = true;
        }
    }
}

fn path(directory: &Path) -> PathBuf {
    directory.join(FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, blob: char) -> MarkedFile {
        MarkedFile {
            path: path.to_owned(),
            executable: false,
            blob: blob.to_string().repeat(40),
        }
    }

    #[test]
    fn it_survives_on_disk_and_only_for_its_editor() {
        let directory = tempfile::tempdir().unwrap();
        let mut index = FileIndex::load(directory.path(), "markers 1");
        let a = file("a.yaml", 'a');
        index.insert_tree("t".to_owned(), [("a.yaml".to_owned(), a.clone())].into());
        index.insert_facts(&a, "r", vec![PolicyName::new("ns", "app")]);
        index.settle(&a, "r", 7, Vec::new());
        index.insert_facts(&file("gone.yaml", 'b'), "r", Vec::new());
        index.save(directory.path());

        let mut again = FileIndex::load(directory.path(), "markers 1");
        assert_eq!(again.files("t").unwrap()[0], a);
        assert!(again.settled(&a, "r", 7).is_some() && again.settled(&a, "r", 8).is_none());
        assert!(again.settled(&a, "otherwise", 7).is_none());
        assert!(again.facts(&file("gone.yaml", 'b'), "r").is_none());
        assert!(again.files("u").is_none());

        let mut other = FileIndex::load(directory.path(), "markers 2");
        assert!(other.files("t").is_none());
        fs::write(directory.path().join(FILE), b"{\"format\":2,").unwrap();
        assert!(
            FileIndex::load(directory.path(), "markers 1")
                .trees
                .is_empty()
        );
    }

    #[test]
    fn the_same_content_under_another_format_is_another_fact() {
        let mut index = FileIndex::default();
        index.insert_facts(&file("a.yaml", 'a'), "r", Vec::new());
        assert!(index.facts(&file("b/other.yaml", 'a'), "r").is_some());
        assert!(index.facts(&file("a.json", 'a'), "r").is_none());
    }
}
