//! AWS ECR: `GetAuthorizationToken` of the registry's region, with whatever identity the AWS SDK finds.
//!
//! Private registries ask the region in their host name; `public.ecr.aws` asks ECR Public in `us-east-1`.

use super::provider::EcrHost;
use super::{
    CloudOptions, CloudProvider, Credential, CredentialError, ExchangeIdentity, Login, failed,
};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ecr::config::http::HttpResponse;
use aws_sdk_ecr::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecr::primitives::DateTime;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tagline_policy::Registry;
use tokio::sync::OnceCell;
use url::Url;

/// The only region that logs in to public repositories.
const PUBLIC_REGION: &str = "us-east-1";

#[derive(Debug)]
pub(super) struct Ecr {
    /// The identity's configuration, found at the first login: it may ask the instance's metadata.
    config: OnceCell<SdkConfig>,
    endpoint: Option<Url>,
}

/// What an answer of either API holds.
struct Authorization {
    token: Option<String>,
    expires_seconds: Option<i64>,
}

impl Ecr {
    pub(super) fn new(options: &CloudOptions) -> Self {
        Self {
            config: OnceCell::new(),
            endpoint: options.login_endpoint.clone(),
        }
    }

    async fn config(&self) -> &SdkConfig {
        self.config
            .get_or_init(|| async {
                let http = aws_smithy_http_client::Builder::new()
                    .tls_provider(Provider::Rustls(CryptoMode::Ring))
                    .build_https();
                aws_config::defaults(BehaviorVersion::latest())
                    .http_client(http)
                    .load()
                    .await
            })
            .await
    }

    async fn private(&self, region: &str) -> Result<Authorization, CredentialError> {
        let mut config = aws_sdk_ecr::config::Builder::from(self.config().await)
            .region(Region::new(region.to_owned()));
        if let Some(endpoint) = &self.endpoint {
            config = config.endpoint_url(endpoint.as_str());
        }
        let answer = aws_sdk_ecr::Client::from_conf(config.build())
            .get_authorization_token()
            .send()
            .await
            .map_err(|error| refused(&error))?;
        let data = answer.authorization_data().first();
        Ok(Authorization {
            token: data.and_then(|data| data.authorization_token().map(str::to_owned)),
            expires_seconds: data.and_then(|data| data.expires_at().map(DateTime::secs)),
        })
    }

    async fn public(&self) -> Result<Authorization, CredentialError> {
        let mut config = aws_sdk_ecrpublic::config::Builder::from(self.config().await)
            .region(Region::from_static(PUBLIC_REGION));
        if let Some(endpoint) = &self.endpoint {
            config = config.endpoint_url(endpoint.as_str());
        }
        let answer = aws_sdk_ecrpublic::Client::from_conf(config.build())
            .get_authorization_token()
            .send()
            .await
            .map_err(|error| refused(&error))?;
        let data = answer.authorization_data();
        Ok(Authorization {
            token: data.and_then(|data| data.authorization_token().map(str::to_owned)),
            expires_seconds: data.and_then(|data| data.expires_at().map(DateTime::secs)),
        })
    }
}

impl ExchangeIdentity for Ecr {
    fn login<'a>(
        &'a self,
        registry: &'a Registry,
    ) -> BoxFuture<'a, Result<Login, CredentialError>> {
        Box::pin(async move {
            let authorization = match EcrHost::parse(registry.as_str()) {
                Some(host) => self.private(host.region).await?,
                None => self.public().await?,
            };
            let token = authorization.token.unwrap_or_default();
            let decoded = STANDARD.decode(token).ok();
            let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
            let Some((user, password)) = text.as_deref().and_then(|text| text.split_once(':'))
            else {
                return Err(failed(
                    CloudProvider::Aws,
                    "the authorization token of ECR is not base64 of user:password",
                    true,
                ));
            };
            Ok(Login {
                credential: Credential::basic(user, password.into())
                    .owned_by(&format!("aws {registry}")),
                expires: authorization
                    .expires_seconds
                    .and_then(|seconds| Timestamp::from_second(seconds).ok()),
            })
        })
    }
}

