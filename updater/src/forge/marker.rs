//! What Tagline remembers in a pull request's description, hidden from the reader.
//!
//! The forge is the only store: which automation a pull request belongs to, which changes it holds, and what we
//! wrote last (so that a person's edits are told from our own). One line above our section of the description, one
//! below; everything outside the two belongs to people.
//!
//! ```text
//! <!-- tagline:begin v=1 automation=flux-system/apps title=… section=… all=… changes=…,… -->
//! …
//! <!-- tagline:end -->
//! ```

use std::collections::BTreeSet;
use std::fmt;
use std::fmt::Write as _;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::ImageChange;

const BEGIN: &str = "tagline:begin";
const END: &str = "tagline:end";
/// Characters of a fingerprint that stand for the policy alone.
const POLICY_PART: usize = 6;
const LENGTH: usize = 14;

/// How a line is hidden from the reader of a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MarkerStyle {
    /// `<!-- … -->`.
    HtmlComment,
    /// `[//]: # (…)`: a link definition nothing refers to, for forges that show HTML as text.
    LinkDefinition,
}

/// A short hash (84 bits) of a text, or of one change.
///
/// The first part of a change's fingerprint stands for the policy alone, so that two of them can tell "another
/// version by the same policy".
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(Box<str>);

impl Fingerprint {
    /// Of one change: the policy, the image and what was chosen. Neither file nor place counts.
    #[must_use]
    pub fn of_change(change: &ImageChange) -> Self {
        let policy = hash(&[&change.policy]);
        let version = hash(&[&change.policy, &change.image, &change.chosen]);
        let version = &version[..LENGTH - POLICY_PART];
        Self(format!("{}{version}", &policy[..POLICY_PART]).into())
    }

    /// Of a text, however its white space and line ends were changed on the way.
    #[must_use]
    pub fn of_text(text: &str) -> Self {
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        Self(hash(&[&words])[..LENGTH].into())
    }

    /// Of a set of changes.
    #[must_use]
    pub fn of_all(changes: &BTreeSet<Self>) -> Self {
        let parts: Vec<&str> = changes.iter().map(|change| &*change.0).collect();
        Self(hash(&parts)[..LENGTH].into())
    }

    /// The policy of a change.
    pub(super) fn policy(&self) -> Policy {
        Policy(self.0[..POLICY_PART].into())
    }

    /// Reads what `Display` wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let valid = text.len() == LENGTH
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        valid.then(|| Self(text.into()))
    }
}

/// The part of a change's fingerprint that stands for its policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Policy(Box<str>);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// 43 characters of the URL-safe alphabet, with `--` broken up: it would end an HTML comment.
fn hash(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.len().to_le_bytes());
        hasher.update(part.as_bytes());
    }
    URL_SAFE_NO_PAD.encode(hasher.finalize()).replace('-', "_")
}

/// Why we closed a pull request ourselves; where this is absent, a person did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClosedBy {
    /// Another one of ours took its place.
    Superseded,
    /// Nothing of it is wanted any more.
    NoLongerNeeded,
}

/// What stands in the marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// Whose pull request this is: `namespace/name` of the automation.
    pub automation: String,
    /// The title as we last wrote it.
    pub title: Fingerprint,
    /// Our section as we last wrote it.
    pub section: Fingerprint,
    /// All changes together.
    pub all: Fingerprint,
    /// Each change; empty where there was no room.
    pub changes: BTreeSet<Fingerprint>,
    /// Labels, reviewers and the like are still to be set.
    pub set_up_pending: bool,
    /// We closed it, or were about to.
    pub closed: Option<ClosedBy>,
}

impl Marker {
    /// Our part of a description: the marker, `section`, the end. `room` is what the marker line may use, in
    /// characters; the list of changes is left out if it needs more.
    #[must_use]
    pub fn block(&self, section: &str, style: MarkerStyle, room: usize) -> String {
        format!(
            "{}\n\n{section}\n\n{}",
            self.line(style, room),
            hide(END, style)
        )
    }

