//! When which object is to be looked at again.

use crate::resources::ObjectKey;
use jiff::Timestamp;
use std::collections::{BTreeSet, HashMap};

/// One due time per object.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    queue: BTreeSet<(Timestamp, ObjectKey)>,
    due: HashMap<ObjectKey, Timestamp>,
}

impl Timers {
    /// Sets an object's due time, in place of the one it had.
    pub(crate) fn set(&mut self, object: ObjectKey, at: Timestamp) {
        self.cancel(&object);
        self.due.insert(object.clone(), at);
        self.queue.insert((at, object));
    }

    /// Sets an object's due time unless it is due earlier already.
    pub(crate) fn set_at_latest(&mut self, object: ObjectKey, at: Timestamp) {
        if self.due.get(&object).is_none_or(|due| *due > at) {
            self.set(object, at);
        }
    }

    /// Forgets an object's due time.
    pub(crate) fn cancel(&mut self, object: &ObjectKey) {
        if let Some(at) = self.due.remove(object) {
            self.queue.remove(&(at, object.clone()));
        }
    }

    /// Takes an object that is due.
    pub(crate) fn pop(&mut self, now: Timestamp) -> Option<ObjectKey> {
        let (at, _) = self.queue.first()?;
        if *at > now {
            return None;
        }
        let (_, object) = self.queue.pop_first()?;
        self.due.remove(&object);
        Some(object)
    }

    /// When the next object is due.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.queue.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::{Kind, ObjectName};

    #[test]
    fn every_object_has_one_due_time() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let object =
            |name: &str| ObjectKey::new(Kind::ImagePolicy, ObjectName::new("default", name));
        let mut timers = Timers::default();
        timers.set(object("a"), at(10));
        timers.set(object("a"), at(5));
        timers.set(object("b"), at(7));
        timers.set_at_latest(object("b"), at(9));
        assert_eq!(timers.next(), Some(at(5)));
        assert_eq!(timers.pop(at(4)), None);
        assert_eq!(timers.pop(at(8)), Some(object("a")));
        assert_eq!(timers.pop(at(8)), Some(object("b")));
        assert_eq!(timers.pop(at(100)), None);
    }
}
