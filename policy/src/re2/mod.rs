//! Go's regular expressions (RE2 syntax) on the `regex` crate.

use crate::expand::Template;
use regex::{CaptureLocations, Regex, RegexBuilder};

/// What is allowed in a pattern, for error messages.
pub(crate) const ALLOWED: &str =
    "a Go (RE2) regular expression: no look-around, no back-references, repeat counts up to 1000";

/// What Go's `regexp.Compile` says about a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Re2Error {
    /// Go's text, `error parsing regexp: …`.
    pub(crate) message: String,
    /// Where in the pattern, in bytes.
    pub(crate) span: std::ops::Range<usize>,
}

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(crate) struct Re2 {
    regex: Regex,
}

impl Re2 {
    pub(crate) fn compile(pattern: &str) -> Result<Self, Re2Error> {
        RegexBuilder::new(pattern)
            .size_limit(1 << 20)
            .build()
            .map(|regex| Self { regex })
            .map_err(|error| Re2Error {
                message: format!("error parsing regexp: {error}"),
                span: 0..pattern.len(),
            })
    }

    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    pub(crate) fn template(&self, template: &str) -> Template {
        Template::new(template, self.regex.capture_names())
    }

    pub(crate) fn locations(&self) -> CaptureLocations {
        self.regex.capture_locations()
    }

    pub(crate) fn captures(&self, locations: &mut CaptureLocations, text: &str) -> bool {
        self.regex.captures_read(locations, text).is_some()
    }
}
