//! Google Artifact Registry: an access token of the application default credentials, shown as a password.
//!
//! The official crate finds the identity (workload identity, metadata server, key file, federation) and keeps and
//! refreshes its token itself.

use super::{CloudProvider, Credential, CredentialError, ExchangeIdentity, Login, failed};
use futures_util::future::BoxFuture;
use google_cloud_auth::credentials::{AccessTokenCredentials, Builder};
use google_cloud_auth::errors::CredentialsError;
use tagline_policy::Registry;

/// The user name under which the registries take an access token.
const USER: &str = "oauth2accesstoken";
/// What the token may be used for; reading images needs no more.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform.read-only";

#[derive(Debug)]
pub(super) struct ArtifactRegistry {
    identity: AccessTokenCredentials,
}

impl ArtifactRegistry {
    pub(super) fn new() -> Result<Self, CredentialError> {
        crate::tls::install_provider();
        let identity = Builder::default()
            .with_scopes([SCOPE])
            .build_access_token_credentials()
            .map_err(|error| failed(CloudProvider::Gcp, error, false))?;
        Ok(Self { identity })
    }
}

impl ExchangeIdentity for ArtifactRegistry {
    fn login<'a>(
        &'a self,
        _registry: &'a Registry,
    ) -> BoxFuture<'a, Result<Login, CredentialError>> {
        Box::pin(async {
            let token = self
                .identity
                .access_token()
                .await
                .map_err(|error: CredentialsError| {
                    failed(CloudProvider::Gcp, &error, error.is_transient())
                })?;
            Ok(Login {
                credential: Credential::basic(USER, token.token.into()).owned_by("gcp"),
                // The crate keeps its token and refreshes it in time; asking it again costs nothing.
                expires: Some(jiff::Timestamp::UNIX_EPOCH),
            })
        })
    }

    fn shared_by(&self, _registry: &Registry) -> String {
        String::new()
    }
}

#[cfg(test)]
#[cfg(feature = "cloud")]
mod tests {
    use super::*;
    use crate::credentials::Secret;
    use crate::credentials::cloud::fake::{Answer, Fake};
    use secrecy::ExposeSecret;

    /// The metadata server as documented: `GET /computeMetadata/v1/instance/service-accounts/default/token` with
    /// `Metadata-Flavor: Google` answers `access_token`, `expires_in`, `token_type`.
    #[tokio::test]
    async fn takes_the_metadata_servers_token_as_password() {
        crate::tls::install_provider();
        let fake = Fake::start(|request| {
            if !request
                .path
                .starts_with("/computeMetadata/v1/instance/service-accounts/default/token")
            {
                return Answer::new(404, "");
            }
            assert_eq!(request.header("metadata-flavor"), Some("Google"));
            Answer::json(
                200,
                r#"{"access_token":"ya29.fake","expires_in":3599,"token_type":"Bearer"}"#,
            )
        });
        let identity = google_cloud_auth::credentials::mds::Builder::default()
            .with_endpoint(fake.url())
            .build_access_token_credentials()
            .unwrap();
        let registry = Registry::new("europe-docker.pkg.dev").unwrap();
        let login = ArtifactRegistry { identity }
            .login(&registry)
            .await
            .unwrap();
        let Secret::Basic { username, password } = login.credential.secret() else {
            panic!("expected a user and a password");
        };
        assert_eq!(username, "oauth2accesstoken");
        assert_eq!(password.expose_secret(), "ya29.fake");
        assert_eq!(login.credential.identity().as_str(), "gcp");
    }
}
