//! How tags are read and compared: one [`Rank`] for each kind of policy.

use crate::natural::compare_natural;
use crate::number::parse_number;
use crate::range::{Fit, Range};
use crate::spec::{Order, Unparsable};
use crate::version::{InvalidVersion, Version, compare_prereleases};
use crate::{Candidate, Glob};
use jiff::Timestamp;
use std::cmp::Ordering;

/// Why a tag's text cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfit {
    Filtered,
    Unparsable,
    Prerelease,
    OutOfRange,
}

/// Which of several equal tags wins, in the order of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ties {
    First,
    Last,
}

/// One way to read and compare. Keys are plain values: what they borrow is given again as text.
pub(crate) trait Rank {
    type Key: Copy;

    /// Reads what is compared.
    fn read(&self, text: &str, candidate: &Candidate<'_>) -> Result<Self::Key, Unfit>;

    /// The place of a text in the order, whether it could be chosen or not; `None` when it has none by
    /// itself.
    fn place(&self, _text: &str) -> Option<Self::Key> {
        None
    }

    /// `Greater` when the first wins.
    fn compare(&self, a: (&Self::Key, &str), b: (&Self::Key, &str)) -> Ordering;

    /// Who wins when [`compare`](Self::compare) finds both equal.
    fn ties(&self) -> Ties {
        Ties::First
    }

    /// Whether the key breaks the order, as not-a-number does: the result then depends on the list.
    fn is_unordered(&self, _key: &Self::Key) -> bool {
        false
    }

    /// A text that cannot be read makes the whole policy fail.
    fn fails_on_unparsable(&self) -> bool {
        false
    }
}

fn directed(order: Order, ordering: Ordering) -> Ordering {
    match order {
        Order::Ascending => ordering,
        Order::Descending => ordering.reverse(),
    }
}

/// The greatest version in a range.
#[derive(Debug, Clone)]
pub(crate) struct VersionRank {
    pub(crate) range: Range,
    /// Flux v2 wants two dots in a tag, Flux v1 does not.
    pub(crate) three_parts: bool,
    /// Flux v1 prefers the greater text of equal versions (`1.10.0` to `1.10`).
    pub(crate) longest_text: bool,
}

/// A version whose pre-release is a part of the text it was read from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct VersionKey {
    numbers: (u64, u64, u64),
    pre: (usize, usize),
}

impl VersionRank {
    fn parse<'t>(&self, text: &'t str) -> Result<Version<'t>, InvalidVersion> {
        if self.three_parts {
            Version::parse_tag(text)
        } else {
            Version::parse(text)
        }
    }
}

impl VersionKey {
    fn new(version: &Version<'_>, text: &str) -> Self {
        // What follows the pre-release is its build metadata, up to the end of the text.
        let behind = match version.build.len() {
            0 => 0,
            length => length + 1,
        };
        let end = text.len() - behind;
        Self {
            numbers: (version.major, version.minor, version.patch),
            pre: (end - version.pre.len(), end),
        }
    }

    fn pre<'t>(&self, text: &'t str) -> &'t str {
        text.get(self.pre.0..self.pre.1).unwrap_or_default()
    }
}

impl Rank for VersionRank {
    type Key = VersionKey;

    fn read(&self, text: &str, _: &Candidate<'_>) -> Result<VersionKey, Unfit> {
        let version = self.parse(text).map_err(|_| Unfit::Unparsable)?;
        match self.range.fit(&version) {
            Fit::Inside => {}
            Fit::Prerelease => return Err(Unfit::Prerelease),
            Fit::Outside => return Err(Unfit::OutOfRange),
        }
        Ok(VersionKey::new(&version, text))
    }

    fn place(&self, text: &str) -> Option<VersionKey> {
        self.parse(text).ok().map(|v| VersionKey::new(&v, text))
    }

    fn compare(&self, a: (&VersionKey, &str), b: (&VersionKey, &str)) -> Ordering {
        let order =
            a.0.numbers
                .cmp(&b.0.numbers)
                .then_with(|| match (a.0.pre(a.1), b.0.pre(b.1)) {
                    ("", "") => Ordering::Equal,
                    ("", _) => Ordering::Greater,
                    (_, "") => Ordering::Less,
                    (a, b) => compare_prereleases(a, b),
                });
        if self.longest_text {
            order.then_with(|| a.1.cmp(b.1))
        } else {
            order
        }
    }
}

