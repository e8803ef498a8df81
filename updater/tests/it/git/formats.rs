//! The git engine edits what the directory form edits: one code path, two readers of files.

use super::setting::{Setting, choices, request};
use std::collections::BTreeMap;
use std::fs;
use tagline_testservers::{BareRepository, GitHttp, require};
use tagline_updater::directory::{self, DirectoryOptions};
use tagline_updater::edit::{EditOptions, Format, Formats};
use tagline_updater::git::{GitAuth, UpdatePath};

const M: &str = "{\"$imagepolicy\": \"ns:app:tag\"}";

/// One file of every format, at 1.0.0.
fn files() -> Vec<(String, String)> {
    [
        ("app.yaml", format!("a: 1.0.0 # {M}\n")),
        (
            "values.json",
            "{\"image\": {\"tag\": \"1.0.0\"}}\n".to_owned(),
        ),
        (
            "own.jsonc",
            format!("{{\n  \"tag\": \"1.0.0\" // {M}\n}}\n"),
        ),
        ("main.tf", format!("tag = \"1.0.0\" # {M}\n")),
        (
            "Dockerfile",
            "# {\"$imagepolicy\": \"ns:app\"}\nFROM example.com/app:1.0.0\n".to_owned(),
        ),
        (".env.prod", format!("TAG=1.0.0 # {M}\n")),
        (
            "chart/templates/web.yaml",
            format!("{{{{- if .Values.web }}}}\ntag: 1.0.0 # {M}\n{{{{- end }}}}\n"),
        ),
        ("notes.txt", format!("TAG=1.0.0 # {M}\n")),
        (
            ".tagline.yaml",
            "markers:\n  - file: values.json\n    path: /image/tag\n    policy: ns:app:tag\n"
                .to_owned(),
        ),
        ("broken/.tagline.yaml", "markers: [x]\n".to_owned()),
    ]
    .map(|(path, text)| (path.to_owned(), text))
    .to_vec()
}

fn commit(repository: &BareRepository) {
    let files = files();
    let files: Vec<(&str, &str)> = files.iter().map(|(a, b)| (&**a, &**b)).collect();
    repository.commit("main", "first", &files);
}

/// Paths with their new text, and what was left alone.
type Outcome = (BTreeMap<String, String>, Vec<(String, usize, String)>);

fn in_git(setting: &Setting, formats: Formats) -> Outcome {
    let mut asked = request();
    asked.edit.formats = formats;
    asked.dry_run = true;
    let done = setting.run(&asked, &choices(&[("app", "1.1.0")])).unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let files = done
        .files
        .iter()
        .map(|file| (file.path.clone(), text(&file.new)));
    let skipped = done.skipped.iter().map(|left| {
        let reason = left.skip.reason.as_str().to_owned();
        (left.path.clone(), left.skip.line, reason)
    });
    let mut skipped: Vec<_> = skipped.collect();
    skipped.sort();
    (files.collect(), skipped)
}

fn in_directory(formats: Formats) -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    for (path, text) in files() {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let options = DirectoryOptions {
        edit: EditOptions {
            formats,
            ..EditOptions::default()
        },
        ..DirectoryOptions::default()
    };
    let done =
        directory::update(directory.path(), &choices(&[("app", "1.1.0")]), &options).unwrap();
    let files = done.files.iter().map(|file| {
        let text = fs::read_to_string(directory.path().join(&file.path)).unwrap();
        (file.path.clone(), text)
    });
    let skipped = done
        .skipped
        .iter()
        .map(|(path, skip)| (path.clone(), skip.line, skip.reason.as_str().to_owned()));
    (files.collect(), skipped.collect())
}

#[test]
fn a_commit_changes_what_a_directory_update_changes() {
    let server = require!(GitHttp::start());
    let repository = server.create("r");
    commit(&repository);
    // One mirror for all of them: what is kept of one reading must not answer for another.
    let setting = Setting::new(&server.url("r"), GitAuth::None);
    let mut sets: Vec<Formats> = Format::ALL
        .map(|format| Formats::from_iter([format]))
        .to_vec();
    sets.extend([Formats::default(), Formats::all()]);
    let mut changed = Vec::new();
    for _ in 0..2 {
        for &formats in &sets {
            let found = in_git(&setting, formats);
            assert_eq!(found, in_directory(formats));
            changed.push(found.0.len());
        }
    }
    // The map's file comes with every format; a template is read by lines only where it is YAML as well.
    assert_eq!(changed[..8], [2, 2, 2, 2, 2, 1, 2, 7]);
    assert_eq!(changed[..8], changed[8..]);
}

#[test]
fn a_map_counts_as_it_is_at_the_commit() {
    let server = require!(GitHttp::start());
    let repository = server.create("r");
    commit(&repository);
    let setting = Setting::new(&server.url("r"), GitAuth::None);
    let mut asked = request();
    asked.path = UpdatePath::new("values.json").unwrap();
    let pushed = setting.run(&asked, &choices(&[("app", "1.1.0")])).unwrap();
    assert_eq!(pushed.files.len(), 1);
    let shown = || String::from_utf8(repository.show("main", "values.json")).unwrap();
    assert_eq!(shown(), "{\"image\": {\"tag\": \"1.1.0\"}}\n");
    // Taken out of the map, the file is nobody's.
    repository.commit("main", "no map", &[(".tagline.yaml", "markers: []\n")]);
    let idle = setting.run(&asked, &choices(&[("app", "1.2.0")])).unwrap();
    assert_eq!((idle.files.len(), idle.skipped.len()), (0, 0));
    // Named again, under another pointer that is not there.
    let map = "markers:\n  - file: values.json\n    path: /tag\n    policy: ns:app:tag\n";
    repository.commit("main", "another", &[(".tagline.yaml", map)]);
    let missing = setting.run(&asked, &choices(&[("app", "1.2.0")])).unwrap();
    assert_eq!(missing.files.len(), 0);
    assert_eq!(missing.skipped[0].skip.reason.as_str(), "no-value");
    assert_eq!(shown(), "{\"image\": {\"tag\": \"1.1.0\"}}\n");
}
