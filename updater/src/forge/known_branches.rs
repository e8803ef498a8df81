//! From branches at the remote to what may be tidied up.

use crate::git::{CancellationToken, GitError, Mirror, Relation};
use crate::publish::PublishRequest;

use super::KnownBranch;

impl KnownBranch {
    /// Those of `names` that the remote has, and whose commits are on them. Neither the branch that is checked out nor
    /// the remote's default branch is among them. Blocks.
    ///
    /// # Errors
    /// [`GitError`] when the remote cannot be asked.
    pub fn look_up(
        mirror: &Mirror,
        request: &PublishRequest,
        names: &[String],
        cancel: &CancellationToken,
    ) -> Result<Vec<Self>, GitError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let mirror = mirror.lock(cancel)?;
        let wanted: Vec<&str> = names.iter().map(String::as_str).collect();
        let fetched = mirror.fetch(&request.checkout, &wanted, cancel)?;
        let checkout_name: Vec<String> = fetched.checkout_name.iter().cloned().collect();
        let mut known = Vec::new();
        for (name, tip) in fetched.branches {
            let full = format!("refs/heads/{name}");
            if fetched.default_branch.as_deref() == Some(&*name)
                || fetched.checkout_name.as_deref() == Some(&*full)
            {
                continue;
            }
            let mut history = checkout_name.clone();
            history.push(full);
            let relation =
                mirror.relation(fetched.checkout, tip, &[&request.author], &history, cancel)?;
            known.push(Self {
                name,
                commit: tip.to_string(),
                only_ours: relation != Relation::Others,
            });
        }
        Ok(known)
    }
}
