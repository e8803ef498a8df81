//! Registries that want to be left alone, over restarts: what `Retry-After` said is kept in the store, however long.

use crate::store::{Batch, Due, StoreError, TagStore};
use jiff::Timestamp;
use std::collections::HashMap;
use std::ops::ControlFlow;

/// The store's table of registries that want to be left alone, and until when.
const BLOCKS: &str = "registry-blocks";

/// A registry that wanted to be left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiftedBlock {
    /// The host that was asked.
    pub host: String,
    /// Whose credential was shown, see [`CredentialIdentity`](crate::CredentialIdentity).
    pub identity: String,
    /// Until when it would have been left alone.
    pub until: Timestamp,
}

/// From before a restart, by the budget's key.
pub(crate) fn kept(store: &TagStore) -> Result<HashMap<String, Timestamp>, StoreError> {
    let entries = store.state(BLOCKS).entries()?;
    Ok(entries
        .into_iter()
        .filter_map(|(budget, until)| {
            let until = std::str::from_utf8(&until).ok()?.parse().ok()?;
            Some((budget, until))
        })
        .collect())
}

/// Keeps blocks: a restart must not ask before the registry's time has come.
pub(crate) fn keep(batch: Batch, blocks: Vec<(String, Timestamp)>) -> Batch {
    blocks.into_iter().fold(batch, |batch, (budget, until)| {
        let until = until.to_string().into_bytes();
        batch.state(BLOCKS, &budget, Some(until))
    })
}

impl TagStore {
    /// Forgets that registries want to be left alone: the one with this host, or all. Targets on them whose last scan
    /// failed are due at once. For an operator who knows better than a `Retry-After` of a year.
    ///
    /// # Errors
    /// [`StoreError::Read`] and [`StoreError::Write`] when the disk fails.
    pub fn lift_blocks(&self, host: Option<&str>) -> Result<Vec<LiftedBlock>, StoreError> {
        let mut batch = Batch::new();
        let mut lifted = Vec::new();
        for (budget, until) in kept(self)? {
            let mut parts = budget.split('\n');
            let block = LiftedBlock {
                host: parts.next().unwrap_or_default().to_owned(),
                identity: parts.next().unwrap_or_default().to_owned(),
                until,
            };
            if host.is_none_or(|host| block.host == host) {
                batch = batch.state(BLOCKS, &budget, None);
                lifted.push(block);
            }
        }
        lifted.sort_by(|a, b| (&a.host, &a.identity).cmp(&(&b.host, &b.identity)));
        let mut waiting = Vec::new();
        self.each_target(|key, record| {
            let is_on_it = lifted.iter().any(|block| block.host == key.registry());
            if is_on_it && record.due.failures > 0 {
                waiting.push(key);
            }
            ControlFlow::Continue(())
        })?;
        for key in &waiting {
            batch = batch.due(key, Due::default());
        }
        self.write_blocking(batch)?;
        Ok(lifted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{StoreOptions, TargetKey};
    use tagline_policy::ImageName;

    #[test]
    fn a_block_is_lifted_with_what_waits_for_it() {
        let store = TagStore::in_memory(&StoreOptions::default()).unwrap();
        let until: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
        let key = |name: &str| TargetKey::new(&ImageName::parse(name).unwrap(), None);
        let (here, there, well) = (key("a.io/app"), key("b.io/app"), key("a.io/well"));
        let due = |failures| Due {
            next: Some(until),
            failures,
        };
        let blocks = ["a.io\nanonymous\n", "b.io\nme\n"].map(|budget| (budget.to_owned(), until));
        let batch = Batch::new()
            .due(&here, due(1))
            .due(&there, due(1))
            .due(&well, due(0));
        store.write_blocking(keep(batch, blocks.to_vec())).unwrap();

        let lifted = store.lift_blocks(Some("a.io")).unwrap();
        assert_eq!(
            lifted,
            [LiftedBlock {
                host: "a.io".to_owned(),
                identity: "anonymous".to_owned(),
                until,
            }]
        );
        let due_of = |key| store.record(key).unwrap().unwrap().due;
        assert_eq!(due_of(&here), Due::default());
        assert_eq!((due_of(&there), due_of(&well)), (due(1), due(0)));
        assert_eq!(kept(&store).unwrap().len(), 1);
        assert_eq!(store.lift_blocks(None).unwrap().len(), 1);
        assert!(kept(&store).unwrap().is_empty());
    }
}
