//! `ImagePolicy` (`image.toolkit.fluxcd.io`): which tag of a repository is wanted.

use super::duration::{LongSpan, Span};
use super::metadata::NamespacedReference;
use jiff::SignedDuration;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::time::Duration;
use tagline_policy::{
    Choice, Digest, Exclusions, FilterTags, Guards, ImageReference, InvalidPolicy, Order,
    PolicySpec, Sortable, Tag, Unparsable,
};

/// `spec`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ImagePolicySpec {
    /// The repository whose tags are looked at.
    pub(crate) image_repository_ref: NamespacedReference,
    /// How the tag is chosen.
    pub(crate) policy: PolicyChoice,
    /// Which tags are candidates, and what is compared of them.
    pub(crate) filter_tags: Option<TagFilter>,
    /// Whether the chosen tag's digest is recorded.
    #[serde(default)]
    pub(crate) digest_reflection_policy: DigestReflection,
    /// How often the digest is looked up; only with `Always`.
    pub(crate) interval: Option<Span>,
    /// No evaluation while set.
    #[serde(default)]
    pub(crate) suspend: bool,
    /// Ours: tags seen for a shorter time are not chosen yet.
    pub(crate) minimum_age: Option<LongSpan>,
    /// Ours: never choose something older than what was chosen before.
    #[serde(default)]
    pub(crate) never_downgrade: bool,
    /// Ours: only tags with as many parts and the same suffix as the one chosen before.
    #[serde(default)]
    pub(crate) same_shape: bool,
    /// Ours: policies of one namespace with the same group choose the newest version that all of them have.
    pub(crate) group: Option<String>,
    /// Ours: platforms that the image must have, for example `linux/arm64`.
    #[serde(default)]
    pub(crate) platforms: Vec<String>,
}

/// `spec.policy`. Where several are set, Flux's order decides: semver, alphabetical, numerical; then ours
/// in the order here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PolicyChoice {
    /// The newest version in a range.
    pub(crate) semver: Option<SemverChoice>,
    /// By bytes.
    pub(crate) alphabetical: Option<OrderedChoice>,
    /// By value.
    pub(crate) numerical: Option<NumericalChoice>,
    /// Ours: a Flux v1 glob.
    pub(crate) glob: Option<GlobChoice>,
    /// Ours: runs of digits by value, the rest by bytes.
    pub(crate) natural: Option<OrderedChoice>,
    /// Ours: by the time the image was created.
    pub(crate) created: Option<OrderedChoice>,
    /// Ours: by the time the tag was first seen.
    pub(crate) first_seen: Option<OrderedChoice>,
    /// Ours: a preset for tags made to be sorted: `timestamp`, `build` or `calver`.
    pub(crate) sortable: Option<String>,
}

/// `spec.policy.semver`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct SemverChoice {
    /// A range in the syntax of Masterminds/semver.
    pub(crate) range: String,
}

/// `spec.policy.alphabetical` and others that have only an order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct OrderedChoice {
    /// Which end wins.
    #[serde(default)]
    pub(crate) order: OrderWord,
}

/// `spec.policy.numerical`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct NumericalChoice {
    /// Which end wins.
    #[serde(default)]
    pub(crate) order: OrderWord,
    /// Ours: what a tag that is no number does.
    #[serde(default)]
    pub(crate) unparsable: UnparsableWord,
}

/// Which end of an order wins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OrderWord {
    /// The greatest.
    #[default]
    Asc,
    /// The smallest.
    Desc,
}

/// `spec.policy.numerical.unparsable`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum UnparsableWord {
    /// The policy fails, as in Flux.
    #[default]
    Fail,
    /// The tag is left out.
    Skip,
}

/// `spec.policy.glob`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct GlobChoice {
    /// With `*` for any text; `semver:` and `regexp:` in front as in Flux v1.
    pub(crate) pattern: String,
}

/// `spec.filterTags`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TagFilter {
    /// RE2; every tag is a candidate where absent.
    #[serde(default)]
    pub(crate) pattern: String,
    /// What is compared, from the pattern's groups; the tag itself where absent.
    #[serde(default)]
    pub(crate) extract: String,
    /// Ours: globs of which a tag must match one; any tag where absent.
    #[serde(default)]
    pub(crate) include: Vec<String>,
    /// Ours: globs of which a tag must match none.
    #[serde(default)]
    pub(crate) exclude: Vec<String>,
    /// Ours: leave out what cosign and OCI referrers store under tags.
    #[serde(default)]
    pub(crate) exclude_artifacts: bool,
}