/// By bytes.
#[derive(Debug, Clone)]
pub(crate) struct TextRank {
    pub(crate) order: Order,
}

impl Rank for TextRank {
    type Key = ();

    fn read(&self, _: &str, _: &Candidate<'_>) -> Result<(), Unfit> {
        Ok(())
    }

    fn place(&self, _: &str) -> Option<()> {
        Some(())
    }

    fn compare(&self, a: (&(), &str), b: (&(), &str)) -> Ordering {
        directed(self.order, a.1.cmp(b.1))
    }
}

/// By Go's numbers.
#[derive(Debug, Clone)]
pub(crate) struct NumberRank {
    pub(crate) order: Order,
    pub(crate) unparsable: Unparsable,
}

impl Rank for NumberRank {
    type Key = f64;

    fn read(&self, text: &str, _: &Candidate<'_>) -> Result<f64, Unfit> {
        parse_number(text).ok_or(Unfit::Unparsable)
    }

    fn place(&self, text: &str) -> Option<f64> {
        parse_number(text)
    }

    fn compare(&self, a: (&f64, &str), b: (&f64, &str)) -> Ordering {
        directed(self.order, a.0.partial_cmp(b.0).unwrap_or(Ordering::Equal))
    }

    fn ties(&self) -> Ties {
        Ties::Last
    }

    fn is_unordered(&self, key: &f64) -> bool {
        key.is_nan()
    }

    fn fails_on_unparsable(&self) -> bool {
        self.unparsable == Unparsable::Fail
    }
}

/// By runs of digits and of other characters.
#[derive(Debug, Clone)]
pub(crate) struct NaturalRank {
    pub(crate) order: Order,
}

impl Rank for NaturalRank {
    type Key = ();

    fn read(&self, _: &str, _: &Candidate<'_>) -> Result<(), Unfit> {
        Ok(())
    }

    fn place(&self, _: &str) -> Option<()> {
        Some(())
    }

    fn compare(&self, a: (&(), &str), b: (&(), &str)) -> Ordering {
        directed(self.order, compare_natural(a.1, b.1))
    }
}

/// Which time of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    Created,
    FirstSeen,
}

/// By time; equal times by natural order of the text.
#[derive(Debug, Clone)]
pub(crate) struct TimeRank {
    pub(crate) moment: Moment,
    pub(crate) order: Order,
}

impl Rank for TimeRank {
    type Key = Timestamp;

    fn read(&self, _: &str, candidate: &Candidate<'_>) -> Result<Timestamp, Unfit> {
        match self.moment {
            Moment::Created => candidate.created,
            Moment::FirstSeen => candidate.first_seen,
        }
        .ok_or(Unfit::Unparsable)
    }

    fn compare(&self, a: (&Timestamp, &str), b: (&Timestamp, &str)) -> Ordering {
        directed(
            self.order,
            a.0.cmp(b.0).then_with(|| compare_natural(a.1, b.1)),
        )
    }
}

/// Flux v1's order: the newest by created time, of equal times the smallest text, those without a
/// time last. Where no candidate has a time, v1 would take the smallest text; natural order is used
/// instead.
#[derive(Debug, Clone)]
pub(crate) struct V1TimeRank {
    pub(crate) matches: V1Match,
    /// The pattern is `glob:latest`, the only one that keeps `latest`.
    pub(crate) wants_latest: bool,
}

/// What a Flux v1 pattern matches.
#[derive(Debug, Clone)]
pub(crate) enum V1Match {
    Glob(Glob),
    Regex(crate::re2::Re2),
}

impl Rank for V1TimeRank {
    type Key = Option<Timestamp>;

    fn read(&self, text: &str, candidate: &Candidate<'_>) -> Result<Option<Timestamp>, Unfit> {
        let matches = match &self.matches {
            V1Match::Glob(glob) => glob.matches(text),
            V1Match::Regex(regex) => regex.is_match(text),
        };
        if matches && (self.wants_latest || !text.eq_ignore_ascii_case("latest")) {
            Ok(candidate.created)
        } else {
            Err(Unfit::Filtered)
        }
    }

    fn compare(&self, a: (&Option<Timestamp>, &str), b: (&Option<Timestamp>, &str)) -> Ordering {
        match (a.0, b.0) {
            (None, None) => compare_natural(a.1, b.1),
            (a_time, b_time) => a_time.cmp(b_time).then_with(|| b.1.cmp(a.1)),
        }
    }
}
