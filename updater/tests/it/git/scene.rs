//! One repository behind git over http, one storage path, and runs on them: what most tests need.

use super::setting::{FILE, Setting, choices, filled, manifest, request};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use tagline_testservers::{BareRepository, GitHttp, StartError};
use tagline_updater::git::{CancellationToken, GitAuth, GitError, Identity, Mirror, Remote};
use tagline_updater::message::{CommitMessage, MessageTemplate};
use tagline_updater::{
    BranchChoices, Contribution, MarkerEditor, PublishRequest, PushOutcome, publish_together,
};

pub(crate) struct Scene {
    pub(crate) server: GitHttp,
    pub(crate) repository: BareRepository,
    pub(crate) setting: Setting,
}

impl Scene {
    /// A repository with one marked file, [`FILE`], at 1.0.0.
    pub(crate) fn start() -> Result<Self, StartError> {
        let scene = Self::empty()?;
        filled(&scene.repository);
        Ok(scene)
    }

    /// A repository with `<name>.yaml` at 1 for every policy of these names.
    pub(crate) fn with_policies(policies: &[&str]) -> Result<Self, StartError> {
        let scene = Self::empty()?;
        let files: Vec<(String, String)> = policies
            .iter()
            .map(|policy| (format!("{policy}.yaml"), manifest(policy, "1")))
            .collect();
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(path, text)| (&**path, &**text))
            .collect();
        scene.repository.commit("main", "first", &files);
        Ok(scene)
    }

    fn empty() -> Result<Self, StartError> {
        let server = GitHttp::start()?;
        Ok(Self {
            repository: server.create("r"),
            setting: Setting::new(&server.url("r"), GitAuth::None),
            server,
        })
    }

    /// The same remote, seen by somebody whose cache was lost.
    pub(crate) fn without_cache(&self) -> Setting {
        Setting::new(&self.server.url("r"), GitAuth::None)
    }

    /// A run that must succeed, for policy `app`.
    pub(crate) fn run(&self, request: &PublishRequest, tag: &str) -> PushOutcome {
        self.setting
            .run(request, &choices(&[("app", tag)]))
            .unwrap()
    }

    /// What [`FILE`] holds at a revision.
    pub(crate) fn tagged(&self, revision: &str) -> String {
        String::from_utf8(self.repository.show(revision, FILE)).unwrap()
    }

    /// How many commits `branch` is ahead of `main`.
    pub(crate) fn ahead(&self, branch: &str) -> String {
        let range = format!("main..{branch}");
        self.repository.git(&["rev-list", "--count", &range])
    }

    /// How many pushes the server has seen.
    pub(crate) fn pushes(&self) -> usize {
        let requests = self.server.requests();
        let posts = requests.iter().filter(|request| {
            request.method == "POST" && request.path.ends_with("git-receive-pack")
        });
        posts.count()
    }

    pub(crate) fn hook(&self, name: &str, script: &str) {
        hook(&self.repository, name, script);
    }

    pub(crate) fn remove_hook(&self, name: &str) {
        fs::remove_file(self.repository.path().join("hooks").join(name)).unwrap();
    }

    /// The runs of several automations at once.
    pub(crate) fn together(
        &self,
        automations: &[Automation],
    ) -> Vec<Result<PushOutcome, GitError>> {
        together_at(&self.setting.storage, &self.setting.remote, automations)
    }
}

/// The same with a given storage path, for a process of its own.
pub(crate) fn together_at(
    storage: &Path,
    remote: &Remote,
    automations: &[Automation],
) -> Vec<Result<PushOutcome, GitError>> {
    let contributions: Vec<Contribution<'_>> = automations
        .iter()
        .map(|automation| Contribution {
            request: &automation.request,
            branches: &automation.branches,
            message: &automation.message,
        })
        .collect();
    let cancel = CancellationToken::new();
    let mirror = Mirror::open(storage, remote).unwrap();
    publish_together(&mirror, &MarkerEditor, &contributions, &cancel)
        .into_iter()
        .map(|result| result.and_then(|mut branches| branches.pop().unwrap()))
        .collect()
}

pub(crate) fn hook(repository: &BareRepository, name: &str, script: &str) {
    let path = repository.path().join("hooks").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A run whose changes go to a branch of their own.
pub(crate) fn to_branch(branch: &str) -> PublishRequest {
    let mut request = request();
    request.push.branch = Some(branch.to_owned());
    request
}

/// One automation of several that share a remote.
pub(crate) struct Automation {
    pub(crate) request: PublishRequest,
    pub(crate) branches: Vec<BranchChoices>,
    pub(crate) message: CommitMessage,
}

impl Automation {
    /// Writes what one policy chose to `main`; without a message template.
    pub(crate) fn new(policy: &str, tag: &str) -> Self {
        Self {
            request: request(),
            branches: vec![BranchChoices {
                branch: "main".to_owned(),
                choices: choices(&[(policy, tag)]),
            }],
            message: CommitMessage {
                namespace: "ns".to_owned(),
                name: policy.to_owned(),
                ..CommitMessage::default()
            },
        }
    }

    pub(crate) fn to(mut self, branch: &str) -> Self {
        self.request.push.branch = Some(branch.to_owned());
        branch.clone_into(&mut self.branches[0].branch);
        self
    }

    pub(crate) fn by(mut self, author: &str) -> Self {
        self.request.author = Identity::new(author, &format!("{author}@example.com"));
        self
    }

    pub(crate) fn saying(mut self, template: &str) -> Self {
        self.message.template = Some(MessageTemplate::parse(template).unwrap());
        self
    }
}
