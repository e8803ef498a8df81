//! A policy written as flags: `--semver`, `--filter` and the like.

use crate::exit::BadInput;
use crate::resources::Span;
use jiff::SignedDuration;
use tagline_policy::{
    Choice, Exclusions, FilterTags, Guards, Order, PolicySpec, Sortable, Unparsable,
};

/// A policy written as flags.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Policy")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "flags that may be given in any combination"
)]
pub(super) struct WrittenPolicy {
    /// The newest version in this range
    #[arg(
        long,
        value_name = "RANGE",
        group = "choice",
        allow_hyphen_values = true
    )]
    semver: Option<String>,
    /// The greatest (asc) or smallest (desc) tag by bytes
    #[arg(long, value_name = "ORDER", group = "choice", num_args = 0..=1, default_missing_value = "asc")]
    alphabetical: Option<String>,
    /// The greatest (asc) or smallest (desc) tag by value
    #[arg(long, value_name = "ORDER", group = "choice", num_args = 0..=1, default_missing_value = "asc")]
    numerical: Option<String>,
    /// The newest image whose tag matches; * is any text. Flux v1's prefixes are understood: glob:, semver:, regexp:
    #[arg(long, value_name = "PATTERN", group = "choice")]
    glob: Option<String>,
    /// By runs of digits and text: rc2 comes before rc11
    #[arg(long, value_name = "ORDER", group = "choice", num_args = 0..=1, default_missing_value = "asc")]
    natural: Option<String>,
    /// By the time the image was created: newest (asc) or oldest (desc)
    #[arg(long, value_name = "ORDER", group = "choice", num_args = 0..=1, default_missing_value = "asc")]
    created: Option<String>,
    /// By the time the tag was first seen: newest (asc) or oldest (desc)
    #[arg(long, value_name = "ORDER", group = "choice", num_args = 0..=1, default_missing_value = "asc")]
    first_seen: Option<String>,
    /// A preset: timestamp (main-SHA-TIME), build (BUILD-SHA) or calver (2024.01.15)
    #[arg(long, value_name = "PRESET", group = "choice")]
    sortable: Option<String>,
    /// Only tags that match this regular expression (RE2)
    #[arg(long, value_name = "RE", allow_hyphen_values = true)]
    filter: Option<String>,
    /// What of them is compared, for example $ts
    #[arg(
        long,
        value_name = "TEMPLATE",
        requires = "filter",
        allow_hyphen_values = true
    )]
    extract: Option<String>,
    /// Tags that never count (RE2); may be repeated [default: ^.*\.sig$]
    #[arg(long, value_name = "RE", allow_hyphen_values = true)]
    exclusion: Vec<String>,
    /// Only tags that match one of these globs; may be repeated
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// No tags that match one of these globs; may be repeated
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// No signatures, attestations and the like, which cosign and OCI referrers store under tags
    #[arg(long)]
    exclude_artifacts: bool,
    /// Only tags first seen at least this long ago
    #[arg(long, value_name = "DURATION")]
    minimum_age: Option<String>,
    /// Never choose what comes before the current tag
    #[arg(long, requires = "current")]
    never_downgrade: bool,
    /// Only tags with as many parts and the same suffix as the current tag
    #[arg(long, requires = "current")]
    same_shape: bool,
    /// For --numerical: leave tags out that are no numbers, instead of failing
    #[arg(long, requires = "numerical")]
    skip_unparsable: bool,
}

impl WrittenPolicy {
    /// The policy, where one was written.
    ///
    /// # Errors
    /// `InvalidPolicy`, with a caret where the text is wrong; [`BadInput`] for flags that do not go together.
    pub(super) fn to_spec(&self) -> anyhow::Result<Option<PolicySpec>> {
        let order = |text: &str| -> anyhow::Result<Order> { Ok(text.parse::<Order>()?) };
        let choice = if let Some(range) = &self.semver {
            Choice::Semver {
                range: range.clone(),
            }
        } else if let Some(text) = &self.alphabetical {
            Choice::Alphabetical {
                order: order(text)?,
            }
        } else if let Some(text) = &self.numerical {
            let unparsable = if self.skip_unparsable {
                Unparsable::Skip
            } else {
                Unparsable::Fail
            };
            Choice::Numerical {
                order: order(text)?,
                unparsable,
            }
        } else if let Some(pattern) = &self.glob {
            Choice::Pattern {
                pattern: pattern.clone(),
            }
        } else if let Some(text) = &self.natural {
            Choice::Natural {
                order: order(text)?,
            }
        } else if let Some(text) = &self.created {
            Choice::Created {
                order: order(text)?,
            }
        } else if let Some(text) = &self.first_seen {
            Choice::FirstSeen {
                order: order(text)?,
            }
        } else if let Some(preset) = &self.sortable {
            Choice::Sortable(preset.parse::<Sortable>()?)
        } else if self.filter.is_some() {
            return Err(BadInput::error(
                "--filter says which tags count, not which of them is chosen: add --semver, --alphabetical or --numerical",
            ));
        } else {
            return Ok(None);
        };
        let minimum_age = self
            .minimum_age
            .as_deref()
            .map(Span::parse_with_days)
            .transpose()
            .map_err(|error| BadInput::error(format!("--minimum-age: {error}")))?
            .map(|age| SignedDuration::try_from(age.0).unwrap_or(SignedDuration::MAX));
        Ok(Some(PolicySpec {
            choice,
            filter: self.filter.as_ref().map(|pattern| FilterTags {
                pattern: pattern.clone(),
                extract: self.extract.clone().unwrap_or_default(),
            }),
            exclusions: Exclusions {
                include: self.include.clone(),
                exclude: self.exclude.clone(),
                artifacts: self.exclude_artifacts,
                ..Exclusions::from_exclusion_list(&self.exclusion)
            },
            guards: Guards {
                minimum_age,
                never_downgrade: self.never_downgrade,
                same_shape: self.same_shape,
            },
        }))
    }
}
