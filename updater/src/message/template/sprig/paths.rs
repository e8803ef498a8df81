//! Paths and URLs.

use super::super::function::{Function, Kind, fixed};
use super::super::run::{Entries, Fault, Run};
use super::super::value::Value;
use super::text_of;

const ONE: &[Kind] = &[Kind::Text];

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "base" | "osBase" => fixed(ONE, |run, values| run.text(base(text_of(&values[0])))),
        "dir" | "osDir" => fixed(ONE, |run, values| {
            let path = text_of(&values[0]);
            let end = path.rfind('/').map_or(0, |slash| slash + 1);
            run.text(clean(&path[..end]))
        }),
        "clean" | "osClean" => fixed(ONE, |run, values| run.text(clean(text_of(&values[0])))),
        "ext" | "osExt" => fixed(ONE, |run, values| {
            let path = text_of(&values[0]);
            let name = path.rsplit('/').next().unwrap_or_default();
            run.text(name.rfind('.').map_or("", |dot| &name[dot..]))
        }),
        "isAbs" | "osIsAbs" => fixed(ONE, |_, values| {
            Ok(Value::Bool(text_of(&values[0]).starts_with('/')))
        }),
        "urlParse" => fixed(ONE, url_parse),
        "urlJoin" => fixed(&[Kind::Dict], url_join),
        _ => return None,
    })
}

fn base(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    match (path, trimmed) {
        ("", _) => ".",
        (_, "") => "/",
        _ => trimmed.rsplit('/').next().unwrap_or(trimmed),
    }
}

/// Go's `path.Clean`.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

fn url_parse(run: &mut Run, values: &[Value]) -> Result<Value, Fault> {
    let url = text_of(&values[0]);
    let (rest, fragment) = url.split_once('#').unwrap_or((url, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    };
    let (scheme, rest) = match rest.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => (scheme, rest),
        _ => ("", rest),
    };
    let (authority, path, opaque) = match rest.strip_prefix("//") {
        Some(rest) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            (authority, path, "")
        }
        None if !scheme.is_empty() && !rest.starts_with('/') => ("", "", rest),
        None => ("", rest, ""),
    };
    let (userinfo, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let hostname = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let hostname = hostname.trim_start_matches('[').trim_end_matches(']');
    let entries: Entries = [
        ("scheme", scheme.to_lowercase()),
        ("host", host.to_owned()),
        ("hostname", hostname.to_owned()),
        ("path", path.to_owned()),
        ("query", query.to_owned()),
        ("opaque", opaque.to_owned()),
        ("fragment", fragment.to_owned()),
        ("userinfo", userinfo.to_owned()),
    ]
    .map(|(key, text)| (key.to_owned(), Value::from(text)))
    .into();
    run.dict(entries)
}

fn url_join(run: &mut Run, values: &[Value]) -> Result<Value, Fault> {
    let Value::Dict(dict) = &values[0] else {
        return Err(Fault::new("urlJoin takes what urlParse gives"));
    };
    let entries = run.entries(*dict)?;
    let part = |name: &str| entries.get(name).map(text_of).unwrap_or_default();
    let mut url = String::new();
    if !part("scheme").is_empty() {
        url.push_str(part("scheme"));
        url.push(':');
    }
    if part("opaque").is_empty() {
        if !part("host").is_empty() || !part("userinfo").is_empty() {
            url.push_str("//");
            if !part("userinfo").is_empty() {
                url.push_str(part("userinfo"));
                url.push('@');
            }
            url.push_str(part("host"));
            if !part("path").is_empty() && !part("path").starts_with('/') {
                url.push('/');
            }
        }
        url.push_str(part("path"));
    } else {
        url.push_str(part("opaque"));
    }
    for (mark, name) in [('?', "query"), ('#', "fragment")] {
        if !part(name).is_empty() {
            url.push(mark);
            url.push_str(part(name));
        }
    }
    run.text(url)
}
