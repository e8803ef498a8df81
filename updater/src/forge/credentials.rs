//! Who we are to a forge.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};

use super::{ForgeError, GitHubApp, Provider};

/// A credential; goes to the forge's API host and nowhere else.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// A token: personal, project, group, workspace, repository or HTTP access token; an OAuth or Entra ID token.
    Token(SecretString),
    /// User and password, app password or API token.
    Basic {
        /// The user; at Bitbucket Cloud the Atlassian account's mail address.
        username: String,
        /// The password or token.
        password: SecretString,
    },
    /// A GitHub App's installation; its short-lived tokens are fetched as needed.
    GitHubApp(Arc<GitHubApp>),
}

impl Credentials {
    /// The value of `Authorization`, marked as sensitive.
    pub(super) async fn authorization(
        &self,
        provider: Provider,
    ) -> Result<HeaderValue, ForgeError> {
        match self {
            Self::Token(token) => token_header(provider, token.expose_secret()),
            Self::Basic { username, password } => {
                basic(provider, username, password.expose_secret())
            }
            Self::GitHubApp(app) => {
                token_header(provider, app.token().await?.token.expose_secret())
            }
        }
    }

    /// What must not appear in any text.
    pub(super) fn secrets(&self) -> Vec<&str> {
        match self {
            Self::Token(secret)
            | Self::Basic {
                password: secret, ..
            } => vec![secret.expose_secret()],
            Self::GitHubApp(_) => Vec::new(),
        }
    }
}

fn token_header(provider: Provider, token: &str) -> Result<HeaderValue, ForgeError> {
    match provider {
        // Understood by every version; `Bearer` is not.
        Provider::Gitea => header(provider, &format!("token {token}")),
        // A personal access token is a password without a user; Entra ID's tokens are JWTs.
        Provider::AzureDevOps if !is_jwt(token) => basic(provider, "", token),
        _ => header(provider, &format!("Bearer {token}")),
    }
}

fn is_jwt(token: &str) -> bool {
    token.starts_with("eyJ") && token.split('.').count() == 3
}

fn basic(provider: Provider, username: &str, password: &str) -> Result<HeaderValue, ForgeError> {
    header(
        provider,
        &format!(
            "Basic {}",
            STANDARD.encode(format!("{username}:{password}"))
        ),
    )
}

pub(super) fn header(provider: Provider, text: &str) -> Result<HeaderValue, ForgeError> {
    let mut value =
        HeaderValue::from_str(text.trim_end()).map_err(|_| ForgeError::InvalidCredential {
            provider,
            reason: "it has characters no header may hold",
        })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_forge_gets_the_form_it_knows() {
        let token = |text: &str| Credentials::Token(SecretString::from(text.to_owned()));
        for (provider, credential, header) in [
            (Provider::GitHub, token("t"), "Bearer t"),
            (Provider::GitLab, token("t\n"), "Bearer t"),
            (Provider::Gitea, token("t"), "token t"),
            (Provider::AzureDevOps, token("pat"), "Basic OnBhdA=="),
            (Provider::AzureDevOps, token("eyJ.a.b"), "Bearer eyJ.a.b"),
            (
                Provider::BitbucketCloud,
                Credentials::Basic {
                    username: "u".to_owned(),
                    password: SecretString::from("p".to_owned()),
                },
                "Basic dTpw",
            ),
        ] {
            let value = credential.authorization(provider).await.unwrap();
            assert_eq!(value, header);
            assert!(value.is_sensitive());
        }
        let error = token("hunter\n2")
            .authorization(Provider::GitHub)
            .await
            .unwrap_err();
        assert!(!format!("{error} {error:?} {:?}", token("hunter\n2")).contains("hunter"));
    }
}
