//! Everything that is read from a registry, as functions of bytes: what the fuzz targets and a test call.
//!
//! None of them may panic, hang or take memory beyond its input, whatever the bytes are.

use crate::budget::headers::{allowance, retry_after};
use crate::client::foreign_bytes as client;
use crate::credentials::CredentialSource;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use std::time::SystemTime;

/// A page of tags, in pieces of the size that the first byte gives.
pub fn list_page(bytes: &[u8]) {
    client::list_page(bytes);
}

/// A `WWW-Authenticate` header, and the realm it names.
pub fn challenge(bytes: &[u8]) {
    client::challenge(bytes);
}

/// A `Link` header; what is followed must stay where it is.
pub fn link(bytes: &[u8]) {
    client::link(bytes);
}

/// A token realm's answer, and the body of an error.
pub fn documents(bytes: &[u8]) {
    client::documents(bytes);
}

/// `Retry-After` and the headers about limits.
pub fn limits(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else {
        return;
    };
    let now = SystemTime::UNIX_EPOCH;
    for name in [
        "retry-after",
        "ratelimit",
        "ratelimit-remaining",
        "x-ratelimit-remaining",
    ] {
        let headers = HeaderMap::from_iter([(HeaderName::from_static(name), value.clone())]);
        let _ = retry_after(&headers, now);
        let _ = allowance(&headers, now);
    }
}

/// A docker configuration.
pub fn docker_config(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = CredentialSource::docker_config("Secret a/b", text);
    }
}
