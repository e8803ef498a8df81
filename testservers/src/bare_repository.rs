//! A bare git repository that a test fills and looks at through git itself.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::StartError;
use crate::process::find_program;

/// The time of every commit made here: results are the same in each run.
const COMMIT_TIME: &str = "1700000000 +0000";

/// A bare repository on disk. It does not own its directory.
#[derive(Debug, Clone)]
pub struct BareRepository {
    path: PathBuf,
}

impl BareRepository {
    /// Makes an empty repository with `main` as its default branch, open for pushes over http.
    ///
    /// # Errors
    /// [`StartError::Missing`] without git.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, StartError> {
        find_program("git", "git")?;
        let path = path.into();
        std::fs::create_dir_all(&path).map_err(StartError::io("git", "make a directory"))?;
        let repository = Self { path };
        repository.git(&["init", "--quiet", "--bare", "--initial-branch=main", "."]);
        repository.git(&["config", "http.receivepack", "true"]);
        Ok(repository)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `file://…`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("file://{}", self.path.display())
    }

    /// What a git command prints (without the last line end); it must succeed.
    pub fn git(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments, None);
        String::from_utf8_lossy(&output).trim_end().to_owned()
    }

    fn run(&self, arguments: &[&str], input: Option<&[u8]>) -> Vec<u8> {
        let mut child = git_command()
            .args(arguments)
            .current_dir(&self.path)
            .stdin(if input.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("git is installed");
        if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
            // A git that fails early says why on its standard error.
            let _ = stdin.write_all(input);
        }
        let output = child.wait_with_output().expect("git ends");
        assert!(
            output.status.success(),
            "git {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    }

    /// Adds a commit that writes these files on top of the branch (made when it is new); its id.
    pub fn commit<B: AsRef<[u8]>>(
        &self,
        branch: &str,
        message: &str,
        files: &[(&str, B)],
    ) -> String {
        let changes = files
            .iter()
            .map(|(path, bytes)| (*path, Some(bytes.as_ref())));
        self.change(branch, message, changes)
    }

    /// Adds a commit that removes these files; its id.
    pub fn remove(&self, branch: &str, message: &str, paths: &[&str]) -> String {
        self.change(branch, message, paths.iter().map(|path| (*path, None)))
    }

    fn change<'a>(
        &self,
        branch: &str,
        message: &str,
        files: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>,
    ) -> String {
        let mut stream = format!(
            "commit refs/heads/{branch}\ncommitter Somebody <somebody@example.com> {COMMIT_TIME}\ndata {}\n{message}\n",
            message.len()
        )
        .into_bytes();
        if let Some(parent) = self.head(branch) {
            stream.extend_from_slice(format!("from {parent}\n").as_bytes());
        }
        for (path, bytes) in files {
            match bytes {
                Some(bytes) => {
                    let head = format!("M 100644 inline {path}\ndata {}\n", bytes.len());
                    stream.extend_from_slice(head.as_bytes());
                    stream.extend_from_slice(bytes);
                    stream.push(b'\n');
                }
                None => stream.extend_from_slice(format!("D {path}\n").as_bytes()),
            }
        }
        self.run(
            &["fast-import", "--quiet", "--date-format=raw"],
            Some(&stream),
        );
        self.head(branch).expect("the branch was just written")
    }

    /// The commit a branch points at.
    #[must_use]
    pub fn head(&self, branch: &str) -> Option<String> {
        let name = format!("refs/heads/{branch}");
        let id = self.git(&["for-each-ref", "--format=%(objectname)", &name]);
        (!id.is_empty()).then_some(id)
    }

    /// The branches, sorted.
    #[must_use]
    pub fn branches(&self) -> Vec<String> {
        let names = self.git(&["for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads"]);
        names.lines().map(str::to_owned).collect()
    }

    /// The first line of each commit message of a revision, newest first.
    #[must_use]
    pub fn log(&self, revision: &str) -> Vec<String> {
        let subjects = self.git(&["log", "--format=%s", revision, "--"]);
        subjects.lines().map(str::to_owned).collect()
    }

    /// The bytes of a file at a revision.
    #[must_use]
    pub fn show(&self, revision: &str, path: &str) -> Vec<u8> {
        self.run(&["cat-file", "blob", &format!("{revision}:{path}")], None)
    }

    /// The paths of all files at a revision, sorted.
    #[must_use]
    pub fn files(&self, revision: &str) -> Vec<String> {
        let paths = self.run(&["ls-tree", "-r", "-z", "--name-only", revision], None);
        let paths = String::from_utf8_lossy(&paths).into_owned();
        paths.split_terminator('\0').map(str::to_owned).collect()
    }

    /// The difference between two revisions, without context lines.
    #[must_use]
    pub fn diff(&self, from: &str, to: &str) -> String {
        self.git(&["diff", "--unified=0", "--no-color", from, to, "--"])
    }

    /// Fails unless every object is there and sound.
    pub fn fsck(&self) {
        self.git(&["fsck", "--strict", "--full"]);
    }
}

/// git without anybody's settings.
pub(crate) fn git_command() -> Command {
    let mut command = Command::new("git");
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C");
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        command.env_remove(name);
    }
    command
}
