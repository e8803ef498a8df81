//! What a user writes: which tags count, how they are compared, what guards the choice.

use crate::invalid_policy::{Field, InvalidPolicy};
use jiff::SignedDuration;
use std::fmt;
use std::str::FromStr;

/// A whole policy as written, before it is compiled by [`Policy::compile`](crate::Policy::compile).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PolicySpec {
    /// How tags are compared.
    pub choice: Choice,
    /// `filterTags`: which tags count, and what of them is compared.
    pub filter: Option<FilterTags>,
    /// Tags that never count.
    pub exclusions: Exclusions,
    /// What holds a choice back.
    pub guards: Guards,
}

/// How tags are compared, and which of them can be at all.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Choice {
    /// The greatest version in a range (Flux `policy.semver`).
    Semver {
        /// A Masterminds/semver v3 range.
        range: String,
    },
    /// By bytes (Flux `policy.alphabetical`).
    Alphabetical {
        /// Which end wins.
        order: Order,
    },
    /// By Go's `ParseFloat` (Flux `policy.numerical`).
    Numerical {
        /// Which end wins.
        order: Order,
        /// What a tag that is no number does to the policy.
        unparsable: Unparsable,
    },
    /// Runs of digits by value, the rest by bytes.
    Natural {
        /// Which end wins.
        order: Order,
    },
    /// By the time the image was made.
    Created {
        /// Which end wins; ascending takes the newest.
        order: Order,
    },
    /// By the time the tag was first seen.
    FirstSeen {
        /// Which end wins; ascending takes the newest.
        order: Order,
    },
    /// A Flux v1 glob: tags that match, the newest by created time.
    Glob {
        /// The pattern without `glob:`; only `*` is special.
        pattern: String,
    },
    /// A Flux v1 tag pattern as an annotation has it: `glob:`, `semver:`, `regexp:` or `regex:` in
    /// front, a glob without any.
    Pattern {
        /// The pattern with its prefix.
        pattern: String,
    },
    /// A preset for tags made to be sorted.
    Sortable(Sortable),
}

/// Which end of the order wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Order {
    /// The greatest wins: Flux's `asc`, and its default.
    #[default]
    Ascending,
    /// The smallest wins: Flux's `desc`.
    Descending,
}

/// What happens when the numerical policy meets a tag that is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Unparsable {
    /// The policy chooses nothing and says which tag it was, as Flux does.
    #[default]
    Fail,
    /// The tag is left out.
    Skip,
}

/// Presets for tags made to be sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sortable {
    /// `main-<sha>-<timestamp>`, also without the commit: the greatest timestamp.
    Timestamp,
    /// `<build>-<sha>`, also with a branch in front or without the commit: the greatest build number.
    Build,
    /// `2024.01.15`, `v2024.1`, `20.04.1`, `2024-01-15`, also with a counter behind: the latest date.
    Calver,
}

/// Flux's `filterTags`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct FilterTags {
    /// A Go (RE2) regular expression, not anchored.
    pub pattern: String,
    /// A Go `Expand` template for what is compared; empty for the tag itself.
    pub extract: String,
}

/// Tags that never count.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Exclusions {
    /// Go (RE2) regular expressions, not anchored; a tag that matches any is left out.
    pub patterns: Vec<String>,
    /// Leave out what cosign and OCI referrers store under tags: `sha256-<hex>` with or without
    /// `.sig`, `.att`, `.sbom` and the like.
    pub artifacts: bool,
    /// Globs (globset's syntax) of which a tag must match one; empty for any tag.
    pub include: Vec<String>,
    /// Globs (globset's syntax) of which a tag must match none.
    pub exclude: Vec<String>,
}

/// What holds a choice back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Guards {
    /// A tag counts only this long after it was first seen. A tag whose first sight is not known does
    /// not count.
    pub minimum_age: Option<SignedDuration>,
    /// Never choose what comes before the current tag in the policy's own order. Orders by time know
    /// the current tag only while it is in the list.
    pub never_downgrade: bool,
    /// Choose only tags with the current one's suffix and number of parts: `1.25-alpine` may become
    /// `1.26-alpine`, neither `1.26` nor `1.26.1-alpine`.
    pub same_shape: bool,
}

