//! Presets for tags made to be sorted, so that nobody needs to write a regular expression.

use crate::policy::Rule;
use crate::rank::NaturalRank;
use crate::spec::{FilterTags, Order, Sortable};

impl Sortable {
    /// The filter that the preset stands for, to show or to use in a Flux manifest.
    #[must_use]
    pub fn filter(self) -> FilterTags {
        let (pattern, extract) = match self {
            Self::Timestamp => (
                r"^(?:[a-zA-Z0-9_.-]+-)?(?P<timestamp>[0-9]{10,17})$",
                "$timestamp",
            ),
            Self::Build => (
                r"^(?:[a-zA-Z][a-zA-Z0-9_.-]*-)?(?P<build>[0-9]{1,9})(?:-g?[0-9a-f]{7,40})?$",
                "$build",
            ),
            Self::Calver => (
                r"^v?(?P<date>(?:[12][0-9]{3}|[0-9]{2})(?:[.-](?:0?[1-9]|1[0-2])(?:[.-](?:[0-9]{1,2})(?:[._-][0-9]{1,6})?)?))$",
                "$date",
            ),
        };
        FilterTags {
            pattern: pattern.into(),
            extract: extract.into(),
        }
    }
}

/// What a preset compares, and its filter. Natural order takes digits by their value, however many
/// there are; a float would not.
pub(crate) fn rule(preset: Sortable) -> (Rule, Option<FilterTags>) {
    let rank = NaturalRank {
        order: Order::Ascending,
    };
    (Rule::Natural(rank), Some(preset.filter()))
}
