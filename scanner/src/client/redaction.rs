//! Keeps out of messages what was shown to a registry: it may send it back in an error.

use crate::credentials::{Credential, Secret};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};

/// Shorter secrets would blank out ordinary words.
const SHORTEST: usize = 4;

/// What was shown so far.
#[derive(Debug, Default)]
pub(crate) struct Redaction {
    secrets: Vec<SecretString>,
}

impl Redaction {
    /// A credential is about to be shown.
    pub(crate) fn add_credential(&mut self, credential: &Credential) {
        match credential.secret() {
            Secret::Anonymous => {}
            Secret::Basic { username, password } => {
                let password = password.expose_secret();
                self.add(&STANDARD.encode(format!("{username}:{password}")));
                self.add(password);
            }
            Secret::IdentityToken(token) | Secret::RegistryToken(token) => {
                self.add(token.expose_secret());
            }
        }
    }

    /// A secret is about to be shown.
    pub(crate) fn add(&mut self, secret: &str) {
        let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        for form in [secret, &encoded] {
            let is_new = self
                .secrets
                .iter()
                .all(|known| known.expose_secret() != form);
            if form.len() >= SHORTEST && is_new {
                self.secrets.push(form.to_owned().into());
            }
        }
    }

    /// The text without them.
    pub(crate) fn clean(&self, text: String) -> String {
        self.secrets.iter().fold(text, |text, secret| {
            let secret = secret.expose_secret();
            if text.contains(secret) {
                text.replace(secret, "***")
            } else {
                text
            }
        })
    }
}
