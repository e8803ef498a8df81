//! `Secret`, `ConfigMap`, `ServiceAccount` and `Namespace`: what is read in place of a cluster.

use super::metadata::LocalReference;
use crate::manifest::{Fault, Node};
use base64::Engine as _;
use secrecy::SecretBox;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::fmt;

/// A Secret's content. Values never appear in `Debug`.
#[derive(Debug, Default)]
pub(crate) struct SecretData {
    /// For example `kubernetes.io/dockerconfigjson`.
    pub(crate) secret_type: String,
    values: BTreeMap<String, SecretBox<[u8]>>,
}

impl SecretData {
    /// A Secret of a type, with nothing in it yet.
    pub(crate) fn new(secret_type: impl Into<String>) -> Self {
        Self {
            secret_type: secret_type.into(),
            values: BTreeMap::new(),
        }
    }

    /// Sets one value.
    pub(crate) fn insert(&mut self, key: impl Into<String>, value: Vec<u8>) {
        self.values
            .insert(key.into(), SecretBox::new(value.into_boxed_slice()));
    }

    /// One value.
    pub(crate) fn get(&self, key: &str) -> Option<&SecretBox<[u8]>> {
        self.values.get(key)
    }

    /// The keys.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }
}

/// A text that `Debug` does not show.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct Hidden(String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// `Secret` as it is written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "fields that are only known by name")]
pub(super) struct SecretManifest {
    #[serde(default)]
    api_version: IgnoredAny,
    #[serde(default)]
    kind: IgnoredAny,
    #[serde(default)]
    metadata: IgnoredAny,
    #[serde(rename = "type")]
    secret_type: Option<String>,
    data: Option<BTreeMap<String, Hidden>>,
    string_data: Option<BTreeMap<String, Hidden>>,
    #[serde(default)]
    immutable: IgnoredAny,
}

impl SecretManifest {
    /// The content, decoded; faults are placed in the `manifest` it was read from.
    ///
    /// # Errors
    /// The values that are not base64.
    pub(super) fn into_data(self, manifest: &Node) -> Result<SecretData, Vec<Fault>> {
        let mut data = SecretData::new(self.secret_type.unwrap_or_else(|| "Opaque".to_owned()));
        let mut faults = Vec::new();
        for (key, value) in self.data.unwrap_or_default() {
            let compact: String = value.0.split_ascii_whitespace().collect();
            match base64::engine::general_purpose::STANDARD.decode(compact) {
                Ok(bytes) => data.insert(key, bytes),
                Err(_) => faults.push(Fault {
                    at: manifest
                        .get("data")
                        .map_or(manifest.at, |data| data.nearest_position(&key)),
                    field: format!("data.{key}"),
                    message: "the value is not base64".to_owned(),
                    help: Some("encode it, or write it as it is under stringData".to_owned()),
                }),
            }
        }
        for (key, value) in self.string_data.unwrap_or_default() {
            data.insert(key, value.0.into_bytes());
        }
        if faults.is_empty() {
            Ok(data)
        } else {
            Err(faults)
        }
    }
}

/// `ConfigMap` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "fields that are only known by name")]
pub(crate) struct ConfigMapManifest {
    #[serde(default)]
    api_version: IgnoredAny,
    #[serde(default)]
    kind: IgnoredAny,
    #[serde(default)]
    metadata: IgnoredAny,
    /// Texts.
    pub(crate) data: Option<BTreeMap<String, String>>,
    #[serde(default)]
    binary_data: IgnoredAny,
    #[serde(default)]
    immutable: IgnoredAny,
}

/// `ServiceAccount` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "fields that are only known by name")]
pub(crate) struct ServiceAccountManifest {
    #[serde(default)]
    api_version: IgnoredAny,
    #[serde(default)]
    kind: IgnoredAny,
    #[serde(default)]
    metadata: IgnoredAny,
    /// Pull secrets.
    pub(crate) image_pull_secrets: Option<Vec<LocalReference>>,
    #[serde(default)]
    secrets: IgnoredAny,
    #[serde(default)]
    automount_service_account_token: IgnoredAny,
}
