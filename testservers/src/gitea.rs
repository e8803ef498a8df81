//! A real Gitea (or Forgejo) on a free port, with a database in a file, no ssh, one administrator with a token.
//!
//! Debian packages neither, so its tests are opt-in: they want a program `gitea` in `PATH`. A release has everything in it;
//! one built with `go build -tags "sqlite sqlite_unlock_notify"` finds its templates where `GITEA_STATIC_ROOT` says.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{ServerProcess, find_program};
use crate::{HttpClient, StartError};

const NAME: &str = "gitea";
const PASSWORD: &str = "Passw0rd-of-the-test";

/// A running Gitea; gone when dropped.
#[derive(Debug)]
pub struct Gitea {
    process: ServerProcess,
    token: String,
    _directory: TempDir,
}

impl Gitea {
    /// The administrator, who owns what the tests make.
    pub const USER: &str = "acme";

    /// Starts it.
    ///
    /// # Errors
    /// [`StartError::Missing`] without the program.
    pub fn start() -> Result<Self, StartError> {
        let program = find_program(NAME, "gitea (not in Debian: dl.gitea.com)")?;
        let failed = |operation| StartError::io(NAME, operation);
        let directory = tempfile::tempdir().map_err(failed("make a directory"))?;
        let base = directory.path();
        let settings = base.join("app.ini");
        let command = |arguments: &[&str]| {
            let mut command = Command::new(&program);
            command
                .arg("--config")
                .arg(&settings)
                .arg("--work-path")
                .arg(base)
                .args(arguments)
                // Test containers have no other user.
                .env("GITEA_I_AM_BEING_UNSAFE_RUNNING_AS_ROOT", "1")
                .env("HOME", base);
            command
        };
        fs::write(&settings, ini(base, 0)).map_err(failed("write its settings"))?;
        let run = |arguments: &[&str]| {
            let output = command(arguments).output().expect("gitea starts");
            assert!(output.status.success(), "{arguments:?}: {output:?}");
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        };
        run(&["migrate"]);
        run(&[
            "admin",
            "user",
            "create",
            "--username",
            Self::USER,
            "--password",
            PASSWORD,
            "--email",
            "acme@example.com",
            "--admin",
            "--must-change-password=false",
        ]);
        let token = run(&[
            "admin",
            "user",
            "generate-access-token",
            "--username",
            Self::USER,
            "--token-name",
            "test",
            "--scopes",
            "all",
            "--raw",
        ]);
        let token = token.lines().last().unwrap_or_default().trim().to_owned();
        let process = ServerProcess::start(NAME, &base.join("log"), |port| {
            fs::write(&settings, ini(base, port))?;
            Ok(command(&["web"]))
        })?;
        Ok(Self {
            process,
            token,
            _directory: directory,
        })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.process.port())
    }

    /// The administrator's token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Makes an empty repository of the administrator's.
    pub fn create_repository(&self, name: &str) {
        let body = json!({ "name": name, "default_branch": "main" });
        self.api("POST", "/user/repos", Some(&body));
    }

    /// Makes a user who may write to a repository.
    pub fn create_collaborator(&self, name: &str, repository: &str) {
        let body = json!({
            "username": name, "email": format!("{name}@example.com"),
            "password": PASSWORD, "must_change_password": false,
        });
        self.api("POST", "/admin/users", Some(&body));
        let path = format!("/repos/{}/{repository}/collaborators/{name}", Self::USER);
        self.api("PUT", &path, Some(&json!({ "permission": "write" })));
    }

    /// An API request that must succeed; its answer, `null` where there is none.
    pub fn api(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let client = HttpClient::new(&format!("127.0.0.1:{}", self.process.port()))
            .with_header("authorization", &format!("token {}", self.token));
        let body = body.map(Value::to_string).unwrap_or_default();
        let answer = client
            .send(
                method,
                &format!("/api/v1{path}"),
                "application/json",
                body.as_bytes(),
            )
            .expect("gitea answers");
        assert!(
            answer.status < 300,
            "{method} {path}: {} {}\n{}",
            answer.status,
            answer.text(),
            self.process.log()
        );
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }
}

fn ini(base: &Path, port: u16) -> String {
    let root = std::env::var("GITEA_STATIC_ROOT")
        .map(|root| format!("STATIC_ROOT_PATH = {root}\n"))
        .unwrap_or_default();
    let user = std::env::var("USER").unwrap_or_else(|_| "root".to_owned());
    let base = base.display();
    format!(
        "RUN_MODE = prod
RUN_USER = {user}
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {port}
ROOT_URL = http://127.0.0.1:{port}/
DISABLE_SSH = true
OFFLINE_MODE = true
{root}[database]
DB_TYPE = sqlite3
PATH = {base}/gitea.db
[security]
INSTALL_LOCK = true
SECRET_KEY = a-key-of-the-test
[repository]
ROOT = {base}/repositories
[service]
DISABLE_REGISTRATION = true
[indexer]
ISSUE_INDEXER_TYPE = db
[actions]
ENABLED = false
[packages]
ENABLED = false
[log]
MODE = console
LEVEL = warn
"
    )
}
