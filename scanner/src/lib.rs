//! Registries in, tag sets out.

mod revision;
mod tag_set;
mod target_key;
mod varint;

pub use revision::Revision;
pub use tag_set::{InvalidTagSet, Merged, TagCursor, TagSet, TagSetBuilder, UnpackedTags};
pub use target_key::{AccessId, InvalidTargetKey, TargetKey};
