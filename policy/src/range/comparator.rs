//! One comparator of a range: an operator and a version that may have wildcards.

use crate::Version;
use crate::version::compare_prereleases;

/// What stands before the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    /// `=` or nothing.
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    Tilde,
    Caret,
}

/// How much of the version was written; the rest is wildcards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precision {
    /// `*`
    Any,
    /// `1`, `1.x`
    Major,
    /// `1.2`, `1.2.x`
    Minor,
    /// `1.2.3`
    Full,
}

/// Operator and version.
#[derive(Debug, Clone)]
pub(crate) struct Comparator {
    pub(crate) operator: Operator,
    pub(crate) precision: Precision,
    pub(crate) major: u64,
    pub(crate) minor: u64,
    pub(crate) patch: u64,
    pub(crate) pre: Box<str>,
}

impl Comparator {
    fn version(&self) -> Version<'_> {
        Version {
            major: self.major,
            minor: self.minor,
            patch: self.patch,
            pre: &self.pre,
            build: "",
        }
    }

    /// Whether the version satisfies the comparator. Pre-releases are let in or kept out one level
    /// up, for the whole AND group.
    pub(crate) fn admits(&self, v: &Version<'_>) -> bool {
        let wanted = self.version();
        match self.operator {
            Operator::Equal if self.precision == Precision::Full => *v == wanted,
            Operator::Equal | Operator::Tilde => self.admits_by_tilde(v, &wanted),
            Operator::NotEqual => self.admits_unequal(v, &wanted),
            Operator::Greater => self.admits_greater(v, &wanted),
            Operator::Less => *v < wanted,
            Operator::GreaterOrEqual => *v >= wanted,
            Operator::LessOrEqual => self.admits_up_to(v, &wanted),
            Operator::Caret => self.admits_by_caret(v, &wanted),
        }
    }

    fn admits_unequal(&self, v: &Version<'_>, wanted: &Version<'_>) -> bool {
        match self.precision {
            // `!=*` means `!=0.0.0`.
            Precision::Full | Precision::Any => v != wanted,
            Precision::Major => v.major != wanted.major,
            Precision::Minor => {
                v.major != wanted.major
                    || v.minor != wanted.minor
                    || compare_prereleases(v.pre, wanted.pre).is_ne()
            }
        }
    }

    fn admits_greater(&self, v: &Version<'_>, wanted: &Version<'_>) -> bool {
        match self.precision {
            // `>*` means `>0.0.0`.
            Precision::Full | Precision::Any => v > wanted,
            // `>11` wants 12, `>11.1` wants 11.2.
            Precision::Major => v.major > wanted.major,
            Precision::Minor => (v.major, v.minor) > (wanted.major, wanted.minor),
        }
    }

    fn admits_up_to(&self, v: &Version<'_>, wanted: &Version<'_>) -> bool {
        match self.precision {
            Precision::Full => v <= wanted,
            // `<=2` reaches to the end of 2; `<=*` means `<=0.0`.
            Precision::Major => v.major <= wanted.major,
            Precision::Minor | Precision::Any => (v.major, v.minor) <= (wanted.major, wanted.minor),
        }
    }

    fn admits_by_tilde(&self, v: &Version<'_>, wanted: &Version<'_>) -> bool {
        if v < wanted {
            return false;
        }
        let zero = (wanted.major, wanted.minor, wanted.patch) == (0, 0, 0);
        match self.precision {
            // `*`, and `~0.0.0` by an oddity of the library: everything.
            Precision::Any | Precision::Full if zero => true,
            Precision::Major => v.major == wanted.major,
            _ => v.major == wanted.major && v.minor == wanted.minor,
        }
    }

    /// Up to the left-most part that is not zero.
    fn admits_by_caret(&self, v: &Version<'_>, wanted: &Version<'_>) -> bool {
        if v < wanted || v.major != wanted.major {
            return false;
        }
        if wanted.major > 0 || self.precision == Precision::Major {
            return true;
        }
        if wanted.minor > 0 || self.precision == Precision::Minor {
            return v.minor == wanted.minor;
        }
        // `^0.0.3`, and `^*`, which by an oddity of the library means `^0.0.0`.
        v.minor == 0 && v.patch == wanted.patch
    }
}
