//! GitHub Apps: a signed JWT, the installation, its short-lived token. For the API and for git over https.
//!
//! GitHub, "Authenticating as a GitHub App installation". The token is kept until it is nearly expired.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use ring::rand::SystemRandom;
use ring::rsa::KeyPair;
use ring::signature::RSA_PKCS1_SHA256;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::http::{Call, Wire};
use super::{ConnectOptions, ForgeError, Provider, credentials};

/// A clock that runs fast must not make a token "from the future".
const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(60);
/// GitHub takes at most ten minutes.
const JWT_LIFE: SignedDuration = SignedDuration::from_mins(5);
/// A token that ends sooner is not handed out: a git push may take its time.
const SPARE: SignedDuration = SignedDuration::from_mins(10);

/// The private key of a GitHub App.
pub struct GitHubAppKey(KeyPair);

impl GitHubAppKey {
    /// Reads PEM: `RSA PRIVATE KEY`, as GitHub hands it out, or `PRIVATE KEY` (PKCS #8).
    ///
    /// # Errors
    /// [`ForgeError::InvalidCredential`] that says what is wrong, and nothing of the key.
    pub fn from_pem(pem: &SecretString) -> Result<Self, ForgeError> {
        let invalid = |reason| ForgeError::InvalidCredential {
            provider: Provider::GitHub,
            reason,
        };
        let text = pem.expose_secret();
        let between = |kind: &str| {
            let rest = text.split_once(&format!("-----BEGIN {kind}-----"))?.1;
            Some(rest.split_once(&format!("-----END {kind}-----"))?.0)
        };
        let decode = |base64: &str| {
            let clean: String = base64
                .chars()
                .filter(|character| !character.is_whitespace())
                .collect();
            STANDARD
                .decode(clean)
                .map_err(|_| invalid("the private key is no valid PEM"))
        };
        let rejected = |_| invalid("the private key is no usable RSA key of 2048 bits or more");
        if let Some(base64) = between("RSA PRIVATE KEY") {
            KeyPair::from_der(&decode(base64)?)
                .map(Self)
                .map_err(rejected)
        } else if let Some(base64) = between("PRIVATE KEY") {
            KeyPair::from_pkcs8(&decode(base64)?)
                .map(Self)
                .map_err(rejected)
        } else {
            Err(invalid(
                "the private key is not PEM with RSA PRIVATE KEY or PRIVATE KEY",
            ))
        }
    }
}

impl fmt::Debug for GitHubAppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GitHubAppKey")
    }
}

/// Which installation of the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Installation {
    /// By its id.
    Id(u64),
    /// By the organization or user it is installed for.
    Owner(String),
}

/// A token of an installation.
#[derive(Debug, Clone)]
pub struct InstallationToken {
    /// For the API as a bearer token, for git as the password of [`GitHubApp::GIT_USERNAME`].
    pub token: SecretString,
    /// Not valid from then on.
    pub expires_at: Timestamp,
}

/// A GitHub App as one of its installations.
pub struct GitHubApp {
    wire: Wire,
    api: Url,
    app_id: String,
    key: GitHubAppKey,
    installation: Installation,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    installation_id: Option<u64>,
    token: Option<InstallationToken>,
}

impl GitHubApp {
    /// The user for git's basic authentication.
    pub const GIT_USERNAME: &str = "x-access-token";

    /// `api` is `https://api.github.com`, or a server's `https://HOST/api/v3`. `app_id` may also be the client id.
    ///
    /// # Errors
    /// [`ForgeError::InvalidCredential`], [`ForgeError::Client`].
    pub fn new(
        api: Url,
        app_id: &str,
        key: GitHubAppKey,
        installation: Installation,
        options: &ConnectOptions,
    ) -> Result<Self, ForgeError> {
        let valid = !app_id.is_empty()
            && app_id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
        if !valid {
            return Err(ForgeError::InvalidCredential {
                provider: Provider::GitHub,
                reason: "the app's id must be a number or a client id",
            });
        }
        Ok(Self {
            wire: Wire::new(Provider::GitHub, options)?,
            api,
            app_id: app_id.to_owned(),
            key,
            installation,
            state: Mutex::default(),
        })
    }

    /// The time by its clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.wire.now()
    }

    /// Tells one app from another in this process.
    pub(super) fn identity(&self) -> [u8; size_of::<usize>()] {
        std::ptr::from_ref(self).addr().to_le_bytes()
    }

    /// A token that is good for at least ten more minutes.
    ///
    /// # Errors
    /// Those of a request; [`ForgeError::Unknown`] when the app is not installed for the owner.
    pub async fn token(&self) -> Result<InstallationToken, ForgeError> {
        let now = self.wire.now();
        let (known_id, kept) = {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            (state.installation_id, state.token.clone())
        };
        if let Some(token) = kept.filter(|token| token.expires_at.duration_since(now) > SPARE) {
            return Ok(token);
        }
        let id = match (known_id, &self.installation) {
            (Some(id), _) => id,
            (None, Installation::Id(id)) => *id,
            (None, Installation::Owner(owner)) => self.find_installation(owner).await?,
        };
        let token = self.request_token(id).await?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.installation_id = Some(id);
        state.token = Some(token.clone());
        Ok(token)
    }

    /// The organization's installation, else the user's.
    async fn find_installation(&self, owner: &str) -> Result<u64, ForgeError> {
        #[derive(Deserialize)]
        struct Found {
            id: u64,
        }
        for kind in ["orgs", "users"] {
            let call = Call::get(
                "find the GitHub App's installation",
                "to be installed for the owner",
                self.url([kind, owner, "installation"]),
            );
            match self.wire.send(call, self.jwt_header()?, &[]).await {
                Ok(reply) => return Ok(reply.json::<Found>()?.id),
                Err(ForgeError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(ForgeError::Unknown {
            provider: Provider::GitHub,
            what: "installation of the GitHub App for",
            name: owner.to_owned(),
        })
    }

    async fn request_token(&self, id: u64) -> Result<InstallationToken, ForgeError> {
        #[derive(Deserialize)]
        struct Granted {
            token: String,
            expires_at: Timestamp,
        }
        let call = Call::new(
            "get a token of the GitHub App's installation",
            "an installation that is not suspended",
            Method::POST,
            self.url(["app", "installations", &id.to_string(), "access_tokens"]),
        );
        let granted: Granted = self
            .wire
            .send(call, self.jwt_header()?, &[])
            .await?
            .json()?;
        Ok(InstallationToken {
            token: SecretString::from(granted.token),
            expires_at: granted.expires_at,
        })
    }

    fn url<'s>(&self, segments: impl IntoIterator<Item = &'s str>) -> Url {
        let mut url = self.api.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    fn jwt_header(&self) -> Result<reqwest::header::HeaderValue, ForgeError> {
        let now = self.wire.now();
        let claims = json!({
            "iat": (now - CLOCK_SKEW).as_second(),
            "exp": (now + JWT_LIFE).as_second(),
            "iss": self.app_id,
        });
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT"}"#),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let mut signature = vec![0; self.key.0.public().modulus_len()];
        self.key
            .0
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .map_err(|_| ForgeError::InvalidCredential {
                provider: Provider::GitHub,
                reason: "the private key does not sign",
            })?;
        credentials::header(
            Provider::GitHub,
            &format!("Bearer {signed}.{}", URL_SAFE_NO_PAD.encode(signature)),
        )
    }
}

impl fmt::Debug for GitHubApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitHubApp")
            .field("api", &self.api.as_str())
            .field("app_id", &self.app_id)
            .field("installation", &self.installation)
            .finish_non_exhaustive()
    }
}
