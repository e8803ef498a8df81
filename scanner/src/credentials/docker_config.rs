//! Docker's configuration: `auths` of a file or of a pull secret, and which of them fits an image.
//!
//! Keys are matched as Kubernetes does: with or without scheme, `/v1/` and `/v2/` passed over, globs per part of the
//! host name, equal ports, a path as prefix; of several keys that fit, the last in string order comes first. Unlike
//! there, all that fit are tried, and Docker Hub is matched under each of its names.

use super::{Credential, CredentialError, CredentialSource, ProvideCredentials};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use futures_util::future::BoxFuture;
use secrecy::SecretString;
use serde::Deserialize;
use std::collections::BTreeMap;
use tagline_policy::{Registry, RepositoryName};

/// Padding may be missing: tools differ.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A parsed configuration.
#[derive(Debug, Default)]
pub(super) struct DockerConfig {
    /// The last key in string order first.
    entries: Vec<(Pattern, Credential)>,
    pub(super) helpers: Vec<(Pattern, String)>,
    pub(super) store: Option<String>,
}

/// A key: which registries and repositories it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    host: String,
    port: Option<String>,
    /// With its leading slash.
    path: String,
}

#[derive(Deserialize)]
struct ConfigFile {
    #[serde(default)]
    auths: Option<BTreeMap<String, Entry>>,
    #[serde(default, rename = "credHelpers")]
    cred_helpers: Option<BTreeMap<String, String>>,
    #[serde(default, rename = "credsStore")]
    creds_store: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

impl CredentialSource {
    /// The credentials of a pull secret: the text of `.dockerconfigjson` or of the older `.dockercfg`.
    ///
    /// Helpers that it names are not run: whoever may write a secret must not choose programs for us.
    ///
    /// # Errors
    /// [`CredentialError::InvalidDockerConfig`] when the text is neither.
    pub fn docker_config(label: &str, text: &str) -> Result<Self, CredentialError> {
        let mut config = DockerConfig::parse(label, text)?;
        config.helpers.clear();
        config.store = None;
        Ok(Self::new(PullSecret {
            label: label.to_owned(),
            config,
        }))
    }
}

impl DockerConfig {
    /// Reads a configuration. No message quotes it: every value may be secret.
    pub(super) fn parse(label: &str, text: &str) -> Result<Self, CredentialError> {
        let invalid = |reason: String| CredentialError::InvalidDockerConfig {
            source_label: label.to_owned(),
            reason,
        };
        let at = |error: &serde_json::Error| {
            format!(
                "it is not the JSON of a docker configuration (line {}, column {})",
                error.line(),
                error.column()
            )
        };
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|error| invalid(at(&error)))?;
        let is_current = ["auths", "credHelpers", "credsStore"]
            .iter()
            .any(|key| value.get(key).is_some());
        let file = if is_current || value.as_object().is_some_and(serde_json::Map::is_empty) {
            serde_json::from_value::<ConfigFile>(value)
        } else {
            // `.dockercfg` is the map of hosts alone.
            serde_json::from_value(value).map(|auths| ConfigFile {
                auths: Some(auths),
                cred_helpers: None,
                creds_store: None,
            })
        };
        let file = file.map_err(|_| {
            invalid(
                "expected {\"auths\": {\"<registry>\": {\"auth\": \"<base64 of user:password>\"}}}"
                    .to_owned(),
            )
        })?;
        let mut entries = Vec::new();
        for (key, entry) in file.auths.unwrap_or_default().into_iter().rev() {
            let pattern = Pattern::new(&key)
                .ok_or_else(|| invalid(format!("the key {key:?} of auths is not a registry")))?;
            if let Some(credential) = entry
                .credential(label, &key)
                .map_err(|reason| invalid(format!("auths[{key:?}]: {reason}")))?
            {
                entries.push((pattern, credential));
            }
        }
        let helpers = file
            .cred_helpers
            .unwrap_or_default()
            .into_iter()
            .rev()
            .filter_map(|(key, helper)| Some((Pattern::new(&key)?, helper)))
            .collect();
        Ok(Self {
            entries,
            helpers,
            store: file.creds_store.filter(|store| !store.is_empty()),
        })
    }

    /// The credentials that fit, best first.
    pub(super) fn matching(
        &self,
        registry: &Registry,
        repository: Option<&RepositoryName>,
    ) -> Vec<Credential> {
        self.entries
            .iter()
            .filter(|(pattern, _)| pattern.matches(registry, repository))
            .map(|(_, credential)| credential.clone())
            .collect()
    }
}

