//! Looks at a tag list and proposes policies for it.
//!
//! Tags are sorted into families of the same form: numbers, commit ids and versions are recognised,
//! the words between them stay. The largest families become policies, each with the pattern that
//! keeps to its family.

use crate::candidate::{Candidate, Context};
use crate::exclusion::is_artifact_tag;
use crate::policy::Policy;
use crate::spec::{Choice, FilterTags, Order, PolicySpec, Unparsable};
use crate::version::Version;
use crate::{Tag, TagRef};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// How many proposals there are at most.
const MAX_PROPOSALS: usize = 5;

/// A policy that fits some of the tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The policy, ready to be compiled.
    pub spec: PolicySpec,
    /// The tag it would choose from the list.
    pub chooses: Tag,
    /// How many tags of the list it could choose.
    pub matched: usize,
    /// Why it is proposed, in a sentence.
    pub why: String,
    /// Whether Flux v2 has this kind of policy, too.
    pub in_flux: bool,
}

impl Proposal {
    /// The pattern that picks the tags, where the policy has one.
    #[must_use]
    pub fn filter(&self) -> Option<&FilterTags> {
        self.spec.filter.as_ref()
    }
}

/// Proposes policies for a list of tags, the best first; none where nothing in the tags can be sorted
/// (`latest`, bare commit ids).
pub fn suggest<'a>(tags: impl IntoIterator<Item = TagRef<'a>>) -> Vec<Proposal> {
    let tags: Vec<TagRef<'a>> = tags
        .into_iter()
        .filter(|tag| !is_artifact_tag(tag.as_str()))
        .collect();
    let mut families: BTreeMap<Family, Vec<TagRef<'a>>> = BTreeMap::new();
    for tag in &tags {
        if let Some(family) = Family::of(tag.as_str()) {
            families.entry(family).or_default().push(*tag);
        }
    }
    let mut proposals: Vec<Proposal> = families
        .iter()
        .filter_map(|(family, members)| family.propose(members, &tags))
        .collect();
    proposals.sort_by(|a, b| {
        let rank = |p: &Proposal| (p.matched, p.in_flux, p.spec.filter.is_none());
        rank(b)
            .cmp(&rank(a))
            .then_with(|| a.chooses.cmp(&b.chooses))
    });
    proposals.dedup_by(|a, b| a.spec == b.spec);
    proposals.truncate(MAX_PROPOSALS);
    proposals
}

/// The form of a tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    /// `1.2.3`, `v1.2.3`, also with a pre-release.
    Version,
    /// A version of three numbers with something around it: `1.2.3-alpine`, `app-v1.2.3`.
    DecoratedVersion { prefix: String, suffix: String },
    /// Anything else with a number in it.
    Pieces(Vec<Piece>),
}

/// A part of a tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Piece {
    /// Letters and separators, as they are.
    Text(String),
    Number,
    /// 7 to 40 hexadecimal digits, letters among them.
    Commit,
}

/// A piece with the text it was read from.
type Read<'t> = (Piece, &'t str);

impl Family {
    fn of(tag: &str) -> Option<Self> {
        if let Ok(version) = Version::parse_tag(tag)
            && tag.split('.').count() >= 3
            && (version.pre.is_empty() || is_prerelease_word(version.pre))
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

    fn propose(&self, members: &[TagRef<'_>], all: &[TagRef<'_>]) -> Option<Proposal> {
        let (spec, reason, in_flux) = match self {
            Self::Version => (
                PolicySpec::semver("*"),
                "are versions; the range * takes the greatest release, ^1.0 would stay below 2.0, >=0.0.0-0 would take pre-releases, too".to_owned(),
                true,
            ),
            Self::DecoratedVersion { prefix, suffix } => {
                let pattern = format!(
                    r"^{}(?P<version>v?[0-9]+\.[0-9]+\.[0-9]+){}$",
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
            Self::Pieces(pieces) => by_pieces(pieces, members)?,
        };
        let policy = Policy::compile(&spec).ok()?;
        let selection = policy.select(
            all.iter().copied().map(Candidate::new),
            &Context::at(Timestamp::UNIX_EPOCH),
        );
        let chooses = selection.result.ok()?;
        Some(Proposal {
            spec,
            chooses,
            matched: selection.matched,
            why: format!("{} of {} tags {reason}", members.len(), all.len()),
            in_flux,
        })
    }
}

/// What marks a pre-release and not a variant of an image.
fn is_prerelease_word(pre: &str) -> bool {
    let word = pre.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    matches!(
        word.to_ascii_lowercase().as_str(),
        "alpha" | "beta" | "rc" | "pre" | "preview" | "dev" | "a" | "b" | "m" | "snapshot" | ""
    )
}

/// Divides a tag into numbers, commit ids and the rest.
fn pieces(tag: &str) -> Vec<Read<'_>> {
    let mut found: Vec<Read<'_>> = Vec::new();
    let mut text_start = 0;
    let mut at = 0;
    while at < tag.len() {
        let rest = &tag[at..];
        let starts_word = at == 0 || !tag.as_bytes()[at - 1].is_ascii_alphanumeric();
        let length = commit_length(rest).filter(|_| starts_word);
        let (piece, length) = if let Some(length) = length {
            (Piece::Commit, length)
        } else {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                at += 1;
                continue;
            }
            (Piece::Number, digits)
        };
        if text_start < at {
            found.push(words(&tag[text_start..at]));
        }
        found.push((piece, &tag[at..at + length]));
        at += length;
        text_start = at;
    }
    if text_start < tag.len() {
        found.push(words(&tag[text_start..]));
    }
    found
}

fn words(text: &str) -> Read<'_> {
    (Piece::Text(text.to_owned()), text)
}

