//! Go's regular expressions (RE2 syntax), as Flux has them, over tags.
//!
//! A parser of our own reads Go's syntax, because Rust's `regex` reads some patterns differently
//! (`[a&&b]`, `\<`, Unicode `\d`), refuses some that Go takes (`\Q…\E`, `\012`, a literal `{`) and takes
//! some that Go refuses (`a**`, `(?x)`). What it yields runs on the engine below the `regex` crate:
//! linear time, leftmost-first, the same matches as in Go. Tags are ASCII, and so is what matches: no
//! character beyond ASCII in a text is ever matched.

mod class;
mod error;
mod parse;

use crate::expand::Template;
use error::Code;
pub(crate) use error::Re2Error;
use regex_automata::Input;
use regex_automata::meta::Regex;
use regex_automata::util::primitives::NonMaxUsize;

/// What is allowed in a pattern, for error messages.
pub(crate) const ALLOWED: &str =
    "a Go (RE2) regular expression: no look-around, no back-references, repeat counts up to 1000";

/// How large a compiled pattern may be, in bytes: room for some thousand states. The worst patterns
/// of this size, many optional characters in a row, take tens of microseconds a tag.
const SIZE_LIMIT: usize = 256 << 10;

/// How much memory the states seen while matching may take, for each pattern and thread.
const CACHE_LIMIT: usize = 1 << 20;

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(crate) struct Re2 {
    regex: Regex,
    names: Vec<Option<Box<str>>>,
}

/// Where the groups of a match lie; reused from match to match.
#[derive(Debug, Clone, Default)]
pub(crate) struct Groups {
    slots: Vec<Option<NonMaxUsize>>,
}

impl Groups {
    /// The bytes that a group matched.
    pub(crate) fn get(&self, group: usize) -> Option<(usize, usize)> {
        match self.slots.get(group * 2..group * 2 + 2)? {
            [Some(start), Some(end)] => Some((start.get(), end.get())),
            _ => None,
        }
    }
}

impl Re2 {
    /// Reads and compiles a pattern.
    pub(crate) fn compile(pattern: &str) -> Result<Self, Re2Error> {
        let parsed = parse::parse(pattern)?;
        let config = Regex::config()
            .nfa_size_limit(Some(SIZE_LIMIT))
            .onepass_size_limit(Some(SIZE_LIMIT))
            .hybrid_cache_capacity(CACHE_LIMIT);
        let regex = Regex::builder()
            .configure(config)
            .build_from_hir(&parsed.hir)
            .map_err(|_| Code::Large.about(pattern, 0..pattern.len()))?;
        Ok(Self {
            regex,
            names: parsed.names,
        })
    }

    /// Whether the text has a match anywhere.
    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// Compiles a template for the groups of this pattern.
    pub(crate) fn template(&self, template: &str) -> Template {
        let names: Vec<_> = self.names.iter().map(Option::as_deref).collect();
        Template::new(template, &names)
    }

    /// Room for the groups up to the given one.
    pub(crate) fn groups(&self, last: usize) -> Groups {
        let count = (last + 1).min(self.names.len());
        Groups {
            slots: vec![None; count * 2],
        }
    }

    /// Finds the leftmost match and where its groups lie.
    pub(crate) fn find(&self, text: &str, groups: &mut Groups) -> bool {
        self.regex
            .search_slots(&Input::new(text), &mut groups.slots)
            .is_some()
    }
}