impl Entry {
    fn credential(self, label: &str, key: &str) -> Result<Option<Credential>, &'static str> {
        let present = |text: Option<String>| text.filter(|text| !text.is_empty());
        let owner = format!("{label} {key}");
        if let Some(token) = present(self.identitytoken) {
            return Ok(Some(Credential::identity_token(&owner, token.into())));
        }
        if let Some(token) = present(self.registrytoken) {
            return Ok(Some(Credential::registry_token(&owner, token.into())));
        }
        let (username, password) = match present(self.auth) {
            Some(auth) => {
                let bytes = BASE64
                    .decode(auth.trim())
                    .map_err(|_| "`auth` is not base64")?;
                let text =
                    String::from_utf8(bytes).map_err(|_| "`auth` is not base64 of a text")?;
                let (user, password) = text
                    .split_once(':')
                    .ok_or("`auth` is not base64 of user:password")?;
                // Old docker clients pad with zero bytes.
                (user.to_owned(), password.trim_end_matches('\0').to_owned())
            }
            None => match (present(self.username), present(self.password)) {
                (Some(user), Some(password)) => (user, password),
                _ => return Ok(None),
            },
        };
        Ok(Some(login(&owner, username, password.into())))
    }
}

/// Helpers and stores give identity tokens under the user name `<token>`.
pub(super) fn login(owner: &str, username: String, password: SecretString) -> Credential {
    if username == "<token>" {
        Credential::identity_token(owner, password)
    } else {
        Credential::basic(username, password)
    }
}

impl Pattern {
    pub(super) fn new(key: &str) -> Option<Self> {
        let text = key
            .strip_prefix("https://")
            .or_else(|| key.strip_prefix("http://"))
            .unwrap_or(key);
        let (authority, path) = match text.find('/') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let path = ["/v1/", "/v2/"]
            .iter()
            .find_map(|version| path.strip_prefix(version))
            .map_or_else(|| path.to_owned(), |rest| format!("/{rest}"));
        let path = if path == "/v1" || path == "/v2" {
            String::new()
        } else {
            path
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
                (host, Some(port.to_owned()))
            }
            _ => (authority, None),
        };
        if host.is_empty() {
            return None;
        }
        let host = match host.to_ascii_lowercase().as_str() {
            "docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => {
                "index.docker.io".to_owned()
            }
            host => host.to_owned(),
        };
        Some(Self { host, port, path })
    }

    pub(super) fn matches(&self, registry: &Registry, repository: Option<&RepositoryName>) -> bool {
        let port = registry
            .as_str()
            .strip_prefix(registry.host())
            .and_then(|rest| rest.strip_prefix(':'));
        if self.port.as_deref() != port {
            return false;
        }
        let (patterns, parts): (Vec<_>, Vec<_>) = (
            self.host.split('.').collect(),
            registry.host().split('.').collect(),
        );
        let host_fits = patterns.len() == parts.len()
            && patterns
                .iter()
                .zip(parts)
                .all(|(pattern, part)| part_matches(pattern.as_bytes(), part.as_bytes()));
        host_fits
            && match repository {
                Some(repository) => format!("/{repository}").starts_with(&self.path),
                None => self.path.len() <= 1,
            }
    }

    /// The address a credential helper knows the registry by.
    pub(super) fn server(registry: &Registry) -> &str {
        if registry.is_docker_hub() {
            "https://index.docker.io/v1/"
        } else {
            registry.as_str()
        }
    }
}

/// `*` and `?` within one part of a host name.
fn part_matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            (0..=text.len()).any(|skip| part_matches(rest, text.get(skip..).unwrap_or_default()))
        }
        ([b'?', rest @ ..], [_, text @ ..]) => part_matches(rest, text),
        ([p, rest @ ..], [t, text @ ..]) => p == t && part_matches(rest, text),
        _ => false,
    }
}

#[derive(Debug)]
struct PullSecret {
    label: String,
    config: DockerConfig,
}

impl ProvideCredentials for PullSecret {
    fn label(&self) -> &str {
        &self.label
    }

