//! Images of a kustomization's `images:` transformer, kustomize's own and Flux's.

use super::yaml::Node;

/// One entry: the image that is deployed in the end.
pub(super) struct Entry<'n, 'a> {
    pub(super) text: String,
    pub(super) name: &'n str,
    /// Where the name stands.
    pub(super) place: &'n Node<'a>,
}

pub(super) fn images<'n, 'a>(object: &'n Node<'a>) -> Vec<Entry<'n, 'a>> {
    [object.get("images"), object.at(&["spec", "images"])]
        .into_iter()
        .flatten()
        .flat_map(Node::items)
        .filter_map(|entry| {
            let name = entry.get("name")?;
            let deployed = entry.get("newName").unwrap_or(name);
            let mut text = deployed.text()?.to_owned();
            if let Some(tag) = entry.get("newTag").and_then(Node::text) {
                text.push(':');
                text.push_str(tag);
            }
            if let Some(digest) = entry.get("digest").and_then(Node::text) {
                text.push('@');
                text.push_str(digest);
            }
            Some(Entry {
                text,
                name: name.text()?,
                place: deployed,
            })
        })
        .collect()
}
