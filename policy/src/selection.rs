//! What comes out of a policy: a tag, or why there is none.

use crate::Tag;
use jiff::{SignedDuration, Timestamp};

/// The outcome of one evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// How many tags were looked at.
    pub considered: usize,
    /// How many of them the policy could choose.
    pub matched: usize,
    /// The chosen tag, or why none was chosen.
    pub result: Result<Tag, NoChoice>,
    /// When the next tag that is too young now will be old enough: until then the same tags give the
    /// same choice.
    pub recheck_at: Option<Timestamp>,
}

impl Selection {
    /// The chosen tag.
    #[must_use]
    pub fn tag(&self) -> Option<&Tag> {
        self.result.as_ref().ok()
    }
}

/// Why no tag was chosen. The sentences are Flux's where Flux has one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoChoice {
    /// No tags, or none that the exclusions and the filter leave.
    #[error("version list argument cannot be empty")]
    EmptyList,
    /// Tags were left, but none is what the policy looks for.
    #[error("unable to determine latest version from provided list")]
    NothingMatches,
    /// The numerical policy met something that is no number.
    #[error("failed to parse invalid numeric value '{value}'")]
    NotANumber {
        /// What was read: the tag, or what `extract` made of it.
        value: String,
        /// The tag it comes from.
        tag: Tag,
    },
    /// Every tag that matches was seen too recently.
    #[error("all {waiting} matching tags are younger than the minimum age of {minimum_age:#}")]
    TooYoung {
        /// How many tags wait for their age.
        waiting: usize,
        /// The age that is asked for.
        minimum_age: SignedDuration,
    },
    /// Every tag that matches comes before the current one.
    #[error(
        "every matching tag comes before the current {current}, and the policy never downgrades"
    )]
    Downgrade {
        /// The tag in use.
        current: Tag,
    },
    /// A policy by time, and no tag has one.
    #[error("no tag has a known {moment} time")]
    NoTimes {
        /// `created` or `first-seen`.
        moment: &'static str,
    },
    /// Images that move together have no version in common.
    #[error("no version exists for all images of the group: {} has no {newest}", lacking.join(", "))]
    NoCommonVersion {
        /// The newest version of the group's first member.
        newest: String,
        /// The members without it.
        lacking: Vec<String>,
    },
    /// An image of the group has nothing to choose, so that the others stay, too.
    #[error("the group waits for {by}: {why}")]
    GroupHeld {
        /// The member.
        by: String,
        /// Why it has no choice.
        why: Box<NoChoice>,
    },
}

impl NoChoice {
    /// A word for programs.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::EmptyList => "empty-list",
            Self::NothingMatches => "nothing-matches",
            Self::NotANumber { .. } => "not-a-number",
            Self::TooYoung { .. } => "too-young",
            Self::Downgrade { .. } => "downgrade",
            Self::NoTimes { .. } => "no-times",
            Self::NoCommonVersion { .. } => "no-common-version",
            Self::GroupHeld { .. } => "group-held",
        }
    }
}
