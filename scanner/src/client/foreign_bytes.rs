//! The client's part of [`crate::foreign_bytes`].

use super::challenge::{Challenge, challenge as read_challenge};
use super::error_body::ErrorBody;
use super::guard::check_realm;
use super::link::{next_link, resolve};
use super::list_page::ListPage;
use super::token::Token;
use http::header::{HeaderMap, HeaderValue, LINK, WWW_AUTHENTICATE};
use url::Url;

pub(crate) fn list_page(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else {
        return;
    };
    let mut page = ListPage::new("tags");
    for piece in rest.chunks(usize::from(*first).max(1)) {
        if page.push(piece, |_| {}).is_err() {
            return;
        }
    }
    let _ = page.finish();
}

pub(crate) fn challenge(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else {
        return;
    };
    let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, value)]);
    if let Some(Challenge::Bearer(bearer)) = read_challenge(&headers, false)
        && let Ok(realm) = Url::parse(&bearer.realm)
        && let Ok(registry) = Url::parse("https://registry.example/v2/")
        && check_realm(&realm, &registry).is_ok()
    {
        assert_eq!(realm.scheme(), "https");
    }
}

pub(crate) fn link(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else {
        return;
    };
    let headers = HeaderMap::from_iter([(LINK, value)]);
    if let Ok(Some(link)) = next_link(&headers)
        && let Ok(current) = Url::parse("https://registry.example/v2/a/b/tags/list?n=100")
        && let Ok(next) = resolve(&link, &current)
    {
        assert_eq!(next.origin(), current.origin());
        assert_eq!(next.path(), current.path());
    }
}

pub(crate) fn documents(bytes: &[u8]) {
    let _ = Token::read(bytes, true, tokio::time::Instant::now());
    for content_type in ["application/json", "text/html", ""] {
        let body = ErrorBody::read(content_type, bytes);
        assert!(!body.detail.chars().any(char::is_control));
    }
}
