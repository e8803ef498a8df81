//! Due times in order. An entry whose target has another due time by now is left behind and thrown away
//! when it comes up.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::targets::Index;
use super::timing::Tick;

/// Due times, earliest first; eight bytes each.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    entries: BinaryHeap<Reverse<(Tick, Index)>>,
}

impl Timeline {
    pub(super) fn push(&mut self, due: Tick, target: Index) {
        self.entries.push(Reverse((due, target)));
    }

    pub(super) fn peek(&self) -> Option<(Tick, Index)> {
        self.entries.peek().map(|Reverse(entry)| *entry)
    }

    pub(super) fn pop(&mut self) {
        self.entries.pop();
    }

    /// The earliest entry that is not after `now`.
    pub(super) fn pop_until(&mut self, now: Tick) -> Option<(Tick, Index)> {
        let entry = self.peek().filter(|(due, _)| *due <= now)?;
        self.pop();
        Some(entry)
    }

    /// Throws away what was left behind once it is more than there are targets.
    pub(super) fn tidy(&mut self, targets: usize, is_current: impl Fn(Tick, Index) -> bool) {
        if self.entries.len() > 2 * targets + 64 {
            self.entries
                .retain(|Reverse((due, index))| is_current(*due, *index));
        }
    }
}
