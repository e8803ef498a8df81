//! What kustomizations make of the images of their resources.
//!
//! A manifest in a base often names a placeholder (`image: app`), which an `images:` entry of an overlay replaces. What
//! is deployed is what all kustomizations on the way up have made of it; where several overlays share a base, each of
//! them deploys its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

/// Ways from one file up to roots that are looked at. Whoever has more has a loop of copies.
const MAX_WAYS: usize = 256;
/// Kustomizations on one way.
const MAX_DEPTH: usize = 64;
/// Kustomizations looked at on all ways together.
const MAX_VISITS: usize = 100_000;

/// An entry of `images:`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ImageEntry {
    pub(super) name: String,
    pub(super) new_name: Option<String>,
    pub(super) new_tag: Option<String>,
    pub(super) digest: Option<String>,
}

/// A kustomization: what it takes in, and its entries.
#[derive(Debug, Clone, Default)]
pub(super) struct Overlay {
    /// `resources` and `bases`.
    pub(super) resources: Vec<PathBuf>,
    pub(super) components: Vec<PathBuf>,
    pub(super) entries: Vec<ImageEntry>,
}

/// All kustomizations of a walk, by directory.
#[derive(Debug, Default)]
pub(super) struct Overlays {
    by_directory: BTreeMap<PathBuf, Overlay>,
}

/// The entries on the ways from files and kustomizations up to the roots, in the order in which they apply.
#[derive(Debug, Default)]
pub(super) struct Ways {
    of_file: BTreeMap<PathBuf, BTreeSet<Vec<ImageEntry>>>,
    /// Those above a kustomization's own.
    of_directory: BTreeMap<PathBuf, BTreeSet<Vec<ImageEntry>>>,
    visits: usize,
}

impl Overlays {
    /// Adds the kustomization of a directory.
    pub(super) fn add(&mut self, directory: &Path, overlay: Overlay) {
        let directory = normal(directory);
        let absolute = |paths: Vec<PathBuf>| -> Vec<PathBuf> {
            paths
                .into_iter()
                .map(|path| normal(&directory.join(path)))
                .collect()
        };
        let overlay = Overlay {
            resources: absolute(overlay.resources),
            components: absolute(overlay.components),
            entries: overlay.entries,
        };
        self.by_directory.insert(directory, overlay);
    }

    /// Which entries apply to what.
    pub(super) fn ways(&self) -> Ways {
        let taken_in: BTreeSet<&PathBuf> = self
            .by_directory
            .values()
            .flat_map(|overlay| overlay.resources.iter().chain(&overlay.components))
            .collect();
        let mut ways = Ways::default();
        for directory in self.by_directory.keys() {
            if !taken_in.contains(directory) {
                self.go_down(directory, &[], MAX_DEPTH, &mut ways);
            }
        }
        ways
    }

    fn go_down(&self, directory: &Path, above: &[ImageEntry], depth: usize, ways: &mut Ways) {
        let Some(overlay) = self.by_directory.get(directory) else {
            return;
        };
        ways.visits += 1;
        if depth == 0 || ways.visits > MAX_VISITS {
            return;
        }
        let of_directory = ways.of_directory.entry(directory.to_owned()).or_default();
        if of_directory.len() < MAX_WAYS {
            of_directory.insert(above.to_vec());
        }
        let mut own = Vec::new();
        for component in &overlay.components {
            if let Some(component) = self.by_directory.get(component) {
                own.extend(component.entries.iter().cloned());
            }
        }
        own.extend(overlay.entries.iter().cloned());
        own.extend_from_slice(above);
        for path in overlay.resources.iter().chain(&overlay.components) {
            if self.by_directory.contains_key(path) {
                self.go_down(path, &own, depth - 1, ways);
            } else {
                let of_file = ways.of_file.entry(path.clone()).or_default();
                if of_file.len() < MAX_WAYS {
                    of_file.insert(own.clone());
                }
            }
        }
    }
}

