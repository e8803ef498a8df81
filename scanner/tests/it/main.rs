//! Integration tests of the scanner: one binary, one module per subject.

mod store;
