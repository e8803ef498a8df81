//! Manifest text in, typed values and placed problems out.
//!
//! YAML (and so JSON) is read into [`Node`]s that know their place; [`decode()`] turns a node into a
//! typed value with serde and finds every fault in one go, each with line, column and field path.

mod decode;
mod node;
mod parse;
mod problem;
mod resemblance;

pub(crate) use decode::{Fault, Quoting, decode};
pub(crate) use node::{Node, NodeKind, Position};
pub(crate) use parse::parse_bytes;
pub(crate) use problem::{Place, Problem, Severity};
pub(crate) use resemblance::nearest;
