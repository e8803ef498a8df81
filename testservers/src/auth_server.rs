//! A token server as registries use it (CNCF distribution, "Token Authentication Specification").
//!
//! Its tokens are JWTs signed with ES256; the certificate travels in `x5c`, which is what `docker-registry` checks
//! against its `rootcertbundle`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, DnType, KeyPair};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

use crate::{HttpServer, Request, Response, StartError};

const ISSUER: &str = "tagline-testservers";

/// How the server decides.
#[derive(Debug, Clone)]
pub struct AuthServerOptions {
    service: String,
    users: Vec<(String, String)>,
    anonymous: bool,
    lifetime_seconds: u64,
    max_scopes: usize,
}

impl Default for AuthServerOptions {
    fn default() -> Self {
        Self {
            service: "test-registry".to_owned(),
            users: Vec::new(),
            anonymous: true,
            lifetime_seconds: 300,
            max_scopes: usize::MAX,
        }
    }
}

impl AuthServerOptions {
    /// Lets this user in, and nobody without credentials.
    #[must_use]
    pub fn with_user(mut self, user: &str, password: &str) -> Self {
        self.users.push((user.to_owned(), password.to_owned()));
        self.anonymous = false;
        self
    }

    /// Tokens are valid that long (`expires_in`).
    #[must_use]
    pub fn with_lifetime_seconds(mut self, seconds: u64) -> Self {
        self.lifetime_seconds = seconds;
        self
    }

    /// Answers 400 to a request with more `scope` parameters.
    #[must_use]
    pub fn with_max_scopes(mut self, scopes: usize) -> Self {
        self.max_scopes = scopes;
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// When no loopback port is free.
    pub fn start(self) -> Result<AuthServer, StartError> {
        let signer = Arc::new(Signer::new());
        let certificate = signer.certificate_pem.clone();
        let service = self.service.clone();
        let server = HttpServer::start(move |request| answer(&self, &signer, request))?;
        Ok(AuthServer {
            server,
            service,
            certificate,
        })
    }
}

/// A running token server.
#[derive(Debug)]
pub struct AuthServer {
    server: HttpServer,
    service: String,
    certificate: String,
}

impl AuthServer {
    /// Gives everybody a token.
    ///
    /// # Errors
    /// When no loopback port is free.
    pub fn start() -> Result<Self, StartError> {
        Self::options().start()
    }

    /// Settings to change before the start.
    #[must_use]
    pub fn options() -> AuthServerOptions {
        AuthServerOptions::default()
    }

    /// The `realm` of the challenge: `http://127.0.0.1:PORT/token`.
    #[must_use]
    pub fn realm(&self) -> String {
        format!("{}/token", self.server.url())
    }

    /// The `service` of the challenge.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The tokens' `iss`.
    #[must_use]
    pub fn issuer(&self) -> &'static str {
        ISSUER
    }

    /// The certificate of the signing key, PEM: a registry's `rootcertbundle`.
    #[must_use]
    pub fn certificate(&self) -> String {
        self.certificate.clone()
    }

    /// Every request so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.server.requests()
    }
}

fn answer(options: &AuthServerOptions, signer: &Signer, request: &Request) -> Response {
    if request.path != "/token" {
        return Response::new(404, "");
    }
    let values = |name: &str| match request.method.as_str() {
        "POST" => request.form_values(name),
        _ => request.query_values(name),
    };
    let credentials = match request.method.as_str() {
        // OAuth2 (the specification's second way): `grant_type=password` in a form.
        "POST" => values("username").pop().zip(values("password").pop()),
        _ => request.basic_credentials(),
    };
    let subject = match credentials {
        Some(pair) if options.users.contains(&pair) => pair.0,
        None if options.anonymous => String::new(),
        _ => return Response::new(401, r#"{"errors":[{"code":"UNAUTHORIZED"}]}"#),
    };
    // The form has all scopes in one field, the query one field for each.
    let scopes: Vec<String> = values("scope")
        .iter()
        .flat_map(|value| value.split(' '))
        .filter(|scope| !scope.is_empty())
        .map(str::to_owned)
        .collect();
    if scopes.len() > options.max_scopes {
        return Response::new(
            400,
            r#"{"errors":[{"code":"UNSUPPORTED","message":"too many scopes"}]}"#,
        );
    }
    let token = signer.token(options, &subject, &scopes);
    Response::json(format!(
        r#"{{"token":"{token}","access_token":"{token}","expires_in":{}}}"#,
        options.lifetime_seconds
    ))
}

struct Signer {
    key: EcdsaKeyPair,
    random: SystemRandom,
    certificate_pem: String,
    certificate_der: String,
    issued: AtomicU64,
}

impl Signer {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, ISSUER);
        let pair = KeyPair::generate().expect("a P-256 key");
        let certificate = params.self_signed(&pair).expect("a certificate");
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            pair.serialized_der(),
            &random,
        );
        Self {
            key: key.expect("a P-256 key"),
            random,
            certificate_pem: certificate.pem(),
            certificate_der: STANDARD.encode(certificate.der()),
            issued: AtomicU64::new(0),
        }
    }

    fn token(&self, options: &AuthServerOptions, subject: &str, scopes: &[String]) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a clock after 1970")
            .as_secs();
        let access: Vec<String> = scopes.iter().filter_map(|scope| access(scope)).collect();
        let header = format!(
            r#"{{"typ":"JWT","alg":"ES256","x5c":["{}"]}}"#,
            self.certificate_der
        );
        let claims = format!(
            r#"{{"iss":"{ISSUER}","sub":"{subject}","aud":"{}","exp":{},"nbf":{},"iat":{now},"jti":"{}","access":[{}]}}"#,
            options.service,
            now + options.lifetime_seconds,
            now.saturating_sub(10),
            self.issued.fetch_add(1, Ordering::Relaxed),
            access.join(",")
        );
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims)
        );
        let signature = self
            .key
            .sign(&self.random, signed.as_bytes())
            .expect("a signature");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// `repository:team/app:pull,push` as a claim; everything that is asked is granted.
fn access(scope: &str) -> Option<String> {
    let (kind, rest) = scope.split_once(':')?;
    let (name, actions) = rest.rsplit_once(':')?;
    let actions: Vec<String> = actions
        .split(',')
        .map(|action| format!("\"{action}\""))
        .collect();
    Some(format!(
        r#"{{"type":"{kind}","name":"{name}","actions":[{}]}}"#,
        actions.join(",")
    ))
}