/// AWS' own code and sentence where it gave one; never the raw answer.
fn refused<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> CredentialError {
    let said = match error {
        SdkError::ServiceError(service) => service.err().message().unwrap_or("no message"),
        SdkError::ConstructionFailure(_) => {
            "no AWS identity found: set AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where there is instance metadata"
        }
        SdkError::TimeoutError(_) => "the request timed out",
        SdkError::DispatchFailure(failure) if failure.is_io() || failure.is_timeout() => {
            "ECR cannot be reached"
        }
        SdkError::DispatchFailure(_) => {
            "the request could not be signed or sent: is there an AWS identity?"
        }
        _ => "the answer could not be read",
    };
    let code = match error {
        SdkError::ServiceError(service) => service.err().code().unwrap_or_default(),
        _ => "",
    };
    let retryable = !matches!(
        code,
        "AccessDeniedException" | "UnrecognizedClientException" | "InvalidParameterException"
    );
    let divider = if code.is_empty() { "" } else { ": " };
    failed(
        CloudProvider::Aws,
        format!("{code}{divider}{said}"),
        retryable,
    )
}

#[cfg(test)]
#[cfg(feature = "cloud")]
mod tests {
    use super::*;
    use crate::credentials::Secret;
    use crate::credentials::cloud::fake::{Answer, Fake, Request};
    use aws_sdk_ecr::config::{Credentials, SharedCredentialsProvider};
    use secrecy::ExposeSecret;

    fn ecr(endpoint: &str) -> Ecr {
        let http = aws_smithy_http_client::Builder::new().build_http();
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http)
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "AKIAFAKE",
                "secret-key",
                None,
                None,
                "test",
            )))
            .build();
        Ecr {
            config: OnceCell::new_with(Some(config)),
            endpoint: Some(Url::parse(endpoint).unwrap()),
        }
    }

    /// ECR's documented JSON 1.1 protocol, signed with Signature Version 4 for the region of the host.
    fn answer(request: &Request) -> Answer {
        let (target, service, body) = match request.header("x-amz-target") {
            Some(target @ "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken") => (
                target,
                "eu-west-1/ecr",
                r#"{"authorizationData":[{"authorizationToken":"QVdTOnRoZS1wYXNzd29yZA==","expiresAt":1700043200.5,"proxyEndpoint":"https://123456789012.dkr.ecr.eu-west-1.amazonaws.com"}]}"#,
            ),
            Some(target @ "SpencerFrontendService.GetAuthorizationToken") => (
                target,
                "us-east-1/ecr-public",
                r#"{"authorizationData":{"authorizationToken":"QVdTOnB1YmxpYw==","expiresAt":1700043200}}"#,
            ),
            other => panic!("unexpected target {other:?}"),
        };
        assert_eq!(request.method, "POST", "{target}");
        assert_eq!(
            request.header("content-type"),
            Some("application/x-amz-json-1.1")
        );
        let authorization = request.header("authorization").unwrap();
        assert!(
            authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIAFAKE/"),
            "{authorization}"
        );
        assert!(
            authorization.contains(&format!("/{service}/aws4_request")),
            "{authorization}"
        );
        Answer {
            status: 200,
            content_type: "application/x-amz-json-1.1",
            body: body.to_owned(),
        }
    }

    async fn login(host: &str) -> (String, String, Option<Timestamp>) {
        let fake = Fake::start(answer);
        let registry = Registry::new(host).unwrap();
        let login = ecr(&fake.url()).login(&registry).await.unwrap();
        let Secret::Basic { username, password } = login.credential.secret() else {
            panic!("expected a user and a password");
        };
        (
            username.clone(),
            password.expose_secret().to_owned(),
            login.expires,
        )
    }

    #[tokio::test]
    async fn asks_the_region_of_the_host() {
        let (user, password, expires) = login("123456789012.dkr.ecr.eu-west-1.amazonaws.com").await;
        assert_eq!((user.as_str(), password.as_str()), ("AWS", "the-password"));
        assert_eq!(
            expires,
            Some(Timestamp::from_second(1_700_043_200).unwrap())
        );
    }

    #[tokio::test]
    async fn asks_ecr_public_for_the_public_registry() {
        let (user, password, _) = login("public.ecr.aws").await;
        assert_eq!((user.as_str(), password.as_str()), ("AWS", "public"));
    }

    #[tokio::test]
    async fn says_what_aws_said() {
        let fake = Fake::start(|_| {
            Answer {
            status: 400,
            content_type: "application/x-amz-json-1.1",
            body: r#"{"__type":"AccessDeniedException","message":"User: arn:aws:iam::1:user/x is not authorized to perform: ecr:GetAuthorizationToken"}"#.to_owned(),
        }
        });
        let registry = Registry::new("123456789012.dkr.ecr.eu-west-1.amazonaws.com").unwrap();
        let error = ecr(&fake.url()).login(&registry).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "no registry credentials from aws: AccessDeniedException: User: arn:aws:iam::1:user/x is not authorized to perform: ecr:GetAuthorizationToken"
        );
        assert!(!error.is_retryable());
    }
}
