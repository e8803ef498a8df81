//! The shape of a tag: how many numbers its version has, and what stands around it.

/// Number of parts, prefix and suffix of a tag, as Renovate and Dependabot compare them: `1.25-alpine`
/// has the shape of `1.26-alpine`, not of `1.26`, `1.26.1-alpine` or `v1.26-alpine`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    prefix: String,
    parts: usize,
    suffix: String,
}

impl Shape {
    pub(crate) fn of(tag: &str) -> Self {
        let (prefix, parts, suffix) = split(tag);
        Self {
            prefix: prefix.to_owned(),
            parts,
            suffix: suffix.to_owned(),
        }
    }

    pub(crate) fn fits(&self, tag: &str) -> bool {
        split(tag) == (self.prefix.as_str(), self.parts, self.suffix.as_str())
    }
}

/// What stands before the first digit, how many numbers divided by dots follow, and the rest.
fn split(tag: &str) -> (&str, usize, &str) {
    let bytes = tag.as_bytes();
    let start = bytes
        .iter()
        .position(u8::is_ascii_digit)
        .unwrap_or(bytes.len());
    let mut at = start;
    let mut parts = 0;
    loop {
        let from = at;
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        parts += usize::from(at > from);
        let another =
            bytes.get(at) == Some(&b'.') && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
        if !another {
            return (&tag[..start], parts, &tag[at..]);
        }
        at += 1;
    }
}