impl Exclusions {
    /// What Flux excludes when an `ImageRepository` says nothing (an empty list says nothing, too).
    pub const FLUX_DEFAULT: &'static str = r"^.*\.sig$";

    /// Excludes nothing.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            patterns: Vec::new(),
            artifacts: false,
            include: Vec::new(),
            exclude: Vec::new(),
        }
    }

    /// An `ImageRepository`'s `exclusionList`, with Flux's default for an empty one.
    #[must_use]
    pub fn from_exclusion_list(list: &[String]) -> Self {
        if list.is_empty() {
            Self::default()
        } else {
            Self {
                patterns: list.to_vec(),
                ..Self::none()
            }
        }
    }
}

/// Flux's: `^.*\.sig$`.
impl Default for Exclusions {
    fn default() -> Self {
        Self {
            patterns: vec![Self::FLUX_DEFAULT.to_owned()],
            ..Self::none()
        }
    }
}

impl PolicySpec {
    /// A policy without filter and guards, with Flux's exclusions.
    #[must_use]
    pub fn new(choice: Choice) -> Self {
        Self {
            choice,
            filter: None,
            exclusions: Exclusions::default(),
            guards: Guards::default(),
        }
    }

    /// A semver policy.
    #[must_use]
    pub fn semver(range: impl Into<String>) -> Self {
        Self::new(Choice::Semver {
            range: range.into(),
        })
    }

    /// The same with `filterTags`.
    #[must_use]
    pub fn with_filter(mut self, pattern: impl Into<String>, extract: impl Into<String>) -> Self {
        self.filter = Some(FilterTags {
            pattern: pattern.into(),
            extract: extract.into(),
        });
        self
    }
}

impl Choice {
    /// Flux's union as the API has it: when several are set, semver comes before alphabetical before
    /// numerical. Orders as in [`Order::from_str`].
    ///
    /// # Errors
    /// Flux's error when none is set or an order is unknown.
    pub fn from_flux(
        semver_range: Option<&str>,
        alphabetical_order: Option<&str>,
        numerical_order: Option<&str>,
    ) -> Result<Self, InvalidPolicy> {
        if let Some(range) = semver_range {
            Ok(Self::Semver {
                range: range.to_owned(),
            })
        } else if let Some(order) = alphabetical_order {
            order.parse().map(|order| Self::Alphabetical { order })
        } else if let Some(order) = numerical_order {
            order.parse().map(|order| Self::Numerical {
                order,
                unparsable: Unparsable::Fail,
            })
        } else {
            Err(InvalidPolicy::without_choice())
        }
    }
}

/// `asc` and `desc` in any case; empty is `asc`.
impl FromStr for Order {
    type Err = InvalidPolicy;
    fn from_str(text: &str) -> Result<Self, InvalidPolicy> {
        if text.is_empty() || text.eq_ignore_ascii_case("asc") {
            Ok(Self::Ascending)
        } else if text.eq_ignore_ascii_case("desc") {
            Ok(Self::Descending)
        } else {
            Err(InvalidPolicy::new(
                Field::Order,
                text,
                0..text.len(),
                format!("invalid order argument provided: '{text}', must be one of: ASC, DESC"),
                "asc (the greatest wins) or desc (the smallest wins)",
            ))
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ascending => "asc",
            Self::Descending => "desc",
        })
    }
}

impl Sortable {
    /// All presets.
    pub const ALL: [Self; 3] = [Self::Timestamp, Self::Build, Self::Calver];

    /// Its name in a policy.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timestamp => "timestamp",
            Self::Build => "build",
            Self::Calver => "calver",
        }
    }
}

impl FromStr for Sortable {
    type Err = InvalidPolicy;
    fn from_str(text: &str) -> Result<Self, InvalidPolicy> {
        Self::ALL
            .into_iter()
            .find(|preset| preset.as_str() == text)
            .ok_or_else(|| {
                InvalidPolicy::new(
                    Field::Sortable,
                    text,
                    0..text.len(),
                    format!("unknown preset {text:?} for sortable tags"),
                    "timestamp (main-<sha>-<timestamp>), build (<build>-<sha>) or calver (2024.01.15)",
                )
            })
    }
}

impl fmt::Display for Sortable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
