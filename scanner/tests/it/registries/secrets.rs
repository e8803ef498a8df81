//! No secret in errors, `Debug`, logs, budgets, keys or the store, even when a registry sends it back.

use super::support::*;
use secrecy::SecretString;
use std::fmt::Write as _;
use std::io::Write;
use std::sync::{Arc, Mutex};
use tagline_scanner::{
    Access, Credential, CredentialSource, ProxySettings, ScanMode, ScanTarget, ScannerOptions,
    StoreOptions, TagStore,
};
use tagline_testservers::{HttpServer, Request, Response};

const PASSWORD: &str = "pa55word-Secret+/%";
const TOKEN: &str = "bearer-Secret-token";
const IDENTITY: &str = "identity-Secret-token";
const PROXY: &str = "proxy-Secret-password";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Sends everything it was sent back, with this status.
fn echo(status: u16, request: &Request) -> Response {
    let text = format!(
        "{:?} {} {} {:?}",
        request.headers,
        request.query,
        String::from_utf8_lossy(&request.body),
        request.basic_credentials(),
    );
    let body = serde_json::json!({"errors": [{"code": "DENIED", "message": text}]});
    Response::new(status, body.to_string()).with_header("X-Echo", text.replace(['\r', '\n'], " "))
}

/// A registry that echoes: on the list, or on its realm.
fn registry(status: u16, challenge: &'static str) -> HttpServer {
    HttpServer::start(move |request| {
        let authority = request.header("host").unwrap_or_default();
        let is_realm = request.path == "/token";
        let shown = request.header("authorization").is_some();
        match (challenge, is_realm, shown) {
            ("basic" | "bearer", true, _) => Response::json(format!(r#"{{"token":"{TOKEN}"}}"#)),
            ("basic", false, false) => {
                Response::new(401, "").with_header("WWW-Authenticate", "Basic realm=\"x\"")
            }
            (_, false, false) => Response::new(401, "").with_header(
                "WWW-Authenticate",
                format!("Bearer realm=\"http://{authority}/token\",service=\"s\""),
            ),
            (_, true, _) | (_, false, true) => echo(status, request),
        }
    })
    .unwrap()
}

#[tokio::test]
async fn secrets_appear_nowhere() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let directory = tempfile::tempdir().unwrap();
    let store = TagStore::open(directory.path(), &StoreOptions::default()).unwrap();
    let scanner = tagline_scanner::Scanner::new(ScannerOptions::default(), store);
    let mut seen = String::new();
    let mut cases = 0;
    for credential in [
        Credential::basic("me", SecretString::from(PASSWORD)),
        Credential::identity_token("me", SecretString::from(IDENTITY)),
        Credential::registry_token("me", SecretString::from(TOKEN)),
    ] {
        for challenge in ["basic", "bearer", "realm-refuses"] {
            for status in [400, 401, 403, 404, 418, 500, 502] {
                let server = registry(status, challenge);
                let access = Access {
                    credentials: CredentialSource::fixed("Secret a/b", credential.clone()),
                    ..Access::default()
                };
                let target = ScanTarget::new(image(&server.authority(), "team/app"), access);
                let result = scanner.scan(&target, ScanMode::Full).await;
                let Err(error) = result else { continue };
                cases += 1;
                writeln!(seen, "{error}\n{error:?}\n{target:?}\n{}", target.key()).unwrap();
            }
        }
    }
    assert!(cases > 50, "only {cases} errors");
    let proxy = ProxySettings::new(&format!("http://me:{PROXY}@127.0.0.1:1"), None).unwrap();
    let access = Access {
        proxy: Some(proxy),
        ..Access::default()
    };
    let target = ScanTarget::new(image("registry.example", "team/app"), access);
    let error = scanner.scan(&target, ScanMode::Full).await.unwrap_err();
    writeln!(seen, "{error} {error:?} {target:?} {}", target.key()).unwrap();
    writeln!(seen, "{:?} {scanner:?}", scanner.budgets()).unwrap();
    drop(scanner);
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        seen += &String::from_utf8_lossy(&bytes);
    }
    seen += &String::from_utf8_lossy(&log.0.lock().unwrap());
    assert!(seen.contains("DENIED"), "the echo was not quoted at all");
    let encoded: String = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(format!("me:{PASSWORD}"))
    };
    for secret in [
        PASSWORD,
        TOKEN,
        IDENTITY,
        PROXY,
        &encoded,
        "pa55word",
        "Secret-token",
        "Secret%2B",
    ] {
        if let Some(at) = seen.find(secret) {
            let around: String = seen[at.saturating_sub(300)..].chars().take(500).collect();
            panic!("{secret} is in: {around}");
        }
    }
}
