//! Errors of a pattern, in the words of Go's `regexp/syntax`.

use std::ops::Range;

/// What Go's `regexp.Compile` says about a pattern, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Re2Error {
    /// Go's whole text: ``error parsing regexp: missing closing ]: `[=` ``.
    pub(crate) message: String,
    /// The bytes of the pattern it is about.
    pub(crate) span: Range<usize>,
}

/// Go's `syntax.ErrorCode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    InvalidCharRange,
    InvalidEscape,
    InvalidNamedCapture,
    InvalidPerlOp,
    InvalidRepeatOp,
    InvalidRepeatSize,
    MissingBracket,
    MissingParen,
    MissingRepeatArgument,
    TrailingBackslash,
    UnexpectedParen,
    NestingDepth,
    Large,
}

impl Code {
    const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidCharRange => "invalid character class range",
            Self::InvalidEscape => "invalid escape sequence",
            Self::InvalidNamedCapture => "invalid named capture",
            Self::InvalidPerlOp => "invalid or unsupported Perl syntax",
            Self::InvalidRepeatOp => "invalid nested repetition operator",
            Self::InvalidRepeatSize => "invalid repeat count",
            Self::MissingBracket => "missing closing ]",
            Self::MissingParen => "missing closing )",
            Self::MissingRepeatArgument => "missing argument to repetition operator",
            Self::TrailingBackslash => "trailing backslash at end of expression",
            Self::UnexpectedParen => "unexpected )",
            Self::NestingDepth => "expression nests too deeply",
            Self::Large => "expression too large",
        }
    }

    /// The error as Go words it: code and the part of the pattern that Go names.
    pub(super) fn about(self, part: &str, span: Range<usize>) -> Re2Error {
        Re2Error {
            message: format!("error parsing regexp: {}: `{part}`", self.as_str()),
            span,
        }
    }
}
