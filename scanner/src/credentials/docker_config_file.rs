//! The docker configuration of the user this program runs as: `~/.docker/config.json`, with its helpers.

use super::credential_helper::Helpers;
use super::docker_config::{DockerConfig, Pattern};
use super::{Credential, CredentialError, CredentialSource, ProvideCredentials};
use crate::sync::lock;
use futures_util::future::BoxFuture;
use std::collections::HashMap;
use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tagline_policy::{Registry, RepositoryName};
use tokio::time::Instant;

/// What a helper gave is used for so long before it is asked again.
const HELPER_ANSWERS_LAST: Duration = Duration::from_mins(5);
/// No configuration is larger.
const MAX_FILE: u64 = 4 * 1024 * 1024;

struct DockerConfigFile {
    path: PathBuf,
    label: String,
    helpers: Helpers,
    read: Mutex<Option<Read>>,
    answers: Mutex<HashMap<(String, String), Answer>>,
}

/// The file as it was read last.
struct Read {
    modified: Option<SystemTime>,
    config: Arc<DockerConfig>,
}

struct Answer {
    credential: Option<Credential>,
    until: Instant,
}

impl CredentialSource {
    /// The credentials of a docker configuration file, with its `credHelpers` and `credsStore`. Read again when it
    /// changes; no file is the same as an empty one.
    #[must_use]
    pub fn docker_config_file(path: impl Into<PathBuf>) -> Self {
        Self::with_helpers(path.into(), Helpers::default())
    }

    /// The configuration file that docker and podman would use: `$DOCKER_CONFIG/config.json`, `$REGISTRY_AUTH_FILE`,
    /// `~/.docker/config.json`, `$XDG_RUNTIME_DIR/containers/auth.json`, the first that is there. Anonymous without one.
    #[must_use]
    pub fn local_docker_config() -> Self {
        default_files()
            .into_iter()
            .find(|path| path.is_file())
            .map_or_else(Self::anonymous, Self::docker_config_file)
    }

    pub(super) fn with_helpers(path: PathBuf, helpers: Helpers) -> Self {
        Self::new(DockerConfigFile {
            label: path.display().to_string(),
            path,
            helpers,
            read: Mutex::default(),
            answers: Mutex::default(),
        })
    }
}

fn default_files() -> Vec<PathBuf> {
    let below = |variable: &str, rest: &str| {
        env::var_os(variable)
            .filter(|value| !value.is_empty())
            .map(|value| Path::new(&value).join(rest))
    };
    [
        below("DOCKER_CONFIG", "config.json"),
        env::var_os("REGISTRY_AUTH_FILE").map(PathBuf::from),
        below("HOME", ".docker/config.json"),
        below("XDG_RUNTIME_DIR", "containers/auth.json"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

impl DockerConfigFile {
    /// The configuration as the file has it now.
    fn config(&self) -> Result<Arc<DockerConfig>, CredentialError> {
        let invalid = |reason: String| CredentialError::InvalidDockerConfig {
            source_label: self.label.clone(),
            reason,
        };
        let metadata = match fs::metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Arc::default());
            }
            Err(error) => return Err(invalid(error.to_string())),
        };
        let modified = metadata.modified().ok();
        let mut read = lock(&self.read);
        if let Some(read) = &*read
            && modified.is_some()
            && read.modified == modified
        {
            return Ok(Arc::clone(&read.config));
        }
        if metadata.len() > MAX_FILE {
            return Err(invalid("it is larger than 4 MiB".to_owned()));
        }
        let text = fs::read_to_string(&self.path).map_err(|error| invalid(error.to_string()))?;
        let config = Arc::new(DockerConfig::parse(&self.label, &text)?);
        *read = Some(Read {
            modified,
            config: Arc::clone(&config),
        });
        lock(&self.answers).clear();
        Ok(config)
    }

    async fn find(
        &self,
        registry: &Registry,
        repository: Option<&RepositoryName>,
    ) -> Result<Vec<Credential>, CredentialError> {
        let config = self.config()?;
        let helper = config
            .helpers
            .iter()
            .find(|(pattern, _)| pattern.matches(registry, repository))
            .map(|(_, helper)| helper)
            .or(config.store.as_ref());
        let mut found = Vec::new();
        if let Some(helper) = helper {
            found.extend(self.ask(helper, Pattern::server(registry)).await?);
        }
        found.extend(config.matching(registry, repository));
        Ok(found)
    }

    async fn ask(&self, helper: &str, server: &str) -> Result<Option<Credential>, CredentialError> {
        let key = (helper.to_owned(), server.to_owned());
        if let Some(answer) = lock(&self.answers).get(&key)
            && answer.until > Instant::now()
        {
            return Ok(answer.credential.clone());
        }
        let owner = format!("{helper} {server}");
        let credential = self.helpers.get(helper, server, &owner).await?;
        lock(&self.answers).insert(
            key,
            Answer {
                credential: credential.clone(),
                until: Instant::now() + HELPER_ANSWERS_LAST,
            },
        );
        Ok(credential)
    }
}

