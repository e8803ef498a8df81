//! What is wrong with a value, and where: the path on the way in, the error on the way out.

use crate::manifest::node::{Node, Position};
use crate::manifest::resemblance::nearest;
use serde::de::{self, Expected, Unexpected};
use std::fmt;

/// One thing wrong with a manifest's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Where.
    pub(crate) at: Position,
    /// The field as a dotted path, for example `spec.interval`.
    pub(crate) field: String,
    /// What is wrong, and what is expected there.
    pub(crate) message: String,
    /// What to do, where more can be said.
    pub(crate) help: Option<String>,
}

/// Whether faults may quote the values they are about. Secrets may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quoting {
    /// Values may be shown.
    Show,
    /// Values are secret.
    Hide,
}

#[derive(Clone, Copy)]
pub(super) struct Path<'p> {
    pub(super) parent: Option<&'p Path<'p>>,
    pub(super) segment: Segment<'p>,
}

#[derive(Clone, Copy)]
pub(super) enum Segment<'p> {
    Root,
    Key(&'p str),
    Index(usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
            if parent.parent.is_some() {
                f.write_str(".")?;
            }
        }
        match self.segment {
            Segment::Root => Ok(()),
            Segment::Key(key) => f.write_str(key),
            Segment::Index(index) => write!(f, "{index}"),
        }
    }
}

/// A serde error that learns its place on the way out.
#[derive(Debug)]
pub(super) struct DecodeError {
    at: Option<Position>,
    /// The path whose value did not fit, or of the field that is missing.
    pub(super) field: String,
    pub(super) missing: Option<&'static str>,
    message: String,
    help: Option<String>,
}

impl DecodeError {
    pub(super) fn into_fault(self) -> Fault {
        Fault {
            at: self.at.unwrap_or(Position::START),
            field: self.field,
            message: self.message,
            help: self.help,
        }
    }

    pub(super) fn placed(mut self, node: &Node, path: &Path<'_>, quoting: Quoting) -> Self {
        if self.at.is_some() {
            return self;
        }
        self.at = Some(node.at);
        self.field = path.to_string();
        if let Some(name) = self.missing {
            let inner = Path {
                parent: Some(path),
                segment: Segment::Key(name),
            };
            self.field = inner.to_string();
        } else if quoting == Quoting::Hide {
            "the value does not fit here".clone_into(&mut self.message);
            self.help = None;
        }
        self
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            at: None,
            field: String::new(),
            missing: None,
            message: message.to_string(),
            help: None,
        }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let wanted = match expected.to_string().as_str() {
            "a sequence" => "a list".to_owned(),
            "a map" => "a mapping".to_owned(),
            other => other.to_owned(),
        };
        let mut error = Self::custom(format!("expected {wanted}, found {}", describe(found)));
        if wanted == "a boolean" {
            error.help = Some("write true or false".to_owned());
        }
        let wants_string = expected.to_string().contains("string");
        let quotable = match found {
            Unexpected::Bool(value) => Some(value.to_string()),
            Unexpected::Signed(value) => Some(value.to_string()),
            Unexpected::Unsigned(value) => Some(value.to_string()),
            Unexpected::Float(value) => Some(value.to_string()),
            Unexpected::Other(number) => number.strip_prefix("the number ").map(str::to_owned),
            _ => None,
        };
        if let (true, Some(value)) = (wants_string, quotable) {
            error.help = Some(format!("put it in quotes: \"{value}\""));
        }
        error
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format!("expected {expected}, found {}", describe(found)))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let mut error = Self::custom(format!(
            "{variant:?} is not allowed here; it must be one of: {}",
            expected.join(", ")
        ));
        error.help =
            nearest(variant, expected.iter().copied()).map(|n| format!("did you mean {n:?}?"));
        error
    }

    fn missing_field(field: &'static str) -> Self {
        let mut error = Self::custom("this field is required");
        error.missing = Some(field);
        error.help = Some(format!("add {field:?}"));
        error
    }
}

fn describe(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Map => "a mapping".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
        Unexpected::Str(text) => format!("the text {:?}", shortened(text)),
        Unexpected::Bool(value) => format!("the boolean {value}"),
        Unexpected::Signed(value) => format!("the number {value}"),
        Unexpected::Unsigned(value) => format!("the number {value}"),
        Unexpected::Float(value) => format!("the number {value}"),
        Unexpected::Other(text) => text.to_owned(),
        other => other.to_string(),
    }
}

fn shortened(text: &str) -> String {
    if text.chars().count() > 60 {
        format!("{}…", text.chars().take(60).collect::<String>())
    } else {
        text.to_owned()
    }
}
