//! The registry's answers: bodies with their digest or entity tag, and errors in the specification's form.

use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

const DOCKER_CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// The hexadecimal digits of a hash that make an entity tag.
const ETAG_DIGITS: usize = 32;

/// The specification's error codes (section "Error Codes"), and CNCF distribution's for a bad `n`, which has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ErrorCode {
    NameInvalid,
    NameUnknown,
    ManifestUnknown,
    BlobUnknown,
    DigestInvalid,
    PaginationNumberInvalid,
    Unsupported,
}

impl ErrorCode {
    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::NameInvalid => (
                StatusCode::BAD_REQUEST,
                "NAME_INVALID",
                "invalid repository name",
            ),
            Self::NameUnknown => (
                StatusCode::NOT_FOUND,
                "NAME_UNKNOWN",
                "repository name not known to registry",
            ),
            Self::ManifestUnknown => (
                StatusCode::NOT_FOUND,
                "MANIFEST_UNKNOWN",
                "manifest unknown to registry",
            ),
            Self::BlobUnknown => (
                StatusCode::NOT_FOUND,
                "BLOB_UNKNOWN",
                "blob unknown to registry",
            ),
            Self::DigestInvalid => (
                StatusCode::BAD_REQUEST,
                "DIGEST_INVALID",
                "provided digest is not a digest",
            ),
            Self::PaginationNumberInvalid => (
                StatusCode::BAD_REQUEST,
                "PAGINATION_NUMBER_INVALID",
                "invalid number of results requested",
            ),
            Self::Unsupported => (
                StatusCode::METHOD_NOT_ALLOWED,
                "UNSUPPORTED",
                "the operation is unsupported",
            ),
        }
    }
}

/// An error with its code; `detail` says what it is about.
pub(super) fn refuse(code: ErrorCode, detail: &str) -> Response {
    let (status, code, message) = code.parts();
    let error = serde_json::json!({"code": code, "message": message, "detail": detail});
    let body = serde_json::json!({"errors": [error]}).to_string();
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}

/// What any method but GET and HEAD gets: this registry is filled by the demo, not over HTTP.
pub(super) fn not_allowed() -> Response {
    let mut response = refuse(ErrorCode::Unsupported, "this registry is read-only");
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

/// A manifest or blob, named by its digest.
pub(super) fn content(digest: &str, media_type: &'static str, bytes: &[u8]) -> Response {
    let mut response = Response::new(Body::from(bytes.to_vec()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    if let Ok(value) = HeaderValue::from_str(digest) {
        headers.insert(DOCKER_CONTENT_DIGEST, value);
    }
    if let Ok(value) = HeaderValue::from_str(&format!("\"{digest}\"")) {
        headers.insert(ETAG, value);
    }
    response
}

/// A body with an entity tag; `304 Not Modified` without one when the client has it already.
pub(super) fn conditional(asked: &HeaderMap, media_type: &'static str, bytes: Vec<u8>) -> Response {
    let hash = sha256_hex(&bytes);
    let tag = format!("\"{}\"", &hash[..ETAG_DIGITS]);
    let known = asked.get_all(IF_NONE_MATCH).iter().any(|value| {
        let listed = value.to_str().unwrap_or_default();
        listed
            .split(',')
            .map(|one| one.trim().trim_start_matches("W/"))
            .any(|one| one == tag || one == "*")
    });
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(CONTENT_TYPE, media_type)], bytes).into_response()
    };
    if let Ok(value) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(ETAG, value);
    }
    response
}

/// The SHA-256 hash of some bytes in lower-case hexadecimal digits.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
