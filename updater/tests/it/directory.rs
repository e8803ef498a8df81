//! Updating a work directory without git.

use std::fs;
use std::path::Path;
use tagline_policy::{ImageReference, Tag};
use tagline_updater::directory::{DirectoryOptions, DirectoryUpdate, update};
use tagline_updater::{Choices, PolicyName, SourceIgnore};

const MARKED: &str = "image: app:1.0.0 # {\"$imagepolicy\": \"apps:app\"}\n";
const UPDATED: &str = "image: app:1.1.0 # {\"$imagepolicy\": \"apps:app\"}\n";

fn choices() -> Choices {
    let image = ImageReference {
        name: "app".to_owned(),
        tag: Tag::new("1.1.0").unwrap(),
        digest: None,
    };
    Choices::from_iter([(PolicyName::new("apps", "app"), image)])
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn read(root: &Path, path: &str) -> String {
    fs::read_to_string(root.join(path)).unwrap()
}

fn run(root: &Path, options: &DirectoryOptions) -> DirectoryUpdate {
    update(root, &choices(), options).unwrap()
}

fn paths(update: &DirectoryUpdate) -> Vec<&str> {
    update.files.iter().map(|file| file.path.as_str()).collect()
}

#[test]
fn updates_the_marked_files_in_the_order_of_their_paths() {
    let root = tempfile::tempdir().unwrap();
    for path in ["b.yaml", "a/z.yml", "a/y/Kustomization", ".github/w.yaml"] {
        write(root.path(), path, MARKED);
    }
    write(root.path(), "plain.yaml", "image: app:1.0.0\n");
    write(root.path(), "notes.txt", MARKED);
    let done = run(root.path(), &DirectoryOptions::default());
    assert_eq!(
        paths(&done),
        [".github/w.yaml", "a/y/Kustomization", "a/z.yml", "b.yaml"]
    );
    assert_eq!(done.searched, 5);
    assert_eq!(done.skipped, []);
    assert_eq!(read(root.path(), "b.yaml"), UPDATED);
    assert_eq!(read(root.path(), "notes.txt"), MARKED);
    assert_eq!(
        done.files[3].diff,
        format!("--- a/b.yaml\n+++ b/b.yaml\n@@ -1 +1 @@\n-{MARKED}+{UPDATED}")
    );
    let again = run(root.path(), &DirectoryOptions::default());
    assert_eq!(again.files, []);
}

#[test]
fn a_dry_run_writes_nothing() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "a.yaml", MARKED);
    let options = DirectoryOptions {
        dry_run: true,
        ..DirectoryOptions::default()
    };
    assert_eq!(paths(&run(root.path(), &options)), ["a.yaml"]);
    assert_eq!(read(root.path(), "a.yaml"), MARKED);
}

#[test]
fn a_broken_file_stops_only_itself() {
    let root = tempfile::tempdir().unwrap();
    let broken = format!("a: [\n{MARKED}");
    write(root.path(), "broken.yaml", &broken);
    write(root.path(), "whole.yaml", MARKED);
    let done = run(root.path(), &DirectoryOptions::default());
    assert_eq!(paths(&done), ["whole.yaml"]);
    let (path, skip) = &done.skipped[0];
    assert_eq!(
        (path.as_str(), skip.reason.as_str()),
        ("broken.yaml", "unparsable")
    );
    assert_eq!(read(root.path(), "broken.yaml"), broken);
}

#[test]
fn ignored_paths_git_and_inner_repositories_are_passed_over() {
    let root = tempfile::tempdir().unwrap();
    for path in [
        ".git/a.yaml",
        "sub/.git",
        "sub/a.yaml",
        "gen/a.yaml",
        "src/a.yaml",
    ] {
        write(root.path(), path, MARKED);
    }
    let options = DirectoryOptions {
        ignore: SourceIgnore::parse("/gen/\n").unwrap(),
        ..DirectoryOptions::default()
    };
    assert_eq!(paths(&run(root.path(), &options)), ["src/a.yaml"]);
}

#[test]
fn one_file_can_be_named() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "a.yaml", MARKED);
    write(root.path(), "b.yaml", MARKED);
    let done = run(&root.path().join("a.yaml"), &DirectoryOptions::default());
    assert_eq!(paths(&done), ["a.yaml"]);
    assert_eq!(read(root.path(), "b.yaml"), MARKED);
}

#[test]
fn a_directory_that_is_not_there_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    let missing = root.path().join("missing");
    let error = update(&missing, &choices(), &DirectoryOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot read {}", missing.display())
    );
}

#[cfg(unix)]
#[test]
fn links_are_not_followed_and_permissions_stay() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let outside = tempfile::tempdir().unwrap();
    write(outside.path(), "a.yaml", MARKED);
    let root = tempfile::tempdir().unwrap();
    symlink(outside.path().join("a.yaml"), root.path().join("link.yaml")).unwrap();
    symlink(outside.path(), root.path().join("linked")).unwrap();
    symlink("nowhere", root.path().join("dangling.yaml")).unwrap();
    write(root.path(), "real.yaml", MARKED);
    let mode = fs::Permissions::from_mode(0o640);
    fs::set_permissions(root.path().join("real.yaml"), mode).unwrap();
    let done = run(root.path(), &DirectoryOptions::default());
    assert_eq!(paths(&done), ["real.yaml"]);
    assert_eq!(read(outside.path(), "a.yaml"), MARKED);
    let mode = fs::metadata(root.path().join("real.yaml"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o640);
    let names: Vec<_> = fs::read_dir(root.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 4, "{names:?}");
}
