//! The message of one commit: the automation's template or the standard text, and what CI is to be told.
//!
//! A commit that several automations share has one message, so it exists only where the text does not depend on the
//! automation. A template is therefore filled in for each of them, and only where all agree is the commit shared; the
//! standard text names them all. Paths in `.Changed.FileChanges` are relative to `update.path`, as in Flux; in a shared
//! commit of automations with different paths, they start at the root of the repository.

use super::standard::standard_for;
use super::{Changed, MessageData, MessageError, MessageTemplate};
use crate::git::UpdatePath;
use crate::{BoxError, ChangedFile, Joining, MessageSource};
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
    /// `spec.update.path`.
    pub path: UpdatePath,
    /// `spec.git.commit.messageTemplate`; without one the message is [`standard()`](super::standard()).
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
        let text = match &self.template {
            Some(template) => self.render(template, &self.namespace, &self.name, changed)?,
            None => standard_for(&changed, &[self.automation()]),
        };
        Ok(self.with_ci_skip(text))
    }

    fn automation(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    fn render(
        &self,
        template: &MessageTemplate,
        namespace: &str,
        name: &str,
        changed: Changed,
    ) -> Result<String, MessageError> {
        template.render(&MessageData {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            changed,
            values: self.values.clone(),
        })
    }

    /// The one text for all of these automations, if there is one.
    fn agreed(
        &self,
        template: &MessageTemplate,
        members: &[Joining],
        changed: &Changed,
    ) -> Result<Option<String>, MessageError> {
        let mut agreed: Option<String> = None;
        for member in members {
            let (namespace, name) = member
                .automation
                .split_once('/')
                .unwrap_or(("", &member.automation));
            let text = self.render(template, namespace, name, changed.clone())?;
            match &agreed {
                Some(known) if *known != text => return Ok(None),
                _ => agreed = Some(text),
            }
        }
        Ok(agreed)
    }

    fn with_ci_skip(&self, mut message: String) -> String {
        if let Some(ci_skip) = self.ci_skip.as_deref().filter(|text| !text.is_empty()) {
            message.truncate(message.trim_end().len());
            message.push_str("\n\n");
            message.push_str(ci_skip);
            message.push('\n');
        }
        message
    }
}

impl MessageSource for CommitMessage {
    fn message(&self, files: &[ChangedFile]) -> Result<String, BoxError> {
        // The standard text is for people who look at the repository: its paths start there.
        let from = match &self.template {
            Some(_) => self.path.clone(),
            None => UpdatePath::default(),
        };
        Ok(self.describe(changed(&from, files))?)
    }

    fn joining(&self) -> Option<Joining> {
        let template = self.template.as_ref().map(MessageTemplate::source);
        Some(Joining {
            automation: self.automation(),
            path: self.path.clone(),
            style: format!("{template:?} {:?} {:?}", self.values, self.ci_skip),
        })
    }

    fn together(
        &self,
        members: &[Joining],
        files: &[ChangedFile],
    ) -> Option<Result<String, BoxError>> {
        let root = UpdatePath::default();
        let text = match &self.template {
            None => {
                let names: Vec<String> = members.iter().map(|m| m.automation.clone()).collect();
                standard_for(&changed(&root, files), &names)
            }
            Some(template) => {
                let one_path = members.iter().all(|member| member.path == self.path);
                let from = if one_path { &self.path } else { &root };
                match self.agreed(template, members, &changed(from, files)) {
                    Ok(text) => text?,
                    Err(e) => return Some(Err(e.into())),
                }
            }
        };
        Some(Ok(self.with_ci_skip(text)))
    }
}

fn changed(from: &UpdatePath, files: &[ChangedFile]) -> Changed {
    let mut changed = Changed::default();
    for file in files {
        changed.add(from.relative(&file.path), &file.changes);
    }
    changed
}
