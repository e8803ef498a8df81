//! A YAML document as a tree whose every node knows where it stands in its file.

use std::rc::Rc;

/// A place in a text: line and column, both counted from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub(crate) struct Position {
    /// Line, from 1.
    pub(crate) line: u32,
    /// Column in characters, from 1.
    pub(crate) column: u32,
}

impl Position {
    /// The first character of a text.
    pub(crate) const START: Self = Self { line: 1, column: 1 };
}

/// One YAML node. Aliases share the node they name.
#[derive(Debug)]
pub(crate) struct Node {
    /// Where the value begins.
    pub(crate) at: Position,
    /// How many nodes the value would have with every alias written out.
    pub(crate) expanded_size: u64,
    /// The value.
    pub(crate) kind: NodeKind,
}

/// What a node is.
#[derive(Debug)]
pub(crate) enum NodeKind {
    /// Text, plain or quoted.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Rc<Node>>),
    /// A mapping, in the order of the file, without two entries of one key.
    Mapping(Vec<Entry>),
}

/// A scalar and what decides its type.
#[derive(Debug)]
pub(crate) struct Scalar {
    /// The text after unescaping.
    pub(crate) text: String,
    /// Whether it was written without quotes, so that `true` and `12` are no strings.
    pub(crate) plain: bool,
}

/// One entry of a mapping.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The key.
    pub(crate) key: String,
    /// Where the key begins.
    pub(crate) key_at: Position,
    /// The value.
    pub(crate) value: Rc<Node>,
}

impl Node {
    /// The value under a key, when this is a mapping that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &*entry.value)
    }

    /// The node at a dotted path, for example `spec.policy.semver.range`.
    pub(crate) fn at_path(&self, path: &str) -> Option<&Self> {
        path.split('.')
            .try_fold(self, |node, part| match &node.kind {
                NodeKind::Mapping(_) => node.get(part),
                NodeKind::Sequence(items) => {
                    items.get(part.parse::<usize>().ok()?).map(|item| &**item)
                }
                NodeKind::Scalar(_) => None,
            })
    }

    /// The place of the deepest part of a dotted path that exists.
    pub(crate) fn nearest_position(&self, path: &str) -> Position {
        let mut node = self;
        let mut at = self.at;
        for part in path.split('.') {
            let next = match &node.kind {
                NodeKind::Mapping(_) => node.entry(part).map(|e| (&*e.value, e.key_at)),
                NodeKind::Sequence(items) => part
                    .parse::<usize>()
                    .ok()
                    .and_then(|index| items.get(index))
                    .map(|item| (&**item, item.at)),
                NodeKind::Scalar(_) => None,
            };
            let Some((value, key_at)) = next else {
                return at;
            };
            node = value;
            at = if matches!(value.kind, NodeKind::Scalar(_)) {
                value.at
            } else {
                key_at
            };
        }
        at
    }

    /// The text of a scalar that is not null.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::Scalar(scalar) if !scalar.is_null() => Some(&scalar.text),
            _ => None,
        }
    }

    /// Whether this is a null (`~`, `null`, or nothing at all).
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.kind, NodeKind::Scalar(scalar) if scalar.is_null())
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.kind {
            NodeKind::Mapping(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }
}

impl Scalar {
    /// Whether it is a null.
    pub(crate) fn is_null(&self) -> bool {
        self.plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }

    /// The boolean it stands for, with YAML 1.1's words as `kubectl` reads them.
    pub(crate) fn as_bool(&self) -> Option<bool> {
        if !self.plain {
            return None;
        }
        match self.text.as_str() {
            "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
            "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
            _ => None,
        }
    }

    /// The whole number it stands for.
    pub(crate) fn as_integer(&self) -> Option<i128> {
        if !self.plain {
            return None;
        }
        let text = self.text.strip_prefix('+').unwrap_or(&self.text);
        if let Some(hex) = text.strip_prefix("0x") {
            return i128::from_str_radix(hex, 16).ok();
        }
        if let Some(octal) = text.strip_prefix("0o") {
            return i128::from_str_radix(octal, 8).ok();
        }
        let digits = text.strip_prefix('-').unwrap_or(text);
        (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
            .then(|| text.parse().ok())
            .flatten()
    }

    /// The number it stands for, when it has a fraction or an exponent.
    pub(crate) fn as_float(&self) -> Option<f64> {
        let looks_like_one = self.plain
            && self
                .text
                .trim_start_matches(['-', '+', '.'])
                .starts_with(|c: char| c.is_ascii_digit())
            && self
                .text
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
        looks_like_one.then(|| self.text.parse().ok()).flatten()
    }
}
