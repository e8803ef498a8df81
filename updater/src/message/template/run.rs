//! What one execution may use up, and the maps it makes.

use super::value::{DictId, List, Value};
use std::collections::BTreeMap;

/// How much a template may do. A template comes from a manifest: somebody else may have written it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest text, also of a value on the way, in bytes.
    pub text: usize,
    /// Steps and bytes handled, in all.
    pub work: usize,
    /// How deep templates may call each other.
    pub calls: usize,
    /// How deep values may nest.
    pub nesting: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            text: 1 << 20,
            work: 32 << 20,
            calls: 50,
            nesting: 50,
        }
    }
}

/// Why a function or a printer gave up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault(pub(super) String);

impl Fault {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

pub(super) type Entries = BTreeMap<String, Value>;

/// The state of one execution.
///
/// Maps that the template makes live here, not in values: `set` changes a map for everybody who holds
/// it, and a map that holds itself is then no leak.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) limits: Limits,
    work: usize,
    dicts: Vec<Entries>,
}

impl Run {
    pub(super) const fn new(limits: Limits) -> Self {
        Self {
            limits,
            work: 0,
            dicts: Vec::new(),
        }
    }

    /// Accounts for steps or bytes before they are spent.
    pub(super) fn spend(&mut self, units: usize) -> Result<(), Fault> {
        self.work = self.work.saturating_add(units);
        if self.work > self.limits.work {
            return Err(Fault::new("the template does too much work"));
        }
        Ok(())
    }

    /// Accounts for a text of this many bytes before it is made.
    pub(super) fn spend_text(&mut self, bytes: usize) -> Result<(), Fault> {
        if bytes > self.limits.text {
            return Err(Fault::new(format!(
                "a text of more than {} bytes",
                self.limits.text
            )));
        }
        self.spend(bytes)
    }

    pub(super) fn text(&mut self, text: impl Into<String>) -> Result<Value, Fault> {
        let text = text.into();
        self.spend_text(text.len())?;
        Ok(Value::text(text))
    }

    pub(super) fn list(
        &mut self,
        element: &'static str,
        items: Vec<Value>,
    ) -> Result<Value, Fault> {
        self.spend(items.len())?;
        let list = Value::list(element, items);
        match &list {
            Value::List(List { depth, .. }) if *depth > self.limits.nesting => Err(too_deep()),
            _ => Ok(list),
        }
    }

    /// A slice of `interface{}`, as most of sprig's functions give.
    pub(super) fn any_list(&mut self, items: Vec<Value>) -> Result<Value, Fault> {
        self.list("interface {}", items)
    }

    pub(super) fn dict(&mut self, entries: Entries) -> Result<Value, Fault> {
        self.spend(entries.len() + 1)?;
        self.dicts.push(entries);
        Ok(Value::Dict(DictId(self.dicts.len() - 1)))
    }

    pub(super) fn entries(&self, dict: DictId) -> Result<&Entries, Fault> {
        self.dicts.get(dict.0).ok_or_else(foreign)
    }

    pub(super) fn entries_mut(&mut self, dict: DictId) -> Result<&mut Entries, Fault> {
        self.dicts.get_mut(dict.0).ok_or_else(foreign)
    }
}

pub(super) fn too_deep() -> Fault {
    Fault::new("values nested too deeply")
}

fn foreign() -> Fault {
    Fault::new("a map of another template")
}
