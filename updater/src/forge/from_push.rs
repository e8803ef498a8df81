//! From what was pushed to the pull request that is wanted for it.

use crate::edit::Change;
use crate::{Choice, Choices, PushOutcome, PushState};

use super::{ImageChange, Wanted};

impl ImageChange {
    /// One changed value of an edit. `image` and `chosen` are the policy's choice: the name, and the tag, maybe with a
    /// digest.
    #[must_use]
    pub fn from_edit(path: &str, change: &Change, image: &str, chosen: &str) -> Self {
        // `name:1.2.3` is shown as `1.2.3` beside the name.
        let short = |value: &str| {
            let rest = value
                .strip_prefix(image)
                .and_then(|rest| rest.strip_prefix(':'));
            rest.unwrap_or(value).to_owned()
        };
        Self {
            file: path.to_owned(),
            line: Some(change.line),
            policy: change.policy.to_string(),
            image: image.to_owned(),
            old: short(&change.old),
            new: short(&change.new),
            chosen: chosen.to_owned(),
            old_source: None,
            new_source: None,
        }
    }
}

impl Wanted {
    /// The pull request for what a run pushed, found pushed by an earlier run, or (dry run) would push; `None` where
    /// nothing differs from the base. Title and introduction are left to the defaults.
    #[must_use]
    pub fn from_push(outcome: &PushOutcome, choices: &Choices) -> Option<Self> {
        let commit = match outcome.state {
            PushState::Pushed(commit) | PushState::Standing(commit) => Some(commit.to_string()),
            PushState::DryRun => None,
            PushState::UpToDate(_) => return None,
        };
        let changes: Vec<ImageChange> = outcome
            .changes()
            .map(|(path, change)| match choices.get(&change.policy) {
                Choice::Chosen(reference) => {
                    let chosen = match &reference.digest {
                        Some(digest) => format!("{}@{digest}", reference.tag),
                        None => reference.tag.to_string(),
                    };
                    ImageChange::from_edit(path, change, &reference.name, &chosen)
                }
                Choice::Undecided | Choice::Unknown => {
                    ImageChange::from_edit(path, change, "", &change.new)
                }
            })
            .collect();
        (!changes.is_empty()).then(|| Self {
            branch: outcome.branch.clone(),
            commit,
            title: None,
            introduction: None,
            changes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PolicyName;
    use crate::edit::ObjectIdentifier;

    #[test]
    fn a_value_is_shown_without_the_name_before_it() {
        let change = |old: &str, new: &str| Change {
            line: 3,
            column: 9,
            setter: "flux-system:web:tag".to_owned(),
            policy: PolicyName::new("flux-system", "web"),
            old: old.to_owned(),
            new: new.to_owned(),
            object: ObjectIdentifier::default(),
        };
        for (old, new, shown) in [
            ("ghcr.io/a/web:1", "ghcr.io/a/web:2", ("1", "2")),
            ("1", "2", ("1", "2")),
            (
                "ghcr.io/a/website:1",
                "ghcr.io/a/web:2",
                ("ghcr.io/a/website:1", "2"),
            ),
        ] {
            let image = ImageChange::from_edit("a.yaml", &change(old, new), "ghcr.io/a/web", "2");
            assert_eq!((image.old.as_str(), image.new.as_str()), shown);
            assert_eq!(
                (image.policy.as_str(), image.line),
                ("flux-system/web", Some(3))
            );
        }
    }
}
