//! `WWW-Authenticate`: how a registry wants to be authenticated to (RFC 9110 section 11, and the distribution
//! project's token specification for the parameters).

use http::header::{HeaderMap, WWW_AUTHENTICATE};

/// No challenge worth reading is longer.
const MAX_LENGTH: usize = 8 * 1024;

/// What a registry asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User name and password with every request.
    Basic,
    /// A token from a realm.
    Bearer(BearerChallenge),
}

/// Where tokens come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct BearerChallenge {
    /// The token realm's address, unchecked.
    pub(crate) realm: String,
    /// The name of the registry at the realm.
    pub(crate) service: Option<String>,
    /// The scope the request would have needed.
    pub(crate) scope: Option<String>,
    /// Whether the answer that says so came from this machine or an inner network.
    pub(crate) is_from_inside: bool,
}

/// The best of the challenges in an answer, which came from inside or not: a token is preferred to sending the password each time.
pub(crate) fn challenge(headers: &HeaderMap, is_from_inside: bool) -> Option<Challenge> {
    let mut basic = None;
    for value in headers.get_all(WWW_AUTHENTICATE).iter().take(16) {
        let Ok(text) = value.to_str() else { continue };
        for (scheme, parameters) in schemes(text.get(..text.len().min(MAX_LENGTH)).unwrap_or("")) {
            let parameter = |name: &str| {
                parameters
                    .iter()
                    .find(|(key, _)| key.eq_ignore_ascii_case(name))
                    .map(|(_, value)| value.clone())
            };
            if scheme.eq_ignore_ascii_case("bearer")
                && let Some(realm) = parameter("realm")
            {
                return Some(Challenge::Bearer(BearerChallenge {
                    realm,
                    service: parameter("service").filter(|service| !service.is_empty()),
                    scope: parameter("scope").filter(|scope| !scope.is_empty()),
                    is_from_inside,
                }));
            }
            if scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Challenge::Basic);
            }
        }
    }
    basic
}

type Parameters = Vec<(String, String)>;

/// Splits a header into challenges. Tolerant: what cannot be read is passed over.
fn schemes(text: &str) -> Vec<(String, Parameters)> {
    let mut found: Vec<(String, Parameters)> = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return found;
        }
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        let after = behind.trim_start_matches([' ', '\t']);
        // `name=value` belongs to the challenge before; a word without `=` begins a new one.
        if let (Some(value), Some((_, parameters))) = (after.strip_prefix('='), found.last_mut()) {
            let (value, behind) = read_value(value.trim_start_matches([' ', '\t']));
            parameters.push((word.to_owned(), value));
            rest = behind;
        } else {
            if !word.is_empty() {
                found.push((word.to_owned(), Vec::new()));
            }
            rest = behind.trim_start_matches(['=', ' ', '\t']);
        }
    }
}

/// A quoted string or a token, and what follows.
fn read_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut escaped = false;
    for (at, c) in quoted.char_indices() {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return (value, quoted.get(at + 1..).unwrap_or_default()),
            _ => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn read(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(value).unwrap());
        }
        challenge(&headers, false)
    }

    #[expect(clippy::unnecessary_wraps, reason = "compared with what reading gives")]
    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer(BearerChallenge {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
            is_from_inside: false,
        }))
    }

    #[test]
    fn reads_what_registries_send() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull""#;
        let expected = bearer(
            "https://auth.docker.io/token",
            Some("registry.docker.io"),
            Some("repository:library/alpine:pull"),
        );
        assert_eq!(read(&[hub]), expected);
        assert_eq!(read(&["Basic realm=\"r\"", hub]), expected);
        assert_eq!(read(&[&format!("Basic realm=\"r, s\", {hub}")]), expected);
        assert_eq!(
            read(&["bearer realm=https://a/t , service = x"]),
            bearer("https://a/t", Some("x"), None)
        );
        assert_eq!(
            read(&[r#"Bearer realm="https://a/\"t\"",scope="a b,c""#]),
            bearer("https://a/\"t\"", None, Some("a b,c"))
        );
        assert_eq!(read(&["BASIC realm=\"x\""]), Some(Challenge::Basic));
        assert_eq!(read(&["Basic"]), Some(Challenge::Basic));
    }

    #[test]
    fn passes_over_what_it_does_not_know() {
        for value in [
            "",
            "Negotiate",
            "Bearer",
            "Bearer service=\"x\"",
            "=,=,=",
            "realm=\"x\"",
            "Digest realm=\"x\", nonce=\"y\"",
            "Bearer realm",
        ] {
            assert_eq!(read(&[value]), None, "{value:?}");
        }
        assert_eq!(read(&["Bearer realm=\"open"]), bearer("open", None, None));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[ -~\\t]{0,200}") {
            let _ = read(&[&text]);
            let _ = read(&[&format!("Bearer realm=\"{text}")]);
        }
    }
}
