//! Unified diffs in colour.

use super::{BAD, DIM, GOOD, STRONG};
use std::io::{self, Write};

/// Writes a unified diff, coloured line by line.
///
/// # Errors
/// When the writer fails.
pub(crate) fn colored_diff(out: &mut dyn Write, diff: &str) -> io::Result<()> {
    for line in diff.split_inclusive('\n') {
        let (text, end) = match line.strip_suffix('\n') {
            Some(text) => (text, "\n"),
            None => (line, ""),
        };
        let style = match text.as_bytes() {
            [b'-', b'-', b'-', ..] | [b'+', b'+', b'+', ..] => STRONG,
            [b'@', b'@', ..] => DIM,
            [b'-', ..] => BAD,
            [b'+', ..] => GOOD,
            _ => {
                write!(out, "{text}{end}")?;
                continue;
            }
        };
        write!(out, "{style}{text}{style:#}{end}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_leave_the_patch_as_it_is() {
        let patch = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\r\n+b\r\n\\ No newline at end of file";
        let mut out = Vec::new();
        colored_diff(&mut out, patch).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains('\u{1b}'));
        let style = regex::Regex::new("\u{1b}\\[[0-9;]*m").unwrap();
        assert_eq!(style.replace_all(&text, ""), patch);
    }
}