    fn credentials<'a>(
        &'a self,
        registry: &'a Registry,
        repository: Option<&'a RepositoryName>,
    ) -> BoxFuture<'a, Result<Vec<Credential>, CredentialError>> {
        Box::pin(async move { Ok(self.config.matching(registry, repository)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tagline_policy::ImageName;

    fn users(config: &str, image: &str) -> Vec<String> {
        let image = ImageName::parse(image).unwrap();
        DockerConfig::parse("test", config)
            .unwrap()
            .matching(image.registry(), Some(image.repository()))
            .iter()
            .map(|credential| credential.identity().to_string())
            .collect()
    }

    fn auths(keys: &[&str]) -> String {
        let auths: BTreeMap<_, _> = keys
            .iter()
            .map(|key| {
                (
                    *key,
                    serde_json::json!({"username": key, "password": "secret"}),
                )
            })
            .collect();
        serde_json::json!({ "auths": auths }).to_string()
    }

    #[test]
    fn keys_match_as_in_kubernetes() {
        for (key, image, matches) in [
            ("ghcr.io", "ghcr.io/org/app", true),
            ("https://ghcr.io", "ghcr.io/org/app", true),
            ("https://ghcr.io/v1/", "ghcr.io/org/app", true),
            ("https://ghcr.io/v2/org", "ghcr.io/org/app", true),
            ("ghcr.io/org", "ghcr.io/org/app", true),
            ("ghcr.io/other", "ghcr.io/org/app", false),
            ("GHCR.IO", "ghcr.io/org/app", true),
            (
                "*.dkr.ecr.*.amazonaws.com",
                "1.dkr.ecr.eu-west-1.amazonaws.com/app",
                true,
            ),
            (
                "*.amazonaws.com",
                "1.dkr.ecr.eu-west-1.amazonaws.com/app",
                false,
            ),
            ("*.io", "ghcr.io/org/app", true),
            ("g?cr.io", "ghcr.io/org/app", true),
            ("*", "ghcr.io/org/app", false),
            ("registry.corp:5000", "registry.corp:5000/a/b", true),
            ("registry.corp", "registry.corp:5000/a/b", false),
            ("registry.corp:5000", "registry.corp/a/b", false),
            ("https://index.docker.io/v1/", "alpine", true),
            ("docker.io", "alpine", true),
            ("docker.io", "podinfo/podinfo", true),
            ("index.docker.io", "alpine", true),
            ("registry-1.docker.io", "alpine", true),
            ("docker.io/podinfo", "podinfo/podinfo", true),
            ("docker.io/podinfo", "alpine", false),
        ] {
            assert_eq!(
                !users(&auths(&[key]), image).is_empty(),
                matches,
                "{key} {image}"
            );
        }
    }

    #[test]
    fn the_most_specific_comes_first_and_all_are_tried() {
        assert_eq!(
            users(
                &auths(&["ghcr.io", "ghcr.io/org/app", "ghcr.io/org", "quay.io"]),
                "ghcr.io/org/app"
            ),
            ["user ghcr.io/org/app", "user ghcr.io/org", "user ghcr.io"]
        );
    }

    #[test]
    fn reads_every_kind_of_entry() {
        let encode = |text: &str| BASE64.encode(text);
        for (entry, identity) in [
            (
                serde_json::json!({"auth": encode("me:p:w")}),
                Some("user me"),
            ),
            (
                serde_json::json!({"auth": encode("me:pw").trim_end_matches('=')}),
                Some("user me"),
            ),
            (
                serde_json::json!({"auth": encode("me:pw\0\0")}),
                Some("user me"),
            ),
            (
                serde_json::json!({"username": "me", "password": "pw", "email": "x"}),
                Some("user me"),
            ),
            (
                serde_json::json!({"auth": encode("other:pw"), "username": "me", "password": "pw"}),
                Some("user other"),
            ),
            (
                serde_json::json!({"identitytoken": "t"}),
                Some("token test r.io"),
            ),
            (
                serde_json::json!({"auth": encode("<token>:t")}),
                Some("token test r.io"),
            ),
            (
                serde_json::json!({"registrytoken": "t"}),
                Some("token test r.io"),
            ),
            (serde_json::json!({}), None),
            (serde_json::json!({"username": "me"}), None),
        ] {
            let new = serde_json::json!({"auths": {"r.io": entry}}).to_string();
            let old = serde_json::json!({"r.io": entry}).to_string();
            for config in [new, old] {
                let found = users(&config, "r.io/app");
                assert_eq!(found.first().map(String::as_str), identity, "{config}");
            }
        }
        assert!(users("{}", "r.io/app").is_empty());
        assert!(users(r#"{"auths":null,"credsStore":"desktop"}"#, "r.io/app").is_empty());
    }

    #[test]
    fn refuses_what_is_not_a_configuration_without_quoting_it() {
        for config in [
            "",
            "secret-password",
            "[\"secret-password\"]",
            r#"{"auths":"secret-password"}"#,
            r#"{"auths":{"r.io":{"auth":"secret-password!"}}}"#,
            r#"{"auths":{"r.io":{"auth":"c2VjcmV0LXBhc3N3b3Jk"}}}"#,
            r#"{"auths":{"r.io":"secret-password"}}"#,
            r#"{"auths":{"/":{"auth":"YTpzZWNyZXQtcGFzc3dvcmQ="}}}"#,
            r#"{"r.io":7}"#,
        ] {
            let error = CredentialSource::docker_config("Secret a/b", config).unwrap_err();
            assert!(
                !format!("{error} {error:?}").contains("secret-password"),
                "{error}"
            );
            assert!(error.to_string().contains("Secret a/b"), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text: String, key in "[ -~]{0,30}") {
            let _ = DockerConfig::parse("test", &text);
            let registry = Registry::new("ghcr.io:5000").unwrap();
            if let Some(pattern) = Pattern::new(&key) {
                let _ = pattern.matches(&registry, None);
            }
        }
    }
}
