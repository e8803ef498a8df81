//! Walks over manifest files and directories, and collects the images they name.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use tagline_policy::ImageName;

use super::error::DiscoveryError;
use super::image_text::ImageText;
use super::overlays::Overlays;
use super::yaml::{self, Node};
use super::{ImageFilter, helm, kustomization, workload};

/// No manifest is larger.
const MAX_FILE: u64 = 32 << 20;
/// No file holds more objects, lists in lists counted out.
const MAX_OBJECTS: usize = 200_000;
/// No directory is deeper.
const MAX_DEPTH: usize = 64;

/// Where something stands. Displays as `file:line:column`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file, as it was reached from the path given.
    pub file: Arc<Path>,
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// An image that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundImage {
    /// The image.
    pub image: ImageText,
    /// Whose image it is: `namespace:kind/name`, as Flux v1 writes workloads, or the file's kind.
    pub workload: String,
    /// The container, the alias or the key of the values; empty where there is none.
    pub container: String,
    /// Where it stands.
    pub place: Place,
}

/// What a walk over manifests found.
#[derive(Debug, Clone, Default)]
pub struct Discovered {
    /// Images, in the order of files and lines.
    pub images: Vec<FoundImage>,
    /// What could not be read, each with its place.
    pub errors: Vec<DiscoveryError>,
    /// Files that were read.
    pub files: usize,
    /// Objects of any kind that were looked at.
    pub objects: usize,
}

impl Discovered {
    /// Each image repository once, with the places that name it, under a filter.
    #[must_use]
    pub fn repositories(&self, filter: &ImageFilter) -> BTreeMap<ImageName, Vec<&FoundImage>> {
        let mut repositories: BTreeMap<ImageName, Vec<&FoundImage>> = BTreeMap::new();
        for found in &self.images {
            match repositories.get_mut(&found.image.image) {
                Some(places) => places.push(found),
                None if filter.allows(&found.image.image) => {
                    repositories.insert(found.image.image.clone(), vec![found]);
                }
                None => {}
            }
        }
        repositories
    }
}

/// The images named in files and, recursively, in directories (`*.yaml`, `*.yml`, `*.json`).
///
/// Hidden directories and links to directories are passed over; of a Helm chart only its values files are
/// read, because its templates are not YAML. What kustomizations among them make of the images of their resources is
/// what counts: `image: app` in a base is no image where an overlay says what it is. Blocks on the disk.
#[must_use]
pub fn images_in_manifests<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Discovered {
    let mut walk = Walk::default();
    for path in paths {
        let path = path.as_ref();
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => walk.directory(path, MAX_DEPTH),
            Ok(_) => walk.read_file(path),
            Err(error) => walk.unreadable(path, error),
        }
    }
    walk.end()
}

/// The images named in a text, for example from standard input; `name` stands for the file.
#[must_use]
pub fn images_in_text(name: &Path, text: &str) -> Discovered {
    let mut walk = Walk::default();
    walk.read_text(name, text);
    walk.end()
}

/// A walk under way.
#[derive(Default)]
struct Walk {
    discovered: Discovered,
    /// Images as they are written, before kustomizations have had their say.
    written: Vec<WrittenImage>,
    overlays: Overlays,
}

struct WrittenImage {
    text: String,
    workload: String,
    container: String,
    place: Place,
    /// It stands in the `images:` of kustomize's own kind.
    is_entry: bool,
}

impl Walk {
    /// Says which images there are in the end.
    fn end(mut self) -> Discovered {
        let ways = self.overlays.ways();
        for written in self.written {
            let file = &written.place.file;
            let texts = if written.is_entry {
                let directory = file.parent().unwrap_or(Path::new(""));
                ways.of_directory(directory, &written.text)
            } else {
                ways.of_file(file, &written.text)
            };
            for text in texts {
                match ImageText::parse(&text) {
                    Ok(image) => self.discovered.images.push(FoundImage {
                        image,
                        workload: written.workload.clone(),
                        container: written.container.clone(),
                        place: written.place.clone(),
                    }),
                    Err(source) => self.discovered.errors.push(DiscoveryError::Image {
                        place: written.place.clone(),
                        source,
                    }),
                }
            }
        }
        self.discovered
    }

    fn directory(&mut self, directory: &Path, depth: usize) {
        let mut entries = match read_sorted(directory) {
            Ok(entries) => entries,
            Err(error) => return self.unreadable(directory, error),
        };
        let is_chart = entries.iter().any(|(name, _)| name == "Chart.yaml");
        if is_chart {
            entries.retain(|(name, is_directory)| !is_directory && is_values_file(name));
        }
        for (name, is_directory) in entries {
            let path = directory.join(&name);
            if !is_directory {
                if is_manifest(&name) {
                    self.read_file(&path);
                }
            } else if !name.starts_with('.') && depth > 0 {
                self.directory(&path, depth - 1);
            }
        }
    }

    fn unreadable(&mut self, path: &Path, error: io::Error) {
        self.discovered.errors.push(DiscoveryError::Read {
            path: path.to_owned(),
            source: Arc::new(error),
        });
    }

