//! Tagline.
fn main() {}