/// `spec.digestReflectionPolicy`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum DigestReflection {
    /// Looked up every interval.
    Always,
    /// Looked up when a tag is chosen.
    IfNotPresent,
    /// Not looked up.
    #[default]
    Never,
}

/// `status`, as far as a file can hand a choice on.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "fields that are only known by name")]
pub(crate) struct ImagePolicyStatus {
    /// The choice.
    pub(crate) latest_ref: Option<LatestReference>,
    #[serde(default)]
    observed_previous_ref: IgnoredAny,
    #[serde(default)]
    observed_generation: IgnoredAny,
    #[serde(default)]
    conditions: IgnoredAny,
    #[serde(default)]
    last_handled_reconcile_at: IgnoredAny,
    #[serde(default)]
    latest_image: IgnoredAny,
    #[serde(default)]
    observed_previous_image: IgnoredAny,
}

/// `status.latestRef`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct LatestReference {
    /// The image's name.
    pub(crate) name: String,
    /// Its tag.
    pub(crate) tag: Tag,
    /// Its digest; empty is none, as Flux writes it.
    #[serde(default)]
    pub(crate) digest: Option<String>,
}

impl ImagePolicySpec {
    /// Time between two looks at the digest: only with `Always`, ten minutes where none is given.
    pub(crate) fn digest_interval(&self) -> Option<Duration> {
        (self.digest_reflection_policy == DigestReflection::Always).then(|| {
            self.interval
                .map(|interval| interval.0)
                .filter(|interval| !interval.is_zero())
                .unwrap_or(Duration::from_mins(10))
        })
    }
}

impl ImagePolicySpec {
    /// As the policy room takes it, with the exclusions of the repository it is about.
    ///
    /// # Errors
    /// When no policy is given, or a preset is unknown.
    pub(crate) fn to_policy_spec(
        &self,
        exclusion_list: &[String],
    ) -> Result<PolicySpec, InvalidPolicy> {
        let policy = &self.policy;
        let order = |choice: OrderedChoice| choice.order.into();
        let choice = if let Some(semver) = &policy.semver {
            Choice::Semver {
                range: semver.range.clone(),
            }
        } else if let Some(choice) = policy.alphabetical {
            Choice::Alphabetical {
                order: order(choice),
            }
        } else if let Some(choice) = policy.numerical {
            Choice::Numerical {
                order: choice.order.into(),
                unparsable: match choice.unparsable {
                    UnparsableWord::Fail => Unparsable::Fail,
                    UnparsableWord::Skip => Unparsable::Skip,
                },
            }
        } else if let Some(glob) = &policy.glob {
            Choice::Pattern {
                pattern: glob.pattern.clone(),
            }
        } else if let Some(choice) = policy.natural {
            Choice::Natural {
                order: order(choice),
            }
        } else if let Some(choice) = policy.created {
            Choice::Created {
                order: order(choice),
            }
        } else if let Some(choice) = policy.first_seen {
            Choice::FirstSeen {
                order: order(choice),
            }
        } else if let Some(preset) = &policy.sortable {
            Choice::Sortable(preset.parse::<Sortable>()?)
        } else {
            return Err(InvalidPolicy::without_choice());
        };
        let mut exclusions = Exclusions::from_exclusion_list(exclusion_list);
        if let Some(filter) = &self.filter_tags {
            exclusions.include.clone_from(&filter.include);
            exclusions.exclude.clone_from(&filter.exclude);
            exclusions.artifacts = filter.exclude_artifacts;
        }
        let filter = self.filter_tags.as_ref();
        Ok(PolicySpec {
            choice,
            filter: filter
                .filter(|filter| !(filter.pattern.is_empty() && filter.extract.is_empty()))
                .map(|filter| FilterTags {
                    pattern: filter.pattern.clone(),
                    extract: filter.extract.clone(),
                }),
            exclusions,
            guards: Guards {
                minimum_age: self
                    .minimum_age
                    .map(|age| SignedDuration::try_from(age.0).unwrap_or(SignedDuration::MAX)),
                never_downgrade: self.never_downgrade,
                same_shape: self.same_shape,
            },
        })
    }
}

impl From<OrderWord> for Order {
    fn from(word: OrderWord) -> Self {
        match word {
            OrderWord::Asc => Self::Ascending,
            OrderWord::Desc => Self::Descending,
        }
    }
}

impl LatestReference {
    /// As a value; a digest that is none is dropped.
    pub(crate) fn to_image_reference(&self) -> ImageReference {
        ImageReference {
            name: self.name.clone(),
            tag: self.tag.clone(),
            digest: self
                .digest
                .as_deref()
                .and_then(|digest| Digest::new(digest).ok()),
        }
    }
}
