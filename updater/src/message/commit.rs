//! The message of one commit: the automation's template or the standard text, and what CI is to be told.

use super::{Changed, MessageData, MessageError, MessageTemplate, standard};
use crate::{ChangedFile, MessageSource};
use std::collections::BTreeMap;

/// What Flux writes when an automation has no template.
pub const FLUX_DEFAULT: &str = "Update from image update automation";

/// How the commits of one automation are described.
#[derive(Debug, Clone, Default)]
pub struct CommitMessage {
    /// The automation's namespace.
    pub namespace: String,
    /// The automation's name.
    pub name: String,
    /// `spec.git.commit.messageTemplate`; without one the message is [`standard()`].
    pub template: Option<MessageTemplate>,
    /// `spec.git.commit.messageTemplateValues`.
    pub values: BTreeMap<String, String>,
    /// Text put at the end, such as `[ci skip]` (Flux v1's `--git-ci-skip-message`).
    pub ci_skip: Option<String>,
}

impl CommitMessage {
    /// The message for these changes.
    ///
    /// # Errors
    /// Those of [`MessageTemplate::render`].
    pub fn describe(&self, changed: Changed) -> Result<String, MessageError> {
        let data = MessageData {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            changed,
            values: self.values.clone(),
        };
        let mut message = match &self.template {
            Some(template) => template.render(&data)?,
            None => standard(&data),
        };
        if let Some(ci_skip) = self.ci_skip.as_deref().filter(|text| !text.is_empty()) {
            message.truncate(message.trim_end().len());
            message.push_str("\n\n");
            message.push_str(ci_skip);
            message.push('\n');
        }
        Ok(message)
    }
}

impl MessageSource for CommitMessage {
    fn message(
        &self,
        files: &[ChangedFile],
    ) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
        let mut changed = Changed::default();
        for file in files {
            changed.add(file.path.as_str(), &file.changes);
        }
        Ok(self.describe(changed)?)
    }
}
