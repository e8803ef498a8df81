//! What a commit leaves alone: modes, links, submodules, pointers, everything outside its path.

use super::setting::{Setting, choices, manifest, message, request};
use std::process::Command;
use tagline_testservers::{BareRepository, GitHttp, require};
use tagline_updater::git::{CancellationToken, GitAuth, UpdatePath};
use tagline_updater::{CommitGrouping, MarkerEditor, SourceIgnore, publish};

/// A commit with entries that `git fast-import` understands.
fn import(repository: &BareRepository, entries: &str) {
    let stream = format!(
        "commit refs/heads/main\ncommitter x <x@example.com> 1700000000 +0000\ndata 5\nfirst\n{entries}"
    );
    let file = repository.path().join("stream");
    std::fs::write(&file, stream).unwrap();
    let status = Command::new("git")
        .args(["fast-import", "--quiet"])
        .current_dir(repository.path())
        .stdin(std::fs::File::open(&file).unwrap())
        .status()
        .unwrap();
    assert!(status.success());
}

fn entry(mode: &str, path: &str, text: &str) -> String {
    format!("M {mode} inline {path}\ndata {}\n{text}\n", text.len())
}

#[test]
fn only_regular_files_change_and_keep_their_mode() {
    let server = require!(GitHttp::start());
    let repository = server.create("r");
    let text = manifest("app", "1.0.0");
    let lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";
    let entries = [
        entry("100644", "plain.yaml", &text),
        entry("100755", "bin/run.yaml", &text),
        entry("120000", "link.yaml", "plain.yaml"),
        entry("120000", "outside.yaml", "../../../etc/passwd"),
        entry("120000", "dir-link", "apps"),
        entry("100644", "big.yaml", lfs),
        entry("100644", "apps/ünï cödé/ä b.yaml", &text),
        format!("M 160000 {} vendor/sub\n", "1234567890".repeat(4)),
    ];
    import(&repository, &entries.concat());
    let before = repository.git(&["ls-tree", "-r", "main"]);
    let setting = Setting::new(&server.url("r"), GitAuth::None);
    let outcome = setting.bump(&[("app", "1.1.0")]).unwrap();
    assert_eq!(outcome.files.len(), 3);
    let after = repository.git(&["ls-tree", "-r", "main"]);
    let changed: Vec<(&str, &str)> = before
        .lines()
        .zip(after.lines())
        .filter(|(a, b)| a != b)
        .collect();
    assert_eq!(before.lines().count(), after.lines().count());
    assert_eq!(changed.len(), 3);
    for (old, new) in changed {
        assert_eq!(
            old.split(' ').next(),
            new.split(' ').next(),
            "the mode stays"
        );
        assert_eq!(old.split('\t').nth(1), new.split('\t').nth(1));
    }
    repository.fsck();
}

#[test]
fn only_the_path_changes_and_nothing_that_is_ignored() {
    let server = require!(GitHttp::start());
    let repository = server.create("r");
    let text = manifest("app", "1.0.0");
    let paths = [
        "a.yaml",
        "prod/a.yaml",
        "prod/skip/b.yaml",
        "prod2/a.yaml",
        "single.yaml",
    ];
    let files: Vec<(&str, &str)> = paths.iter().map(|path| (*path, &*text)).collect();
    repository.commit("main", "first", &files);
    let setting = Setting::new(&server.url("r"), GitAuth::None);
    let changed = |path: &str, ignore: &str, tag: &str| {
        let mut request = request();
        request.path = UpdatePath::new(path).unwrap();
        request.ignore = SourceIgnore::parse(ignore).unwrap();
        let outcome = setting.run(&request, &choices(&[("app", tag)])).unwrap();
        let files: Vec<String> = outcome.files.iter().map(|file| file.path.clone()).collect();
        files
    };
    assert_eq!(changed("./prod/", "skip/", "2"), ["prod/a.yaml"]);
    assert_eq!(changed("single.yaml", "", "2"), ["single.yaml"]);
    assert_eq!(changed("prod", "", "2"), ["prod/skip/b.yaml"]);
    assert_eq!(changed(".", "", "2"), ["a.yaml", "prod2/a.yaml"]);
    assert_eq!(changed("", "", "2"), [""; 0]);
}

