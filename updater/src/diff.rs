//! Unified diffs, as `git diff` and `patch` write and read them. Plain text: colour is the caller's.

use similar::TextDiff;

/// Lines of context around a change.
const CONTEXT: usize = 3;

/// The difference of two texts of one file; empty when they are equal.
///
/// `path` is relative, with `/` between its parts.
#[must_use]
pub fn unified(path: &str, old: &[u8], new: &[u8]) -> String {
    if old == new {
        return String::new();
    }
    let (old, new) = (String::from_utf8_lossy(old), String::from_utf8_lossy(new));
    let diff = TextDiff::from_lines(old.as_ref(), new.as_ref());
    diff.unified_diff()
        .context_radius(CONTEXT)
        .header(&format!("a/{path}"), &format!("b/{path}"))
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::unified;

    #[test]
    fn shows_the_lines_that_differ_with_their_line_ends() {
        assert_eq!(
            unified("x/a.yaml", b"a: 1\r\nb: 2\r\nc: 3", b"a: 1\r\nb: 4\r\nc: 3"),
            "--- a/x/a.yaml\n+++ b/x/a.yaml\n@@ -1,3 +1,3 @@\n a: 1\r\n-b: 2\r\n+b: 4\r\n c: 3\n\\ No newline at end of file\n"
        );
    }

    #[test]
    fn is_empty_for_equal_texts() {
        assert_eq!(unified("a", b"x\n", b"x\n"), "");
    }
}
