//! Globs: Flux v1's, where only `*` is special, and the richer ones of globset.

use crate::invalid_policy::{Field, InvalidPolicy};

/// A glob as Flux v1 has it (`ryanuber/go-glob`): `*` matches any run of characters, also an empty
/// one and one with `/`; nothing else is special; both ends are anchored; case matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    pattern: Box<str>,
}

impl Glob {
    /// Every text is a glob.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        Self {
            pattern: pattern.into(),
        }
    }

    /// The pattern.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.pattern
    }

    /// Whether the whole text matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let Some((first, rest)) = self.pattern.split_once('*') else {
            return *self.pattern == *text;
        };
        let Some(mut text) = text.strip_prefix(first) else {
            return false;
        };
        let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        // The earliest place for each middle part leaves the most for the later ones.
        for part in middle.split('*').filter(|part| !part.is_empty()) {
            match memchr::memmem::find(text.as_bytes(), part.as_bytes()) {
                Some(at) => text = &text[at + part.len()..],
                None => return false,
            }
        }
        text.ends_with(last)
    }
}

/// Which images to scan, as Flux v1's include and exclude globs say: looked at with the canonical
/// name without tag (`index.docker.io/library/alpine`). An exclude wins; without any include
/// everything is included.
#[derive(Debug, Clone, Default)]
pub struct GlobSet {
    include: Vec<Glob>,
    exclude: Vec<Glob>,
}

impl GlobSet {
    /// A set of globs in Flux v1's syntax.
    #[must_use]
    pub fn new(include: &[impl AsRef<str>], exclude: &[impl AsRef<str>]) -> Self {
        Self {
            include: include.iter().map(|g| Glob::new(g.as_ref())).collect(),
            exclude: exclude.iter().map(|g| Glob::new(g.as_ref())).collect(),
        }
    }

    /// Whether the set lets a text through.
    #[must_use]
    pub fn includes(&self, text: &str) -> bool {
        !self.exclude.iter().any(|glob| glob.matches(text))
            && (self.include.is_empty() || self.include.iter().any(|glob| glob.matches(text)))
    }
}

/// The longest glob over tags, in bytes: globset reads nested braces by recursion.
const MAX_GLOB_LENGTH: usize = 1024;

const ALLOWED: &str = "* for any run of characters, ? for one, [a-z] and [!a] for a class, {a,b} for alternatives, \\ before a character meant literally";

/// Include and exclude globs over tags, in globset's syntax: `*`, `?`, `[a-z]`, `[!a]`, `{a,b}`, `\`
/// before a character that is meant literally.
#[derive(Debug, Clone)]
pub(crate) struct TagGlobs {
    include: Option<globset::GlobSet>,
    exclude: Option<globset::GlobSet>,
}

impl TagGlobs {
    pub(crate) fn compile(include: &[String], exclude: &[String]) -> Result<Self, InvalidPolicy> {
        Ok(Self {
            include: compile(include, Field::IncludeGlob)?,
            exclude: compile(exclude, Field::ExcludeGlob)?,
        })
    }

    /// Whether a tag passes; exclude wins.
    pub(crate) fn includes(&self, tag: &str) -> bool {
        !self.exclude.as_ref().is_some_and(|set| set.is_match(tag))
            && self.include.as_ref().is_none_or(|set| set.is_match(tag))
    }
}

fn compile(
    patterns: &[String],
    field: impl Fn(usize) -> Field,
) -> Result<Option<globset::GlobSet>, InvalidPolicy> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let mut set = globset::GlobSetBuilder::new();
    for (index, pattern) in patterns.iter().enumerate() {
        if pattern.len() > MAX_GLOB_LENGTH {
            return Err(InvalidPolicy::new(
                field(index),
                pattern,
                MAX_GLOB_LENGTH..pattern.len(),
                format!("invalid glob: longer than {MAX_GLOB_LENGTH} bytes"),
                ALLOWED,
            ));
        }
        let glob = globset::GlobBuilder::new(pattern)
            .backslash_escape(true)
            .build()
            .map_err(|error| invalid(field(index), pattern, error.kind()))?;
        set.add(glob);
    }
    set.build()
        .map(Some)
        .map_err(|error| invalid(field(0), &patterns[0], error.kind()))
}

fn invalid(field: Field, pattern: &str, kind: &globset::ErrorKind) -> InvalidPolicy {
    use globset::ErrorKind::{
        DanglingEscape, InvalidRange, NestedAlternates, UnclosedAlternates, UnclosedClass,
        UnopenedAlternates,
    };
    let place = match kind {
        UnclosedClass | InvalidRange(..) => pattern.rfind('['),
        UnclosedAlternates | NestedAlternates => pattern.rfind('{'),
        UnopenedAlternates => pattern.rfind('}'),
        DanglingEscape => pattern.rfind('\\'),
        _ => None,
    };
    let span = place.map_or(0..pattern.len(), |at| at..at + 1);
    InvalidPolicy::new(
        field,
        pattern,
        span,
        format!("invalid glob: {kind}"),
        ALLOWED,
    )
}