    fn line(&self, style: MarkerStyle, room: usize) -> String {
        let mut line = format!(
            "{BEGIN} v=1 automation={} title={} section={} all={}",
            encode(&self.automation),
            self.title,
            self.section,
            self.all
        );
        if self.set_up_pending {
            line.push_str(" setup=pending");
        }
        match self.closed {
            Some(ClosedBy::Superseded) => line.push_str(" closed=superseded"),
            Some(ClosedBy::NoLongerNeeded) => line.push_str(" closed=obsolete"),
            None => {}
        }
        if !self.changes.is_empty() && line.len() + self.changes.len() * (LENGTH + 1) + 20 <= room {
            line.push_str(" changes=");
            for (index, change) in self.changes.iter().enumerate() {
                let _ = write!(line, "{}{change}", if index == 0 { "" } else { "," });
            }
        }
        hide(&line, style)
    }

    /// Finds and reads the marker of a description, in either style.
    #[must_use]
    pub fn find(body: &str) -> Option<FoundMarker> {
        let mut offset = 0;
        let mut begin: Option<(Self, Range<usize>)> = None;
        for line in body.split_inclusive('\n') {
            let span = offset..offset + line.trim_end().len();
            offset += line.len();
            let Some(text) = unhide(line) else { continue };
            match &begin {
                None => {
                    if let Some(marker) = text.strip_prefix(BEGIN).and_then(Self::parse) {
                        begin = Some((marker, span));
                    }
                }
                Some((marker, line)) if text == END => {
                    return Some(FoundMarker {
                        marker: marker.clone(),
                        line: line.clone(),
                        end: Some(span),
                    });
                }
                Some(_) => {}
            }
        }
        begin.map(|(marker, line)| FoundMarker {
            marker,
            line,
            end: None,
        })
    }

    fn parse(fields: &str) -> Option<Self> {
        let value = |key: &str| {
            fields
                .split_ascii_whitespace()
                .find_map(|field| field.strip_prefix(key)?.strip_prefix('='))
        };
        if value("v") != Some("1") {
            return None;
        }
        Some(Self {
            automation: percent_decode(value("automation")?)?,
            title: Fingerprint::parse(value("title")?)?,
            section: Fingerprint::parse(value("section")?)?,
            all: Fingerprint::parse(value("all")?)?,
            changes: value("changes")
                .unwrap_or_default()
                .split(',')
                .filter_map(Fingerprint::parse)
                .collect(),
            set_up_pending: value("setup") == Some("pending"),
            closed: match value("closed") {
                Some("superseded") => Some(ClosedBy::Superseded),
                Some(_) => Some(ClosedBy::NoLongerNeeded),
                None => None,
            },
        })
    }
}

/// A marker in a description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundMarker {
    /// What it says.
    pub marker: Marker,
    line: Range<usize>,
    end: Option<Range<usize>>,
}

impl FoundMarker {
    /// Our section, without the lines around it. Empty where a person took the end away.
    #[must_use]
    pub fn section<'b>(&self, body: &'b str) -> &'b str {
        self.end
            .as_ref()
            .and_then(|end| body.get(self.line.end..end.start))
            .unwrap_or_default()
            .trim()
    }

    /// The description with our part replaced and everything else as it was. Where a person took the end away,
    /// only the marker's line is replaced: the rest can no longer be told from their words.
    #[must_use]
    pub fn replace(
        &self,
        body: &str,
        marker: &Marker,
        section: &str,
        style: MarkerStyle,
        room: usize,
    ) -> String {
        let (until, ours) = match &self.end {
            Some(end) => (end.end, marker.block(section, style, room)),
            None => (self.line.end, marker.line(style, room)),
        };
        let before = body.get(..self.line.start).unwrap_or_default();
        let after = body.get(until..).unwrap_or_default();
        format!("{before}{ours}{after}")
    }
}

fn hide(text: &str, style: MarkerStyle) -> String {
    match style {
        MarkerStyle::HtmlComment => format!("<!-- {text} -->"),
        MarkerStyle::LinkDefinition => format!("[//]: # ({text})"),
    }
}

fn unhide(line: &str) -> Option<&str> {
    let line = line.trim();
    let html = line
        .strip_prefix("<!--")
        .and_then(|rest| rest.strip_suffix("-->"));
    let definition = || {
        line.strip_prefix("[//]: # (")
            .and_then(|rest| rest.strip_suffix(')'))
    };
    Some(html.or_else(definition)?.trim())
}

