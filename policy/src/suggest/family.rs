//! Forms of tags, and the policy that fits each.

use super::pieces::{
    Piece, Read, escape, is_counter, is_prerelease_word, last_word, pattern, pieces, shown, widths,
    with_fixed_words,
};
use crate::TagRef;
use crate::spec::{Choice, Order, PolicySpec, Unparsable};
use crate::version::Version;
use std::collections::BTreeMap;

/// Numbers as long as this are dates or times.
const DATE_DIGITS: usize = 6;

/// Words that begin the names of what is built for a change and then forgotten.
const PASSING: [&str; 13] = [
    "pr-",
    "pr",
    "pull-",
    "mr-",
    "merge-",
    "feature",
    "feat-",
    "fix-",
    "bugfix",
    "dependabot",
    "renovate",
    "test",
    "wip",
];

const NUMBERS: &str = r"[0-9]+\.[0-9]+\.[0-9]+";

/// The form of a tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    /// `1.2.3`, `v1.2.3`, also with a pre-release.
    Version,
    /// A version of three numbers with something around it: `1.2.3-alpine`, `app-v1.2.3`.
    DecoratedVersion { prefix: String, suffix: String },
    /// The same with numbers behind it that go up, too: `1.2.3-debian-12-r4`, `1.2.3-alpine3.20`, `1.2.3-4`.
    CountedVersion { prefix: String, suffix: Vec<Piece> },
    /// Anything else with a number in it.
    Pieces(Vec<Piece>),
    /// The same with or without one more number behind it: `noble-20241118`, `noble-20241118.1`.
    WithCounter(Vec<Piece>),
}

/// A policy, why it fits, and whether Flux v2 has it.
type Fitting = (PolicySpec, String, bool);

impl Family {
    pub(super) fn of(tag: &str) -> Option<Self> {
        if let Ok(version) = Version::parse_tag(tag)
            && tag.split('.').count() >= 3
            && (version.pre.is_empty() || is_prerelease(version.pre))
        {
            return Some(Self::Version);
        }
        let pieces = pieces(tag);
        if let Some(family) = decorated(&pieces) {
            return Some(family);
        }
        let numbers = pieces.iter().filter(|p| p.0 == Piece::Number).count();
        (numbers > 0).then(|| Self::Pieces(pieces.into_iter().map(|p| p.0).collect()))
    }

    /// A component of a repository of several: `api-v1.2.3`.
    pub(super) fn is_component(&self) -> bool {
        matches!(self, Self::DecoratedVersion { prefix, suffix } if suffix.is_empty() && !prefix.is_empty())
    }

    /// Pull requests, feature branches and pre-releases: nobody follows them for long.
    pub(super) fn passes_by(&self) -> bool {
        let begins = |text: &str| {
            PASSING.iter().any(|word| {
                let rest = text.to_ascii_lowercase();
                rest.strip_prefix(word).is_some_and(|rest| {
                    word.ends_with('-') || !rest.starts_with(|c: char| c.is_ascii_alphabetic())
                })
            })
        };
        let counts_prereleases = |form: &[Piece]| {
            form.windows(2).any(|pair| match pair {
                [Piece::Text(text), Piece::Number] => is_prerelease_word(last_word(text)),
                _ => false,
            })
        };
        match self {
            Self::Version => false,
            Self::DecoratedVersion { prefix, .. } => begins(prefix),
            Self::CountedVersion { prefix, suffix } => begins(prefix) || counts_prereleases(suffix),
            Self::Pieces(form) | Self::WithCounter(form) => {
                matches!(form.first(), Some(Piece::Text(text)) if begins(text))
                    || counts_prereleases(form)
            }
        }
    }

