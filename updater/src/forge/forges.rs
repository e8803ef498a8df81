//! Connections that outlive a run: what a forge asked to wait for holds for all who use that host and credential.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::connect::on_wire;
use super::http::Wire;
use super::{
    ConnectOptions, Connection, Credentials, ForgeError, GitHubApp, GitHubAppKey, Installation,
    PullRequests,
};

/// With more than this, connections that have nothing to remember are dropped: credentials change over time.
const MANY: usize = 256;

/// What names a GitHub App's installation.
#[derive(Debug, Clone)]
pub struct GitHubAppSettings {
    /// `https://api.github.com`, or a server's `https://HOST/api/v3`.
    pub api: Url,
    /// Its id or client id.
    pub app_id: String,
    /// Its private key, PEM.
    pub private_key: SecretString,
    /// Which installation.
    pub installation: Installation,
}

/// The forges of a process. Cheap to clone.
#[derive(Clone, Default)]
pub struct Forges(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    wires: HashMap<Key, Arc<Wire>>,
    apps: HashMap<Key, Arc<GitHubApp>>,
}

type Key = [u8; 32];

impl Forges {
    /// Connects; no request is sent yet. Two connections to one host with one credential share what the forge said
    /// about its limits, and take turns in changing requests.
    ///
    /// # Errors
    /// [`ForgeError::Client`] when the HTTP client cannot be set up.
    pub fn connect(&self, connection: Connection) -> Result<Box<dyn PullRequests>, ForgeError> {
        let Connection {
            repository,
            credentials,
            options,
        } = &connection;
        let mut parts = vec![
            repository.provider.as_str().as_bytes().to_vec(),
            repository.api.origin().ascii_serialization().into_bytes(),
        ];
        match credentials {
            Credentials::Token(token) => parts.push(token.expose_secret().as_bytes().to_vec()),
            Credentials::Basic { username, password } => {
                parts.push(username.as_bytes().to_vec());
                parts.push(password.expose_secret().as_bytes().to_vec());
            }
            Credentials::GitHubApp(app) => parts.push(app.identity().to_vec()),
        }
        parts.push(reach(options));
        let key = key(&parts);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.wires.len() > MANY {
            known.wires.retain(|_, wire| wire.blocked_until().is_some());
        }
        let wire = if let Some(wire) = known.wires.get(&key) {
            Arc::clone(wire)
        } else {
            let wire = Arc::new(Wire::new(repository.provider, options)?);
            known.wires.insert(key, Arc::clone(&wire));
            wire
        };
        drop(known);
        Ok(on_wire(wire, connection))
    }

    /// A GitHub App; the same one, with its token, for the same settings.
    ///
    /// # Errors
    /// Those of [`GitHubApp::new`] and [`GitHubAppKey::from_pem`].
    pub fn github_app(
        &self,
        settings: &GitHubAppSettings,
        options: &ConnectOptions,
    ) -> Result<Arc<GitHubApp>, ForgeError> {
        let parts = [
            settings.api.as_str().as_bytes().to_vec(),
            settings.app_id.as_bytes().to_vec(),
            settings.private_key.expose_secret().as_bytes().to_vec(),
            format!("{:?}", settings.installation).into_bytes(),
            reach(options),
        ];
        let key = key(&parts);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(app) = known.apps.get(&key) {
            return Ok(Arc::clone(app));
        }
        if known.apps.len() > MANY {
            known.apps.clear();
        }
        let app = Arc::new(GitHubApp::new(
            settings.api.clone(),
            &settings.app_id,
            GitHubAppKey::from_pem(&settings.private_key)?,
            settings.installation.clone(),
            options,
        )?);
        known.apps.insert(key, Arc::clone(&app));
        Ok(app)
    }
}

impl fmt::Debug for Forges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forges").finish_non_exhaustive()
    }
}

/// What of the options makes another connection.
fn reach(options: &ConnectOptions) -> Vec<u8> {
    let proxy = options.proxy.as_ref().map_or("", Url::as_str);
    let mut reach = format!(
        "{proxy}\n{:?}\n{:?}\n",
        options.timeout, options.write_interval
    )
    .into_bytes();
    reach.extend(options.ca_bundle.iter().flatten());
    reach
}

/// Only the hash is kept: no secret lies about in a table.
fn key(parts: &[Vec<u8>]) -> Key {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.len().to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forge::{Provider, RepositoryAddress};

    fn connection(host: &str, token: &str) -> Connection {
        Connection {
            repository: RepositoryAddress {
                provider: Provider::Gitea,
                api: format!("https://{host}/api/v1").parse().unwrap(),
                owner: "a".to_owned(),
                name: "b".to_owned(),
            },
            credentials: Credentials::Token(SecretString::from(token)),
            options: ConnectOptions::default(),
        }
    }

    #[test]
    fn one_wire_for_each_host_and_credential() {
        let forges = Forges::default();
        for (host, token) in [("x", "1"), ("x", "1"), ("x", "2"), ("y", "1"), ("x", "1")] {
            forges.connect(connection(host, token)).unwrap();
        }
        assert_eq!(forges.0.lock().unwrap().wires.len(), 3);
        let shown = format!("{forges:?}");
        assert_eq!(shown, "Forges { .. }");
    }
}
