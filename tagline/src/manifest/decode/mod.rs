//! Nodes into typed values with serde, every fault placed.
//!
//! The value types are ordinary serde types, the same ones that objects of a cluster are read into.
//! What differs is how faults are found: unknown fields are collected on the way (with the nearest
//! known name), and a value that does not fit is set aside and decoding goes on without it, so that one
//! run names all faults of an object.

mod access;
mod decoder;
mod fault;

use super::node::Node;
use decoder::Decoder;
use fault::{Path, Segment};
use serde::de;
use std::cell::RefCell;
use std::collections::HashSet;

pub(crate) use fault::{Fault, Quoting};

/// More faults than this in one object are not worth reading.
const MAX_FAULTS: usize = 20;

/// Decodes a node.
///
/// # Errors
/// Every fault found, in the order of the file.
pub(crate) fn decode<T: de::DeserializeOwned>(
    node: &Node,
    quoting: Quoting,
) -> Result<T, Vec<Fault>> {
    let state = State {
        quoting,
        faults: RefCell::default(),
        set_aside: RefCell::default(),
    };
    let root = Path {
        parent: None,
        segment: Segment::Root,
    };
    loop {
        let decoder = Decoder {
            node,
            path: &root,
            state: &state,
        };
        match T::deserialize(decoder) {
            Ok(value) => {
                let mut faults = state.faults.into_inner();
                if faults.is_empty() {
                    return Ok(value);
                }
                faults.sort_by_key(|fault| fault.at);
                return Err(faults);
            }
            Err(error) => {
                let key = error.field.clone();
                let missing_after_removal =
                    error.missing.is_some() && state.set_aside.borrow().contains(&key);
                if !missing_after_removal {
                    state.push(error.into_fault());
                }
                let first_time = state.set_aside.borrow_mut().insert(key);
                if !first_time || state.faults.borrow().len() >= MAX_FAULTS {
                    let mut faults = state.faults.into_inner();
                    faults.sort_by_key(|fault| fault.at);
                    return Err(faults);
                }
            }
        }
    }
}

struct State {
    quoting: Quoting,
    faults: RefCell<Vec<Fault>>,
    /// Paths whose values are left out because they do not fit.
    set_aside: RefCell<HashSet<String>>,
}

impl State {
    fn push(&self, fault: Fault) {
        let mut faults = self.faults.borrow_mut();
        if faults.len() < MAX_FAULTS && !faults.contains(&fault) {
            faults.push(fault);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::parse::parse;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "camelCase")]
    struct Spec {
        image: String,
        #[serde(default)]
        suspend: bool,
        order: Option<Order>,
        #[serde(default)]
        exclusion_list: Vec<String>,
        port: Option<u16>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Order {
        Asc,
        Desc,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Object {
        spec: Spec,
    }

    fn faults(text: &str) -> Vec<String> {
        let (documents, _) = parse(text);
        decode::<Object>(&documents[0].root, Quoting::Show)
            .unwrap_err()
            .into_iter()
            .map(|f| {
                let help = f.help.map(|h| format!(" ({h})")).unwrap_or_default();
                format!(
                    "{}:{} {}: {}{help}",
                    f.at.line, f.at.column, f.field, f.message
                )
            })
            .collect()
    }

    #[test]
    fn reads_what_is_right() {
        let (documents, _) =
            parse("spec: {image: a, suspend: yes, order: desc, exclusionList: [x], port: 80}");
        let object: Object = decode(&documents[0].root, Quoting::Show).unwrap();
        assert_eq!(
            object.spec,
            Spec {
                image: "a".into(),
                suspend: true,
                order: Some(Order::Desc),
                exclusion_list: vec!["x".into()],
                port: Some(80),
            }
        );
    }

    #[test]
    fn one_run_names_every_fault() {
        let found = faults(
            "spec:\n  image: 1.20\n  suspended: true\n  order: descending\n  exclusionList: [a, true]\n  port: 70000\n",
        );
        assert_eq!(
            found,
            [
                "2:10 spec.image: expected a string, found the number 1.20 (put it in quotes: \"1.20\")",
                "3:3 spec.suspended: there is no such field (did you mean \"suspend\"?)",
                "4:10 spec.order: \"descending\" is not allowed here; it must be one of: asc, desc (did you mean \"desc\"?)",
                "5:22 spec.exclusionList.1: expected a string, found the boolean true (put it in quotes: \"true\")",
                "6:9 spec.port: 70000 is outside 0 to 65535",
            ]
        );
    }

    #[test]
    fn a_missing_field_is_placed_at_its_parent() {
        assert_eq!(
            faults("spec:\n  suspend: false\n"),
            ["2:3 spec.image: this field is required (add \"image\")"]
        );
        assert_eq!(
            faults("spec: text"),
            ["1:7 spec: expected a mapping, found the text \"text\""]
        );
    }

    #[test]
    fn secret_values_are_not_quoted() {
        let (documents, _) = parse("spec: {image: [hunter2], order: hunter2}");
        let text = format!(
            "{:?}",
            decode::<Object>(&documents[0].root, Quoting::Hide).unwrap_err()
        );
        assert!(!text.contains("hunter2"), "{text}");
    }
}
