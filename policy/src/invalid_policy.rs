//! What is wrong with a policy that a user wrote, shown at its place.

use std::fmt;
use std::ops::Range;

/// The part of a policy that an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// `policy` as a whole: no choice was given.
    Policy,
    /// `policy.semver.range`.
    SemverRange,
    /// `policy.alphabetical.order`, `policy.numerical.order` and their like.
    Order,
    /// `policy.glob.pattern`, the glob of Flux v1.
    GlobPattern,
    /// A Flux v1 tag pattern with its prefix, as in an annotation.
    TagPattern,
    /// The name of a preset for sortable tags.
    Sortable,
    /// `filterTags.pattern`.
    FilterPattern,
    /// `filterTags.extract`.
    FilterExtract,
    /// An entry of `exclusionList`, counted from 0.
    Exclusion(usize),
    /// An include glob, counted from 0.
    IncludeGlob(usize),
    /// An exclude glob, counted from 0.
    ExcludeGlob(usize),
    /// `minimumAge`.
    MinimumAge,
}

impl Field {
    /// Where the field sits in an `ImagePolicy` (or, for the exclusion list, an `ImageRepository`),
    /// below `spec`.
    #[must_use]
    pub fn path(self) -> String {
        match self {
            Self::Policy => "policy".into(),
            Self::SemverRange => "policy.semver.range".into(),
            Self::Order => "order".into(),
            Self::GlobPattern | Self::TagPattern => "policy.glob.pattern".into(),
            Self::Sortable => "policy.sortable".into(),
            Self::FilterPattern => "filterTags.pattern".into(),
            Self::FilterExtract => "filterTags.extract".into(),
            Self::Exclusion(index) => format!("exclusionList[{index}]"),
            Self::IncludeGlob(index) => format!("filterTags.include[{index}]"),
            Self::ExcludeGlob(index) => format!("filterTags.exclude[{index}]"),
            Self::MinimumAge => "minimumAge".into(),
        }
    }
}

/// A policy that cannot be used. Displays over several lines, for a terminal: what is wrong, the
/// text with a caret at the place, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidPolicy {
    field: Field,
    text: String,
    span: Range<usize>,
    problem: String,
    allowed: String,
}

impl InvalidPolicy {
    /// `problem` is Flux's text where it has one; `span` are bytes of `text`.
    pub(crate) fn new(
        field: Field,
        text: &str,
        span: Range<usize>,
        problem: impl Into<String>,
        allowed: impl Into<String>,
    ) -> Self {
        let end = span.end.min(text.len());
        Self {
            field,
            text: text.to_owned(),
            span: span.start.min(end)..end,
            problem: problem.into(),
            allowed: allowed.into(),
        }
    }

    /// The same error about another field: what finds a mistake does not always know where it stood.
    #[must_use]
    pub(crate) fn of_field(mut self, field: Field) -> Self {
        self.field = field;
        self
    }

    /// The same error inside a longer text, of which the wrong one was the part from `offset`.
    #[must_use]
    pub(crate) fn within(mut self, text: &str, offset: usize) -> Self {
        text.clone_into(&mut self.text);
        self.span = self.span.start + offset..self.span.end + offset;
        self
    }

    /// The error for a policy object that names no policy, in Flux's words.
    #[must_use]
    pub fn without_choice() -> Self {
        Self::new(
            Field::Policy,
            "",
            0..0,
            "given ImagePolicyChoice object is invalid",
            "one of semver, alphabetical, numerical (Flux), or glob, natural, created, firstSeen, sortable",
        )
    }

    /// Which field of the policy it is.
    #[must_use]
    pub const fn field(&self) -> Field {
        self.field
    }

    /// The field's text as the user wrote it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where in [`text`](Self::text) the mistake begins, in bytes.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.span.start
    }

    /// The bytes of [`text`](Self::text) that are wrong; empty when something is missing there.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The mistake in one line, without the text's surroundings: Flux's inner error where it has one.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// What would be right.
    #[must_use]
    pub fn allowed(&self) -> &str {
        &self.allowed
    }

    /// One line as Flux writes it into the `Stalled` condition of an `ImagePolicy`.
    #[must_use]
    pub fn message(&self) -> String {
        match self.field {
            Field::FilterPattern => format!(
                "failed to filter tags: invalid regular expression pattern '{}': {}",
                self.text, self.problem
            ),
            Field::Exclusion(_) => {
                format!("failed to compile regex {}: {}", self.text, self.problem)
            }
            _ => format!("invalid policy: {}", self.problem),
        }
    }
}

impl fmt::Display for InvalidPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.problem)?;
        let path = self.field.path();
        // A caret below a text needs the text on one line, so control characters are shown as a space.
        let shown = |c: char| if c.is_control() { ' ' } else { c };
        let line: String = self.text.chars().map(shown).collect();
        let before = self.text[..floor(&self.text, self.span.start)]
            .chars()
            .count();
        let marked = self.text
            [floor(&self.text, self.span.start)..floor(&self.text, self.span.end)]
            .chars()
            .count()
            .max(1);
        let (line, before) = window(&line, before, marked);
        let marked = marked.min(line.chars().count().saturating_sub(before).max(1));
        writeln!(f, "  {path}: {line}")?;
        let indent = path.chars().count() + 4 + before;
        writeln!(f, "{:indent$}{}", "", "^".repeat(marked))?;
        write!(f, "  allowed: {}", self.allowed)
    }
}

fn floor(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Cuts a long line to what surrounds the mark, so that a caret stays in sight.
fn window(line: &str, before: usize, marked: usize) -> (String, usize) {
    const WIDTH: usize = 100;
    let length = line.chars().count();
    if length <= WIDTH {
        return (line.to_owned(), before);
    }
    let start = before.saturating_sub(WIDTH / 2);
    let end = (before + marked.min(WIDTH / 2) + 10)
        .max(start + WIDTH)
        .min(length);
    let cut: String = line.chars().skip(start).take(end - start).collect();
    let lead = if start > 0 { "…" } else { "" };
    let tail = if end < length { "…" } else { "" };
    (
        format!("{lead}{cut}{tail}"),
        before - start + lead.chars().count(),
    )
}

impl std::error::Error for InvalidPolicy {}
