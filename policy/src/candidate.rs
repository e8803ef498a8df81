//! What a policy is asked about: tags with their times, and the present.

use crate::{Tag, TagRef};
use jiff::Timestamp;

/// A tag and what is known about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// The tag.
    pub tag: TagRef<'a>,
    /// When a scan first saw it.
    pub first_seen: Option<Timestamp>,
    /// When the image says it was made.
    pub created: Option<Timestamp>,
}

impl<'a> Candidate<'a> {
    /// A tag of which no times are known.
    #[must_use]
    pub const fn new(tag: TagRef<'a>) -> Self {
        Self {
            tag,
            first_seen: None,
            created: None,
        }
    }
}

impl<'a> From<TagRef<'a>> for Candidate<'a> {
    fn from(tag: TagRef<'a>) -> Self {
        Self::new(tag)
    }
}

/// What a choice depends on beside the tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The present moment.
    pub now: Timestamp,
    /// The tag in use, for the guards that compare with it.
    pub current: Option<Tag>,
    /// How the list is ordered, which decides between equal tags.
    pub order: ListOrder,
}

/// Which order decides between tags that a policy finds equal (`v1.0.0` and `1.0.0`).
///
/// Flux walks its list and keeps the first of equal versions and the last of equal numbers; with
/// `filterTags` it walks a Go map, so that its choice changes from run to run. Here the list decides
/// always: the first of equal versions (the last where `extract` makes tags equal), the last of equal
/// numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ListOrder {
    /// Descending bytes, as Flux stores a scan, in whatever order the candidates come.
    #[default]
    Stored,
    /// The order in which the candidates come.
    AsGiven,
}

impl Context {
    /// A context with nothing but the present moment.
    #[must_use]
    pub const fn at(now: Timestamp) -> Self {
        Self {
            now,
            current: None,
            order: ListOrder::Stored,
        }
    }

    /// With the tag in use.
    #[must_use]
    pub fn with_current(mut self, current: Option<Tag>) -> Self {
        self.current = current;
        self
    }

    /// With another order of the list.
    #[must_use]
    pub const fn with_order(mut self, order: ListOrder) -> Self {
        self.order = order;
        self
    }
}
