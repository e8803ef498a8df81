//! The targets of one host that are ready: three lanes, in each of them one queue per namespace.

use std::collections::{HashMap, VecDeque};

use super::targets::{Index, NamespaceIndex};

/// Why a target is ready. The order is that of urgency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// A webhook or a person asked.
    Requested,
    /// It was never scanned.
    New,
    /// Its time has come.
    Due,
}

/// Which lane is served first, turn by turn; the others follow in their order. Nobody waits for ever, also
/// behind a flood of webhooks or ten thousand new targets.
const TURNS: [Lane; 8] = [
    Lane::Requested,
    Lane::Requested,
    Lane::New,
    Lane::Requested,
    Lane::Requested,
    Lane::New,
    Lane::Requested,
    Lane::Due,
];

/// One host's ready targets.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    requested: FairQueue,
    new: FairQueue,
    due: FairQueue,
    turn: usize,
}

/// Queues by namespace, served in turn.
#[derive(Debug, Default)]
struct FairQueue {
    /// Namespaces that have something waiting, each once.
    round: VecDeque<NamespaceIndex>,
    queues: HashMap<NamespaceIndex, VecDeque<Index>>,
}

impl Lanes {
    pub(super) fn push(&mut self, lane: Lane, namespace: NamespaceIndex, target: Index) {
        self.lane(lane).push(namespace, target);
    }

    /// The next target; `is_waiting` says which queued ones still want to be taken.
    pub(super) fn pop(&mut self, is_waiting: impl Fn(Index) -> bool) -> Option<(Index, Lane)> {
        let first = *TURNS.get(self.turn % TURNS.len())?;
        self.turn = (self.turn + 1) % TURNS.len();
        [first, Lane::Requested, Lane::New, Lane::Due]
            .into_iter()
            .find_map(|lane| Some((self.lane(lane).pop(&is_waiting)?, lane)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.requested.round.is_empty() && self.new.round.is_empty() && self.due.round.is_empty()
    }

    fn lane(&mut self, lane: Lane) -> &mut FairQueue {
        match lane {
            Lane::Requested => &mut self.requested,
            Lane::New => &mut self.new,
            Lane::Due => &mut self.due,
        }
    }
}

impl FairQueue {
    fn push(&mut self, namespace: NamespaceIndex, target: Index) {
        let queue = self.queues.entry(namespace).or_default();
        if queue.is_empty() {
            self.round.push_back(namespace);
        }
        queue.push_back(target);
    }

    fn pop(&mut self, is_waiting: impl Fn(Index) -> bool) -> Option<Index> {
        while let Some(namespace) = self.round.pop_front() {
            let Some(queue) = self.queues.get_mut(&namespace) else {
                continue;
            };
            let target = std::iter::from_fn(|| queue.pop_front()).find(|&index| is_waiting(index));
            if queue.is_empty() {
                self.queues.remove(&namespace);
            } else {
                self.round.push_back(namespace);
            }
            if target.is_some() {
                return target;
            }
        }
        None
    }
}
