//! Credential helpers: `docker-credential-<name> get`, asked on standard input, with a time limit.

use super::Credential;
use super::CredentialError;
use super::docker_config::login;
use secrecy::SecretString;
use serde::Deserialize;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

/// Helpers ask key chains and clouds; longer than this somebody is asked who is not there.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The most that is read of a helper's output.
const MAX_OUTPUT: u64 = 64 * 1024;

/// How helpers are found and how long they may take.
#[derive(Debug, Clone)]
pub(super) struct Helpers {
    /// Where they are; without, on the `PATH`.
    pub(super) directory: Option<PathBuf>,
    pub(super) timeout: Duration,
}

impl Default for Helpers {
    fn default() -> Self {
        Self {
            directory: None,
            timeout: TIMEOUT,
        }
    }
}

#[derive(Deserialize)]
struct Output {
    #[serde(rename = "Username", default)]
    username: String,
    #[serde(rename = "Secret", default)]
    secret: String,
}

impl Helpers {
    /// Asks a helper for a server's credentials; `None` when it has none.
    pub(super) async fn get(
        &self,
        helper: &str,
        server: &str,
        owner: &str,
    ) -> Result<Option<Credential>, CredentialError> {
        let failed = |reason: String| CredentialError::Helper {
            helper: helper.to_owned(),
            server: server.to_owned(),
            reason,
        };
        let is_name = !helper.is_empty()
            && helper
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        if !is_name {
            return Err(failed(
                "that is not the name of a helper: letters, digits, '-', '_' and '.'".to_owned(),
            ));
        }
        let output = tokio::time::timeout(self.timeout, self.run(helper, server))
            .await
            .map_err(|_| failed(format!("no answer within {} s", self.timeout.as_secs())))?
            .map_err(|error| {
                if error.kind() == std::io::ErrorKind::NotFound {
                    failed("it is not installed (looked for it on the PATH)".to_owned())
                } else {
                    failed(error.to_string())
                }
            })?;
        let (success, text) = output;
        if !success {
            // Helpers say so on standard output, in these words.
            let has_none = text.contains("credentials not found")
                || text.contains("no credentials server URL");
            return if has_none {
                Ok(None)
            } else {
                Err(failed(format!(
                    "it failed, saying {:?}",
                    crate::error::printable(&text)
                )))
            };
        }
        let output: Output = serde_json::from_str(&text)
            .map_err(|_| failed("its output is not JSON with Username and Secret".to_owned()))?;
        if output.username.is_empty() && output.secret.is_empty() {
            return Ok(None);
        }
        Ok(Some(login(
            owner,
            output.username,
            SecretString::from(output.secret),
        )))
    }

    async fn run(&self, helper: &str, server: &str) -> std::io::Result<(bool, String)> {
        let program = format!("docker-credential-{helper}");
        let program = match &self.directory {
            Some(directory) => directory.join(program),
            None => PathBuf::from(program),
        };
        let mut child = Command::new(program)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut input) = child.stdin.take() {
            // A helper that does not read its input is one that needs none.
            let _ = input.write_all(server.as_bytes()).await;
            let _ = input.shutdown().await;
        }
        let mut text = Vec::new();
        if let Some(output) = child.stdout.take() {
            output.take(MAX_OUTPUT).read_to_end(&mut text).await?;
        }
        let status = child.wait().await?;
        let text = String::from_utf8(text).map_err(std::io::Error::other)?;
        Ok((status.success(), text))
    }
}
