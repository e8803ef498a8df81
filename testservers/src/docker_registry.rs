//! CNCF distribution (Debian's `docker-registry`) on a free port.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::process::{ServerProcess, find_program};
use crate::registry_storage::{Image, Storage};
use crate::{AuthServer, HttpClient, KeyPair, StartError};

const NAME: &str = "docker-registry";

/// How the registry is set up; the default is plain HTTP without authentication.
#[derive(Debug, Clone, Default)]
pub struct DockerRegistryOptions {
    users: Vec<(String, String)>,
    tls: Option<KeyPair>,
    token: Option<TokenSettings>,
}

#[derive(Debug, Clone)]
struct TokenSettings {
    realm: String,
    service: String,
    issuer: String,
    certificate: String,
}

impl DockerRegistryOptions {
    /// Asks for basic authentication and lets this user in.
    #[must_use]
    pub fn with_user(mut self, user: &str, password: &str) -> Self {
        self.users.push((user.to_owned(), password.to_owned()));
        self
    }

    /// Speaks https with this certificate.
    #[must_use]
    pub fn with_tls(mut self, certificate: &KeyPair) -> Self {
        self.tls = Some(certificate.clone());
        self
    }

    /// Asks for bearer tokens of that server.
    #[must_use]
    pub fn with_tokens_of(mut self, server: &AuthServer) -> Self {
        self.token = Some(TokenSettings {
            realm: server.realm(),
            service: server.service().to_owned(),
            issuer: server.issuer().to_owned(),
            certificate: server.certificate(),
        });
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// [`StartError::Missing`] when it is not installed.
    pub fn start(self) -> Result<DockerRegistry, StartError> {
        let program = find_program(NAME, "docker-registry")?;
        let directory = tempfile::tempdir().map_err(StartError::io(NAME, "make a directory"))?;
        let storage = directory.path().join("storage");
        fs::create_dir(&storage).map_err(StartError::io(NAME, "make a directory"))?;
        let settings = directory.path().join("config.yml");
        let log = directory.path().join("log");
        let secure = self.tls.is_some();
        let process = ServerProcess::start(NAME, &log, |port| {
            let text = self.settings(port, directory.path(), &storage)?;
            fs::write(&settings, text)?;
            let mut command = Command::new(&program);
            command.arg("serve").arg(&settings);
            // Telemetry and settings of the user's environment stay out.
            command.env_clear().env("OTEL_TRACES_EXPORTER", "none");
            Ok(command)
        })?;
        Ok(DockerRegistry {
            process,
            storage: Storage::new(storage),
            secure,
            _directory: directory,
        })
    }

    fn settings(&self, port: u16, directory: &Path, storage: &Path) -> std::io::Result<String> {
        let mut text = format!(
            "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\n  maintenance:\n    uploadpurging:\n      enabled: false\nhttp:\n  addr: 127.0.0.1:{port}\n  secret: only-for-tests\n",
            storage.display()
        );
        let file = |name: &str, bytes: &str| -> std::io::Result<PathBuf> {
            let path = directory.join(name);
            fs::write(&path, bytes)?;
            Ok(path)
        };
        if let Some(tls) = &self.tls {
            let certificate = file("server.pem", &tls.certificate)?;
            let key = file("server.key", &tls.key)?;
            text += &format!(
                "  tls:\n    certificate: {}\n    key: {}\n",
                certificate.display(),
                key.display()
            );
        }
        if let Some(token) = &self.token {
            let bundle = file("token.pem", &token.certificate)?;
            text += &format!(
                "auth:\n  token:\n    realm: {}\n    service: {}\n    issuer: {}\n    rootcertbundle: {}\n",
                token.realm,
                token.service,
                token.issuer,
                bundle.display()
            );
        } else if !self.users.is_empty() {
            let mut lines = String::new();
            for (user, password) in &self.users {
                // The cheapest cost: it is paid on every request.
                let hash = bcrypt::hash(password, 4).map_err(std::io::Error::other)?;
                lines += &format!("{user}:{hash}\n");
            }
            let path = file("htpasswd", &lines)?;
            text += &format!(
                "auth:\n  htpasswd:\n    realm: test\n    path: {}\n",
                path.display()
            );
        }
        Ok(text)
    }
}

/// A running registry.
#[derive(Debug)]
pub struct DockerRegistry {
    process: ServerProcess,
    storage: Storage,
    secure: bool,
    _directory: TempDir,
}

impl DockerRegistry {
    /// A plain registry: HTTP, no authentication.
    ///
    /// # Errors
    /// [`StartError::Missing`] when it is not installed.
    pub fn start() -> Result<Self, StartError> {
        Self::options().start()
    }

    /// Settings to change before the start.
    #[must_use]
    pub fn options() -> DockerRegistryOptions {
        DockerRegistryOptions::default()
    }

    /// `127.0.0.1:PORT`: the registry part of an image name.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.process.port())
    }

    /// `http://127.0.0.1:PORT`, or https.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    /// Stores an image under a tag; its digest. Seen by the next request.
    pub fn push(&self, repository: &str, tag: &str, image: &Image) -> String {
        self.push_tags(repository, &[tag], image)
    }

    /// Stores one image under many tags: the fast way to a long tag list.
    pub fn push_tags(&self, repository: &str, tags: &[&str], image: &Image) -> String {
        self.storage
            .push(repository, tags, image)
            .expect("the registry's storage can be written")
    }

    /// Uploads an image as a client does; plain HTTP only.
    pub fn upload(
        &self,
        client: &HttpClient,
        repository: &str,
        tag: &str,
        image: &Image,
    ) -> String {
        let mut last = String::new();
        let objects = image.objects();
        let count = objects.len();
        for (index, object) in objects.into_iter().enumerate() {
            last = object.digest();
            let answer = if let Some(media_type) = object.media_type {
                let name = if index + 1 == count { tag } else { &last };
                let path = format!("/v2/{repository}/manifests/{name}");
                client.send("PUT", &path, media_type, &object.bytes)
            } else {
                let path = format!("/v2/{repository}/blobs/uploads/");
                let opened = client
                    .send("POST", &path, "", &[])
                    .expect("an upload opens");
                let location = opened.header("location").expect("an upload has a place");
                let place = location
                    .split_once(&self.authority())
                    .map_or(location, |(_, path)| path);
                let path = format!("{place}&digest={last}");
                client.send("PUT", &path, "application/octet-stream", &object.bytes)
            };
            let answer = answer.expect("the registry answers");
            assert_eq!(answer.status, 201, "upload: {}", answer.text());
        }
        last
    }

    /// Removes a tag.
    pub fn delete_tag(&self, repository: &str, tag: &str) {
        self.storage
            .delete_tag(repository, tag)
            .expect("the tag was there");
    }

    /// Removes a repository with all its tags.
    pub fn delete_repository(&self, repository: &str) {
        self.storage
            .delete_repository(repository)
            .expect("the repository was there");
    }

    /// Everything it wrote.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The requests it answered, one access log line each: `… "GET /v2/ HTTP/1.1" 200 …`.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        let log = self.log();
        let lines = log
            .lines()
            .filter(|line| line.contains(" HTTP/1.") && line.contains("] \""));
        lines.map(str::to_owned).collect()
    }
}
