//! The bodies of the fuzz targets over random bytes, so that every test run exercises them.

use proptest::prelude::*;
use tagline_scanner::foreign_bytes;

/// Bytes: anything at all, or made of what the readers look for.
fn bytes(alphabet: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let likely = proptest::collection::vec(0..alphabet.len(), 0..32).prop_map(|picks| {
        picks
            .into_iter()
            .flat_map(|at| alphabet[at].bytes())
            .collect()
    });
    prop_oneof![
        1 => proptest::collection::vec(any::<u8>(), 0..200),
        4 => likely,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn list_page(bytes in bytes(&["{", "}", "[", "]", "\"tags\"", ":", ",", "\"1.0\"", "\\u00", "null", "1e", " ", "\u{7}"])) {
        foreign_bytes::list_page(&bytes);
    }

    #[test]
    fn challenge(bytes in bytes(&["Bearer ", "Basic ", "realm=", "\"", "https://", "127.0.0.1", "a.b", "/", "\\", ",", "scope=", "@", "[::1]"])) {
        foreign_bytes::challenge(&bytes);
    }

    #[test]
    fn link(bytes in bytes(&["<", ">", "; rel=\"next\"", "/v2/a/b/tags/list", "?last=", "https://", "registry.example", "//", "..", "%2f", ",", "@", ":"])) {
        foreign_bytes::link(&bytes);
    }

    #[test]
    fn documents(bytes in bytes(&["{", "}", "\"token\"", ":", "\"errors\"", "[", "]", "\"code\"", "\"a.eyJ9.b\"", ",", "<title>", "</title>", "9", "\u{1b}"])) {
        foreign_bytes::documents(&bytes);
    }

    #[test]
    fn limits(bytes in bytes(&["9", "0", ";w=", "r=", ";", ",", "t=", "\"", "-", ".", "Fri, 31 Dec 1999 23:59:59 GMT", "remaining="])) {
        foreign_bytes::limits(&bytes);
    }

    #[test]
    fn docker_config(bytes in bytes(&["{", "}", "\"auths\"", ":", "\"auth\"", "\"YTpi\"", ",", "\"ghcr.io\"", "\"credHelpers\"", "null", "[", "]"])) {
        foreign_bytes::docker_config(&bytes);
    }
}