    fn read_file(&mut self, path: &Path) {
        let mut text = String::new();
        let read =
            File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text));
        match read {
            Ok(_) if text.len() as u64 > MAX_FILE => {
                self.discovered.errors.push(DiscoveryError::TooLarge {
                    path: path.to_owned(),
                    limit: MAX_FILE,
                });
            }
            Ok(_) => self.read_text(path, &text),
            Err(error) => self.unreadable(path, error),
        }
    }

    fn read_text(&mut self, path: &Path, text: &str) {
        self.discovered.files += 1;
        let file: Arc<Path> = path.into();
        let (documents, broken) = yaml::documents(text);
        let mut reading = ReadingFile {
            walk: self,
            file: Arc::clone(&file),
            objects: 0,
        };
        for document in &documents {
            reading.object(document);
        }
        if reading.objects > MAX_OBJECTS {
            let place = reading.place(documents.first().map_or((1, 1), |d| (d.line, d.column)));
            self.discovered.errors.push(DiscoveryError::TooMany {
                place,
                limit: MAX_OBJECTS,
            });
        }
        if let Some(broken) = broken {
            self.discovered.errors.push(DiscoveryError::Syntax {
                place: Place {
                    file,
                    line: broken.line,
                    column: broken.column,
                },
                message: broken.message,
            });
        }
    }
}

/// A file while its objects are looked at.
struct ReadingFile<'w> {
    walk: &'w mut Walk,
    file: Arc<Path>,
    objects: usize,
}

impl ReadingFile<'_> {
    fn object(&mut self, object: &Node<'_>) {
        self.objects += 1;
        if self.objects > MAX_OBJECTS || object.pairs().is_empty() {
            return;
        }
        self.walk.discovered.objects += 1;
        let file_name = self.file.file_name().unwrap_or_default().to_string_lossy();
        let kind = object.get("kind").and_then(Node::text);
        match kind {
            None if is_kustomization(&file_name) => self.overlay(object, "Kustomization"),
            None if is_values_file(&file_name) => {
                for image in helm::images_of_values(object) {
                    self.add(&image.text, "HelmValues", &image.container, image.place);
                }
            }
            None => {}
            Some("HelmRelease") => {
                let workload = workload_name(object, "helmrelease");
                for image in helm::images_of_release(object) {
                    self.add(&image.text, &workload, &image.container, image.place);
                }
            }
            Some("Kustomization" | "Component") => {
                let workload = match object.at(&["metadata", "name"]) {
                    Some(_) => workload_name(object, "kustomization"),
                    None => "Kustomization".to_owned(),
                };
                if is_kustomization(&file_name) {
                    self.overlay(object, &workload);
                } else {
                    self.kustomization(object, &workload, false);
                }
            }
            Some(kind) => {
                if kind.ends_with("List")
                    && let Some(items) = object.get("items")
                {
                    for item in items.items() {
                        self.object(item);
                    }
                    return;
                }
                let workload = workload_name(object, &kind.to_ascii_lowercase());
                for found in workload::images(object, kind) {
                    if let Some(text) = found.image.text() {
                        self.add(text, &workload, found.container, found.image);
                    }
                }
            }
        }
    }

    /// Kustomize's own kind, in its own file.
    fn overlay(&mut self, object: &Node<'_>, workload: &str) {
        let directory = self.file.parent().unwrap_or(Path::new(""));
        let overlay = kustomization::overlay(object);
        self.walk.overlays.add(directory, overlay);
        self.kustomization(object, workload, true);
    }

    fn kustomization(&mut self, object: &Node<'_>, workload: &str, is_entry: bool) {
        for entry in kustomization::images(object) {
            self.add_written(&entry.text, workload, entry.name, entry.place, is_entry);
        }
    }

    fn add(&mut self, text: &str, workload: &str, container: &str, node: &Node<'_>) {
        self.add_written(text, workload, container, node, false);
    }

    fn add_written(
        &mut self,
        text: &str,
        workload: &str,
        container: &str,
        node: &Node<'_>,
        is_entry: bool,
    ) {
        let place = self.place((node.line, node.column));
        self.walk.written.push(WrittenImage {
            text: text.to_owned(),
            workload: workload.to_owned(),
            container: container.to_owned(),
            place,
            is_entry,
        });
    }

    fn place(&self, (line, column): (usize, usize)) -> Place {
        Place {
            file: Arc::clone(&self.file),
            line,
            column,
        }
    }
}

fn workload_name(object: &Node<'_>, kind: &str) -> String {
    let field = |name| object.at(&["metadata", name]).and_then(Node::text);
    let name = field("name").or(field("generateName")).unwrap_or_default();
    match field("namespace") {
        Some(namespace) => format!("{namespace}:{kind}/{name}"),
        None => format!("{kind}/{name}"),
    }
}

fn is_manifest(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    matches!(extension, Some("yaml" | "yml" | "json")) || name == "Kustomization"
}

fn is_kustomization(name: &str) -> bool {
    matches!(
        name,
        "kustomization.yaml" | "kustomization.yml" | "Kustomization"
    )
}

/// `values.yaml`, `values-prod.yaml`, `prod-values.yml`, `values.prod.yaml`.
fn is_values_file(name: &str) -> bool {
    let Some(stem) = name.strip_suffix(".yaml").or(name.strip_suffix(".yml")) else {
        return false;
    };
    stem.split(['-', '_', '.']).any(|part| part == "values")
}

/// Names and whether they are directories, by name, so that every run reads in the same order.
fn read_sorted(directory: &Path) -> io::Result<Vec<(String, bool)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let kind = entry.file_type()?;
        let is_directory = kind.is_dir();
        let is_file = kind.is_file()
            || kind.is_symlink() && fs::metadata(entry.path()).is_ok_and(|target| target.is_file());
        if is_directory || is_file {
            entries.push((name, is_directory));
        }
    }
    entries.sort_unstable();
    Ok(entries)
}
