//! What a person is told about a fault in their files: what, where, and what to do.

use super::node::Position;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A place in a file: what editors and CI systems jump to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The file; `<stdin>` for standard input.
    pub(crate) file: Arc<Path>,
    /// Line and column, where they are known.
    pub(crate) at: Option<Position>,
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// The object or file is not used.
    Error,
    /// It is used, but probably not as meant.
    Warning,
}

/// A problem in somebody's input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// How bad it is.
    pub(crate) severity: Severity,
    /// Where it is.
    pub(crate) place: Place,
    /// `ImagePolicy flux-system/podinfo`, when it belongs to an object.
    pub(crate) object: Option<String>,
    /// The field as a dotted path.
    pub(crate) field: Option<String>,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do.
    pub(crate) help: Option<String>,
}

impl Place {
    /// A place in a file.
    pub(crate) fn new(file: impl Into<Arc<Path>>, at: Position) -> Self {
        Self {
            file: file.into(),
            at: Some(at),
        }
    }

    /// A file as a whole.
    pub(crate) fn file(path: &Path) -> Self {
        Self {
            file: path.into(),
            at: None,
        }
    }
}

impl Problem {
    /// An error at a place.
    pub(crate) fn error(place: Place, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            place,
            object: None,
            field: None,
            message: message.into(),
            help: None,
        }
    }

    /// A warning at a place.
    pub(crate) fn warning(place: Place, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(place, message)
        }
    }

    /// Says what to do about it.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Names the object it belongs to.
    #[must_use]
    pub(crate) fn of(mut self, object: impl fmt::Display) -> Self {
        self.object = Some(object.to_string());
        self
    }

    /// Names the field it is about.
    #[must_use]
    pub(crate) fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(at) = self.at {
            write!(f, ":{}:{}", at.line, at.column)?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

impl serde::Serialize for Problem {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut out = serializer.serialize_struct("Problem", 8)?;
        out.serialize_field("severity", &self.severity)?;
        out.serialize_field("file", &self.place.file.display().to_string())?;
        out.serialize_field("line", &self.place.at.map(|at| at.line))?;
        out.serialize_field("column", &self.place.at.map(|at| at.column))?;
        out.serialize_field("object", &self.object)?;
        out.serialize_field("field", &self.field)?;
        out.serialize_field("message", &self.message)?;
        out.serialize_field("help", &self.help)?;
        out.end()
    }
}
