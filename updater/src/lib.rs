//! Choices in, commits and pull requests out.

mod choices;
pub mod diff;
pub mod directory;
pub mod edit;
pub mod forge;
pub mod git;
pub mod message;
mod publish;
mod sourceignore;

pub use choices::{Choice, Choices, PolicyName};
pub use publish::{
    BoxError, BranchChoices, BranchOutcomes, ChangedFile, CommitGrouping, Contribution, Editor,
    Hold, Joining, MarkerEditor, MessageSource, PublishRequest, PushOutcome, PushState, PushTarget,
    ReleaseHolds, SkippedMarker, publish, publish_branches, publish_together,
};
pub use sourceignore::{InvalidIgnore, SourceIgnore};
