//! Tagline.
mod manifest;
fn main() {}