    /// The policy for its members.
    pub(super) fn policy(&self, members: &[TagRef<'_>]) -> Option<Fitting> {
        let members: Vec<&str> = members.iter().map(|tag| tag.as_str()).collect();
        Some(match self {
            Self::Version => (
                PolicySpec::semver("*"),
                "are versions; the range * takes the greatest release, ^1.0 would stay below 2.0, >=0.0.0-0 would take pre-releases, too".to_owned(),
                true,
            ),
            Self::DecoratedVersion { prefix, suffix } => {
                let pattern = format!(
                    "^{}(?P<version>v?{NUMBERS}){}$",
                    escape(prefix),
                    escape(suffix)
                );
                let form = format!("{prefix}<version>{suffix}");
                (
                    PolicySpec::semver("*").with_filter(pattern, "$version"),
                    format!("have the form {form}; only what stands for <version> is compared"),
                    true,
                )
            }
            Self::CountedVersion { prefix, suffix } => {
                let last = suffix.iter().rposition(|p| *p == Piece::Number)?;
                let counted = pattern(suffix, usize::MAX, last, "");
                let counted = counted.trim_start_matches('^').trim_end_matches('$');
                let pattern = format!("^{}v?(?P<sort>{NUMBERS}{counted}$", escape(prefix));
                (
                    natural(pattern, "$sort"),
                    format!(
                        "have the form {prefix}<version>{}; version and number sort naturally",
                        shown(suffix)
                    ),
                    false,
                )
            }
            Self::Pieces(form) => by_pieces(&with_fixed_words(form, &members), &members)?,
            Self::WithCounter(form) => {
                let last = form.iter().rposition(|p| *p == Piece::Number)?;
                let pattern = pattern(form, last, last, "date")
                    .replace("(?P<date>[0-9]+)$", r"(?P<date>[0-9]+(?:\.[0-9]+)?)$");
                (
                    natural(pattern, "$date"),
                    format!(
                        "have the form {}, some with a counter behind it",
                        shown(form)
                    ),
                    false,
                )
            }
        })
    }
}

/// Families that differ only by a counter behind a date become one.
pub(super) fn join_counters(families: &mut BTreeMap<Family, Vec<TagRef<'_>>>) {
    let dated: Vec<Vec<Piece>> = families
        .iter()
        .filter_map(|(family, members)| {
            let Family::Pieces(form) = family else {
                return None;
            };
            let numbers = form.iter().filter(|p| **p == Piece::Number).count();
            let is_dated = numbers == 1
                && form.last() == Some(&Piece::Number)
                && members.iter().all(|tag| {
                    pieces(tag.as_str())
                        .last()
                        .is_some_and(|piece| piece.1.len() >= DATE_DIGITS)
                });
            is_dated.then(|| form.clone())
        })
        .collect();
    for form in dated {
        let mut longer = form.clone();
        longer.extend([Piece::Text(".".to_owned()), Piece::Number]);
        let Some(counted) = families.remove(&Family::Pieces(longer)) else {
            continue;
        };
        let mut members = families
            .remove(&Family::Pieces(form.clone()))
            .unwrap_or_default();
        members.extend(counted);
        families.insert(Family::WithCounter(form), members);
    }
}

/// Whether what stands behind a version makes it a pre-release.
fn is_prerelease(pre: &str) -> bool {
    let word = pre.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    is_prerelease_word(word)
}

/// Three numbers divided by dots, with something before or behind.
fn decorated(pieces: &[Read<'_>]) -> Option<Family> {
    let is_dot = |p: &Read<'_>| p.0 == Piece::Text(".".into());
    let start = pieces.windows(5).position(|w| {
        w[0].0 == Piece::Number
            && is_dot(&w[1])
            && w[2].0 == Piece::Number
            && is_dot(&w[3])
            && w[4].0 == Piece::Number
    })?;
    let text = |part: &[Read<'_>]| part.iter().map(|p| p.1).collect::<String>();
    let (before, behind) = (&pieces[..start], &pieces[start + 5..]);
    if [before, behind]
        .iter()
        .any(|p| p.iter().any(|p| p.0 == Piece::Commit))
    {
        return None;
    }
    let (prefix, suffix) = (text(before), text(behind));
    // A fourth number is no decoration.
    if suffix.starts_with(['.', '_']) {
        return None;
    }
    let prefix = prefix.strip_suffix('v').unwrap_or(&prefix).to_owned();
    Some(match counted(behind) {
        Some(suffix) => Family::CountedVersion { prefix, suffix },
        None => Family::DecoratedVersion { prefix, suffix },
    })
}

/// What stands behind a version, when it ends in a counter or in the version of a distribution of which one follows
/// another.
fn counted(behind: &[Read<'_>]) -> Option<Vec<Piece>> {
    let fixed = |part: &[Read<'_>]| -> String { part.iter().map(|piece| piece.1).collect() };
    match behind {
        [before @ .., (Piece::Number, _)] => {
            let text = fixed(before);
            if text.ends_with("alpine") || text.ends_with('.') && text.contains("alpine") {
                return Some(behind.iter().map(|piece| piece.0.clone()).collect());
            }
            let is_counted = text == "-" || is_counter(last_word(&text));
            is_counted.then(|| vec![Piece::Text(text), Piece::Number])
        }
        _ => None,
    }
}

fn natural(pattern: String, extract: &str) -> PolicySpec {
    PolicySpec::new(Choice::Natural {
        order: Order::Ascending,
    })
    .with_filter(pattern, extract)
}

fn by_pieces(form: &[Piece], members: &[&str]) -> Option<Fitting> {
    let numbers: Vec<usize> = (0..form.len())
        .filter(|at| form[*at] == Piece::Number)
        .collect();
    let (first, last) = (*numbers.first()?, *numbers.last()?);
    let widths = widths(form, members);
    let numerical = Choice::Numerical {
        order: Order::Ascending,
        unparsable: Unparsable::Fail,
    };
    let alphabetical = Choice::Alphabetical {
        order: Order::Ascending,
    };
    if numbers.len() == 1 {
        let (shortest, longest) = *widths.first()?;
        let (name, what) = match shortest {
            10.. => ("timestamp", "a timestamp"),
            8 if longest == 8 => ("date", "a date"),
            _ => ("build", "a counting number"),
        };
        // More digits than a float holds exactly.
        let choice = if longest <= 15 {
            numerical
        } else {
            alphabetical
        };
        let digits = match name {
            "timestamp" => "[0-9]{10,}",
            "date" => "[0-9]{8}",
            _ => "[0-9]+",
        };
        let pattern = pattern(form, first, last, name).replace("[0-9]+", digits);
        let spec = PolicySpec::new(choice).with_filter(pattern, format!("${name}"));
        let reason = format!("have the form {}, {what} to sort by", shown(form));
        return Some((spec, reason, true));
    }
    if form[first..=last].contains(&Piece::Commit) {
        // `12-abc1234-34`: the last number alone says nothing about the order of the first.
        let spec =
            PolicySpec::new(numerical).with_filter(pattern(form, last, last, "build"), "$build");
        let reason = format!("have the form {}; the last number is compared", shown(form));
        return Some((spec, reason, true));
    }
    let pattern = pattern(form, first, last, "sort");
    // Dates and times sort as text; a number of one digit may get a second one.
    if widths.iter().all(|width| width.0 == width.1 && width.0 > 1) {
        let spec = PolicySpec::new(alphabetical).with_filter(pattern, "$sort");
        let reason = format!(
            "have the form {}, numbers of fixed width, which sort as text",
            shown(form)
        );
        return Some((spec, reason, true));
    }
    let reason = format!("have the form {}, numbers that sort naturally", shown(form));
    Some((natural(pattern, "$sort"), reason, false))
}
