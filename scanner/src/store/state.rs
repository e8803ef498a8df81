//! A table for whoever uses the scanner: small values by key, as durable as the tags.

use super::TagStore;
use super::batch::Batch;
use super::error::StoreError;

/// A namespace of keys and values in the store's file.
#[derive(Debug, Clone)]
pub struct StateTable {
    store: TagStore,
    namespace: &'static str,
}

impl StateTable {
    pub(super) const fn new(store: TagStore, namespace: &'static str) -> Self {
        Self { store, namespace }
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// [`StoreError::Read`] when the disk fails.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.inner.database.state(self.namespace, key)
    }

    /// All keys and values, in the order of the keys.
    ///
    /// # Errors
    /// [`StoreError::Read`] when the disk fails.
    pub fn entries(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.store.inner.database.state_entries(self.namespace)
    }

    /// Sets `key`. To write it together with other things, use [`Batch::state`].
    ///
    /// # Errors
    /// As [`TagStore::write`].
    pub async fn put(&self, key: &str, value: Vec<u8>) -> Result<(), StoreError> {
        let batch = Batch::new().state(self.namespace, key, Some(value));
        self.store.write(batch).await
    }

    /// Removes `key`.
    ///
    /// # Errors
    /// As [`TagStore::write`].
    pub async fn remove(&self, key: &str) -> Result<(), StoreError> {
        let batch = Batch::new().state(self.namespace, key, None);
        self.store.write(batch).await
    }
}
