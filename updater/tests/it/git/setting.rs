//! A remote with a marked file, and a run on it.

use std::path::{Path, PathBuf};
use tagline_policy::{ImageReference, Tag};
use tagline_testservers::BareRepository;
use tagline_updater::git::{
    CancellationToken, GitAuth, GitError, GitReference, Identity, Mirror, Remote, RemoteOptions,
};
use tagline_updater::{
    BranchChoices, ChangedFile, Choices, MarkerEditor, PolicyName, PublishRequest, PushOutcome,
    publish, publish_branches,
};
use tempfile::TempDir;

pub(crate) const FILE: &str = "apps/app.yaml";

/// A manifest whose image follows policy `ns/<policy>`.
pub(crate) fn manifest(policy: &str, tag: &str) -> String {
    format!(
        "kind: Deployment\nmetadata:\n  name: {policy}\nspec:\n  image: example.com/{policy}:{tag} # {{\"$imagepolicy\": \"ns:{policy}\"}}\n"
    )
}

/// What one policy chose.
pub(crate) fn choice(policy: &str, tag: &str) -> (PolicyName, ImageReference) {
    (
        PolicyName::new("ns", policy),
        ImageReference {
            name: format!("example.com/{policy}"),
            tag: Tag::new(tag).unwrap(),
            digest: None,
        },
    )
}

pub(crate) fn choices(pairs: &[(&str, &str)]) -> Choices {
    pairs
        .iter()
        .map(|(policy, tag)| choice(policy, tag))
        .collect()
}

/// One storage path and one remote.
pub(crate) struct Setting {
    pub(crate) storage: PathBuf,
    pub(crate) remote: Remote,
    _directory: TempDir,
}

impl Setting {
    pub(crate) fn new(url: &str, auth: GitAuth) -> Self {
        Self::with(url, auth, RemoteOptions::default())
    }

    pub(crate) fn with(url: &str, auth: GitAuth, options: RemoteOptions) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            storage: directory.path().to_owned(),
            remote: Remote::new(url, auth, options).unwrap(),
            _directory: directory,
        }
    }

    pub(crate) fn mirror(&self) -> Mirror {
        Mirror::open(&self.storage, &self.remote).unwrap()
    }

    pub(crate) fn run(
        &self,
        request: &PublishRequest,
        choices: &Choices,
    ) -> Result<PushOutcome, GitError> {
        self.run_with(request, choices, &CancellationToken::new())
    }

    pub(crate) fn run_with(
        &self,
        request: &PublishRequest,
        choices: &Choices,
        cancel: &CancellationToken,
    ) -> Result<PushOutcome, GitError> {
        publish(
            &self.mirror(),
            request,
            &MarkerEditor,
            choices,
            &message,
            cancel,
        )
    }

    pub(crate) fn run_branches(
        &self,
        request: &PublishRequest,
        branches: &[BranchChoices],
    ) -> Result<Vec<Result<PushOutcome, GitError>>, GitError> {
        publish_branches(
            &self.mirror(),
            request,
            &MarkerEditor,
            branches,
            &message,
            &CancellationToken::new(),
        )
    }

    /// A run on `main` with defaults.
    pub(crate) fn bump(&self, pairs: &[(&str, &str)]) -> Result<PushOutcome, GitError> {
        self.run(&request(), &choices(pairs))
    }
}

/// A run with a given storage path, for a process of its own.
pub(crate) fn run_at(
    storage: &Path,
    remote: &Remote,
    request: &PublishRequest,
    choices: &Choices,
) -> Result<PushOutcome, GitError> {
    publish(
        &Mirror::open(storage, remote).unwrap(),
        request,
        &MarkerEditor,
        choices,
        &message,
        &CancellationToken::new(),
    )
}

#[expect(clippy::unnecessary_wraps, reason = "it is a MessageSource")]
pub(crate) fn message(
    files: &[ChangedFile],
) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let changes: Vec<String> = files
        .iter()
        .flat_map(|file| &file.changes)
        .map(|change| format!("{} -> {}", change.old, change.new))
        .collect();
    Ok(changes.join(", "))
}

pub(crate) fn bot() -> Identity {
    Identity::new("Tagline", "tagline@example.com")
}

pub(crate) fn request() -> PublishRequest {
    PublishRequest::new(
        GitReference::branch("main").unwrap(),
        bot(),
        "2026-01-02T03:04:05Z".parse().unwrap(),
    )
}

/// A repository with one marked file at 1.0.0.
pub(crate) fn filled(repository: &BareRepository) -> String {
    repository.commit(
        "main",
        "first",
        &[
            (FILE, manifest("app", "1.0.0")),
            ("README.md", "hello\n".to_owned()),
        ],
    )
}
