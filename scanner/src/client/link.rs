//! `Link: <…>; rel="next"`: where the next page of a list is, and whether that may be followed.

use http::header::{HeaderMap, LINK};
use url::Url;

/// Why a link is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkProblem {
    /// It is not `<address>`, or not an address.
    Malformed,
    /// It leads to another host.
    OtherHost,
    /// It leads to another resource of the same host.
    OtherResource,
}

/// The address of the next page, unchecked; `None` when this was the last one.
pub(crate) fn next_link(headers: &HeaderMap) -> Result<Option<String>, LinkProblem> {
    let mut unnamed = None;
    for value in headers.get_all(LINK).iter().take(16) {
        let text = value.to_str().map_err(|_| LinkProblem::Malformed)?;
        let mut rest = text.trim();
        while !rest.is_empty() {
            let inside = rest.strip_prefix('<').ok_or(LinkProblem::Malformed)?;
            let (address, behind) = inside.split_once('>').ok_or(LinkProblem::Malformed)?;
            let (parameters, following) = split_parameters(behind);
            match relation(parameters) {
                Some(relation) if is_next(relation) => return Ok(Some(address.to_owned())),
                // Some registries leave `rel` out; there is only one thing they can mean.
                None => unnamed = Some(address.to_owned()),
                Some(_) => {}
            }
            rest = following;
        }
    }
    Ok(unnamed)
}

/// The parameters of one link, and what follows behind its comma.
fn split_parameters(text: &str) -> (&str, &str) {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => {
                let (parameters, following) = text.split_at(at);
                return (parameters, following.trim_start_matches([',', ' ', '\t']));
            }
            _ => {}
        }
    }
    (text, "")
}

fn relation(parameters: &str) -> Option<&str> {
    parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("rel")
            .then(|| value.trim().trim_matches('"'))
    })
}

fn is_next(relation: &str) -> bool {
    relation
        .split_ascii_whitespace()
        .any(|word| word.eq_ignore_ascii_case("next"))
}

/// Where to go on: the same resource with the link's query.
///
/// Registries behind proxies name themselves with another scheme, port or path prefix than the one they were asked
/// under, so only the query is taken over. A link to another host, or to another list, is refused: it would take our
/// requests (and another repository's tags) where nobody asked for.
pub(crate) fn resolve(link: &str, current: &Url) -> Result<Url, LinkProblem> {
    let target = current.join(link).map_err(|_| LinkProblem::Malformed)?;
    if !matches!(target.scheme(), "http" | "https") {
        return Err(LinkProblem::OtherHost);
    }
    if target.host_str() != current.host_str() || has_login(&target) {
        return Err(LinkProblem::OtherHost);
    }
    if target.path() != current.path() && !is_same_list(target.path(), current.path()) {
        return Err(LinkProblem::OtherResource);
    }
    let mut next = current.clone();
    next.set_query(target.query());
    Ok(next)
}

fn has_login(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// The same `…/v2/<name>/tags/list` or `…/v2/_catalog` under another prefix.
fn is_same_list(path: &str, current: &str) -> bool {
    fn inside(path: &str) -> Option<&str> {
        path.find("/v2/").and_then(|at| path.get(at..))
    }
    match (inside(path), inside(current)) {
        (Some(path), Some(current)) => path == current,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn next(values: &[&str]) -> Result<Option<String>, LinkProblem> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(LINK, HeaderValue::from_str(value).unwrap());
        }
        next_link(&headers)
    }

    #[test]
    fn finds_the_next_page() {
        let page = Ok(Some("/v2/a/tags/list?last=b&n=2".to_owned()));
        assert_eq!(next(&[r#"</v2/a/tags/list?last=b&n=2>; rel="next""#]), page);
        assert_eq!(next(&["</v2/a/tags/list?last=b&n=2>;rel=next"]), page);
        assert_eq!(next(&["</v2/a/tags/list?last=b&n=2>"]), page);
        assert_eq!(
            next(&[
                r#"</first>; rel="first", </v2/a/tags/list?last=b&n=2>; title="a,b"; rel="last next""#
            ]),
            page
        );
        assert_eq!(
            next(&["</x>; rel=prev", "</v2/a/tags/list?last=b&n=2>; REL=Next"]),
            page
        );
        assert_eq!(next(&[]), Ok(None));
        assert_eq!(next(&["</x>; rel=prev"]), Ok(None));
        for broken in ["/v2/a", "<open", "open>; rel=next"] {
            assert_eq!(next(&[broken]), Err(LinkProblem::Malformed), "{broken}");
        }
    }

    #[test]
    fn follows_only_the_same_list_on_the_same_host() {
        let current = Url::parse("https://r.io/v2/a/b/tags/list?n=100").unwrap();
        let ok = |query: &str| {
            Ok(Url::parse(&format!("https://r.io/v2/a/b/tags/list?{query}")).unwrap())
        };
        assert_eq!(
            resolve("/v2/a/b/tags/list?last=x&n=100", &current),
            ok("last=x&n=100")
        );
        assert_eq!(resolve("?last=x", &current), ok("last=x"));
        assert_eq!(
            resolve("https://r.io/v2/a/b/tags/list?last=x", &current),
            ok("last=x")
        );
        assert_eq!(
            resolve("http://r.io:5000/v2/a/b/tags/list?last=x", &current),
            ok("last=x")
        );
        assert_eq!(
            resolve("/prefix/v2/a/b/tags/list?last=x", &current),
            ok("last=x")
        );
        for (link, problem) in [
            (
                "https://evil.io/v2/a/b/tags/list?last=x",
                LinkProblem::OtherHost,
            ),
            ("//evil.io/v2/a/b/tags/list", LinkProblem::OtherHost),
            (
                "https://user:password@r.io/v2/a/b/tags/list",
                LinkProblem::OtherHost,
            ),
            (
                "https://r.io@evil.io/v2/a/b/tags/list",
                LinkProblem::OtherHost,
            ),
            ("file:///etc/passwd", LinkProblem::OtherHost),
            ("javascript:alert(1)", LinkProblem::OtherHost),
            ("/v2/other/tags/list?last=x", LinkProblem::OtherResource),
            ("/v2/a/b/manifests/latest", LinkProblem::OtherResource),
            ("http://[::1", LinkProblem::Malformed),
        ] {
            assert_eq!(resolve(link, &current), Err(problem), "{link}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_leaves_the_host(text in "[ -~]{0,80}") {
            let current = Url::parse("https://r.io/v2/a/tags/list").unwrap();
            let _ = next(&[&text]);
            if let Ok(url) = resolve(&text, &current) {
                proptest::prop_assert_eq!(url.origin(), current.origin());
                proptest::prop_assert_eq!(url.path(), current.path());
            }
        }
    }
}
