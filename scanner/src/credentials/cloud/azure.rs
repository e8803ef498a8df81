//! Azure Container Registry: an Entra token of the process's identity, exchanged for a registry refresh token.
//!
//! Entra's side is done by the official crate; the exchange (`POST /oauth2/exchange`) is the registry's own and no
//! crate does it. Requests of both go through one client of ours: one TLS stack, bounded times, no redirects.

use super::{
    CloudOptions, CloudProvider, Credential, CredentialError, ExchangeIdentity, Login, failed,
};
use crate::settings::Clock;
use azure_core::credentials::TokenCredential;
use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
use azure_core::http::{AsyncRawResponse, Body, ClientOptions, HttpClient, Request, Transport};
use azure_identity::{
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
    WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tagline_policy::Registry;
use url::Url;

/// The user name under which a registry takes a refresh token as password.
const USER: &str = "00000000-0000-0000-0000-000000000000";
/// What Azure container registries are called as a resource of Entra, the same in every cloud.
const SCOPE: &str = "https://containerregistry.azure.net/.default";
/// How long a refresh token is good for when it does not say (three hours are usual; this is cautious).
const ASSUMED_LIFE: SignedDuration = SignedDuration::from_hours(1);
/// The longest answer of an exchange, in bytes.
const LONGEST_ANSWER: usize = 64 * 1024;

pub(super) struct ContainerRegistry {
    identity: Arc<dyn TokenCredential>,
    http: reqwest::Client,
    endpoint: Option<Url>,
    clock: Clock,
}

#[derive(Deserialize)]
struct Exchanged {
    refresh_token: SecretString,
}

/// The part of a refresh token that says when it ends.
#[derive(Deserialize)]
struct Claims {
    exp: i64,
}

impl ContainerRegistry {
    pub(super) fn new(options: &CloudOptions, clock: Clock) -> Result<Self, CredentialError> {
        crate::tls::install_provider();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(20))
            .build()
            .map_err(|error| failed(CloudProvider::Azure, error, false))?;
        let identity = identity(&http).map_err(|error| {
            failed(
                CloudProvider::Azure,
                format!("no Azure identity found: {error}"),
                false,
            )
        })?;
        Ok(Self {
            identity,
            http,
            endpoint: options.login_endpoint.clone(),
            clock,
        })
    }

    async fn exchange(
        &self,
        registry: &Registry,
        token: &str,
    ) -> Result<Exchanged, CredentialError> {
        let url = match &self.endpoint {
            Some(endpoint) => endpoint
                .join("/oauth2/exchange")
                .map_err(|error| error.to_string()),
            None => Url::parse(&format!("https://{registry}/oauth2/exchange"))
                .map_err(|error| error.to_string()),
        }
        .map_err(|error| failed(CloudProvider::Azure, error, false))?;
        let network = |error: reqwest::Error| {
            failed(
                CloudProvider::Azure,
                format!("{registry}: {}", error.without_url()),
                true,
            )
        };
        let form = [
            ("grant_type", "access_token"),
            ("service", registry.as_str()),
            ("access_token", token),
        ];
        let mut response = self
            .http
            .post(url)
            .form(&form)
            .send()
            .await
            .map_err(network)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(network)? {
            body.extend_from_slice(&chunk);
            if body.len() > LONGEST_ANSWER {
                return Err(failed(
                    CloudProvider::Azure,
                    format!("{registry}: the answer is too long"),
                    false,
                ));
            }
        }
        if !status.is_success() {
            let advice = if status.as_u16() == 401 || status.as_u16() == 403 {
                ": does the identity have the role AcrPull there?"
            } else {
                ""
            };
            let retryable = status.is_server_error() || status.as_u16() == 429;
            let reason = format!("{registry} refused the token exchange ({status}){advice}");
            return Err(failed(CloudProvider::Azure, reason, retryable));
        }
        serde_json::from_slice(&body).map_err(|_| {
            failed(
                CloudProvider::Azure,
                format!("{registry}: the answer of the token exchange holds no refresh_token"),
                true,
            )
        })
    }
}

