//! Updating a work directory without git.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;
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

/// A file of many: either all old or all new.
fn numbered(index: usize, tag: &str) -> String {
    format!("# {index}\nimage: app:{tag} # {{\"$imagepolicy\": \"apps:app\"}}\n")
}

fn set_all(root: &Path, tag: &str) {
    let image = ImageReference {
        name: "app".to_owned(),
        tag: Tag::new(tag).unwrap(),
        digest: None,
    };
    let choices = Choices::from_iter([(PolicyName::new("apps", "app"), image)]);
    update(root, &choices, &DirectoryOptions::default()).unwrap();
}

const ROOT: &str = "TAGLINE_TEST_DIRECTORY_ROOT";
const TAG: &str = "TAGLINE_TEST_DIRECTORY_TAG";

/// Not a test: the process that is killed.
#[test]
#[ignore = "the child process of the test below"]
fn child() {
    let (Ok(root), Ok(tag)) = (std::env::var(ROOT), std::env::var(TAG)) else {
        return;
    };
    set_all(Path::new(&root), &tag);
}

#[test]
fn a_killed_update_leaves_whole_files_and_the_next_one_tidies_up() {
    const FILES: usize = 60;
    const KILLS: usize = 25;
    let root = tempfile::tempdir().unwrap();
    let path = |index: usize| format!("d{}/f{index}.yaml", index % 5);
    for index in 0..FILES {
        write(root.path(), &path(index), &numbered(index, "0"));
    }
    let left = || {
        let all = (0..5).flat_map(|n| fs::read_dir(root.path().join(format!("d{n}"))).unwrap());
        all.flatten()
            .filter(|entry| entry.path().extension().unwrap() == "tmp")
            .count()
    };
    let start = |tag: &str| {
        Command::new(std::env::current_exe().unwrap())
            .args(["directory::child", "--exact", "--ignored"])
            .env(ROOT, root.path())
            .env(TAG, tag)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let begun = Instant::now();
    assert!(start("1").wait().unwrap().success());
    let whole = begun.elapsed();
    let (mut in_between, mut dirty) = (0, 0);
    for kill in 0..KILLS {
        let (old, new) = (format!("{}", kill + 1), format!("{}", kill + 2));
        let mut running = start(&new);
        let moment = whole * u32::try_from(kill).unwrap() / u32::try_from(KILLS).unwrap();
        let until = Instant::now() + moment;
        while Instant::now() < until {
            std::thread::yield_now();
        }
        running.kill().unwrap();
        running.wait().unwrap();
        let changed = (0..FILES).filter(|&index| {
            let text = read(root.path(), &path(index));
            assert!(
                text == numbered(index, &old) || text == numbered(index, &new),
                "{text:?}"
            );
            text == numbered(index, &new)
        });
        in_between += usize::from((1..FILES).contains(&changed.count()));
        dirty += usize::from(left() > 0);
        set_all(root.path(), &new);
        assert_eq!(left(), 0);
        assert!((0..FILES).all(|index| read(root.path(), &path(index)) == numbered(index, &new)));
    }
    assert!(
        in_between > 0,
        "no kill came in the middle; {dirty} left a file behind"
    );
}

#[test]
fn what_is_left_behind_is_removed_unless_somebody_works_on_it() {
    let root = tempfile::tempdir().unwrap();
    for name in [
        ".tagline-dead.tmp",
        ".tagline-alive.tmp",
        ".tagline-mine",
        "a.yaml",
    ] {
        write(root.path(), name, MARKED);
    }
    let alive = fs::File::open(root.path().join(".tagline-alive.tmp")).unwrap();
    alive.lock().unwrap();
    let look = DirectoryOptions {
        dry_run: true,
        ..DirectoryOptions::default()
    };
    run(root.path(), &look);
    assert!(root.path().join(".tagline-dead.tmp").exists());
    run(root.path(), &DirectoryOptions::default());
    let mut names: Vec<_> = fs::read_dir(root.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, [".tagline-alive.tmp", ".tagline-mine", "a.yaml"]);
}

#[test]
fn another_name_of_the_same_file_keeps_its_content() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "a.yaml", MARKED);
    let cached = root.path().join("cached");
    fs::hard_link(root.path().join("a.yaml"), &cached).unwrap();
    run(root.path(), &DirectoryOptions::default());
    assert_eq!(read(root.path(), "a.yaml"), UPDATED);
    assert_eq!(fs::read_to_string(cached).unwrap(), MARKED);
}
