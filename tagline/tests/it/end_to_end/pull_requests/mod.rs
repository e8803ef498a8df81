//! `spec.git.pullRequest` from a new tag to a merged pull request: registry, git server and forge on one loopback.

mod access;
mod github_app;
mod killed;
mod life;
mod limits;
mod real_gitea;

use serde_json::Value;
use tagline_testservers::forge::{FakePull, ForgeKind, ForgeServer, PullRequestState, TOKEN};
use tagline_testservers::{BareRepository, DockerRegistry, GitHttp, Image, StartError};

use super::fleet::{Fleet, PASSWORD, UPDATE, http_objects};

/// A fleet whose updates go through pull requests.
struct Scene {
    registry: DockerRegistry,
    git: GitHttp,
    forge: ForgeServer,
    fleet: Fleet,
    remote: BareRepository,
    objects: String,
}

impl Scene {
    /// `push` and `pull_request` are the fields' contents, in YAML's flow style.
    fn new(
        kind: ForgeKind,
        images: usize,
        push: &str,
        pull_request: &str,
    ) -> Result<Self, StartError> {
        let registry = DockerRegistry::start()?;
        let git = GitHttp::options().with_user("me", PASSWORD).start()?;
        let remote = git.create("acme/apps");
        let forge = ForgeServer::start(kind)?;
        forge.use_repository(&remote);
        let fleet = Fleet::new(&registry, images);
        fleet.fill(&remote);
        let scene = Self {
            objects: http_objects(&git, "acme/apps"),
            registry,
            git,
            forge,
            fleet,
            remote,
        };
        scene.write(push, pull_request);
        Ok(scene)
    }

    fn write(&self, push: &str, pull_request: &str) {
        let objects = &self.objects;
        let automation = automation(push, &format!("{}, {pull_request}", self.address()));
        let text = format!("{}{objects}{SECRET}{automation}", self.fleet.images());
        self.fleet.write_manifest("all.yaml", &text);
    }

    fn address(&self) -> String {
        let provider = match self.forge.kind() {
            ForgeKind::GitHub => "github",
            ForgeKind::GitLab => "gitlab",
            ForgeKind::Gitea => "gitea",
            ForgeKind::BitbucketCloud => "bitbucket",
            ForgeKind::BitbucketDataCenter => "bitbucket-data-center",
            ForgeKind::AzureDevOps => "azure-devops",
        };
        let api = self.forge.api();
        format!("provider: {provider}, apiURL: {api}, secretRef: {{name: forge}}")
    }

    fn publish_tag(&self, index: usize, tag: &str) {
        self.registry
            .push(&format!("fleet/app-{index}"), tag, &Image::default());
    }

    /// A pass that must succeed; what is reported of the automation.
    fn pass(&self) -> Value {
        automation_of(&self.fleet.run_once("storage"))
    }

    /// A pass that must fail; what is reported of the automation.
    fn failing_pass(&self) -> Value {
        let mut command = self.fleet.run("storage", &["--once", "-o", "json"]);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!text.contains(TOKEN) && !text.contains(PASSWORD), "{text}");
        automation_of(&serde_json::from_slice(&output.stdout).unwrap())
    }

    fn open(&self) -> Vec<FakePull> {
        self.forge
            .repo()
            .open_pulls()
            .into_iter()
            .cloned()
            .collect()
    }

    /// What a person does on the forge's page.
    fn merge(&self, number: u64) {
        let branch = self.forge.repo().pull(number).unwrap().branch.clone();
        let tip = self.remote.head(&branch).unwrap();
        // The base may have moved on.
        let tree = self
            .remote
            .git(&["merge-tree", "--write-tree", "main", &tip]);
        let commit = self.remote.git(&[
            "-c",
            "user.name=Alice",
            "-c",
            "user.email=alice@example.com",
            "commit-tree",
            "-p",
            "main",
            "-p",
            &tip,
            "-m",
            "Merge",
            &tree,
        ]);
        self.remote.git(&["update-ref", "refs/heads/main", &commit]);
        self.forge.repo().pull(number).unwrap().state = PullRequestState::Merged;
    }

    fn close(&self, number: u64) {
        self.forge.repo().pull(number).unwrap().state = PullRequestState::Closed;
    }

    /// How many requests that change something there were.
    fn changes(&self) -> usize {
        self.forge.repo().changes.len()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.forge.check();
            self.remote.fsck();
        }
    }
}

const SECRET: &str = "apiVersion: v1
kind: Secret
metadata: {name: forge, namespace: fleet}
stringData: {token: s3cr3t-t0ken-0123456789}
---
";

fn automation(push: &str, pull_request: &str) -> String {
    format!(
        "apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageUpdateAutomation
metadata: {{name: fleet, namespace: fleet}}
spec:
  interval: 10m
  sourceRef: {{kind: GitRepository, name: fleet}}
  git:
    commit:
      author: {{name: Tagline, email: tagline@example.com}}
      messageTemplate: {UPDATE}
    push: {{{push}}}
    pullRequest: {{{pull_request}}}
  update: {{path: apps, strategy: Setters}}
"
    )
}

fn automation_of(report: &Value) -> Value {
    let objects = report["objects"].as_array().unwrap();
    let mut found = objects
        .iter()
        .filter(|object| object["kind"] == "ImageUpdateAutomation");
    found.next().unwrap().clone()
}

/// Branch, state and number of the reported pull requests.
fn reported(automation: &Value) -> Vec<(String, String, Option<u64>)> {
    let all = automation["status"]["pullRequests"].as_array();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    all.into_iter()
        .flatten()
        .map(|it| {
            (
                text(&it["branch"]),
                text(&it["state"]),
                it["number"].as_u64(),
            )
        })
        .collect()
}
