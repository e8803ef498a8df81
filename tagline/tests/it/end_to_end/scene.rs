//! A registry, git over http and a fleet between them, for tests that write their own automations.

use tagline_testservers::{BareRepository, DockerRegistry, GitHttp, StartError};

use super::fleet::{Automation, Fleet, PASSWORD, http_objects};

pub(super) struct Scene {
    pub(super) registry: DockerRegistry,
    pub(super) server: GitHttp,
    pub(super) remote: BareRepository,
    pub(super) fleet: Fleet,
}

impl Scene {
    pub(super) fn start(images: usize) -> Result<Self, StartError> {
        let registry = DockerRegistry::start()?;
        let server = GitHttp::options().with_user("me", PASSWORD).start()?;
        let remote = server.create("fleet");
        let fleet = Fleet::new(&registry, images);
        fleet.fill(&remote);
        fleet.write_manifest("images.yaml", &fleet.images());
        Ok(Self {
            registry,
            server,
            remote,
            fleet,
        })
    }

    pub(super) fn write(&self, automations: &[Automation]) {
        let mut text = http_objects(&self.server, "fleet");
        for automation in automations {
            text += &automation.to_string();
        }
        self.fleet.write_manifest("git.yaml", &text);
    }

    /// How many pushes the remote has seen.
    pub(super) fn pushes(&self) -> usize {
        let requests = self.server.requests();
        let pushes = requests.iter().filter(|request| {
            request.method == "POST" && request.path.ends_with("git-receive-pack")
        });
        pushes
            .filter(|push| push.header("authorization").is_some())
            .count()
    }

    pub(super) fn changed(&self, from: &str, to: &str) -> Vec<String> {
        let names = self.remote.git(&["diff", "--name-only", from, to]);
        names.lines().map(str::to_owned).collect()
    }
}

/// The automations of a report.
pub(super) fn automations(report: &serde_json::Value) -> Vec<&serde_json::Value> {
    let objects = report["objects"].as_array().unwrap();
    let of_kind = |object: &&serde_json::Value| object["kind"] == "ImageUpdateAutomation";
    objects.iter().filter(of_kind).collect()
}
