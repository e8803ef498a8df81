//! Images of Kubernetes workloads: every kind that carries a pod, and lists of them.

use super::yaml::Node;

/// An image field: the container's name and the value.
pub(super) struct ContainerImage<'n, 'a> {
    pub(super) container: &'n str,
    pub(super) image: &'n Node<'a>,
}

/// The image fields of an object. Kinds that are not known are looked into where the known ones have
/// their pod template: Argo's Rollouts and Knative's Services do.
pub(super) fn images<'n, 'a>(object: &'n Node<'a>, kind: &str) -> Vec<ContainerImage<'n, 'a>> {
    let paths: &[&[&str]] = match kind {
        "Pod" => &[&["spec"]],
        "PodTemplate" => &[&["template", "spec"]],
        "CronJob" => &[&["spec", "jobTemplate", "spec", "template", "spec"]],
        _ => &[&["spec", "template", "spec"]],
    };
    paths
        .iter()
        .filter_map(|path| object.at(path))
        .flat_map(images_of_pod)
        .collect()
}

fn images_of_pod<'n, 'a>(pod: &'n Node<'a>) -> Vec<ContainerImage<'n, 'a>> {
    let containers = ["initContainers", "containers", "ephemeralContainers"]
        .into_iter()
        .filter_map(|list| pod.get(list))
        .flat_map(Node::items)
        .filter_map(|container| {
            Some(ContainerImage {
                container: name(container),
                image: container.get("image")?,
            })
        });
    // OCI images as volumes (KEP-4639).
    let volumes = pod
        .get("volumes")
        .map(Node::items)
        .unwrap_or_default()
        .iter()
        .filter_map(|volume| {
            Some(ContainerImage {
                container: name(volume),
                image: volume.at(&["image", "reference"])?,
            })
        });
    containers.chain(volumes).collect()
}

fn name<'n>(object: &'n Node<'_>) -> &'n str {
    object.get("name").and_then(Node::text).unwrap_or_default()
}
