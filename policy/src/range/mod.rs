//! Version ranges as Masterminds/semver v3.5 reads and applies them.
//!
//! Neither cargo's nor npm's ranges: a bare `1.2.3` is exact, a bare `1.2` means `~1.2`; comparators
//! are AND-ed by spaces or commas and OR-ed by `||`; `a - b` is rewritten to `>= a, <= b` first. A
//! pre-release is looked at only when some comparator of the same AND group has a pre-release.

mod comparator;
mod parse;
#[cfg(test)]
mod tests;

use crate::{InvalidPolicy, Version};
pub(crate) use comparator::Comparator;

/// The longest range, in bytes.
pub const MAX_RANGE_LENGTH: usize = 512;
/// The most groups divided by `||`.
pub const MAX_RANGE_GROUPS: usize = 32;

/// Comparators that must all hold.
#[derive(Debug, Clone)]
struct Group {
    comparators: Vec<Comparator>,
    /// Some comparator has a pre-release, so pre-releases are looked at.
    prereleases: bool,
}

/// How a version stands to a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// In the range.
    Inside,
    /// Would be inside, but is a pre-release and the range does not ask for those.
    Prerelease,
    /// Not in the range.
    Outside,
}

/// A compiled version range.
#[derive(Debug, Clone)]
pub struct Range {
    text: String,
    groups: Vec<Group>,
}

impl Range {
    /// Reads a range.
    ///
    /// # Errors
    /// [`InvalidPolicy`] with Masterminds' text (`improper constraint: "…"`) and the place.
    pub fn parse(text: &str) -> Result<Self, InvalidPolicy> {
        parse::parse(text)
    }

    /// The text it was read from.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the version is in the range (Masterminds' `Check`).
    #[must_use]
    pub fn contains(&self, version: &Version<'_>) -> bool {
        self.groups.iter().any(|group| {
            (group.prereleases || !version.is_prerelease())
                && group.comparators.iter().all(|c| c.admits(version))
        })
    }

    /// As [`contains`](Self::contains), and tells a pre-release that was not asked for from a version
    /// that does not fit.
    #[must_use]
    pub fn fit(&self, version: &Version<'_>) -> Fit {
        if self.contains(version) {
            Fit::Inside
        } else if version.is_prerelease()
            && self
                .groups
                .iter()
                .any(|g| !g.prereleases && g.comparators.iter().all(|c| c.admits(version)))
        {
            Fit::Prerelease
        } else {
            Fit::Outside
        }
    }

    /// How many groups are divided by `||`, and how many comparators each has.
    #[must_use]
    pub fn shape(&self) -> Vec<usize> {
        self.groups.iter().map(|g| g.comparators.len()).collect()
    }
}
