//! A registry, a git remote and the manifests between them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tagline_testservers::{BareRepository, DockerRegistry, GitHttp, GitSsh, Image, SshKey};
use tempfile::TempDir;

/// The password of the registry and of git over http: it must not appear anywhere.
pub(super) const PASSWORD: &str = "swordfish-7261";

/// The subject of every commit of the automation.
pub(super) const UPDATE: &str = "Update images";

/// Images, files that name them, and the objects that keep the files up to date.
pub(super) struct Fleet {
    directory: TempDir,
    count: usize,
    registry: String,
}

impl Fleet {
    /// Fills the registry with `count` images, each with a tag newer than the one its file names.
    pub(super) fn new(registry: &DockerRegistry, count: usize) -> Self {
        let fleet = Self {
            directory: tempfile::tempdir().unwrap(),
            count,
            registry: registry.authority(),
        };
        for index in 0..count {
            let newest = newest(index);
            let tags = ["1.0.0", "1.0.9", &newest, "2.0.0-rc.1", "latest"];
            registry.push_tags(&repository(index), &tags, &Image::default());
        }
        fleet
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn manifests(&self) -> PathBuf {
        self.path("manifests")
    }

    pub(super) fn write_manifest(&self, name: &str, text: &str) {
        fs::create_dir_all(self.manifests()).unwrap();
        fs::write(self.manifests().join(name), text).unwrap();
    }

    /// Writes the objects of the images and of an automation on `main`.
    pub(super) fn write_manifests(&self, git_objects: &str) {
        self.write_manifest("images.yaml", &self.images());
        self.write_manifest("git.yaml", &format!("{git_objects}{}", usual_automation()));
    }

    pub(super) fn images(&self) -> String {
        let mut text = String::new();
        for index in 0..self.count {
            let image = format!("{}/{}", self.registry, repository(index));
            text += &image_objects(&format!("app-{index}"), &image);
        }
        text
    }

    /// Commits a file for every image, which names the old tag.
    pub(super) fn fill(&self, remote: &BareRepository) {
        let files: Vec<(String, String)> = (0..self.count)
            .map(|index| (file(index), self.text(index, "1.0.0")))
            .collect();
        let mut files: Vec<(&str, &str)> = files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .collect();
        files.push(("README.md", "# Fleet\n"));
        remote.commit("main", "Deploy everything", &files);
    }

    /// A file as somebody wrote it: comments, quotes and spaces are to stay.
    fn text(&self, index: usize, tag: &str) -> String {
        format!(
            "# number {index}\nkind:   Deployment\r\nspec:\n    image: '{}/{}:{tag}'   # {{\"$imagepolicy\": \"fleet:app-{index}\"}}\n",
            self.registry,
            repository(index)
        )
    }

    /// Every file names the newest tag and is the same otherwise, after exactly these commits.
    pub(super) fn assert_updated(&self, remote: &BareRepository, log: &[&str]) {
        assert_eq!(remote.log("main"), log);
        for index in 0..self.count {
            let found = String::from_utf8(remote.show("main", &file(index))).unwrap();
            assert_eq!(found, self.text(index, &newest(index)));
        }
        assert_eq!(remote.show("main", "README.md"), b"# Fleet\n");
        remote.fsck();
    }

    /// `tagline run` on the manifests, with storage of that name.
    pub(super) fn run(&self, storage: &str, arguments: &[&str]) -> Command {
        let mut command = tagline(self.directory.path());
        command.arg("run").arg("-f").arg(self.manifests());
        command.arg("--storage-path").arg(self.path(storage));
        command.args(arguments);
        command
    }

    /// One pass that must succeed; what it printed as JSON.
    pub(super) fn run_once(&self, storage: &str) -> serde_json::Value {
        let output = self
            .run(storage, &["--once", "-o", "json"])
            .output()
            .unwrap();
        assert_success(&output);
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// The program with nobody's settings.
pub(super) fn tagline(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tagline"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub(super) fn assert_success(output: &Output) {
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    assert!(
        !out.contains(PASSWORD) && !err.contains(PASSWORD),
        "{out}\n{err}"
    );
}

/// A running program; killed when the test ends early.
pub(super) struct Running(pub(super) Child);

impl Running {
    pub(super) fn start(mut command: Command, log: &Path) -> Self {
        let log = fs::File::create(log).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        Self(command.spawn().unwrap())
    }

    pub(super) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn repository(index: usize) -> String {
    format!("fleet/app-{index}")
}

pub(super) fn file(index: usize) -> String {
    format!("apps/group-{}/app-{index}.yaml", index % 7)
}

pub(super) fn newest(index: usize) -> String {
    format!("1.{}.0", index + 1)
}

/// An `ImageRepository` and an `ImagePolicy` for releases below 2.
pub(super) fn image_objects(name: &str, image: &str) -> String {
    format!(
        "apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageRepository
metadata: {{name: {name}, namespace: fleet}}
spec: {{image: {image}, interval: 10m, insecure: true}}
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImagePolicy
metadata: {{name: {name}, namespace: fleet}}
spec:
  imageRepositoryRef: {{name: {name}}}
  policy: {{semver: {{range: 1.x}}}}
---
"
    )
}

/// An automation on `main` with this message for every commit.
fn usual_automation() -> String {
    Automation::new("fleet").to_string()
}

/// An `ImageUpdateAutomation`, written as its fields are set.
pub(super) struct Automation {
    pub(super) name: &'static str,
    pub(super) annotations: &'static str,
    pub(super) commit: &'static str,
    pub(super) branch: &'static str,
    pub(super) path: &'static str,
    pub(super) message: Option<&'static str>,
    pub(super) author: &'static str,
}

impl Automation {
    /// One that writes [`UPDATE`] to `main`.
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            annotations: "{}",
            commit: "",
            branch: "main",
            path: "apps",
            message: Some(UPDATE),
            author: "Tagline",
        }
    }
}

impl std::fmt::Display for Automation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let message = self
            .message
            .map(|text| format!("messageTemplate: {text:?}"))
            .unwrap_or_default();
        write!(
            f,
            "---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageUpdateAutomation
metadata: {{name: {}, namespace: fleet, annotations: {}}}
spec:
  interval: 10m
  sourceRef: {{kind: GitRepository, name: fleet}}
  git:
    checkout: {{ref: {{branch: main}}}}
    commit:
      author: {{name: {}, email: tagline@example.com}}
      {message}
      {}
    push: {{branch: {:?}}}
  update: {{path: {}, strategy: Setters}}
",
            self.name, self.annotations, self.author, self.commit, self.branch, self.path
        )
    }
}

