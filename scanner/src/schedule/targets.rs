//! The schedule's targets in little memory: fixed-size records, names side by side in one buffer, and an
//! index from name to record that holds no names.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use super::timing::{Span, Tick};
use crate::target_key::TargetKey;

/// A target's place among the targets.
pub(super) type Index = u32;
/// A host's place among the hosts.
pub(super) type HostIndex = u32;
/// A namespace's place among the namespaces.
pub(super) type NamespaceIndex = u32;

/// Where a target stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Waits for its due time.
    Waiting,
    /// Waits for a place on its host.
    Ready,
    /// As ready, and in the lane of those that were asked for.
    Requested,
    /// Is being scanned.
    Running,
    /// Is being scanned, and asked for again meanwhile.
    RunningAgain,
    /// Is being scanned, and nobody wants it any more.
    RunningUnwanted,
    /// The place is empty.
    Vacant,
}

#[derive(Debug, Clone)]
pub(super) struct Target {
    name_start: u32,
    name_len: u16,
    pub(super) host: HostIndex,
    pub(super) namespace: NamespaceIndex,
    pub(super) interval: Span,
    /// When waiting: due. When ready: since when.
    pub(super) due: Tick,
    pub(super) failures: u8,
    pub(super) state: State,
}

#[derive(Debug, Default)]
pub(super) struct Targets {
    records: Vec<Target>,
    /// What follows the registry in the targets' keys.
    names: String,
    /// Bytes of `names` that belong to no target any more.
    unused: usize,
    vacant: Vec<Index>,
    index: HashTable<Index>,
    hasher: RandomState,
}

/// What is the same for every target on a host, or in a namespace.
#[derive(Debug, Default)]
pub(super) struct Names {
    list: Vec<Box<str>>,
    index: HashTable<u32>,
    hasher: RandomState,
}

impl Targets {
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn get(&self, index: Index) -> Option<&Target> {
        self.records.get(index as usize)
    }

    pub(super) fn get_mut(&mut self, index: Index) -> Option<&mut Target> {
        self.records.get_mut(index as usize)
    }

    pub(super) fn find(&self, host: HostIndex, name: &str) -> Option<Index> {
        self.index
            .find(self.hasher.hash_one((host, name)), |&index| {
                self.is(index, host, name)
            })
            .copied()
    }

    /// Adds a target that is not there yet; `None` when four billion bytes of names are used up.
    pub(super) fn add(
        &mut self,
        host: HostIndex,
        name: &str,
        namespace: NamespaceIndex,
        interval: Span,
    ) -> Option<Index> {
        if self.unused > self.names.len() / 2 && self.unused > 1 << 16 {
            self.pack_names();
        }
        let target = Target {
            name_start: u32::try_from(self.names.len()).ok()?,
            name_len: u16::try_from(name.len()).ok()?,
            host,
            namespace,
            interval,
            due: Tick::NEVER,
            failures: 0,
            state: State::Waiting,
        };
        self.names.push_str(name);
        let index = if let Some(index) = self.vacant.pop() {
            *self.records.get_mut(index as usize)? = target;
            index
        } else {
            self.records.push(target);
            u32::try_from(self.records.len() - 1).ok()?
        };
        let hash = self.hasher.hash_one((host, name));
        let (records, names, hasher) = (&self.records, &self.names, &self.hasher);
        self.index.insert_unique(hash, index, |&index| {
            records
                .get(index as usize)
                .map_or(0, |t| hasher.hash_one((t.host, name_in(names, t))))
        });
        Some(index)
    }

    /// Takes the name from the index; the place stays until [`Targets::vacate`].
    pub(super) fn unlist(&mut self, index: Index) {
        let Some(target) = self.records.get(index as usize) else {
            return;
        };
        let hash = self
            .hasher
            .hash_one((target.host, name_in(&self.names, target)));
        if let Ok(entry) = self.index.find_entry(hash, |&other| other == index) {
            entry.remove();
        }
    }

    pub(super) fn vacate(&mut self, index: Index) {
        if let Some(target) = self.records.get_mut(index as usize)
            && target.state != State::Vacant
        {
            target.state = State::Vacant;
            target.due = Tick::NEVER;
            self.unused += usize::from(target.name_len);
            self.vacant.push(index);
        }
    }

    /// What follows the registry in the key.
    pub(super) fn name(&self, index: Index) -> &str {
        self.get(index)
            .map_or("", |target| name_in(&self.names, target))
    }

    /// A number that depends on the key alone.
    pub(super) fn seed(&self, index: Index, host: &str) -> u64 {
        // FNV-1a: the same in every process, unlike the standard library's hashes.
        host.bytes()
            .chain(*b"/")
            .chain(self.name(index).bytes())
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Index, &Target)> {
        (0..).zip(&self.records)
    }

    fn is(&self, index: Index, host: HostIndex, name: &str) -> bool {
        self.get(index)
            .is_some_and(|target| target.host == host && name_in(&self.names, target) == name)
    }

    fn pack_names(&mut self) {
        let mut names = String::with_capacity(self.names.len() - self.unused);
        for target in &mut self.records {
            if target.state == State::Vacant {
                continue;
            }
            let start = u32::try_from(names.len()).unwrap_or_default();
            names.push_str(name_in(&self.names, target));
            target.name_start = start;
        }
        self.names = names;
        self.unused = 0;
    }
}

impl Names {
    pub(super) fn find(&self, name: &str) -> Option<u32> {
        self.index
            .find(self.hasher.hash_one(name), |&index| self.get(index) == name)
            .copied()
    }

    pub(super) fn find_or_add(&mut self, name: &str) -> u32 {
        if let Some(index) = self.find(name) {
            return index;
        }
        let index = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.list.push(name.into());
        let (names, hasher) = (&self.list, &self.hasher);
        self.index
            .insert_unique(hasher.hash_one(name), index, |&index| {
                hasher.hash_one(names.get(index as usize).map_or("", |name| &**name))
            });
        index
    }

    pub(super) fn get(&self, index: u32) -> &str {
        self.list.get(index as usize).map_or("", |name| &**name)
    }

    pub(super) const fn len(&self) -> usize {
        self.list.len()
    }
}

/// Splits a key into its registry and the rest.
pub(super) fn split(key: &TargetKey) -> (&str, &str) {
    key.as_str().split_once('/').unwrap_or((key.as_str(), ""))
}

fn name_in<'a>(names: &'a str, target: &Target) -> &'a str {
    let start = target.name_start as usize;
    names
        .get(start..start + usize::from(target.name_len))
        .unwrap_or_default()
}
