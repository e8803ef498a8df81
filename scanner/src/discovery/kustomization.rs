//! Kustomizations, kustomize's own and Flux's: their `images:` transformer, and what they take in.

use super::overlays::{ImageEntry, Overlay};
use super::yaml::Node;
use std::path::PathBuf;

/// One entry: the image that is deployed in the end.
pub(super) struct Entry<'n, 'a> {
    pub(super) text: String,
    pub(super) name: &'n str,
    /// Where the name stands.
    pub(super) place: &'n Node<'a>,
}

pub(super) fn images<'n, 'a>(object: &'n Node<'a>) -> Vec<Entry<'n, 'a>> {
    entries(object)
        .filter_map(|(node, entry)| {
            let name = node.get("name")?;
            Some(Entry {
                text: entry.apply(&entry.name),
                name: name.text()?,
                place: node.get("newName").unwrap_or(name),
            })
        })
        .collect()
}

/// What kustomize's own kind takes in; addresses are passed over.
pub(super) fn overlay(object: &Node<'_>) -> Overlay {
    let paths = |field: &str| -> Vec<PathBuf> {
        let items = object.get(field).map(Node::items).unwrap_or_default();
        items
            .iter()
            .filter_map(|path| path.text())
            .filter(|path| !path.contains("://"))
            .map(PathBuf::from)
            .collect()
    };
    Overlay {
        resources: [paths("resources"), paths("bases")].concat(),
        components: paths("components"),
        entries: entries(object).map(|(_, entry)| entry).collect(),
    }
}

fn entries<'n, 'a>(object: &'n Node<'a>) -> impl Iterator<Item = (&'n Node<'a>, ImageEntry)> {
    [object.get("images"), object.at(&["spec", "images"])]
        .into_iter()
        .flatten()
        .flat_map(Node::items)
        .filter_map(|node| {
            let text = |field| node.get(field).and_then(Node::text).map(str::to_owned);
            let entry = ImageEntry {
                name: text("name")?,
                new_name: text("newName").filter(|name| !name.is_empty()),
                new_tag: text("newTag"),
                digest: text("digest"),
            };
            Some((&**node, entry))
        })
}
