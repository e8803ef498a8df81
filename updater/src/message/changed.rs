//! What a run changed, in the shape that message templates see it (`flux-v2-automation` 2.7).

use super::template::{Struct, Value};
use crate::edit::{self, ObjectIdentifier};
use std::collections::BTreeMap;

/// One change of a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Change {
    /// The value before.
    pub old_value: String,
    /// The value now.
    pub new_value: String,
    /// The marker's text: `namespace:policy[:tag|:name|:digest]`.
    pub setter: String,
}

/// The changes of some objects.
pub type ObjectChanges = BTreeMap<ObjectIdentifier, Vec<Change>>;

/// All changes of a run: file, object, changes. Flux's `update.Result`.
///
/// Paths are relative to `update.path`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changed {
    /// The changes by file.
    pub file_changes: BTreeMap<String, ObjectChanges>,
}

impl Changed {
    /// Adds what an edit changed in a file.
    pub fn add<'c>(
        &mut self,
        path: impl Into<String>,
        changes: impl IntoIterator<Item = &'c edit::Change>,
    ) {
        let path = path.into();
        for change in changes {
            self.file_changes
                .entry(path.clone())
                .or_default()
                .entry(change.object.clone())
                .or_default()
                .push(Change {
                    old_value: change.old.clone(),
                    new_value: change.new.clone(),
                    setter: change.setter.clone(),
                });
        }
    }

    /// The changes by object, over all files.
    #[must_use]
    pub fn objects(&self) -> ObjectChanges {
        let mut objects = ObjectChanges::new();
        for changes in self.file_changes.values() {
            for (object, changes) in changes {
                objects
                    .entry(object.clone())
                    .or_default()
                    .extend_from_slice(changes);
            }
        }
        objects
    }

    /// The distinct changes, in the order of files and objects. Flux gives them in random order.
    #[must_use]
    pub fn changes(&self) -> Vec<Change> {
        let mut seen = std::collections::BTreeSet::new();
        self.file_changes
            .values()
            .flat_map(BTreeMap::values)
            .flatten()
            .filter(|change| seen.insert(*change))
            .cloned()
            .collect()
    }

    /// As templates see it.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let files = self
            .file_changes
            .iter()
            .map(|(path, changes)| (Value::text(path.as_str()), objects_value(changes)));
        let changes = self.changes().iter().map(change_value).collect();
        Value::record(Struct {
            type_name: "update.Result",
            fields: vec![(
                "FileChanges",
                Value::map("map[string]update.ObjectChanges", files),
            )],
            methods: vec![
                ("Objects", objects_value(&self.objects())),
                ("Changes", Value::list("update.Change", changes)),
            ],
            ..Struct::default()
        })
    }
}

fn objects_value(objects: &ObjectChanges) -> Value {
    Value::map(
        "update.ObjectChanges",
        objects.iter().map(|(object, changes)| {
            let changes = changes.iter().map(change_value).collect();
            (object_value(object), Value::list("update.Change", changes))
        }),
    )
}

fn change_value(change: &Change) -> Value {
    Value::record(Struct {
        type_name: "update.Change",
        fields: vec![
            ("OldValue", Value::text(change.old_value.as_str())),
            ("NewValue", Value::text(change.new_value.as_str())),
            ("Setter", Value::text(change.setter.as_str())),
        ],
        ..Struct::default()
    })
}

/// Nested as Flux's struct is, because its printed form shows the nesting.
fn object_value(object: &ObjectIdentifier) -> Value {
    let part = |type_name, names: [&'static str; 2], texts: [&String; 2]| {
        Value::record(Struct {
            type_name,
            fields: names
                .into_iter()
                .zip(texts.map(|text| Value::text(text.as_str())))
                .collect(),
            ..Struct::default()
        })
    };
    let type_meta = part(
        "yaml.TypeMeta",
        ["APIVersion", "Kind"],
        [&object.api_version, &object.kind],
    );
    let name_meta = part(
        "yaml.NameMeta",
        ["Name", "Namespace"],
        [&object.name, &object.namespace],
    );
    let identifier = Value::record(Struct {
        type_name: "yaml.ResourceIdentifier",
        fields: vec![("TypeMeta", type_meta), ("NameMeta", name_meta)],
        embedded: vec!["TypeMeta", "NameMeta"],
        ..Struct::default()
    });
    Value::record(Struct {
        type_name: "update.ObjectIdentifier",
        fields: vec![("ResourceIdentifier", identifier)],
        embedded: vec!["ResourceIdentifier"],
        ..Struct::default()
    })
}
