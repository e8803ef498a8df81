//! `tagline demo`: two commits that change only tags, and nothing left behind.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Old and new tag of each image, after the first commit and after the second.
const TAGS: [[&str; 3]; 3] = [
    ["1.0.0", "1.2.0", "1.3.0"],
    [
        "main-3f1c0de-1760000000",
        "main-04dd17c-1760172800",
        "main-c0ffee1-1760259200",
    ],
    ["build-7", "build-10", "build-12"],
];

fn demo(temporary: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tagline"));
    command
        .arg("demo")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", temporary)
        .env("TMPDIR", temporary)
        .stdin(Stdio::null());
    command
}

fn git(repository: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .arg("--git-dir")
        .arg(repository)
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Each commit is the one before with newer tags, byte for byte; the last one has the last tags.
fn assert_only_tags_changed(repository: &Path) {
    let commits = git(repository, &["rev-list", "--reverse", "main"]);
    let commits: Vec<&str> = commits.lines().collect();
    assert!(commits.len() >= 3, "{commits:?}");
    let files = git(repository, &["ls-tree", "-r", "--name-only", "main"]);
    for pair in commits.windows(2) {
        let mut changed = 0;
        for file in files.lines() {
            let [before, after] = [pair[0], pair[1]]
                .map(|commit| git(repository, &["show", &format!("{commit}:{file}")]));
            let possible = TAGS.iter().flat_map(|tags| tags.windows(2));
            let expected = possible.map(|step| before.replace(step[0], step[1]));
            if before != after {
                changed += 1;
                assert!(
                    expected.clone().any(|text| text == after),
                    "{file}: {after}"
                );
            }
        }
        assert!(changed > 0, "an empty commit: {pair:?}");
    }
    let all: String = files
        .lines()
        .map(|file| git(repository, &["show", &format!("main:{file}")]))
        .collect();
    for [first, second, last] in TAGS {
        assert!(all.contains(last) && !all.contains(first) && !all.contains(second));
    }
    git(repository, &["fsck", "--strict"]);
}

#[test]
fn commits_only_tags_and_keeps_its_files_when_told() {
    let directory = tempfile::tempdir().unwrap();
    let kept = directory.path().join("kept");
    let output = demo(directory.path())
        .arg("--keep")
        .arg(&kept)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert_only_tags_changed(&kept.join("fleet.git"));
    let shown = text(&output);
    for tags in TAGS {
        assert!(
            shown.contains(tags[1]) && shown.contains(tags[2]),
            "{shown}"
        );
    }
    assert!(!shown.contains("for-the-demo-only"), "{shown}");
    assert!(!shown.contains('\u{1b}'), "colours in a pipe: {shown:?}");
    assert!(shown.contains(&kept.display().to_string()), "{shown}");

    let again = demo(directory.path())
        .arg("--keep")
        .arg(&kept)
        .output()
        .unwrap();
    assert_eq!(again.status.code(), Some(2), "{}", text(&again));
    assert!(text(&again).contains("not empty"));
}

#[test]
fn needs_no_git_and_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let temporary = directory.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let output = demo(&temporary).env("PATH", "/nowhere").output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("file://"), "{}", text(&output));
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
}

#[test]
fn leaves_nothing_behind_when_interrupted() {
    let directory = tempfile::tempdir().unwrap();
    let temporary = directory.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let mut running = demo(&temporary)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    while fs::read_dir(&temporary).unwrap().count() == 0 {
        assert!(Instant::now() < deadline, "it does not begin");
        std::thread::sleep(Duration::from_millis(1));
    }
    let pid = running.id().to_string();
    let signal = Command::new("kill").args(["-s", "INT", &pid]).status();
    assert!(signal.unwrap().success());
    let status = running.wait().unwrap();
    assert!(!status.success());
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
}
