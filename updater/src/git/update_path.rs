//! `spec.update.path`: which part of a repository may be changed.

use std::fmt;

/// `spec.update.path`: a directory or a file of the repository, or everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct UpdatePath(String);

/// A path that leaves the repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "update path {path:?} is not inside the repository: give a path relative to its root, without .."
)]
pub struct InvalidUpdatePath {
    /// The path given.
    pub path: String,
}

impl UpdatePath {
    /// Takes a path relative to the repository's root; `.`, `./` and the empty text mean all of it.
    ///
    /// # Errors
    /// [`InvalidUpdatePath`] for a path with `..` or a control character in it.
    pub fn new(path: &str) -> Result<Self, InvalidUpdatePath> {
        let mut parts = Vec::new();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    return Err(InvalidUpdatePath {
                        path: path.to_owned(),
                    });
                }
                part if part.chars().any(char::is_control) => {
                    return Err(InvalidUpdatePath {
                        path: path.to_owned(),
                    });
                }
                part => parts.push(part),
            }
        }
        Ok(Self(parts.join("/")))
    }

    /// Whether a file of the repository is this path or lies below it.
    #[must_use]
    pub fn contains(&self, file: &str) -> bool {
        self.0.is_empty()
            || file
                .strip_prefix(&self.0)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// A file of this path as seen from it; from its directory where this path is the file itself.
    pub(crate) fn relative<'f>(&self, file: &'f str) -> &'f str {
        match file.strip_prefix(&self.0) {
            Some("") => file.rsplit('/').next().unwrap_or(file),
            Some(rest) if !self.0.is_empty() => rest.strip_prefix('/').unwrap_or(file),
            _ => file,
        }
    }

    /// The path without `.` and doubled slashes; empty for the whole repository.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UpdatePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "." } else { &self.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn update_paths_stay_inside() {
        for (given, normal) in [
            ("", ""),
            (".", ""),
            ("./", ""),
            ("/a//b/", "a/b"),
            ("./a/./b", "a/b"),
        ] {
            assert_eq!(UpdatePath::new(given).unwrap().as_str(), normal);
        }
        for given in ["..", "a/../..", "../a", "a/..", "a\0b"] {
            assert!(UpdatePath::new(given).is_err(), "{given:?}");
        }
        let path = UpdatePath::new("./apps").unwrap();
        assert!(path.contains("apps/x.yaml") && path.contains("apps"));
        assert_eq!(path.relative("apps/a/x.yaml"), "a/x.yaml");
        let file = UpdatePath::new("apps/x.yaml").unwrap();
        assert_eq!(file.relative("apps/x.yaml"), "x.yaml");
        assert_eq!(UpdatePath::default().relative("a/x.yaml"), "a/x.yaml");
        assert!(!path.contains("apps2/x.yaml") && !path.contains("x/apps/y"));
    }
}
