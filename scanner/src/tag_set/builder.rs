//! Makes a [`TagSet`] from tags in any order, and carries first-seen times over from the one before.

use std::cmp::Ordering;
use std::sync::Arc;

use jiff::Timestamp;
use tagline_policy::TagRef;

use super::TagSet;
use super::packed::{Entry, Reader, Writer};

/// So many tags are collected as text before they are sorted and packed.
const RUN: usize = 8192;

/// For so many tags there is room from the start: most repositories have no more.
const FIRST: usize = 1000;

/// Collects the tags of a listing, page by page, in whatever order the registry gives them.
///
/// A long listing is packed as it comes in, so that a million tags take little more than they will in the
/// end.
#[derive(Debug, Clone, Default)]
pub struct TagSetBuilder {
    text: Vec<u8>,
    /// Where each tag begins in `text`, and its length.
    tags: Vec<(u32, u8)>,
    /// Tags that are packed already; each run has at least twice as many as the one after it.
    runs: Vec<TagSet>,
    len: usize,
}

/// What a listing changed.
#[derive(Debug, Clone)]
pub struct Merged {
    /// All tags now.
    pub tags: Arc<TagSet>,
    /// Those that were not there before, first seen now.
    pub added: Arc<TagSet>,
    /// Those that are gone.
    pub removed: Arc<TagSet>,
}

impl TagSetBuilder {
    /// Adds a tag. Duplicates are dropped at the end.
    pub fn push(&mut self, tag: TagRef<'_>) {
        let bytes = tag.as_str().as_bytes();
        let (Ok(start), Ok(len)) = (u32::try_from(self.text.len()), u8::try_from(bytes.len()))
        else {
            // A run has at most a megabyte and a tag 128 bytes.
            return;
        };
        if self.text.capacity() == 0 {
            self.text.reserve(FIRST * 16);
            self.tags.reserve(FIRST);
        }
        self.text.extend_from_slice(bytes);
        self.tags.push((start, len));
        self.len += 1;
        if self.tags.len() == RUN {
            self.pack_run();
        }
    }

    /// Adds all tags of a set.
    pub fn push_all(&mut self, set: &TagSet) {
        let mut cursor = set.cursor();
        while let Some((tag, _)) = cursor.next() {
            self.push(tag);
        }
    }

    /// Adds the tags of a set up to this one, by bytes.
    pub fn push_up_to(&mut self, set: &TagSet, greatest: TagRef<'_>) {
        let mut cursor = set.cursor();
        while let Some((tag, _)) = cursor.next() {
            if tag <= greatest {
                self.push(tag);
            }
        }
    }

    /// Takes the tags so far out, as [`TagSetBuilder::finish`] gives them. Long lists are not to be in memory twice, so
    /// whoever wants to go on gives them back by [`TagSetBuilder::put_back`].
    #[must_use]
    pub fn take_out(&mut self, first_seen: Timestamp) -> TagSet {
        self.pack_run();
        self.collapse().seen_at(first_seen.as_second())
    }

    /// Gives back what was taken out; their times do not matter.
    pub fn put_back(&mut self, tags: TagSet) {
        if !tags.is_empty() {
            self.runs.insert(0, tags.seen_at(0));
        }
    }

    /// How many tags were added, duplicates included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was added.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The set of these tags, all first seen at `first_seen`.
    #[must_use]
    pub fn finish(mut self, first_seen: Timestamp) -> TagSet {
        let now = first_seen.as_second();
        self.pack_run();
        self.text = Vec::new();
        self.tags = Vec::new();
        self.collapse().seen_at(now)
    }

    fn collapse(&mut self) -> TagSet {
        let mut tags = self.runs.pop().unwrap_or_default();
        while let Some(run) = self.runs.pop() {
            tags = union(&run, &tags);
        }
        tags
    }

    /// A complete listing that comes after `previous`: tags it holds keep their times, the others are
    /// first seen at `now`, and what it lacks is removed.
    #[must_use]
    pub fn replace(self, previous: &Arc<TagSet>, now: Timestamp) -> Merged {
        self.merge(previous, now, |_| false)
    }

    /// A listing of the tags after one (`last=`): `previous` stays up to that tag, and is replaced behind it.
    #[must_use]
    pub fn replace_after(
        self,
        after: TagRef<'_>,
        previous: &Arc<TagSet>,
        now: Timestamp,
    ) -> Merged {
        self.merge(previous, now, |tag| tag <= after.as_str().as_bytes())
    }

