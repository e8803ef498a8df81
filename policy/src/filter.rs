//! Flux's `filterTags`: which tags count, and what of each is compared.

use crate::expand::Template;
use crate::invalid_policy::{Field, InvalidPolicy};
use crate::re2::{ALLOWED, Groups, Re2};
use crate::spec::FilterTags;

/// A compiled filter.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    /// `None` for the empty pattern, which matches everything.
    pattern: Option<Re2>,
    extract: Option<Template>,
    /// Another filter that must match, too; what it is for is its own matter.
    first: Option<Box<Filter>>,
}

/// What is compared of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extracted {
    /// A part of the tag, by bytes.
    Part(usize, usize),
    /// A text that was put together in the scratch buffer.
    Scratch,
}

/// What one evaluation reuses from tag to tag, so that no tag costs an allocation.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    groups: Groups,
    pub(crate) text: String,
}

impl Filter {
    pub(crate) fn compile(spec: &FilterTags) -> Result<Self, InvalidPolicy> {
        let pattern = Re2::compile(&spec.pattern).map_err(|error| {
            InvalidPolicy::new(
                Field::FilterPattern,
                &spec.pattern,
                error.span,
                error.message,
                ALLOWED,
            )
        })?;
        let extract = (!spec.extract.is_empty()).then(|| pattern.template(&spec.extract));
        Ok(Self {
            pattern: (extract.is_some() || !spec.pattern.is_empty()).then_some(pattern),
            extract,
            first: None,
        })
    }

    /// Both filters must match the tag; what is compared is what `second` extracts.
    pub(crate) fn before(self, second: Self) -> Self {
        Self {
            first: Some(Box::new(self)),
            ..second
        }
    }

    pub(crate) const fn extracts(&self) -> bool {
        self.extract.is_some()
    }

    pub(crate) fn scratch(&self) -> Scratch {
        let groups = match (&self.pattern, &self.extract) {
            (Some(pattern), Some(template)) => pattern.groups(template.last_group()),
            _ => Groups::default(),
        };
        Scratch {
            groups,
            text: String::new(),
        }
    }

    /// What is compared of a tag, or `None` when the tag does not count.
    pub(crate) fn apply(&self, tag: &str, scratch: &mut Scratch) -> Option<Extracted> {
        let whole = Extracted::Part(0, tag.len());
        if let Some(first) = &self.first
            && first.pattern.as_ref().is_some_and(|p| !p.is_match(tag))
        {
            return None;
        }
        let Some(pattern) = &self.pattern else {
            return Some(whole);
        };
        let Some(template) = &self.extract else {
            return pattern.is_match(tag).then_some(whole);
        };
        let groups = &mut scratch.groups;
        if !pattern.find(tag, groups) {
            return None;
        }
        if let Some(group) = template.as_group() {
            let (start, end) = groups.get(group).unwrap_or((0, 0));
            return Some(Extracted::Part(start, end));
        }
        scratch.text.clear();
        template.expand(&mut scratch.text, |group| {
            groups
                .get(group)
                .and_then(|(start, end)| tag.get(start..end))
        });
        Some(Extracted::Scratch)
    }

    /// What is compared of a tag, as a text of its own.
    pub(crate) fn text(&self, tag: &str) -> Option<String> {
        let mut scratch = self.scratch();
        match self.apply(tag, &mut scratch)? {
            Extracted::Part(start, end) => tag.get(start..end).map(str::to_owned),
            Extracted::Scratch => Some(scratch.text),
        }
    }
}
