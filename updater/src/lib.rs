//! Choices in, commits and pull requests out.

mod choices;
pub mod edit;

pub use choices::{Choice, Choices, PolicyName};
