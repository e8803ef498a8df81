//! Integration tests of the policy engine.

mod smoke;