impl ExchangeIdentity for ContainerRegistry {
    fn login<'a>(
        &'a self,
        registry: &'a Registry,
    ) -> BoxFuture<'a, Result<Login, CredentialError>> {
        Box::pin(async move {
            let entra = self
                .identity
                .get_token(&[SCOPE], None)
                .await
                .map_err(|error| {
                    failed(
                        CloudProvider::Azure,
                        format!("Entra gave no token: {error}"),
                        true,
                    )
                })?;
            let exchanged = self.exchange(registry, entra.token.secret()).await?;
            let expires =
                expiry(&exchanged.refresh_token).unwrap_or_else(|| (self.clock)() + ASSUMED_LIFE);
            Ok(Login {
                credential: Credential::basic(USER, exchanged.refresh_token)
                    .owned_by(&format!("azure {registry}")),
                expires: Some(expires),
            })
        })
    }
}

/// Which identity to use, by the environment variables that Azure sets: workload identity in a pod, a client secret,
/// else the managed identity of the machine (`AZURE_CLIENT_ID` names a user-assigned one).
fn identity(http: &reqwest::Client) -> azure_core::Result<Arc<dyn TokenCredential>> {
    let client_options = ClientOptions {
        transport: Some(Transport::new(Arc::new(OwnTransport(http.clone())))),
        ..ClientOptions::default()
    };
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if set("AZURE_FEDERATED_TOKEN_FILE").is_some() {
        let options = WorkloadIdentityCredentialOptions {
            credential_options: ClientAssertionCredentialOptions { client_options },
            ..WorkloadIdentityCredentialOptions::default()
        };
        return Ok(WorkloadIdentityCredential::new(Some(options))?);
    }
    let secret = (
        set("AZURE_TENANT_ID"),
        set("AZURE_CLIENT_ID"),
        set("AZURE_CLIENT_SECRET"),
    );
    if let (Some(tenant), Some(client), Some(secret)) = secret {
        let options = ClientSecretCredentialOptions { client_options };
        return Ok(ClientSecretCredential::new(
            &tenant,
            client,
            secret.into(),
            Some(options),
        )?);
    }
    let options = ManagedIdentityCredentialOptions {
        client_options,
        user_assigned_id: set("AZURE_CLIENT_ID").map(UserAssignedId::ClientId),
    };
    Ok(ManagedIdentityCredential::new(Some(options))?)
}

/// When a refresh token ends, read from it without checking it: it is only used to ask again in time.
fn expiry(token: &SecretString) -> Option<Timestamp> {
    use secrecy::ExposeSecret as _;
    let payload = token.expose_secret().split('.').nth(1)?;
    let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    Timestamp::from_second(claims.exp).ok()
}

/// Lets the official crate send through our client.
#[derive(Debug)]
struct OwnTransport(reqwest::Client);

#[async_trait::async_trait]
impl HttpClient for OwnTransport {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        use azure_core::error::{Error, ErrorKind};
        let io = |error: reqwest::Error| {
            let kind = if error.is_connect() {
                ErrorKind::Connection
            } else {
                ErrorKind::Io
            };
            Error::new(kind, error.without_url())
        };
        let method = reqwest::Method::from_bytes(request.method().as_ref().as_bytes())
            .map_err(|error| Error::new(ErrorKind::Other, error))?;
        let mut sending = self.0.request(method, request.url().clone());
        for (name, value) in request.headers().iter() {
            sending = sending.header(name.as_str(), value.as_str());
        }
        let Body::Bytes(body) = request.body() else {
            return Err(Error::with_message(
                ErrorKind::Other,
                "streamed request bodies are not supported",
            ));
        };
        let response = sending.body(body.clone()).send().await.map_err(io)?;
        let status = response.status().as_u16();
        let headers: HashMap<HeaderName, HeaderValue> = response
            .headers()
            .iter()
            .filter_map(|(name, value)| {
                let value = value.to_str().ok()?.to_owned();
                Some((
                    HeaderName::from(name.as_str().to_owned()),
                    HeaderValue::from(value),
                ))
            })
            .collect();
        let body = response.bytes().await.map_err(io)?;
        Ok(AsyncRawResponse::from_bytes(
            status.into(),
            Headers::from(headers),
            body,
        ))
    }
}

impl std::fmt::Debug for ContainerRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContainerRegistry").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(feature = "cloud")]
mod tests {
    use super::*;
    use crate::credentials::Secret;
    use crate::credentials::cloud::fake::{Answer, Fake, Request};
    use azure_core::http::Url as AzureUrl;
    use secrecy::ExposeSecret;
    use std::io::Write as _;

    /// Sends what is meant for Entra to the fake, as Entra's host cannot be had.
    #[derive(Debug)]
    struct ToFake {
        own: OwnTransport,
        fake: Url,
    }

