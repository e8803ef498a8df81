//! A compiled policy.

use crate::exclusion::ExclusionSet;
use crate::filter::Filter;
use crate::glob::Glob;
use crate::invalid_policy::{Field, InvalidPolicy};
use crate::range::Range;
use crate::rank::{
    Moment, NaturalRank, NumberRank, TextRank, TimeRank, V1Match, V1TimeRank, VersionRank,
};
use crate::re2::{ALLOWED, Re2};
use crate::sortable;
use crate::spec::{Choice, Guards, PolicySpec};
use std::hash::{DefaultHasher, Hash, Hasher};

/// A policy, checked and compiled: cheap to ask again and again.
#[derive(Debug, Clone)]
pub struct Policy {
    pub(crate) rule: Rule,
    pub(crate) filter: Option<Filter>,
    pub(crate) exclusions: ExclusionSet,
    pub(crate) guards: Guards,
    pub(crate) spec: PolicySpec,
    /// Tells whether an evaluation was made by this policy.
    pub(crate) fingerprint: u64,
}

/// How tags are compared.
#[derive(Debug, Clone)]
pub(crate) enum Rule {
    Version(VersionRank),
    Text(TextRank),
    Number(NumberRank),
    Natural(NaturalRank),
    Time(TimeRank),
    V1Time(V1TimeRank),
}

impl Policy {
    /// Checks and compiles a policy.
    ///
    /// # Errors
    /// [`InvalidPolicy`], showing the first mistake at its place.
    pub fn compile(spec: &PolicySpec) -> Result<Self, InvalidPolicy> {
        let (rule, preset) = match &spec.choice {
            Choice::Sortable(preset) => sortable::rule(*preset),
            choice => (rule(choice)?, None),
        };
        if spec.guards.minimum_age.is_some_and(|age| age.is_negative()) {
            return Err(InvalidPolicy::new(
                Field::MinimumAge,
                "",
                0..0,
                "the minimum age is negative",
                "a span such as 24h",
            ));
        }
        let filter = match (&spec.filter, preset) {
            (Some(filter), None) => Some(Filter::compile(filter)?),
            (None, Some(preset)) => Some(Filter::compile(&preset)?),
            (Some(filter), Some(preset)) => {
                Some(Filter::compile(filter)?.before(Filter::compile(&preset)?))
            }
            (None, None) => None,
        };
        let mut hasher = DefaultHasher::new();
        spec.hash(&mut hasher);
        Ok(Self {
            fingerprint: hasher.finish(),
            rule,
            filter,
            exclusions: ExclusionSet::compile(&spec.exclusions)?,
            guards: spec.guards,
            spec: spec.clone(),
        })
    }

    /// What it was compiled from.
    #[must_use]
    pub const fn spec(&self) -> &PolicySpec {
        &self.spec
    }

    /// Whether the choice needs created times, which cost a request for each new tag.
    #[must_use]
    pub const fn needs_created(&self) -> bool {
        matches!(
            self.rule,
            Rule::V1Time(_)
                | Rule::Time(TimeRank {
                    moment: Moment::Created,
                    ..
                })
        )
    }
}

fn rule(choice: &Choice) -> Result<Rule, InvalidPolicy> {
    Ok(match choice {
        Choice::Semver { range } => Rule::Version(VersionRank {
            range: Range::parse(range)?,
            three_parts: true,
            longest_text: false,
        }),
        Choice::Alphabetical { order } => Rule::Text(TextRank { order: *order }),
        Choice::Numerical { order, unparsable } => Rule::Number(NumberRank {
            order: *order,
            unparsable: *unparsable,
        }),
        Choice::Natural { order } => Rule::Natural(NaturalRank { order: *order }),
        Choice::Created { order } => Rule::Time(TimeRank {
            moment: Moment::Created,
            order: *order,
        }),
        Choice::FirstSeen { order } => Rule::Time(TimeRank {
            moment: Moment::FirstSeen,
            order: *order,
        }),
        Choice::Glob { pattern } => Rule::V1Time(V1TimeRank {
            matches: V1Match::Glob(Glob::new(pattern)),
            wants_latest: pattern == "latest",
        }),
        Choice::Pattern { pattern } => v1_rule(pattern)?,
        Choice::Sortable(preset) => sortable::rule(*preset).0,
    })
}

/// A Flux v1 tag pattern with its prefix.
///
/// Flux v1 takes a range or a regular expression that does not compile for one that matches
/// everything; here it is an error.
fn v1_rule(pattern: &str) -> Result<Rule, InvalidPolicy> {
    let behind = |prefix: &'static str| {
        pattern
            .strip_prefix(prefix)
            .map(|rest| (rest, prefix.len()))
    };
    if let Some((range, offset)) = behind("semver:") {
        let range = Range::parse(range)
            .map_err(|e| e.of_field(Field::TagPattern).within(pattern, offset))?;
        return Ok(Rule::Version(VersionRank {
            range,
            three_parts: false,
            longest_text: true,
        }));
    }
    if let Some((regex, offset)) = behind("regexp:").or_else(|| behind("regex:")) {
        let compiled = Re2::compile(regex).map_err(|error| {
            InvalidPolicy::new(Field::TagPattern, regex, error.span, error.message, ALLOWED)
                .within(pattern, offset)
        })?;
        return Ok(Rule::V1Time(V1TimeRank {
            matches: V1Match::Regex(compiled),
            wants_latest: false,
        }));
    }
    let glob = pattern.strip_prefix("glob:").unwrap_or(pattern);
    Ok(Rule::V1Time(V1TimeRank {
        matches: V1Match::Glob(Glob::new(glob)),
        wants_latest: glob == "latest",
    }))
}