/// A `GitRepository` with its Secret.
pub(super) fn git_objects(url: &str, secret: &[(&str, &str)]) -> String {
    let repository = format!(
        "apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {{name: fleet, namespace: fleet}}
spec:
  url: {url}
  interval: 10m
  ref: {{branch: main}}
  secretRef: {{name: git}}
---
"
    );
    repository + &secret_object("git", secret)
}

/// A Secret.
pub(super) fn secret_object(name: &str, data: &[(&str, &str)]) -> String {
    let mut text = format!(
        "apiVersion: v1
kind: Secret
metadata: {{name: {name}, namespace: fleet}}
stringData:
"
    );
    for (key, value) in data {
        writeln!(text, "  {key}: |-").unwrap();
        for line in value.lines() {
            writeln!(text, "    {line}").unwrap();
        }
        if value.ends_with('\n') && key == &"identity" {
            // A private key without its last line end is refused by older clients.
            text = text.replace(&format!("  {key}: |-"), &format!("  {key}: |"));
        }
    }
    text + "---\n"
}

/// Objects for git over http with a password.
pub(super) fn http_objects(server: &GitHttp, name: &str) -> String {
    git_objects(
        &server.url(name),
        &[("username", "me"), ("password", PASSWORD)],
    )
}

/// Objects for git over ssh.
pub(super) fn ssh_objects(server: &GitSsh, name: &str, key: &SshKey, known_hosts: &str) -> String {
    let secret = [
        ("identity", key.private.as_str()),
        ("known_hosts", known_hosts),
    ];
    git_objects(&server.url(name), &secret)
}