/// The length of a commit id at the start of a text; `g` in front of it, as of `git describe`, belongs
/// to it.
fn commit_length(text: &str) -> Option<usize> {
    let word = text.bytes().take_while(u8::is_ascii_alphanumeric).count();
    let word = &text[..word];
    let hex = word.strip_prefix('g').unwrap_or(word);
    let is_hex = hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let letters = hex.bytes().any(|b| b.is_ascii_lowercase());
    let digits = hex.bytes().any(|b| b.is_ascii_digit());
    ((7..=40).contains(&hex.len()) && is_hex && letters && digits).then_some(word.len())
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
    Some(Family::DecoratedVersion { prefix, suffix })
}

fn by_pieces(pieces: &[Piece], members: &[TagRef<'_>]) -> Option<(PolicySpec, String, bool)> {
    let numbers: Vec<usize> = (0..pieces.len())
        .filter(|at| pieces[*at] == Piece::Number)
        .collect();
    let (first, last) = (*numbers.first()?, *numbers.last()?);
    let widths = widths(members);
    let fixed = widths.iter().all(|w| w.0 == w.1);
    // One number, or several of which the first ones are always the same, as the year of a series.
    if numbers.len() == 1 {
        let (shortest, longest) = *widths.first()?;
        let name = if shortest >= 10 { "timestamp" } else { "build" };
        let pattern = pattern(pieces, first, last, name);
        let choice = if longest <= 15 {
            Choice::Numerical {
                order: Order::Ascending,
                unparsable: Unparsable::Fail,
            }
        } else {
            // Beyond what a float holds exactly.
            Choice::Alphabetical {
                order: Order::Ascending,
            }
        };
        let spec = PolicySpec::new(choice).with_filter(pattern, format!("${name}"));
        let what = if name == "timestamp" {
            "a timestamp"
        } else {
            "a counting number"
        };
        return Some((
            spec,
            format!("have the form {}, {what} to sort by", form(pieces)),
            true,
        ));
    }
    let between_commits = pieces[first..=last].contains(&Piece::Commit);
    if between_commits {
        // `12-abc1234-34`: the last number alone says nothing about the order of the first.
        let pattern = pattern(pieces, last, last, "build");
        let spec = PolicySpec::new(Choice::Numerical {
            order: Order::Ascending,
            unparsable: Unparsable::Fail,
        })
        .with_filter(pattern, "$build");
        return Some((
            spec,
            format!(
                "have the form {}; the last number is compared",
                form(pieces)
            ),
            true,
        ));
    }
    let pattern = pattern(pieces, first, last, "sort");
    let (choice, how) = if fixed {
        (
            Choice::Alphabetical {
                order: Order::Ascending,
            },
            "numbers of fixed width, which sort as text",
        )
    } else {
        (
            Choice::Natural {
                order: Order::Ascending,
            },
            "numbers of different width, which sort naturally",
        )
    };
    let spec = PolicySpec::new(choice).with_filter(pattern, "$sort");
    Some((
        spec,
        format!("have the form {}, {how}", form(pieces)),
        fixed,
    ))
}

/// The least and greatest number of digits of each number, in order.
fn widths(members: &[TagRef<'_>]) -> Vec<(usize, usize)> {
    let mut widths: Vec<(usize, usize)> = Vec::new();
    for tag in members {
        let pieces = pieces(tag.as_str());
        let numbers = pieces.iter().filter(|p| p.0 == Piece::Number);
        for (index, (_, digits)) in numbers.enumerate() {
            let length = digits.len();
            match widths.get_mut(index) {
                Some((least, greatest)) => {
                    *least = length.min(*least);
                    *greatest = length.max(*greatest);
                }
                None => widths.push((length, length)),
            }
        }
    }
    widths
}

/// A pattern for the family that captures the pieces from `first` to `last`.
fn pattern(pieces: &[Piece], first: usize, last: usize, name: &str) -> String {
    let mut pattern = String::from("^");
    for (at, piece) in pieces.iter().enumerate() {
        if at == first {
            pattern.extend(["(?P<", name, ">"]);
        }
        match piece {
            Piece::Text(text) => pattern.push_str(&escape(text)),
            Piece::Number => pattern.push_str("[0-9]+"),
            Piece::Commit => pattern.push_str("g?[0-9a-f]{7,40}"),
        }
        if at == last {
            pattern.push(')');
        }
    }
    pattern.push('$');
    pattern
}

/// The family for a reader: `main-<commit>-<number>`.
fn form(pieces: &[Piece]) -> String {
    pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Number => "<number>",
            Piece::Commit => "<commit>",
        })
        .collect()
}

/// A text as a pattern. Of what tags are made of, only the dot is special.
fn escape(text: &str) -> String {
    text.replace('.', r"\.")
}
