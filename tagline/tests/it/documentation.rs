//! What the user guide shows is what the program does.
//!
//! Every page of `docs/` and the README is followed from top to bottom in a directory of its own:
//! a fence with `file=NAME` is written there, a `console` fence is run, command by command, and the output compared.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The part between two fences.
pub(crate) struct Fence {
    pub(crate) language: String,
    pub(crate) file: Option<String>,
    line: usize,
    pub(crate) text: String,
}

pub(crate) fn fences(page: &str) -> Vec<Fence> {
    let mut fences = Vec::new();
    let mut open: Option<Fence> = None;
    for (index, line) in page.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => {
                let mut words = info.split_whitespace();
                open = Some(Fence {
                    language: words.next().unwrap_or_default().to_owned(),
                    file: words.find_map(|word| Some(word.strip_prefix("file=")?.to_owned())),
                    line: index + 1,
                    text: String::new(),
                });
            }
            (Some(_), Some("")) => fences.extend(open.take()),
            (Some(fence), _) => {
                fence.text.push_str(line);
                fence.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fence is not closed");
    fences
}

/// The commands of a console fence with the output that follows each.
fn commands(text: &str) -> Vec<(String, String)> {
    let mut commands: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command.to_owned(), String::new())),
            (None, Some((command, output))) => {
                if output.is_empty() && command.ends_with('\\') {
                    command.push('\n');
                    command.push_str(line);
                } else {
                    output.push_str(line);
                    output.push('\n');
                }
            }
            (None, None) => panic!("output without a command: {line}"),
        }
    }
    commands
}

fn run(directory: &Path, command: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_tagline"));
    let path = std::env::join_paths(
        std::iter::once(program.parent().unwrap().to_owned())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1\n{command}")])
        .current_dir(directory)
        .env_clear()
        .env("PATH", path.unwrap())
        .env("HOME", directory)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn follow(page: &Path) {
    let text = fs::read_to_string(page).unwrap();
    let directory = tempfile::tempdir().unwrap();
    for fence in fences(&text) {
        if let Some(file) = &fence.file {
            let target = directory.path().join(file);
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::write(target, &fence.text).unwrap();
        } else if fence.language == "console" {
            for (command, expected) in commands(&fence.text) {
                let found = run(directory.path(), &command);
                assert_eq!(
                    found,
                    expected,
                    "{}, fence at line {}: $ {command}",
                    page.display(),
                    fence.line
                );
            }
        }
    }
}

fn pages() -> Vec<PathBuf> {
    let entries = fs::read_dir(repository().join("docs")).unwrap();
    let mut pages: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    pages.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages.push(repository().join("README.md"));
    pages.sort();
    pages
}

#[test]
fn every_example_shows_what_happens() {
    for page in pages() {
        follow(&page);
    }
}

#[test]
fn every_link_leads_somewhere() {
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1) {
            let target = link.split(')').next().unwrap();
            let file = target.split('#').next().unwrap();
            if !file.is_empty() && !file.contains("://") {
                let path = page.parent().unwrap().join(file);
                assert!(path.exists(), "{}: {target}", page.display());
            }
        }
    }
}
