//! Tags in, choice out: which image tag a policy wants, and why.
//!
//! Pure functions on plain values. No I/O, no async, no clock of its own, no Kubernetes: whoever calls
//! brings the tags, their times and the present moment.

mod digest;
mod image;
mod tag;

pub use digest::{Digest, InvalidDigest};
pub use image::{ImageName, ImageReference, InvalidImageName, Registry, RepositoryName};
pub use tag::{InvalidTag, MAX_TAG_LENGTH, Tag, TagRef};
