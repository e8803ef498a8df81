//! Choices in, commits and pull requests out.

mod choices;
pub mod diff;
pub mod directory;
pub mod edit;
pub mod forge;
pub mod git;
mod publish;
mod sourceignore;

pub use choices::{Choice, Choices, PolicyName};
pub use publish::{
    ChangedFile, CommitGrouping, Editor, Hold, MarkerEditor, MessageSource, PublishRequest,
    PushOutcome, PushState, PushTarget, ReleaseHolds, SkippedMarker, publish,
};
pub use sourceignore::{InvalidIgnore, SourceIgnore};
