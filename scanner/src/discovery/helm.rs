//! Images in Helm values, found as Flux v1 finds them in a `HelmRelease`.
//!
//! Looked for at the top of the values and one level down, in these shapes:
//!
//! | shape | |
//! |---|---|
//! | `image: repo[:tag]`, `tag: v` | `tag` optional |
//! | `registry: r`, `image: repo[:tag]`, `tag: v` | |
//! | `image: {repository: repo[:tag], tag: v}` | |
//! | `image: {registry: r, repository: repo[:tag], tag: v}` | |
//!
//! `tag` and `registry` count only where they are strings: `tag: 1.0` is a number. Other places are named
//! by annotations `repository.fluxcd.io/<alias>`, `registry.fluxcd.io/<alias>`, `tag.fluxcd.io/<alias>`.

use std::collections::BTreeMap;

use super::yaml::Node;

/// What Flux v1 calls the container of an image at the top of the values.
const CHART_IMAGE: &str = "chart-image";

/// An image in Helm values.
pub(super) struct ValuesImage<'n, 'a> {
    pub(super) container: String,
    pub(super) text: String,
    /// Where the repository stands.
    pub(super) place: &'n Node<'a>,
}

/// The images of a `HelmRelease`: `chart-image` first, then by name.
pub(super) fn images_of_release<'n, 'a>(object: &'n Node<'a>) -> Vec<ValuesImage<'n, 'a>> {
    let Some(values) = object.at(&["spec", "values"]) else {
        return Vec::new();
    };
    let mut found = by_container(values);
    if let Some(annotations) = object.at(&["metadata", "annotations"]) {
        for (name, path) in annotations.pairs() {
            let alias = name
                .text()
                .and_then(|n| n.strip_prefix("repository.fluxcd.io/"));
            let (Some(alias), Some(path)) = (alias, path.text()) else {
                continue;
            };
            if let Some(image) = mapped(values, annotations, alias, path) {
                found.insert(alias.to_owned(), image);
            }
        }
    }
    in_order(found)
}

/// The images of a values file.
pub(super) fn images_of_values<'n, 'a>(values: &'n Node<'a>) -> Vec<ValuesImage<'n, 'a>> {
    in_order(by_container(values))
}

fn in_order<'n, 'a>(mut found: BTreeMap<String, ValuesImage<'n, 'a>>) -> Vec<ValuesImage<'n, 'a>> {
    let first = found.remove(CHART_IMAGE);
    first.into_iter().chain(found.into_values()).collect()
}

fn by_container<'n, 'a>(values: &'n Node<'a>) -> BTreeMap<String, ValuesImage<'n, 'a>> {
    let mut found = BTreeMap::new();
    let mut look = |container: &str, node: &'n Node<'a>| {
        if let Some((text, place)) = image_at(node) {
            let image = ValuesImage {
                container: container.to_owned(),
                text,
                place,
            };
            found.insert(container.to_owned(), image);
        }
    };
    look(CHART_IMAGE, values);
    for (name, value) in values.pairs() {
        if let Some(name) = name.text() {
            look(name, value);
        }
    }
    found
}

fn image_at<'n, 'a>(node: &'n Node<'a>) -> Option<(String, &'n Node<'a>)> {
    let image = node.get("image")?;
    let (fields, repository) = match image.string() {
        Some(_) => (node, image),
        None => (image, image.get("repository")?),
    };
    let string = |field| fields.get(field).and_then(Node::string);
    let text = join(string("registry"), repository.string()?, string("tag"));
    Some((text, repository))
}

fn mapped<'n, 'a>(
    values: &'n Node<'a>,
    annotations: &Node<'a>,
    alias: &str,
    path: &str,
) -> Option<ValuesImage<'n, 'a>> {
    let at = |path: &str| path.split('.').try_fold(values, |node, key| node.get(key));
    let annotated = |kind: &str| -> Option<Option<&'n str>> {
        match annotations.get(&format!("{kind}.fluxcd.io/{alias}")) {
            // A mapping that leads nowhere is no mapping at all.
            Some(path) => at(path.text()?)?.string().map(Some),
            None => Some(None),
        }
    };
    let repository = at(path)?;
    let text = join(
        annotated("registry")?,
        repository.string()?,
        annotated("tag")?,
    );
    Some(ValuesImage {
        container: alias.to_owned(),
        text,
        place: repository,
    })
}

fn join(registry: Option<&str>, repository: &str, tag: Option<&str>) -> String {
    let mut text = String::new();
    if let Some(registry) = registry.filter(|registry| !registry.is_empty()) {
        text.push_str(registry);
        text.push('/');
    }
    text.push_str(repository);
    if let Some(tag) = tag.filter(|tag| !tag.is_empty()) {
        text.push(':');
        text.push_str(tag);
    }
    text
}
