//! GitHub Apps: the signed request, the installation, the token and its life; also for git.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use secrecy::{ExposeSecret as _, SecretString};
use tagline_updater::forge::{
    ConnectOptions, Credentials, ForgeError, GitHubApp, GitHubAppKey, Installation, Provider,
    PullRequestOptions, bring_about,
};

use super::fake::{Fake, TOKEN, now, options};
use super::{change, commit, request, wanted};

// Made for these tests, and of no use elsewhere.
const PKCS1: &str = include_str!("keys/app-pkcs1.pem");
const PKCS8: &str = include_str!("keys/app-pkcs8.pem");

fn key(pem: &str) -> Result<GitHubAppKey, ForgeError> {
    GitHubAppKey::from_pem(&SecretString::from(pem))
}

fn app(fake: &Fake, installation: Installation, options: &ConnectOptions) -> Arc<GitHubApp> {
    let api = format!("{}/api/v3", fake.address).parse().unwrap();
    Arc::new(GitHubApp::new(api, "12345", key(PKCS1).unwrap(), installation, options).unwrap())
}

/// The claims of a `Bearer` JWT, after its signature was checked.
fn claims(authorization: &str) -> serde_json::Value {
    let jwt = authorization.strip_prefix("Bearer ").unwrap();
    let (signed, signature) = jwt.rsplit_once('.').unwrap();
    let der = PKCS8
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect::<String>();
    let pair = RsaKeyPair::from_pkcs8(
        &base64::engine::general_purpose::STANDARD
            .decode(der)
            .unwrap(),
    )
    .unwrap();
    let public = UnparsedPublicKey::new(
        &RSA_PKCS1_2048_8192_SHA256,
        pair.public_key().as_ref().to_vec(),
    );
    public
        .verify(
            signed.as_bytes(),
            &URL_SAFE_NO_PAD.decode(signature).unwrap(),
        )
        .unwrap();
    let (header, payload) = signed.split_once('.').unwrap();
    let read = |part| {
        serde_json::from_slice::<serde_json::Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    assert_eq!(read(header)["alg"], "RS256");
    read(payload)
}

#[tokio::test]
async fn an_organization_is_found_then_a_user() {
    for installed_for in ["orgs/acme", "users/acme"] {
        let fake = Fake::start(Provider::GitHub);
        fake.repo().installed_for = installed_for.to_owned();
        let app = app(&fake, Installation::Owner("acme".to_owned()), &options());
        let token = app.token().await.unwrap();
        fake.check();
        assert_eq!(token.token.expose_secret(), format!("{TOKEN}-1"));
        let claims = claims(&fake.repo().authorizations[0]);
        assert_eq!(claims["iss"], "12345");
        let (issued, expires) = (
            claims["iat"].as_i64().unwrap(),
            claims["exp"].as_i64().unwrap(),
        );
        assert!(issued < now().as_second() && expires > now().as_second());
        assert!(expires - issued <= 600, "GitHub takes ten minutes at most");
    }
}

#[tokio::test]
async fn not_installed_is_said_by_name() {
    let fake = Fake::start(Provider::GitHub);
    let error = app(&fake, Installation::Owner("acme".to_owned()), &options())
        .token()
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "GitHub: no installation of the GitHub App for \"acme\""
    );
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn a_token_is_kept_until_it_is_nearly_expired() {
    let fake = Fake::start(Provider::GitHub);
    let clock = Arc::new(Mutex::new(now()));
    let moving = clock.clone();
    let options = ConnectOptions {
        clock: Arc::new(move || -> Timestamp { *moving.lock().unwrap() }),
        ..options()
    };
    let app = app(&fake, Installation::Id(4711), &options);
    for _ in 0..3 {
        app.token().await.unwrap();
    }
    assert_eq!(
        fake.repo().requests,
        1,
        "no look-up for an id, and one token"
    );
    *clock.lock().unwrap() = now() + SignedDuration::from_mins(49);
    app.token().await.unwrap();
    assert_eq!(fake.repo().tokens, 1);
    *clock.lock().unwrap() = now() + SignedDuration::from_mins(51);
    assert_eq!(
        app.token().await.unwrap().token.expose_secret(),
        format!("{TOKEN}-2")
    );
    fake.check();
}

#[tokio::test]
async fn pull_requests_are_made_with_its_tokens() {
    let fake = Fake::start(Provider::GitHub);
    fake.repo().set_branch("u", &commit(1));
    let credentials = Credentials::GitHubApp(app(&fake, Installation::Id(4711), &options()));
    let client = fake.client_with(credentials, options());
    let request = request(vec![wanted("u", &commit(1), vec![change("web", "1")])]);
    let report = bring_about(&*client, &request, &PullRequestOptions::default())
        .await
        .unwrap();
    fake.check();
    assert_eq!(report.created.len(), 1);
    {
        let repo = fake.repo();
        claims(&repo.authorizations[0]);
        assert!(
            repo.authorizations[1..]
                .iter()
                .all(|it| *it == format!("Bearer {TOKEN}-1"))
        );
    }
    assert_eq!(GitHubApp::GIT_USERNAME, "x-access-token");

    // A server that repeats the token does not get it into our messages.
    let echo = format!("{{\"message\": \"what is {TOKEN}-1?\"}}");
    fake.repo().canned.push((400, Vec::new(), echo));
    let error = client.open("main").await.unwrap_err();
    assert!(error.to_string().contains("what is ***?"), "{error}");
}

#[test]
fn keys_are_read_in_both_forms_and_never_shown() {
    assert!(key(PKCS1).is_ok());
    assert!(key(PKCS8).is_ok());
    assert!(key(&PKCS1.replace('\n', "\r\n")).is_ok());
    let secret = PKCS1.lines().nth(3).unwrap();
    let cut = PKCS1.replace(secret, "");
    for wrong in [
        "",
        "no key",
        &cut,
        &PKCS1.replace("RSA ", "EC "),
        &PKCS1.replace(secret, "§§"),
    ] {
        let error = key(wrong).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(
            PKCS1
                .lines()
                .filter(|line| line.len() > 30)
                .all(|line| !shown.contains(line)),
            "{shown}"
        );
    }
    assert_eq!(format!("{:?}", key(PKCS1).unwrap()), "GitHubAppKey");
    let api = "https://api.github.com".parse().unwrap();
    let app = GitHubApp::new(
        api,
        "1\"}",
        key(PKCS1).unwrap(),
        Installation::Id(1),
        &options(),
    );
    assert!(matches!(app, Err(ForgeError::InvalidCredential { .. })));
}