/// Keeps what Kubernetes names are made of; everything else as `%XX`.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        // A second dash would be read as the end of a comment by old parsers.
        let plain = byte.is_ascii_alphanumeric()
            || matches!(byte, b'/' | b'.' | b'_')
            || (byte == b'-' && !out.ends_with('-'));
        if plain {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn percent_decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let pair = [bytes.next()?, bytes.next()?];
            out.push(u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn marker(automation: &str, changes: usize) -> Marker {
        let changes: BTreeSet<_> = (0..changes)
            .map(|n| Fingerprint::of_text(&n.to_string()))
            .collect();
        Marker {
            automation: automation.to_owned(),
            title: Fingerprint::of_text("title"),
            section: Fingerprint::of_text("section"),
            all: Fingerprint::of_all(&changes),
            changes,
            set_up_pending: true,
            closed: Some(ClosedBy::Superseded),
        }
    }

    #[test]
    fn people_keep_what_they_wrote_around_our_section() {
        let first = marker("flux-system/apps", 2);
        let body = format!(
            "Above.\r\n{}\r\nBelow.",
            first.block("old", MarkerStyle::HtmlComment, 1_000)
        );
        let found = Marker::find(&body).unwrap();
        assert_eq!((&found.marker, found.section(&body)), (&first, "old"));
        let second = marker("flux-system/apps", 3);
        let body = found.replace(&body, &second, "new", MarkerStyle::HtmlComment, 1_000);
        assert!(
            body.starts_with("Above.\r\n<!-- ") && body.ends_with(" -->\r\nBelow."),
            "{body}"
        );
        let found = Marker::find(&body).unwrap();
        assert_eq!((&found.marker, found.section(&body)), (&second, "new"));
    }

    #[test]
    fn without_the_end_only_the_marker_line_is_ours() {
        let block = marker("a/b", 1).block("text", MarkerStyle::HtmlComment, 1_000);
        let body = block.replace("<!-- tagline:end -->", "mine");
        let found = Marker::find(&body).unwrap();
        let replaced = found.replace(
            &body,
            &marker("a/b", 2),
            "new",
            MarkerStyle::HtmlComment,
            1_000,
        );
        assert!(replaced.ends_with("\n\ntext\n\nmine") && !replaced.contains("new"));
    }

    #[test]
    fn a_list_that_has_no_room_is_left_out() {
        let block = marker("a/b", 100).block("x", MarkerStyle::LinkDefinition, 500);
        let found = Marker::find(&block).unwrap().marker;
        assert!(found.changes.is_empty());
        assert_eq!(found.all, marker("a/b", 100).all);
    }

    #[test]
    fn what_is_no_marker_is_none() {
        for body in [
            "",
            "tagline:begin v=1",
            "<!-- tagline:begin v=2 automation=a title=x section=y all=z -->",
            "<!-- tagline:begin v=1 automation=%zz -->",
            "<!-- tagline:end -->",
        ] {
            assert_eq!(Marker::find(body), None, "{body}");
        }
    }

    proptest! {
        #[test]
        fn reads_back_what_was_written(automation in ".{0,40}", count in 0_usize..20, section in "[^\u{0}]{0,80}", html: bool) {
            prop_assume!(!section.contains("tagline:"));
            let style = if html { MarkerStyle::HtmlComment } else { MarkerStyle::LinkDefinition };
            let marker = marker(&automation, count);
            let body = marker.block(section.trim(), style, 10_000);
            let found = Marker::find(&body).unwrap();
            prop_assert_eq!(&found.marker, &marker);
            prop_assert_eq!(found.section(&body), section.trim());
        }

        #[test]
        fn any_text_is_read_without_harm(body in "(?s).{0,200}", middle in "(?s)[a-z=, %]{0,80}") {
            let body = format!("{body}\n<!-- tagline:begin{middle} -->\n{body}");
            if let Some(found) = Marker::find(&body) {
                let _ = found.replace(&body, &found.marker, "x", MarkerStyle::HtmlComment, 100);
            }
        }
    }
}
