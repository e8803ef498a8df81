//! What a test does when a server it needs is not installed: it says so, where `./test` finds it.

use std::fs::OpenOptions;
use std::io::{self, Write};

/// Names the file to which a test that could not run appends one line.
const NOT_RUN_FILE: &str = "TAGLINE_NOT_RUN_FILE";

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A program is not installed.
    #[error("needs {program}: apt-get install {package}")]
    Missing {
        /// The program that was looked for.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// The server ended, or did not listen in time.
    #[error("{server} did not start: {reason}\n{log}")]
    Failed {
        /// The server's name.
        server: &'static str,
        /// What went wrong.
        reason: String,
        /// What the server wrote.
        log: String,
    },
    /// A file or process could not be made.
    #[error("{server}: {operation}: {source}")]
    Io {
        /// The server's name.
        server: &'static str,
        /// What was tried.
        operation: &'static str,
        /// The cause.
        source: io::Error,
    },
}

impl StartError {
    pub(crate) fn io(
        server: &'static str,
        operation: &'static str,
    ) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            server,
            operation,
            source,
        }
    }
}

/// The started server, or nothing when it is not installed: then the test is recorded as NOT RUN.
/// Used through [`require!`](crate::require).
///
/// # Panics
/// When the server is installed and failed to start; when it is not installed and there is no
/// `./test` to report to while `CI=true`.
pub fn started<T>(result: Result<T, StartError>, package: &str, module: &str) -> Option<T> {
    let error = match result {
        Ok(server) => return Some(server),
        Err(error @ StartError::Missing { .. }) => error,
        Err(error) => panic!("{error}"),
    };
    let thread = std::thread::current();
    let test = thread.name().filter(|name| *name != "main");
    let line = format!("NOT RUN: {package} {} ({error})\n", test.unwrap_or(module));
    // Past the test harness's capture: a test that did not run must be seen.
    let _ = io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os(NOT_RUN_FILE) {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(line.as_bytes()))
            .expect("the NOT RUN list can be written");
    } else if std::env::var("CI").is_ok_and(|ci| ci == "true") {
        panic!("{line}");
    }
    None
}

/// Evaluates to the started server; ends the test with a `NOT RUN` entry when it is not installed.
///
/// The test function must return `()`.
#[macro_export]
macro_rules! require {
    ($start:expr) => {
        match $crate::started($start, env!("CARGO_PKG_NAME"), module_path!()) {
            Some(server) => server,
            None => return,
        }
    };
}
