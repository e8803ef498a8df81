//! Unified diffs, coloured on a terminal.

use super::{BAD, DIM, GOOD, STRONG};
use similar::{ChangeTag, TextDiff};
use std::io::{self, Write};

/// Lines shown around a change.
const CONTEXT: usize = 3;

/// Writes the difference of one file as a patch that `git apply` and `patch -p1` take.
///
/// # Errors
/// When the writer fails.
pub(crate) fn unified_diff(
    out: &mut dyn Write,
    path: &str,
    old: &[u8],
    new: &[u8],
) -> io::Result<()> {
    let (old, new) = (String::from_utf8_lossy(old), String::from_utf8_lossy(new));
    let diff = TextDiff::from_lines(&*old, &*new);
    writeln!(out, "{STRONG}--- a/{path}{STRONG:#}")?;
    writeln!(out, "{STRONG}+++ b/{path}{STRONG:#}")?;
    for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
        writeln!(out, "{DIM}{}{DIM:#}", hunk.header())?;
        for change in hunk.iter_changes() {
            let (sign, style) = match change.tag() {
                ChangeTag::Delete => ("-", BAD),
                ChangeTag::Insert => ("+", GOOD),
                ChangeTag::Equal => (" ", anstyle::Style::new()),
            };
            let line = change.value();
            let text = line.strip_suffix('\n').unwrap_or(line);
            writeln!(out, "{style}{sign}{text}{style:#}")?;
            if change.missing_newline() {
                writeln!(out, "\\ No newline at end of file")?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_patch() {
        let mut out = Vec::new();
        unified_diff(
            &mut out,
            "a.yaml",
            b"1\n2\n3\n4\n5\n",
            b"1\n2\n3\nfour\n5\n",
        )
        .unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            anstream::adapter::strip_str(&text).to_string(),
            "--- a/a.yaml\n+++ b/a.yaml\n@@ -1,5 +1,5 @@\n 1\n 2\n 3\n-4\n+four\n 5\n"
        );
    }
}