impl Ways {
    /// What becomes of an image of a file; the image itself where no kustomization takes the file in.
    pub(super) fn of_file(&self, file: &Path, image: &str) -> BTreeSet<String> {
        deployed(self.of_file.get(&normal(file)), image)
    }

    /// What becomes of an image that the kustomization of a directory names.
    pub(super) fn of_directory(&self, directory: &Path, image: &str) -> BTreeSet<String> {
        deployed(self.of_directory.get(&normal(directory)), image)
    }
}

fn deployed(ways: Option<&BTreeSet<Vec<ImageEntry>>>, image: &str) -> BTreeSet<String> {
    match ways {
        None => BTreeSet::from([image.to_owned()]),
        Some(ways) => ways
            .iter()
            .map(|entries| {
                entries
                    .iter()
                    .fold(image.to_owned(), |image, entry| entry.apply(&image))
            })
            .collect(),
    }
}

impl ImageEntry {
    /// What becomes of an image, as kustomize does it: names are compared as they are written.
    pub(super) fn apply(&self, image: &str) -> String {
        let (rest, digest) = match image.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (image, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            // A colon before a slash is a port's.
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if name != self.name {
            return image.to_owned();
        }
        let (tag, digest) = match (&self.new_tag, &self.digest) {
            (None, None) => (tag, digest),
            (new_tag, new_digest) => (new_tag.as_deref(), new_digest.as_deref()),
        };
        let mut text = self.new_name.as_deref().unwrap_or(name).to_owned();
        for (sign, part) in [(':', tag), ('@', digest)] {
            if let Some(part) = part.filter(|part| !part.is_empty()) {
                text.push(sign);
                text.push_str(part);
            }
        }
        text
    }
}

/// Without `.` and `..`, as far as that can be told by the path alone.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(normal.components().next_back(), Some(Component::Normal(_))) =>
            {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(
        name: &str,
        new_name: Option<&str>,
        new_tag: Option<&str>,
        digest: Option<&str>,
    ) -> ImageEntry {
        ImageEntry {
            name: name.to_owned(),
            new_name: new_name.map(str::to_owned),
            new_tag: new_tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        }
    }

    #[test]
    fn replaces_as_kustomize_does() {
        let renamed = entry("app", Some("r.io/app"), Some("v2"), None);
        for (image, expected) in [
            ("app", "r.io/app:v2"),
            ("app:v1", "r.io/app:v2"),
            ("app@sha256:1", "r.io/app:v2"),
            ("app:v1@sha256:1", "r.io/app:v2"),
            ("apps", "apps"),
            ("library/app", "library/app"),
            ("docker.io/library/app:v1", "docker.io/library/app:v1"),
        ] {
            assert_eq!(renamed.apply(image), expected);
        }
        let port = entry("r.io:5000/app", None, None, Some("sha256:2"));
        assert_eq!(port.apply("r.io:5000/app:v1"), "r.io:5000/app@sha256:2");
        assert_eq!(port.apply("r.io:5000/app"), "r.io:5000/app@sha256:2");
        let name_only = entry("app", Some("r.io/app"), None, None);
        assert_eq!(name_only.apply("app:v1"), "r.io/app:v1");
    }

    #[test]
    fn loops_and_copies_end() {
        let mut overlays = Overlays::default();
        for level in 0..30 {
            let next = PathBuf::from(format!("../{}", level + 1));
            let overlay = Overlay {
                // Twice each time: 2^30 ways.
                resources: vec![next.clone(), next],
                ..Overlay::default()
            };
            overlays.add(Path::new(&level.to_string()), overlay);
        }
        let in_a_circle = Overlay {
            resources: vec!["../x".into(), "../y".into(), "file.yaml".into()],
            ..Overlay::default()
        };
        for name in ["x", "y", "root"] {
            overlays.add(Path::new(name), in_a_circle.clone());
        }
        let ways = overlays.ways();
        assert_eq!(ways.of_file(Path::new("x/file.yaml"), "app").len(), 1);
    }
}
