//! An object of a manifest: usable, or refused.

use super::metadata::ObjectKey;
use super::references::Reference;
use crate::manifest::Place;
use std::collections::BTreeMap;

/// `flux reconcile` sets this annotation.
const REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";
const RELEASE_HOLDS_AT: &str = "tagline.dev/releaseHoldsAt";

/// An object that can be used.
#[derive(Debug)]
pub(crate) struct Object<S> {
    /// Kind and name.
    pub(crate) key: ObjectKey,
    /// `metadata.labels`.
    pub(crate) labels: BTreeMap<String, String>,
    /// `metadata.annotations`.
    pub(crate) annotations: BTreeMap<String, String>,
    /// Where it is written.
    pub(crate) place: Place,
    /// What it asks for.
    pub(crate) spec: S,
    /// What it refers to.
    pub(crate) references: Vec<Reference>,
}

impl<S> Object<S> {
    /// Flux's annotation whose change asks for work now.
    pub(crate) fn requested_at(&self) -> Option<&str> {
        self.annotations.get(REQUESTED_AT).map(String::as_str)
    }

    /// Our annotation whose change releases what an automation holds back.
    pub(crate) fn release_holds_at(&self) -> Option<&str> {
        self.annotations.get(RELEASE_HOLDS_AT).map(String::as_str)
    }
}

/// An object that is there but cannot be used.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    /// Kind and name.
    pub(crate) key: ObjectKey,
    /// Where it is written.
    pub(crate) place: Place,
    /// The reason as a word, Flux's where it has one.
    pub(crate) reason: &'static str,
    /// The first thing that is wrong with it.
    pub(crate) message: String,
    /// Of a policy: the group that waits for it.
    pub(crate) group: Option<String>,
}