#[test]
fn an_index_follows_every_kind_of_change() {
    let server = require!(GitHttp::start());
    let repository = server.create("r");
    let setting = Setting::new(&server.url("r"), GitAuth::None);
    let mirror = setting.mirror();
    let bump = |tag: &str| {
        let outcome = publish(
            &mirror,
            &request(),
            &MarkerEditor,
            &choices(&[("app", tag)]),
            &message,
            &CancellationToken::new(),
        );
        let files: Vec<String> = outcome
            .unwrap()
            .files
            .iter()
            .map(|f| f.path.clone())
            .collect();
        files
    };
    let at = |tag: &str| manifest("app", tag);
    repository.commit(
        "main",
        "1",
        &[
            ("a.yaml", at("0")),
            ("d/b.yaml", at("0")),
            ("c.txt", at("0")),
        ],
    );
    assert_eq!(bump("1"), ["a.yaml", "d/b.yaml"]);
    repository.remove("main", "removed", &["a.yaml"]);
    assert_eq!(bump("2"), ["d/b.yaml"]);
    repository.commit(
        "main",
        "renamed",
        &[("c.yaml", at("0")), ("d/x.yaml", at("2"))],
    );
    repository.remove("main", "moved away", &["d/b.yaml"]);
    assert_eq!(bump("3"), ["c.yaml", "d/x.yaml"]);
    repository.commit("main", "marker gone", &[("c.yaml", "a: 1\n")]);
    assert_eq!(bump("4"), ["d/x.yaml"]);
    repository.commit("main", "marker new", &[("c.yaml", at("1"))]);
    assert_eq!(bump("5"), ["c.yaml", "d/x.yaml"]);
    // Rewritten history, an index that is older than the branch.
    let root = repository.git(&["rev-list", "--max-parents=0", "main"]);
    repository.git(&["update-ref", "refs/heads/main", &root]);
    assert_eq!(bump("6"), ["a.yaml", "d/b.yaml"]);
    // The same through a handle that knows nothing but the disk.
    assert_eq!(setting.bump(&[("app", "7")]).unwrap().files.len(), 2);
}

#[test]
fn one_commit_per_policy_when_asked() {
    let server = require!(GitHttp::start());
    let repository = server.create("r");
    let both = |a: &str, b: &str| format!("{}---\n{}", manifest("api", a), manifest("web", b));
    repository.commit(
        "main",
        "first",
        &[("x.yaml", both("1", "1")), ("y.yaml", manifest("web", "1"))],
    );
    let setting = Setting::new(&server.url("r"), GitAuth::None);
    let mut request = request();
    request.grouping = CommitGrouping::PerPolicy;
    let outcome = setting
        .run(&request, &choices(&[("api", "2"), ("web", "3")]))
        .unwrap();
    assert_eq!(outcome.commits.len(), 2);
    assert_eq!(repository.show("main", "x.yaml"), both("2", "3").as_bytes());
    assert_eq!(
        repository.show("main~1", "x.yaml"),
        both("2", "1").as_bytes()
    );
    assert_eq!(
        repository.git(&["diff", "--name-only", "main~1", "main"]),
        "x.yaml\ny.yaml"
    );
    assert_eq!(repository.log("main").len(), 3);
}

#[test]
fn a_refspec_and_push_options_reach_the_remote() {
    let server = require!(GitHttp::start());
    let repository = server.create("r");
    super::setting::filled(&repository);
    let mut request = request();
    request.push.refspec = Some("refs/heads/main:refs/for/main".to_owned());
    request.push.options = vec!["ci.skip=true".to_owned(), "topic=a b".to_owned()];
    let setting = Setting::new(&server.url("r"), GitAuth::None);
    // A remote without push options still gets the push.
    setting
        .run(&request, &choices(&[("app", "1.1.0")]))
        .unwrap();
    repository.git(&["config", "receive.advertisePushOptions", "true"]);
    let hook = repository.path().join("hooks/pre-receive");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(
        &hook,
        "#!/bin/sh\necho \"$GIT_PUSH_OPTION_0|$GIT_PUSH_OPTION_1\" > options\n",
    )
    .unwrap();
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let outcome = setting
        .run(&request, &choices(&[("app", "1.2.0")]))
        .unwrap();
    assert_eq!(outcome.references, ["refs/heads/main", "refs/for/main"]);
    assert_eq!(
        repository.git(&["rev-parse", "refs/for/main"]),
        repository.head("main").unwrap()
    );
    let options = std::fs::read_to_string(repository.path().join("options")).unwrap();
    assert_eq!(options, "ci.skip=true|topic=a b\n");
}