    fn merge(self, previous: &Arc<TagSet>, now: Timestamp, keep: impl Fn(&[u8]) -> bool) -> Merged {
        let listed = self.finish(now);
        if previous.is_empty() {
            let tags = Arc::new(listed);
            return Merged {
                added: Arc::clone(&tags),
                removed: Arc::default(),
                tags,
            };
        }
        let now = now.as_second();
        let mut added = Writer::new(now);
        let mut removed = Writer::new(previous.base);
        walk(&listed, previous, |side, entry| match side {
            Side::First => added.push(entry.tag, now),
            Side::Second if !keep(entry.tag) => removed.push(entry.tag, entry.first_seen),
            Side::Second | Side::Both => {}
        });
        let (added, removed) = (added.finish(), removed.finish());
        let tags = if added.is_empty() && removed.is_empty() {
            Arc::clone(previous)
        } else {
            let mut all = Writer::new(previous.base);
            walk(&listed, previous, |side, entry| match side {
                Side::First | Side::Both => all.push(entry.tag, entry.first_seen),
                Side::Second if keep(entry.tag) => all.push(entry.tag, entry.first_seen),
                Side::Second => {}
            });
            Arc::new(all.finish())
        };
        Merged {
            added: Arc::new(added),
            removed: Arc::new(removed),
            tags,
        }
    }

    /// Sorts and packs what was collected, and keeps the number of runs small.
    fn pack_run(&mut self) {
        if self.tags.is_empty() {
            return;
        }
        let text = &self.text;
        let tag = |&(start, len): &(u32, u8)| {
            let start = start as usize;
            text.get(start..start + usize::from(len))
                .unwrap_or_default()
        };
        if self.tags.is_sorted_by(|a, b| tag(a) < tag(b)) {
            // As the specification wants it, and most registries do it.
            self.tags.reverse();
        } else if !self.tags.is_sorted_by(|a, b| tag(a) > tag(b)) {
            self.tags.sort_unstable_by(|a, b| tag(b).cmp(tag(a)));
            self.tags.dedup_by(|a, b| tag(a) == tag(b));
        }
        let mut writer = Writer::with_capacity(self.text.len() / 2 + 3 * self.tags.len(), 0);
        for place in &self.tags {
            writer.push(tag(place), 0);
        }
        let mut run = writer.finish();
        self.text.clear();
        self.tags.clear();
        while let Some(before) = self.runs.pop_if(|before| before.len() < 2 * run.len()) {
            run = union(&before, &run);
        }
        self.runs.push(run);
    }
}

/// Which of two sets a tag is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    First,
    Second,
    Both,
}

/// Walks over two sets at once, in descending order. A tag of both comes once, with the second's time.
fn walk(first: &TagSet, second: &TagSet, mut visit: impl FnMut(Side, Entry<'_>)) {
    let mut readers = (
        Reader::new(&first.entries, first.base),
        Reader::new(&second.entries, second.base),
    );
    let mut has = (readers.0.advance().is_some(), readers.1.advance().is_some());
    loop {
        let entries = (
            readers.0.entry().filter(|_| has.0),
            readers.1.entry().filter(|_| has.1),
        );
        let side = match &entries {
            (None, None) => return,
            (Some(_), None) => Side::First,
            (None, Some(_)) => Side::Second,
            (Some(a), Some(b)) => match a.tag.cmp(b.tag) {
                Ordering::Greater => Side::First,
                Ordering::Less => Side::Second,
                Ordering::Equal => Side::Both,
            },
        };
        let entry = if side == Side::First {
            entries.0
        } else {
            entries.1
        };
        if let Some(entry) = entry {
            visit(side, entry);
        }
        if side != Side::Second {
            has.0 = readers.0.advance().is_some();
        }
        if side != Side::First {
            has.1 = readers.1.advance().is_some();
        }
    }
}

fn union(first: &TagSet, second: &TagSet) -> TagSet {
    let mut writer = Writer::new(second.base);
    walk(first, second, |_, entry| {
        writer.push(entry.tag, entry.first_seen);
    });
    writer.finish()
}

impl Merged {
    /// Whether any tag came or went.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        !self.added.is_empty() || !self.removed.is_empty()
    }
}