    #[async_trait::async_trait]
    impl HttpClient for ToFake {
        async fn execute_request(
            &self,
            request: &azure_core::http::Request,
        ) -> azure_core::Result<AsyncRawResponse> {
            assert_eq!(request.url().host_str(), Some("login.microsoftonline.com"));
            let mut url: AzureUrl = self.fake.clone();
            url.set_path(request.url().path());
            let mut rerouted = request.clone();
            *rerouted.url_mut() = url;
            self.own.execute_request(&rerouted).await
        }
    }

    fn refresh_token(exp: i64) -> String {
        let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"exp":{exp}}}"#));
        format!("e30.{claims}.signature")
    }

    /// Entra's token endpoint (OAuth 2.0 client credentials with a federated assertion) and the registry's
    /// `/oauth2/exchange`, both as documented.
    fn answer(request: &Request) -> Answer {
        assert_eq!(request.method, "POST");
        let form = |name: &str| request.form(name).unwrap_or_default();
        match request.path.as_str() {
            "/tenant-1/oauth2/v2.0/token" => {
                assert_eq!(form("grant_type"), "client_credentials");
                assert_eq!(form("client_id"), "client-1");
                assert_eq!(form("scope"), SCOPE);
                assert_eq!(form("client_assertion"), "service-account-token");
                assert_eq!(
                    form("client_assertion_type"),
                    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
                );
                Answer::json(
                    200,
                    r#"{"token_type":"Bearer","expires_in":3599,"access_token":"entra-token"}"#,
                )
            }
            "/oauth2/exchange" => {
                assert_eq!(form("grant_type"), "access_token");
                assert_eq!(form("service"), "team.azurecr.io");
                assert_eq!(form("access_token"), "entra-token");
                Answer::json(
                    200,
                    format!(r#"{{"refresh_token":"{}"}}"#, refresh_token(1_700_000_000)),
                )
            }
            other => Answer::new(404, other),
        }
    }

    fn registry(fake: &Fake) -> (ContainerRegistry, tempfile::NamedTempFile) {
        crate::tls::install_provider();
        let mut token_file = tempfile::NamedTempFile::new().unwrap();
        write!(token_file, "service-account-token").unwrap();
        let fake = Url::parse(&fake.url()).unwrap();
        let http = reqwest::Client::new();
        let client_options = ClientOptions {
            transport: Some(Transport::new(Arc::new(ToFake {
                own: OwnTransport(http.clone()),
                fake: fake.clone(),
            }))),
            ..ClientOptions::default()
        };
        let identity = WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
            credential_options: ClientAssertionCredentialOptions { client_options },
            client_id: Some("client-1".into()),
            tenant_id: Some("tenant-1".into()),
            token_file_path: Some(token_file.path().into()),
        }))
        .unwrap();
        let registry = ContainerRegistry {
            identity,
            http,
            endpoint: Some(fake),
            clock: Arc::new(|| Timestamp::UNIX_EPOCH),
        };
        (registry, token_file)
    }

    #[tokio::test]
    async fn exchanges_a_workload_identity_for_a_refresh_token() {
        let fake = Fake::start(answer);
        let (azure, _token_file) = registry(&fake);
        let name = Registry::new("team.azurecr.io").unwrap();
        let login = azure.login(&name).await.unwrap();
        let Secret::Basic { username, password } = login.credential.secret() else {
            panic!("expected a user and a password");
        };
        assert_eq!(username, USER);
        assert_eq!(password.expose_secret(), refresh_token(1_700_000_000));
        assert_eq!(
            login.expires,
            Some(Timestamp::from_second(1_700_000_000).unwrap())
        );
    }

    #[tokio::test]
    async fn a_refused_exchange_says_which_role_is_missing_and_nothing_secret() {
        let fake = Fake::start(|request| {
            if request.path == "/oauth2/exchange" {
                Answer::json(
                    401,
                    r#"{"errors":[{"code":"UNAUTHORIZED","message":"entra-token"}]}"#,
                )
            } else {
                answer(request)
            }
        });
        let (azure, _token_file) = registry(&fake);
        let name = Registry::new("team.azurecr.io").unwrap();
        let error = azure.login(&name).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "no registry credentials from azure: team.azurecr.io refused the token exchange (401 Unauthorized): does the identity have the role AcrPull there?"
        );
        assert!(!error.is_retryable());
    }
}
