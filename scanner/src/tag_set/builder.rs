//! Makes a [`TagSet`] from tags in any order, and carries first-seen times over from the one before.

use std::cmp::Ordering;
use std::sync::Arc;

use jiff::Timestamp;
use tagline_policy::TagRef;

use super::TagSet;
use super::packed::{Reader, Writer};

/// Collects the tags of a listing, page by page, in whatever order the registry gives them.
#[derive(Debug, Clone, Default)]
pub struct TagSetBuilder {
    text: Vec<u8>,
    /// Where each tag begins in `text`, and its length.
    tags: Vec<(u32, u8)>,
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
            // 4 GiB of tags: every listing is capped far below.
            return;
        };
        self.text.extend_from_slice(bytes);
        self.tags.push((start, len));
    }

    /// How many tags were added, duplicates included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.tags.len()
    }

    /// Whether nothing was added.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }

    /// The set of these tags, all first seen at `first_seen`.
    #[must_use]
    pub fn finish(self, first_seen: Timestamp) -> TagSet {
        let now = first_seen.as_second();
        let mut writer = Writer::new(now);
        for tag in self.into_sorted().iter() {
            writer.push(tag, now);
        }
        writer.finish()
    }

    /// A complete listing that comes after `previous`: tags it holds keep their times, the others are
    /// first seen at `now`, and what it lacks is removed.
    #[must_use]
    pub fn replace(self, previous: &Arc<TagSet>, now: Timestamp) -> Merged {
        self.merge(previous, now, false)
    }

    /// A listing of new tags only (`last=`): `previous` stays, and what it lacks is added.
    #[must_use]
    pub fn extend(self, previous: &Arc<TagSet>, now: Timestamp) -> Merged {
        self.merge(previous, now, true)
    }

    fn merge(self, previous: &Arc<TagSet>, now: Timestamp, keep: bool) -> Merged {
        let now = now.as_second();
        let base = if previous.is_empty() {
            now
        } else {
            previous.base
        };
        let mut all = Writer::new(base);
        let mut added = Writer::new(now);
        let mut removed = Writer::new(base);
        let listed = self.into_sorted();
        let mut listed = listed.iter().peekable();
        let mut old = Reader::new(&previous.entries, previous.base);
        while let Some(entry) = old.next() {
            loop {
                match listed.peek().map(|tag| (*tag).cmp(entry.tag)) {
                    Some(Ordering::Greater) => {
                        if let Some(tag) = listed.next() {
                            all.push(tag, now);
                            added.push(tag, now);
                        }
                    }
                    Some(Ordering::Equal) => {
                        listed.next();
                        all.push(entry.tag, entry.first_seen);
                        break;
                    }
                    Some(Ordering::Less) | None => {
                        if keep {
                            all.push(entry.tag, entry.first_seen);
                        } else {
                            removed.push(entry.tag, entry.first_seen);
                        }
                        break;
                    }
                }
            }
        }
        for tag in listed {
            all.push(tag, now);
            added.push(tag, now);
        }
        let (added, removed) = (added.finish(), removed.finish());
        let tags = if added.is_empty() && removed.is_empty() {
            Arc::clone(previous)
        } else {
            Arc::new(all.finish())
        };
        Merged {
            added: Arc::new(added),
            removed: Arc::new(removed),
            tags,
        }
    }

    fn into_sorted(mut self) -> Sorted {
        let text = self.text;
        let tag = |&(start, len): &(u32, u8)| {
            let start = start as usize;
            text.get(start..start + usize::from(len))
                .unwrap_or_default()
        };
        if !self.tags.is_sorted_by(|a, b| tag(a) > tag(b)) {
            self.tags.sort_unstable_by(|a, b| tag(b).cmp(tag(a)));
            self.tags.dedup_by(|a, b| tag(a) == tag(b));
        }
        Sorted {
            text,
            tags: self.tags,
        }
    }
}

impl Merged {
    /// Whether any tag came or went.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        !self.added.is_empty() || !self.removed.is_empty()
    }
}

/// Tags in descending order without duplicates.
struct Sorted {
    text: Vec<u8>,
    tags: Vec<(u32, u8)>,
}

impl Sorted {
    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.tags.iter().map(|&(start, len)| {
            let start = start as usize;
            self.text
                .get(start..start + usize::from(len))
                .unwrap_or_default()
        })
    }
}
