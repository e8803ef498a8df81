//! Choices in, commits and pull requests out.

mod choices;
pub mod diff;
pub mod directory;
pub mod edit;
mod sourceignore;

pub use choices::{Choice, Choices, PolicyName};
pub use sourceignore::{InvalidIgnore, SourceIgnore};
