//! The objects that say what to do, read from manifest files: Flux's image kinds, git repositories,
//! Secrets and what else stands in for a cluster.
//!
//! [`load()`] reads them all and never fails as a whole: a broken object is refused and named as a
//! [`Problem`](crate::manifest::Problem), the others are used.

mod collection;
mod duration;
mod git_repository;
mod groups;
mod image_policy;
mod image_repository;
mod image_update_automation;
mod load;
mod metadata;
mod object;
mod pull_request;
mod references;
mod secret;
mod settings;
mod source;
mod sync;
mod template_data;
mod validate;
mod watch;

pub(crate) use collection::Resources;
pub(crate) use duration::{Span, go_duration};
pub(crate) use git_repository::{GitProvider, GitReference, GitRepositorySpec};
pub(crate) use groups::{Group, Groups, comparable};
pub(crate) use image_policy::{DigestReflection, ImagePolicySpec};
pub(crate) use image_repository::{ImageRepositorySpec, RegistryProvider};
pub(crate) use image_update_automation::{
    CommitGrouping, GitSpec, ImageUpdateAutomationSpec, SigningKeyType, UpdateStrategyName,
};
pub(crate) use load::{LoadOptions, load};
pub(crate) use metadata::{
    DEFAULT_NAMESPACE, Kind, LabelSelector, NamespacedReference, ObjectKey, ObjectName,
};
pub(crate) use object::Object;
pub(crate) use pull_request::{PullRequestSpec, into_itself, parse_api_url};
pub(crate) use secret::SecretData;
pub(crate) use settings::{RegistryEntry, SettingsSpec};
pub(crate) use source::Source;
pub(crate) use template_data::{PullRequestData, branch_data};
pub(crate) use watch::{CannotWatch, FileWatch};
