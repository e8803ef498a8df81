//! Which policy may read which repository.

use super::status::Failure;
use crate::resources::{ImagePolicySpec, ImageRepositorySpec, Object, ObjectName, Resources};
use std::sync::Arc;

/// The repository of a policy, if it may read it.
///
/// # Errors
/// Flux's reasons and messages: no such repository, references across namespaces refused, or `accessFrom`
/// does not let it in.
pub(crate) fn repository_of<'r>(
    policy: &Object<ImagePolicySpec>,
    resources: &'r Resources,
    no_cross_namespace_refs: bool,
) -> Result<&'r Arc<Object<ImageRepositorySpec>>, Failure> {
    let own = policy.key.name.namespace.as_str();
    let reference = &policy.spec.image_repository_ref;
    let name = reference.in_namespace(own);
    let denied = |message: String| {
        Failure::retried(
            "AccessDenied",
            format!("failed to get the referred ImageRepository: {message}"),
        )
    };
    if no_cross_namespace_refs && name.namespace != own {
        return Err(denied(format!(
            "cannot access 'ImageRepository/{name}', cross-namespace references have been blocked"
        )));
    }
    let Some(repository) = resources.image_repositories.get(&name) else {
        return Err(Failure::retried(
            "DependencyNotReady",
            format!(
                "failed to get the referred ImageRepository: referenced ImageRepository does not exist: {}",
                why_missing(resources, &name)
            ),
        ));
    };
    if name.namespace == own {
        return Ok(repository);
    }
    let Some(access) = &repository.spec.access_from else {
        return Err(denied(format!(
            "access denied: '{name}' can't be accessed due to missing ACL labels on 'accessFrom'"
        )));
    };
    let labels = resources.namespace_labels(own);
    let open = access
        .namespace_selectors
        .iter()
        .any(|selector| selector.to_label_selector().matches(&labels));
    if open {
        Ok(repository)
    } else {
        Err(denied(format!(
            "access denied: '{name}' can't be accessed due to ACL labels mismatch on namespace '{own}'"
        )))
    }
}

fn why_missing(resources: &Resources, name: &ObjectName) -> String {
    let refused = resources.refused.iter().find(|refused| {
        refused.key.kind == crate::resources::Kind::ImageRepository && refused.key.name == *name
    });
    match refused {
        Some(refused) => format!(
            "ImageRepository {name} at {} cannot be used: {}",
            refused.place, refused.message
        ),
        None => format!("ImageRepository {name} not found"),
    }
}
