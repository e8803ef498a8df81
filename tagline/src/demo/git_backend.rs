//! git over http for the demo: `git http-backend` as a CGI program (RFC 3875), with basic authentication.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::git_remote::Login;

/// The largest request body: the demo's pushes have a few kilobytes.
const LARGEST_BODY: usize = 16 * 1024 * 1024;
/// How long git may take for one request.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// The installed `git http-backend`.
#[derive(Debug, Clone)]
pub(super) struct GitBackend {
    program: PathBuf,
}

impl GitBackend {
    /// Asks git where its programs are.
    pub(super) async fn find() -> Option<Self> {
        let output = Command::new("git").arg("--exec-path").output().await.ok()?;
        let directory = String::from_utf8(output.stdout).ok()?;
        let program = Path::new(directory.trim_end()).join("git-http-backend");
        program.is_file().then_some(Self { program })
    }
}

struct Served {
    backend: GitBackend,
    root: PathBuf,
    authorization: String,
    user: String,
}

/// Serves every repository below `root`.
pub(super) fn router(backend: GitBackend, root: &Path, login: &Login) -> Router {
    let Login { username, password } = login;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    let served = Served {
        backend,
        root: root.to_owned(),
        authorization: format!("Basic {pair}"),
        user: username.clone(),
    };
    Router::new().fallback(answer).with_state(Arc::new(served))
}

async fn answer(State(served): State<Arc<Served>>, request: Request) -> Response {
    let given = request.headers().get(AUTHORIZATION);
    if given.is_none_or(|given| given.as_bytes() != served.authorization.as_bytes()) {
        let challenge = [(WWW_AUTHENTICATE, "Basic realm=\"tagline demo\"")];
        return (StatusCode::UNAUTHORIZED, challenge).into_response();
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, LARGEST_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let mut command = Command::new(&served.backend.program);
    command
        .env("GIT_PROJECT_ROOT", &served.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        // The demo is not subject to anybody's settings.
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("PATH_INFO", parts.uri.path())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("REMOTE_USER", &served.user)
        .env("REMOTE_ADDR", "127.0.0.1");
    pass_header(&mut command, &parts.headers, &CONTENT_TYPE, "CONTENT_TYPE");
    pass_header(
        &mut command,
        &parts.headers,
        &CONTENT_ENCODING,
        "HTTP_CONTENT_ENCODING",
    );
    match tokio::time::timeout(TIME_LIMIT, run(command, body)).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            tracing::warn!(error = format!("{error:#}"), "git http-backend failed");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        Err(_) => StatusCode::GATEWAY_TIMEOUT.into_response(),
    }
}

fn pass_header(command: &mut Command, headers: &HeaderMap, name: &HeaderName, variable: &str) {
    if let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) {
        command.env(variable, value);
    }
}

async fn run(mut command: Command, body: Bytes) -> anyhow::Result<Response> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("start git http-backend")?;
    let stdin = child.stdin.take();
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A backend that refuses a request does not read it; its answer counts.
            let _ = stdin.write_all(&body).await;
        }
    };
    // It may answer while it still reads: both pipes are served at once.
    let ((), output) = tokio::join!(feed, child.wait_with_output());
    parse_cgi(&output.context("wait for git http-backend")?.stdout)
}

/// Splits a CGI program's output into status, headers and body.
fn parse_cgi(output: &[u8]) -> anyhow::Result<Response> {
    let Some(end) = output.windows(4).position(|window| window == b"\r\n\r\n") else {
        bail!("no end of the headers in {} bytes", output.len());
    };
    let mut response = Response::new(Body::from(output[end + 4..].to_vec()));
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        let Some((name, value)) = line.split_once(": ") else {
            bail!("{line:?} is not a header");
        };
        if name == "Status" {
            let code = value.split(' ').next().unwrap_or_default();
            *response.status_mut() = code.parse().context("the status")?;
        } else {
            let name = HeaderName::from_bytes(name.as_bytes())?;
            response
                .headers_mut()
                .insert(name, HeaderValue::from_str(value)?);
        }
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_the_output_of_a_cgi_program() {
        let response = parse_cgi(b"Status: 404 Not Found\r\nX-A: b\r\n\r\nbody").unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(response.headers()["x-a"], "b");
        assert_eq!(
            parse_cgi(b"X-A: b\r\n\r\n").unwrap().status(),
            StatusCode::OK
        );
        for broken in [
            &b""[..],
            b"Status: 200\r\n",
            b"no colon\r\n\r\n",
            b"Status: x\r\n\r\n",
        ] {
            assert!(parse_cgi(broken).is_err(), "{broken:?}");
        }
    }
}
