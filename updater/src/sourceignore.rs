//! `.sourceignore` patterns: gitignore's syntax, as `GitRepository.spec.ignore` uses it.

use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// Patterns that keep paths out of an update.
#[derive(Debug, Clone)]
pub struct SourceIgnore {
    patterns: Gitignore,
}

/// A pattern that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("ignore pattern {pattern:?} on line {line}")]
pub struct InvalidIgnore {
    /// The pattern.
    pub pattern: String,
    /// Its line, from 1.
    pub line: usize,
    /// What is wrong with it.
    source: ignore::Error,
}

impl SourceIgnore {
    /// Ignores nothing.
    #[must_use]
    pub fn none() -> Self {
        Self {
            patterns: Gitignore::empty(),
        }
    }

    /// Reads patterns, one per line; `#` begins a comment, `!` brings a path back.
    ///
    /// # Errors
    /// [`InvalidIgnore`] for a glob that cannot be read.
    pub fn parse(patterns: &str) -> Result<Self, InvalidIgnore> {
        let invalid = |(line, pattern): (usize, &str), source| InvalidIgnore {
            pattern: pattern.to_owned(),
            line: line + 1,
            source,
        };
        let mut builder = GitignoreBuilder::new("");
        let mut last = (0, "");
        for line in patterns.lines().enumerate() {
            builder
                .add_line(None, line.1)
                .map_err(|source| invalid(line, source))?;
            last = line;
        }
        let patterns = builder.build().map_err(|source| invalid(last, source))?;
        Ok(Self { patterns })
    }

    /// Whether a path, or a directory above it, is ignored.
    ///
    /// `path` is relative to where the patterns apply, with `/` between its parts.
    #[must_use]
    pub fn is_ignored(&self, path: &str, is_directory: bool) -> bool {
        !self.patterns.is_empty()
            && self
                .patterns
                .matched_path_or_any_parents(path, is_directory)
                .is_ignore()
    }
}

impl Default for SourceIgnore {
    fn default() -> Self {
        Self::none()
    }
}

#[cfg(test)]
mod tests {
    use super::SourceIgnore;

    #[test]
    fn follows_gitignore() {
        let ignore = SourceIgnore::parse(
            "# comment\n/*\n!/apps\nsecret.yaml\napps/**/tmp/\n!apps/keep/secret.yaml\n",
        )
        .unwrap();
        for (path, ignored) in [
            ("README.yaml", true),
            ("infra/a.yaml", true),
            ("apps/a.yaml", false),
            ("apps/x/secret.yaml", true),
            ("apps/keep/secret.yaml", false),
            ("apps/x/y/tmp/a.yaml", true),
        ] {
            assert_eq!(ignore.is_ignored(path, false), ignored, "{path}");
        }
        assert!(!SourceIgnore::none().is_ignored("x", false));
    }

    #[test]
    fn names_the_pattern_that_cannot_be_read() {
        let error = SourceIgnore::parse("a\n[z-a]\n").unwrap_err();
        assert_eq!(error.to_string(), "ignore pattern \"[z-a]\" on line 2");
    }
}
