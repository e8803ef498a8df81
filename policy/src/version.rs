//! Versions as Masterminds/semver v3 reads them (`NewVersion`), and as Flux v2 narrows them for tags.
//!
//! Not the strict grammar of semver.org: a lower-case `v` may lead, minor and patch may be missing,
//! leading zeros are fine in the three numbers (`2025.02.03`), build metadata plays no part in order.
//! Everything borrows from the text, so reading a million tags allocates nothing.

use std::cmp::Ordering;
use std::fmt;

/// The longest version Masterminds/semver v3.5 reads, in bytes.
pub const MAX_VERSION_LENGTH: usize = 256;

/// Why a text is not a version. The texts are those of Masterminds/semver v3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVersion {
    /// Does not have the form of a version.
    #[error("invalid semantic version")]
    Form,
    /// Longer than [`MAX_VERSION_LENGTH`].
    #[error("version string is too long (max 256 bytes)")]
    TooLong,
    /// One of the three numbers does not fit into 64 bits.
    #[error("error parsing version segment: value out of range")]
    NumberOutOfRange,
    /// A numeric identifier of the pre-release has a leading zero.
    #[error("version segment starts with 0")]
    LeadingZero,
    /// A tag needs two dots before Flux takes it for a version; this one has fewer.
    #[error("invalid semantic version: a tag needs three parts divided by dots")]
    FewerThanThreeParts,
}

/// A version that borrows its pre-release and build metadata.
///
/// Equality and order are those of Masterminds/semver: build metadata is ignored.
#[derive(Debug, Clone, Copy)]
pub struct Version<'a> {
    /// Major version.
    pub major: u64,
    /// Minor version, 0 when it was not written.
    pub minor: u64,
    /// Patch version, 0 when it was not written.
    pub patch: u64,
    /// The pre-release without its `-`; empty for a release.
    pub pre: &'a str,
    /// The build metadata without its `+`; empty when there is none.
    pub build: &'a str,
}

impl<'a> Version<'a> {
    /// Reads a version as Masterminds' loose `NewVersion` does.
    ///
    /// # Errors
    /// [`InvalidVersion`], by the first thing that does not fit.
    pub fn parse(text: &'a str) -> Result<Self, InvalidVersion> {
        if text.len() > MAX_VERSION_LENGTH {
            return Err(InvalidVersion::TooLong);
        }
        let bytes = text.as_bytes();
        let mut at = usize::from(bytes.first() == Some(&b'v'));
        let mut overflow = false;
        let major = read_number(bytes, &mut at, &mut overflow).ok_or(InvalidVersion::Form)?;
        let mut rest = [0; 2];
        for number in &mut rest {
            if bytes.get(at) != Some(&b'.') {
                break;
            }
            at += 1;
            *number = read_number(bytes, &mut at, &mut overflow).ok_or(InvalidVersion::Form)?;
        }
        let mut leading_zero = false;
        let pre = match bytes.get(at) {
            Some(b'-') => {
                at += 1;
                read_identifiers(text, &mut at, &mut leading_zero).ok_or(InvalidVersion::Form)?
            }
            _ => "",
        };
        let build = match bytes.get(at) {
            Some(b'+') => {
                at += 1;
                read_identifiers(text, &mut at, &mut false).ok_or(InvalidVersion::Form)?
            }
            _ => "",
        };
        if at != bytes.len() {
            Err(InvalidVersion::Form)
        } else if overflow {
            Err(InvalidVersion::NumberOutOfRange)
        } else if leading_zero {
            Err(InvalidVersion::LeadingZero)
        } else {
            Ok(Self {
                major,
                minor: rest[0],
                patch: rest[1],
                pre,
                build,
            })
        }
    }

    /// Reads a tag as Flux v2 does (`fluxcd/pkg/version.ParseVersion`): it must have two dots, then
    /// the loose rules decide. `1.2` and `v3` are no candidates, `1.2-beta.5` is one (`1.2.0-beta.5`).
    ///
    /// # Errors
    /// [`InvalidVersion`], by the first thing that does not fit.
    pub fn parse_tag(text: &'a str) -> Result<Self, InvalidVersion> {
        let version = Self::parse(text)?;
        // Looked at last, because nearly every tag that is a version has its three parts.
        if text.bytes().filter(|b| *b == b'.').nth(1).is_none() {
            return Err(InvalidVersion::FewerThanThreeParts);
        }
        Ok(version)
    }

    /// Whether it is a pre-release.
    #[must_use]
    pub const fn is_prerelease(&self) -> bool {
        !self.pre.is_empty()
    }
}

/// Reads digits; notes in `overflow` when they do not fit, because the form is judged first.
fn read_number(bytes: &[u8], at: &mut usize, overflow: &mut bool) -> Option<u64> {
    let start = *at;
    let mut value: u64 = 0;
    while let Some(digit) = bytes.get(*at).map(|b| b.wrapping_sub(b'0'))
        && digit < 10
    {
        // 19 digits always fit, so the checked path is rare.
        if *at - start < 19 {
            value = value * 10 + u64::from(digit);
        } else {
            match value
                .checked_mul(10)
                .and_then(|v| v.checked_add(u64::from(digit)))
            {
                Some(v) => value = v,
                None => *overflow = true,
            }
        }
        *at += 1;
    }
    (*at > start).then_some(value)
}

/// Reads identifiers divided by dots, up to a `+` or the end.
fn read_identifiers<'a>(text: &'a str, at: &mut usize, leading_zero: &mut bool) -> Option<&'a str> {
    let bytes = text.as_bytes();
    let start = *at;
    loop {
        let first = *at;
        let mut numeric = true;
        while let Some(&b) = bytes.get(*at)
            && (b.is_ascii_alphanumeric() || b == b'-')
        {
            numeric &= b.is_ascii_digit();
            *at += 1;
        }
        if *at == first {
            return None;
        }
        if numeric && *at - first > 1 && bytes[first] == b'0' {
            *leading_zero = true;
        }
        if bytes.get(*at) != Some(&b'.') {
            return Some(&text[start..*at]);
        }
        *at += 1;
    }
}

/// Orders two pre-releases, either of which may be empty (`comparePrerelease` of Masterminds): part
/// by part, a missing part first, numbers before words, numbers by value.
pub(crate) fn compare_prereleases(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    let (mut left, mut right) = (a.split('.'), b.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (a, b) => compare_identifiers(a.unwrap_or(""), b.unwrap_or("")),
        };
        if order.is_ne() {
            return order;
        }
    }
}

fn compare_identifiers(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    if a.is_empty() || b.is_empty() {
        return a.len().cmp(&b.len());
    }
    match (as_number(a), as_number(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

/// `None` also for numbers beyond 64 bits: Masterminds compares those as words.
fn as_number(identifier: &str) -> Option<u64> {
    let mut value: u64 = 0;
    for b in identifier.bytes() {
        let digit = b.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(value)
}

impl Ord for Version<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.major, self.minor, self.patch)
            .cmp(&(other.major, other.minor, other.patch))
            .then_with(|| match (self.pre, other.pre) {
                ("", "") => Ordering::Equal,
                ("", _) => Ordering::Greater,
                (_, "") => Ordering::Less,
                (a, b) => compare_prereleases(a, b),
            })
    }
}

impl PartialOrd for Version<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version<'_> {}

/// All three numbers, whatever was written: `v1.2-beta.5` shows as `1.2.0-beta.5`.
impl fmt::Display for Version<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.pre.is_empty() {
            write!(f, "-{}", self.pre)?;
        }
        if !self.build.is_empty() {
            write!(f, "+{}", self.build)?;
        }
        Ok(())
    }
}
