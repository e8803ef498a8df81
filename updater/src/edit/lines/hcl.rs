//! HCL (Terraform): `image = "app:1.0" # {"$imagepolicy": "ns:app"}`, also with `//` and `/* … */`.

use super::{Syntax, quoted_at_end};
use std::ops::Range;

pub(super) const SYNTAX: Syntax = Syntax {
    comments: &["#", "//", "/*"],
    value,
    behind: true,
};

/// The string that ends the line, with or without a comma.
fn value(code: &str) -> Option<Range<usize>> {
    let code = code.trim_end();
    quoted_at_end(code.strip_suffix(',').unwrap_or(code))
}
