//! What a registry says in the body of an error.

use crate::error::printable;
use oci_spec::distribution::{ErrorCode, ErrorResponse};
use serde_json::Value;

/// The most that is read of an error's body.
pub(crate) const MAX_ERROR_BODY: u64 = 64 * 1024;

/// Errors of one answer that are looked at.
const MOST_ERRORS: usize = 5;

/// The words of an error.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ErrorBody {
    /// For a message: short, one line, safe to print. Empty when the body says nothing.
    pub(crate) detail: String,
    codes: Vec<Code>,
}

/// The code of an error.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Code {
    /// One of the specification's.
    Known(ErrorCode),
    /// Any other, in upper case.
    Other(String),
}

impl ErrorBody {
    /// Reads a body: the OCI specification's `errors`, or what token realms and others send.
    pub(crate) fn read(content_type: &str, body: &[u8]) -> Self {
        if let Ok(response) = serde_json::from_slice::<ErrorResponse>(body)
            && !response.errors().is_empty()
        {
            return Self::of_response(&response);
        }
        // Registries have codes of their own, and token realms and proxies other forms.
        if let Ok(value) = serde_json::from_slice::<Value>(body) {
            return Self::of_json(&value);
        }
        let text = String::from_utf8_lossy(body.get(..body.len().min(4096)).unwrap_or_default());
        if is_html(content_type, body) {
            return Self {
                detail: title(&text).map(printable).unwrap_or_default(),
                codes: Vec::new(),
            };
        }
        Self {
            codes: too_many(&text).into_iter().collect(),
            detail: printable(&text),
        }
    }

    /// Whether it means 429, whatever the status was.
    pub(crate) fn is_too_many_requests(&self) -> bool {
        self.codes.iter().any(|code| match code {
            Code::Known(code) => *code == ErrorCode::TooManyRequests,
            Code::Other(code) => code == "TOO_MANY_REQUESTS",
        })
    }

    /// Whether the page size was refused.
    pub(crate) fn is_page_size_refused(&self) -> bool {
        self.codes.iter().any(|code| {
            matches!(code, Code::Other(code)
                if matches!(code.as_str(), "PAGINATION_NUMBER_INVALID" | "TOO_MANY_TAGS_REQUESTED"))
        }) || self.detail.contains("TOO_MANY_TAGS_REQUESTED")
    }

    fn of_response(response: &ErrorResponse) -> Self {
        let errors = response.errors().iter().take(MOST_ERRORS);
        let parts: Vec<_> = errors
            .clone()
            .map(|error| {
                let code = serde_json::to_value(error.code()).unwrap_or_default();
                let code = code.as_str().unwrap_or_default();
                match error.message().as_deref() {
                    Some(message) if !message.is_empty() => format!("{code}: {message}"),
                    _ => code.to_owned(),
                }
            })
            .collect();
        Self {
            detail: printable(&parts.join("; ")),
            codes: errors
                .map(|error| Code::Known(error.code().clone()))
                .collect(),
        }
    }

    fn of_json(value: &Value) -> Self {
        let text = |value: &Value, keys: &[&str]| {
            keys.iter()
                .find_map(|key| value.get(key)?.as_str().filter(|text| !text.is_empty()))
                .map(str::to_owned)
        };
        let errors = value.get("errors").and_then(Value::as_array);
        let mut codes = Vec::new();
        let mut parts = Vec::new();
        for error in errors.into_iter().flatten().take(MOST_ERRORS) {
            let code = text(error, &["code"]);
            let message = text(error, &["message"]).or_else(|| error.as_str().map(str::to_owned));
            parts.push(match (&code, message) {
                (Some(code), Some(message)) => format!("{code}: {message}"),
                (Some(code), None) => code.clone(),
                (None, message) => message.unwrap_or_default(),
            });
            codes.extend(code.map(|code| Code::of(&code)));
        }
        if parts.iter().all(String::is_empty) {
            parts = text(
                value,
                &["message", "error_description", "error", "details", "detail"],
            )
            .into_iter()
            .collect();
        }
        let detail = parts.join("; ");
        codes.extend(too_many(&detail));
        Self {
            detail: printable(&detail),
            codes,
        }
    }
}

impl Code {
    /// Some registries write the specification's codes in lower case.
    fn of(code: &str) -> Self {
        let code = code.to_ascii_uppercase();
        serde_json::from_value(Value::from(code.as_str())).map_or(Self::Other(code), Self::Known)
    }
}

/// Docker Hub writes `toomanyrequests: You have reached …` also without a code.
fn too_many(text: &str) -> Option<Code> {
    let text = text.trim_start();
    text.get(..15)
        .is_some_and(|start| start.eq_ignore_ascii_case("toomanyrequests"))
        .then_some(Code::Known(ErrorCode::TooManyRequests))
}

/// Whether a body is a web page.
pub(crate) fn is_html(content_type: &str, body: &[u8]) -> bool {
    let body = body.trim_ascii_start();
    content_type.to_ascii_lowercase().starts_with("text/html")
        || body.first() == Some(&b'<') && !body.starts_with(b"<?xml")
}

/// The title of a web page says best what it is.
fn title(text: &str) -> Option<&str> {
    let lower = text.to_ascii_lowercase();
    let start = lower.find("<title>")? + "<title>".len();
    let end = lower.get(start..)?.find("</title>")? + start;
    text.get(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_registries_say() {
        for (content_type, body, detail, too_many) in [
            (
                "application/json",
                r#"{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry","detail":{"name":"x"}}]}"#,
                "NAME_UNKNOWN: repository name not known to registry",
                false,
            ),
            (
                "application/json",
                r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"},{"code":"X"}]}"#,
                "TOOMANYREQUESTS: slow down; X",
                true,
            ),
            (
                "",
                r#"{"errors":[{"code":"toomanyrequests"}]}"#,
                "toomanyrequests",
                true,
            ),
            (
                "application/json",
                r#"{"details":"incorrect username or password"}"#,
                "incorrect username or password",
                false,
            ),
            (
                "application/json",
                r#"{"message":"toomanyrequests: You have reached your limit"}"#,
                "toomanyrequests: You have reached your limit",
                true,
            ),
            (
                "text/plain",
                "toomanyrequests: Rate exceeded",
                "toomanyrequests: Rate exceeded",
                true,
            ),
            (
                "text/html",
                "<html><head><title>502 Bad Gateway</title></head>",
                "502 Bad Gateway",
                false,
            ),
            (
                "text/plain",
                "\u{1b}[31mred\u{1b}[0m\r\n\u{202e}x",
                "\u{fffd}[31mred\u{fffd}[0m \u{fffd}x",
                false,
            ),
            ("application/json", "{}", "", false),
            ("application/json", "[1]", "", false),
            ("", "", "", false),
        ] {
            let read = ErrorBody::read(content_type, body.as_bytes());
            assert_eq!(read.detail, detail, "{body}");
            assert_eq!(read.is_too_many_requests(), too_many, "{body}");
        }
        let quay = r#"{"errors":[{"code":"TOO_MANY_TAGS_REQUESTED","message":"max 100"}]}"#;
        assert!(ErrorBody::read("", quay.as_bytes()).is_page_size_refused());
    }

    proptest::proptest! {
        #[test]
        fn never_panics(body: Vec<u8>) {
            let _ = ErrorBody::read("", &body);
            let _ = ErrorBody::read("text/html", &[b"<title>".as_slice(), &body].concat());
        }
    }
}
