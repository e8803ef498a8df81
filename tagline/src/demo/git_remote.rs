//! The demo's git remote: a bare repository, over http where git is installed, else as `file://`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use git2::{ObjectType, Oid, Repository, Signature, TreeWalkMode, TreeWalkResult};
use tokio_util::sync::CancellationToken;

use super::git_backend::{self, GitBackend};
use super::server::LoopbackServer;

/// The branch of the demo.
pub(super) const BRANCH: &str = "main";

/// A bare repository and the server in front of it.
pub(super) struct GitRemote {
    path: PathBuf,
    url: String,
    _server: Option<LoopbackServer>,
}

/// Name and password that the remote asks for over http.
#[derive(Debug, Clone)]
pub(super) struct Login {
    pub(super) username: String,
    pub(super) password: String,
}

/// A commit as the demo shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Commit {
    pub(super) id: String,
    pub(super) author: String,
    pub(super) message: String,
}

impl GitRemote {
    /// Makes `DIRECTORY/NAME.git` with one commit that holds the files below `content`, and serves it.
    pub(super) async fn start(
        directory: &Path,
        name: &str,
        content: &Path,
        login: &Login,
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let path = directory.join(format!("{name}.git"));
        let repository = Repository::init_bare(&path)
            .with_context(|| format!("make the git repository {}", path.display()))?;
        repository.set_head(&format!("refs/heads/{BRANCH}"))?;
        commit_directory(&repository, content)
            .with_context(|| format!("commit the files of {}", content.display()))?;
        let (server, url) = match GitBackend::find().await {
            Some(backend) => {
                let router = git_backend::router(backend, directory, login);
                let server = LoopbackServer::start(router, stop).await?;
                let url = format!("http://{}/{name}.git", server.address());
                (Some(server), url)
            }
            None => (None, format!("file://{}", path.display())),
        };
        Ok(Self {
            path,
            url,
            _server: server,
        })
    }

    /// Where the repository is on disk.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What a `GitRepository` names it by.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Whether the remote asks for the login.
    pub(super) fn is_http(&self) -> bool {
        self.url.starts_with("http://")
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the demo's own repository is whole: it has no shallow commits"
    )]
    fn open(&self) -> Result<Repository, git2::Error> {
        Repository::open_bare(&self.path)
    }

    /// The commits of the branch, newest first.
    pub(super) fn commits(&self) -> anyhow::Result<Vec<Commit>> {
        let repository = self.open()?;
        let mut walk = repository.revwalk()?;
        walk.push_ref(&format!("refs/heads/{BRANCH}"))?;
        let commits = walk.map(|id| {
            let commit = repository.find_commit(id?)?;
            let author = commit.author();
            Ok(Commit {
                id: commit.id().to_string(),
                author: String::from_utf8_lossy(author.name_bytes()).into_owned(),
                message: String::from_utf8_lossy(commit.message_bytes()).into_owned(),
            })
        });
        commits.collect()
    }

    /// The bytes of every file before and after a commit, for the files that it changed, by path.
    pub(super) fn changed_files(&self, commit: &str) -> anyhow::Result<Vec<ChangedFile>> {
        let repository = self.open()?;
        let commit = repository.find_commit(Oid::from_str(commit)?)?;
        let parent = commit.parent(0)?.tree()?;
        let difference =
            repository.diff_tree_to_tree(Some(&parent), Some(&commit.tree()?), None)?;
        let text = |id: Oid| -> anyhow::Result<String> {
            if id.is_zero() {
                return Ok(String::new());
            }
            let blob = repository.find_blob(id)?;
            Ok(String::from_utf8_lossy(blob.content()).into_owned())
        };
        let files = difference.deltas().map(|delta| {
            let path = delta.new_file().path().unwrap_or(Path::new(""));
            Ok(ChangedFile {
                path: path.display().to_string(),
                before: text(delta.old_file().id())?,
                after: text(delta.new_file().id())?,
            })
        });
        files.collect()
    }

    /// Whether each of these texts stands in some file of the branch.
    pub(super) fn names_all(&self, texts: &[&str]) -> anyhow::Result<bool> {
        let repository = self.open()?;
        let head = repository.find_reference(&format!("refs/heads/{BRANCH}"))?;
        let mut missing: Vec<&str> = texts.to_vec();
        let mut failure = None;
        head.peel_to_tree()?
            .walk(TreeWalkMode::PreOrder, |_, entry| {
                if entry.kind() == Some(ObjectType::Blob) {
                    match repository.find_blob(entry.id()) {
                        Ok(blob) => {
                            let content = String::from_utf8_lossy(blob.content()).into_owned();
                            missing.retain(|text| !content.contains(text));
                        }
                        Err(error) => failure = Some(error),
                    }
                }
                TreeWalkResult::Ok
            })?;
        match failure {
            Some(error) => Err(error).context("read a file of the branch"),
            None => Ok(missing.is_empty()),
        }
    }
}

/// A file before and after a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ChangedFile {
    pub(super) path: String,
    pub(super) before: String,
    pub(super) after: String,
}

fn commit_directory(repository: &Repository, content: &Path) -> anyhow::Result<()> {
    let tree = write_tree(repository, content)?;
    let tree = repository.find_tree(tree)?;
    let signature = Signature::now("A person", "person@example.com")?;
    let branch = format!("refs/heads/{BRANCH}");
    let message = "Deploy the shop\n";
    repository.commit(Some(&branch), &signature, &signature, message, &tree, &[])?;
    Ok(())
}

fn write_tree(repository: &Repository, directory: &Path) -> anyhow::Result<Oid> {
    let mut tree = repository.treebuilder(None)?;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            tree.insert(entry.file_name(), write_tree(repository, &path)?, 0o040_000)?;
        } else {
            let blob = repository.blob(&std::fs::read(&path)?)?;
            tree.insert(entry.file_name(), blob, 0o100_644)?;
        }
    }
    Ok(tree.write()?)
}
