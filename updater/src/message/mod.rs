//! Commit messages: Flux's templates, and a default that says what changed.

mod changed;
mod commit;
mod standard;
pub mod template;

pub use changed::{Change, Changed, ObjectChanges};
pub use commit::{CommitMessage, FLUX_DEFAULT};
pub use standard::standard;

use std::collections::BTreeMap;
use template::{ParseError, RenderError, Struct, Template, Value};

/// `spec.git.commit.messageTemplate`, read.
#[derive(Debug, Clone)]
pub struct MessageTemplate {
    template: Template,
}

/// What a message is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageData {
    /// The automation's namespace.
    pub namespace: String,
    /// The automation's name.
    pub name: String,
    /// What the run changed.
    pub changed: Changed,
    /// `spec.git.commit.messageTemplateValues`.
    pub values: BTreeMap<String, String>,
}

/// Why there is no message. Displays with Flux's sentences.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The template cannot be read.
    #[error("unable to create commit message template from spec: {0}")]
    Parse(#[from] ParseError),
    /// The template uses what the data does not have, or a function failed.
    #[error("failed to run template from spec: {0}")]
    Render(RenderError),
    /// The template uses `.Updated` or `.Changed.ImageResult`, which Flux removed.
    #[error(
        "template uses removed '{field}' field. Please use {instead} instead. See: https://fluxcd.io/flux/components/image/imageupdateautomations/#message-template"
    )]
    RemovedTemplateField {
        /// The field.
        field: &'static str,
        /// What to use.
        instead: &'static str,
    },
}

impl MessageError {
    /// The reason of the condition that reports it, as Flux names it; `None` where Flux has none of its own.
    #[must_use]
    pub const fn condition_reason(&self) -> Option<&'static str> {
        match self {
            Self::RemovedTemplateField { .. } => Some("RemovedTemplateField"),
            Self::Parse(_) | Self::Render(_) => None,
        }
    }
}

impl MessageTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// [`MessageError::Parse`].
    pub fn parse(source: &str) -> Result<Self, MessageError> {
        Ok(Self {
            template: Template::parse("commit message", source)?,
        })
    }

    /// Its text.
    #[must_use]
    pub fn source(&self) -> &str {
        self.template.source()
    }

    /// Fills it in.
    ///
    /// # Errors
    /// [`MessageError::Render`] and [`MessageError::RemovedTemplateField`].
    pub fn render(&self, data: &MessageData) -> Result<String, MessageError> {
        self.template.render(&data.to_value()).map_err(|error| {
            let lacks = |field: &str, type_name: &str| {
                error.message == format!("can't evaluate field {field} in type {type_name}")
            };
            if lacks("Updated", "source.TemplateData") {
                MessageError::RemovedTemplateField {
                    field: ".Updated",
                    instead: "'.Changed'",
                }
            } else if lacks("ImageResult", "update.Result") {
                MessageError::RemovedTemplateField {
                    field: ".Changed.ImageResult",
                    instead: "'.Changed.FileChanges' or '.Changed.Objects'",
                }
            } else {
                MessageError::Render(error)
            }
        })
    }
}

impl MessageData {
    /// As templates see it: `.AutomationObject`, `.Changed`, `.Values`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let automation_name = format!("{}/{}", self.namespace, self.name);
        let automation = Value::record(Struct {
            type_name: "types.NamespacedName",
            fields: vec![
                ("Namespace", Value::text(self.namespace.as_str())),
                ("Name", Value::text(self.name.as_str())),
            ],
            methods: vec![("String", Value::text(automation_name.as_str()))],
            string: Some(automation_name),
            ..Struct::default()
        });
        let values = Value::string_map(
            self.values
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str())),
        );
        Value::record(Struct {
            type_name: "source.TemplateData",
            fields: vec![
                ("AutomationObject", automation),
                ("Changed", self.changed.to_value()),
                ("Values", values),
            ],
            ..Struct::default()
        })
    }
}
