//! Flux's revision of a tag list: Adler-32, in decimal, of the compact JSON array of the tags in
//! descending byte order. Summed up tag by tag; the JSON is never built.

use std::fmt;

use tagline_policy::TagRef;

const MODULUS: u32 = 65_521;
/// So many bytes can be summed before the sums have to be reduced.
const REDUCE_EVERY: usize = 5_552;

/// The revision of the tags pushed so far. Displays as Flux writes it to `lastScanResult.revision`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision {
    a: u32,
    b: u32,
    is_empty: bool,
}

impl Default for Revision {
    fn default() -> Self {
        Self::new()
    }
}

impl Revision {
    /// The revision of no tags at all.
    #[must_use]
    pub fn new() -> Self {
        let mut revision = Self {
            a: 1,
            b: 0,
            is_empty: true,
        };
        revision.add(b"[");
        revision
    }

    /// Adds the next tag; tags come in descending byte order.
    pub fn push(&mut self, tag: TagRef<'_>) {
        self.add(if self.is_empty { b"\"" } else { b",\"" });
        self.add(tag.as_str().as_bytes());
        self.add(b"\"");
        self.is_empty = false;
    }

    /// The checksum.
    #[must_use]
    pub fn value(mut self) -> u32 {
        self.add(b"]");
        self.b << 16 | self.a
    }

    fn add(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(REDUCE_EVERY) {
            for &byte in chunk {
                self.a += u32::from(byte);
                self.b += self.a;
            }
            self.a %= MODULUS;
            self.b %= MODULUS;
        }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_are_those_of_flux() {
        for (tags, revision) in [
            (&["latest", "v0.0.1", "v0.0.2"][..], "1943865137"),
            (&["latest", "v0.0.1", "v0.0.2", "v0.0.3"], "3168012550"),
            (&["v0.0.3", "v0.0.4"], "728958008"),
            (&[], "18153657"),
        ] {
            let mut sum = Revision::new();
            for tag in tags {
                sum.push(TagRef::new(tag).unwrap());
            }
            assert_eq!(sum.to_string(), revision, "{tags:?}");
        }
    }
}
