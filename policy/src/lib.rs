//! Tags in, choice out: which image tag a policy wants, and why.
//!
//! Pure functions on plain values. No I/O, no async, no clock of its own, no Kubernetes: whoever calls
//! brings the tags, their times and the present moment.

mod candidate;
mod digest;
mod evaluate;
mod exclusion;
mod expand;
mod explain;
mod filter;
mod glob;
mod image;
mod invalid_policy;
mod later_tags;
mod natural;
mod number;
mod policy;
mod range;
mod rank;
mod re2;
mod selection;
mod shape;
mod sortable;
mod spec;
mod suggest;
mod tag;
mod together;
mod update;
mod version;

pub use candidate::{Candidate, Context, ListOrder};
pub use digest::{Digest, InvalidDigest};
pub use exclusion::{ExclusionSet, is_artifact_tag};
pub use explain::{Explanation, TagVerdict, Verdict};
pub use glob::{Glob, GlobSet};
pub use image::{Image, ImageName, ImageReference, InvalidImageName, Registry, RepositoryName};
pub use invalid_policy::{Field, InvalidPolicy};
pub use natural::compare_natural;
pub use number::parse_number;
pub use policy::Policy;
pub use range::{Fit, MAX_RANGE_GROUPS, MAX_RANGE_LENGTH, Range};
pub use selection::{NoChoice, Selection};
pub use spec::{Choice, Exclusions, FilterTags, Guards, Order, PolicySpec, Sortable, Unparsable};
pub use suggest::{Proposal, suggest};
pub use tag::{InvalidTag, MAX_TAG_LENGTH, Tag, TagRef};
pub use together::{
    GroupOrder, HeldBack, Incomparable, Member, MemberSelection, check_group, explain_together,
    select_together,
};
pub use update::{Change, Evaluation};
pub use version::{InvalidVersion, MAX_VERSION_LENGTH, Version};