impl ProvideCredentials for DockerConfigFile {
    fn label(&self) -> &str {
        &self.label
    }

    fn credentials<'a>(
        &'a self,
        registry: &'a Registry,
        repository: Option<&'a RepositoryName>,
    ) -> BoxFuture<'a, Result<Vec<Credential>, CredentialError>> {
        Box::pin(self.find(registry, repository))
    }
}

impl fmt::Debug for DockerConfigFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DockerConfigFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use tagline_policy::ImageName;

    struct Setup {
        directory: tempfile::TempDir,
        source: CredentialSource,
    }

    impl Setup {
        fn new(config: &serde_json::Value, timeout: Duration) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("config.json");
            fs::write(&path, config.to_string()).unwrap();
            let helpers = Helpers {
                directory: Some(directory.path().to_owned()),
                timeout,
            };
            Self {
                directory,
                source: CredentialSource::with_helpers(path, helpers),
            }
        }

        fn helper(self, name: &str, script: &str) -> Self {
            let path = self
                .directory
                .path()
                .join(format!("docker-credential-{name}"));
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            self
        }

        async fn identities(&self, image: &str) -> Result<Vec<String>, CredentialError> {
            let image = ImageName::parse(image).unwrap();
            let found = self
                .source
                .candidates(image.registry(), Some(image.repository()))
                .await?;
            Ok(found
                .iter()
                .map(|found| found.identity().to_string())
                .collect())
        }
    }

    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn helpers_are_asked_for_their_registries_and_the_store_for_others() {
        let setup = Setup::new(
            &serde_json::json!({
                "credHelpers": {"*.dkr.ecr.*.amazonaws.com": "ecr-login"},
                "credsStore": "store",
                "auths": {"ghcr.io": {"auth": "bWU6cHc="}},
            }),
            LONG,
        )
        .helper(
            "ecr-login",
            r#"read server; printf '{"ServerURL":"%s","Username":"AWS","Secret":"x"}' "$server""#,
        )
        .helper(
            "store",
            r#"server=$(cat); echo "$server" >> "$0.asked"
               case "$server" in
                 https://index.docker.io/v1/) echo '{"Username":"<token>","Secret":"t"}';;
                 *) echo 'credentials not found in native keychain'; exit 1;;
               esac"#,
        );
        for (image, expected) in [
            ("1.dkr.ecr.eu-west-1.amazonaws.com/app", vec!["user AWS"]),
            ("alpine", vec!["token store https://index.docker.io/v1/"]),
            ("ghcr.io/org/app", vec!["user me"]),
            ("quay.io/org/app", vec!["anonymous"]),
        ] {
            assert_eq!(setup.identities(image).await.unwrap(), expected, "{image}");
            assert_eq!(setup.identities(image).await.unwrap(), expected, "{image}");
        }
        // Answers are remembered.
        let asked = setup.directory.path().join("docker-credential-store.asked");
        assert_eq!(fs::read_to_string(asked).unwrap().lines().count(), 3);
    }

    #[tokio::test]
    async fn helpers_that_fail_say_which_and_why() {
        for (name, script, expected) in [
            ("slow", "sleep 60", "no answer within 0 s"),
            ("broken", "echo not json", "its output is not JSON"),
            (
                "fails",
                "echo 'key chain is locked'; exit 1",
                "key chain is locked",
            ),
            ("missing", "", "it is not installed"),
            ("../evil", "", "not the name of a helper"),
        ] {
            let timeout = if name == "slow" {
                Duration::from_millis(100)
            } else {
                LONG
            };
            let setup = Setup::new(&serde_json::json!({ "credsStore": name }), timeout);
            let setup = if script.is_empty() {
                setup
            } else {
                setup.helper(name, script)
            };
            let error = setup.identities("ghcr.io/org/app").await.unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[tokio::test]
    async fn a_changed_file_is_read_again_and_none_is_empty() {
        let setup = Setup::new(&serde_json::json!({}), LONG);
        assert_eq!(
            setup.identities("ghcr.io/a/b").await.unwrap(),
            ["anonymous"]
        );
        let path = setup.directory.path().join("config.json");
        fs::write(&path, r#"{"auths":{"ghcr.io":{"auth":"bWU6cHc="}}}"#).unwrap();
        let later = SystemTime::now() + Duration::from_secs(5);
        fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(later)
            .unwrap();
        assert_eq!(setup.identities("ghcr.io/a/b").await.unwrap(), ["user me"]);
        fs::remove_file(&path).unwrap();
        assert_eq!(
            setup.identities("ghcr.io/a/b").await.unwrap(),
            ["anonymous"]
        );
    }

    #[tokio::test]
    async fn a_pull_secret_runs_no_helper() {
        let source =
            CredentialSource::docker_config("Secret a/b", r#"{"credsStore":"evil"}"#).unwrap();
        let registry = Registry::new("ghcr.io").unwrap();
        let found = source.candidates(&registry, None).await.unwrap();
        assert_eq!(found[0].identity().as_str(), "anonymous");
    }
}
