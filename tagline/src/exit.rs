//! How a command ends.

use std::process::ExitCode;

/// The end of a command that ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything was done.
    Done,
    /// Something failed; it has been told.
    Failed,
    /// The input is bad; it has been told.
    BadInput,
    /// There are changes, and the caller wanted to know.
    ChangesFound,
}

/// Bad usage or bad input that is still to be told.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadInput(pub(crate) String);

impl BadInput {
    /// As the error of a command.
    pub(crate) fn error(message: impl Into<String>) -> anyhow::Error {
        Self(message.into()).into()
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::BadInput => 2,
            Exit::ChangesFound => 3,
        })
    }
}
